//go:build e2e

package photo

import (
	"context"
	"strings"
)

const unitsScript = `
echo '# files'
systemctl list-unit-files --no-legend --no-pager --full
echo '# failed'
systemctl list-units --state=failed --all --plain --no-legend --no-pager --full
echo '# loaded'
systemctl list-units --all --plain --no-legend --no-pager --full 'kubectl-runtime*'
echo '# runtime files'
find /run/systemd/system /run/systemd/transient /run/systemd/generator* -name '*kubectl-runtime*' 2>/dev/null || true
for unit in kubelet.service containerd.service crio.service docker.service docker.socket cri-docker.service cri-docker.socket; do
	echo "# unit $unit"
	systemctl show --property=LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload,Result -- "$unit"
done
`

// takeUnits sees the state of every unit file, the units that failed, those of the runtimes and the kubelet as PID 1
// knows them, and whatever unit of ours there is.
func takeUnits(ctx context.Context, m Machine, _ *tenants, p *Photo) error {
	out, err := m.Run(ctx, unitsScript)
	if err != nil {
		return err
	}
	var section string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# "); ok {
			section = name
			continue
		}
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		unit, one := strings.CutPrefix(section, "unit ")
		switch {
		case one:
			p.set("unit", unit, strings.TrimSpace(p.Lines["unit "+unit]+" "+line))
		case section == "files":
			// Transient units are pods' and sessions' scopes; generated ones follow from files.
			if len(fields) > 1 && fields[1] != "transient" {
				p.set("unit-file", fields[0], fields[1])
			}
		case section == "failed":
			p.set("failed", fields[0], "failed")
		default:
			p.set("our-unit", fields[0], section)
		}
	}
	return nil
}
