//go:build e2e

package photo

import (
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A process that ends while it is looked at has no exe any more. The shell reads by itself what it can: a program for each file of
// each process would take as long as all the rest of a photograph.
const processesScript = `
find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -printf '%h\t%l\n' 2>/dev/null | while IFS=$'\t' read -r p exe; do
	[ -n "$exe" ] || continue
	mapfile -t cgroup 2>/dev/null <"$p/cgroup" || continue
	mapfile -d '' -t args 2>/dev/null <"$p/cmdline" || continue
	args="${args[*]}"
	printf '%s\t%s\t%s\n' "$exe" "${cgroup[*]}" "${args//[$'\n\t']/ }"
done || true
`

var (
	hexID  = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	uuid   = regexp.MustCompile(`\b[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}\b`)
	podUID = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})\b`)
)

// daemons are the processes whose command lines are part of a photograph; monitors stand beside each pod or container
// of one runtime.
var (
	daemons  = []string{"kubelet", "containerd", "crio", "dockerd", "cri-dockerd", "docker-proxy"}
	monitors = []string{"containerd-shim-runc-v2", "containerd-shim", "conmon", "pinns"}
)

// unstarted is what runc leaves in a container until it is started.
var unstarted = regexp.MustCompile(`^(\S*/)?runc(\.real)? init$`)

type process struct{ exe, pod, args string }

func processes(ctx context.Context, m Machine) ([]process, error) {
	out, err := m.Run(ctx, processesScript)
	if err != nil {
		return nil, err
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		fields := strings.SplitN(strings.TrimRight(line, " \n"), "\t", 3)
		if len(fields) != 3 {
			continue
		}
		p := process{exe: strings.TrimSuffix(fields[0], " (deleted)"), args: fields[2]}
		if match := podUID.FindStringSubmatch(fields[1]); match != nil {
			p.pod = strings.ReplaceAll(match[1], "_", "-")
		}
		all = append(all, p)
	}
	return all, nil
}

// takeProcesses sees the daemons with their arguments, the monitors, and what runs in each pod that stays on the node.
func takeProcesses(ctx context.Context, m Machine, living *tenants, p *Photo) error {
	all, err := processes(ctx, m)
	if err != nil {
		return err
	}
	count := map[string]int{}
	inPod := map[string]map[string]int{}
	for _, process := range all {
		base := path.Base(process.exe)
		switch {
		// A monitor may stand in the cgroup of its pod. One of another namespace than Kubernetes' is somebody else's.
		case strings.HasPrefix(base, "containerd-shim") && !strings.Contains(process.args, "-namespace k8s.io"):
			p.set("process", process.exe, normalArgs(process.args))
		case slices.Contains(monitors, base):
			count[base]++
		case slices.Contains(daemons, base) && process.pod == "":
			p.set("process", process.exe, normalArgs(process.args))
		case strings.HasPrefix(process.exe, "/var/lib/kubectl-runtime/"):
			p.set("process", process.exe, normalArgs(process.args))
		// A container that was made and not started, as one is whose daemon was killed in between: its kubelet makes another one, and keeps
		// this one until it has one more that ended.
		case unstarted.MatchString(process.args):
		case process.pod != "":
			if inPod[process.pod] == nil {
				inPod[process.pod] = map[string]int{}
			}
			inPod[process.pod][base]++
		}
	}
	for base, n := range count {
		p.set("monitor", base, "some")
		// One shim serves a pod; one conmon serves a container, and one more the sandbox.
		if most := living.sandboxes; strings.HasPrefix(base, "containerd-shim") && n > most {
			p.orphan("%d processes %s for %d pods", n, base, most)
		} else if most := living.sandboxes + living.containers; base == "conmon" && n > most {
			p.orphan("%d processes %s for %d sandboxes and containers", n, base, most)
		}
	}
	for uid, programs := range inPod {
		pod, known := living.byUID[uid]
		if !known {
			p.orphan("processes of pod %s, which isn't on this node: %s", uid, counted(programs))
			continue
		}
		if name, ok := stays(pod); ok {
			p.set("pod", name, counted(programs))
		}
	}
	return nil
}

func normalArgs(args string) string {
	return uuid.ReplaceAllString(hexID.ReplaceAllString(args, "ID"), "UID")
}

func counted(programs map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		parts = append(parts, fmt.Sprintf("%s×%d", name, programs[name]))
	}
	return strings.Join(parts, " ")
}
