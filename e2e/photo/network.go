//go:build e2e

package photo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

const networkScript = `
echo '# netns'
used=$(stat -L -c %i /proc/[0-9]*/ns/net 2>/dev/null | sort -u || true)
for n in /run/netns/* /run/docker/netns/*; do
	[ -e "$n" ] || continue
	inode=$(stat -L -c %i "$n" 2>/dev/null) || continue
	if grep -qx "$inode" <<<"$used"; then echo "$n	used"; else echo "$n	unused"; fi
done
echo '# address'
for f in /var/lib/cni/networks/*/* /run/cni-ipam-state/*/*; do
	case $f in */lock | */last_reserved_ip.*) continue ;; esac
	[ -f "$f" ] || continue
	printf '%s\t%s\n' "$f" "$(tr '\r\n' '  ' <"$f")"
done
echo '# cached'
for f in /var/lib/cni/results/* /var/lib/cni/cache/results/*; do
	[ -f "$f" ] || continue
	printf '%s\t' "$f"; tr -d '\n' <"$f"; echo
done
echo '# link'
ip -oneline -brief link show
echo '# route'
ip -oneline route show table main
`

// takeNetwork sees named network namespaces, CNI's reservations and cached results, links and routes. Those of pods
// must belong to pods that live here, and every such pod must have its address reserved.
func takeNetwork(ctx context.Context, m Machine, living *tenants, p *Photo) error {
	out, err := m.Run(ctx, networkScript)
	if err != nil {
		return err
	}
	var section string
	reserved := map[string]string{} // address → container
	holders := map[string]bool{}
	veths := 0
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# "); ok {
			section = name
			continue
		}
		name, rest, _ := strings.Cut(line, "\t")
		switch section {
		case "netns":
			if rest != "used" {
				p.orphan("network namespace %s, in which nothing runs", name)
			}
		case "address":
			address := name[strings.LastIndex(name, "/")+1:]
			holder, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			reserved[address], holders[holder] = holder, true
			if _, known := living.byIP[address]; !known {
				p.orphan("reservation %s, an address that no pod here has", name)
			}
		case "cached":
			var result struct{ ContainerID string }
			if err := json.Unmarshal([]byte(rest), &result); err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			if !holders[result.ContainerID] {
				p.orphan("CNI result %s of a container that holds no address", name)
			}
		case "link":
			link, _, _ := strings.Cut(strings.Fields(line)[0], "@")
			if strings.HasPrefix(link, "veth") {
				veths++
			} else {
				p.set("link", link, "")
			}
		case "route":
			if !strings.Contains(line, " dev veth") {
				p.set("route", line, "")
			}
		}
	}
	for address, pod := range living.byIP {
		if reserved[address] == "" {
			p.orphan("pod %s/%s has the address %s, which nobody reserved", pod.Namespace, pod.Name, address)
		}
	}
	if veths != len(reserved) {
		p.orphan("%d veth links for %d reserved addresses", veths, len(reserved))
	}
	return nil
}
