//go:build e2e

package photo

import (
	"context"
	"regexp"
	"strings"
)

var (
	podMount  = regexp.MustCompile(`^/var/lib/kubelet/pods/([0-9a-f-]+)/`)
	netnsPath = regexp.MustCompile(`^(/var)?/run/netns/`)
	// pinned matches the other namespaces that CRI-O keeps for a sandbox.
	pinned = regexp.MustCompile(`^(?:/var)?/(run/(?:ipc|uts|user|pid)ns)/`)
	// runtimeMount matches what runtimes mount for one container or sandbox, by the directory of the runtime.
	runtimeMount = regexp.MustCompile(`^(?:/var)?/(run/containerd|var/lib/containerd|run/containers|var/lib/containers|run/crio|var/lib/docker|run/docker)/.*[0-9a-f]{64}`)
)

// takeMounts sees what is mounted in PID 1's namespace. Pods' mounts aren't lines of the photograph, they must belong
// to pods that live here.
func takeMounts(ctx context.Context, m Machine, living *tenants, p *Photo) error {
	out, err := m.Run(ctx, "cat /proc/1/mountinfo")
	if err != nil {
		return err
	}
	perRuntime, perSandbox := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(out)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		if !ok {
			continue
		}
		fields, source := strings.Fields(before), strings.Fields(after)
		root, point, kind := fields[3], fields[4], source[0]
		if match := podMount.FindStringSubmatch(point); match != nil {
			if _, known := living.byUID[match[1]]; !known {
				p.orphan("mount %s of a pod that isn't on this node", point)
			}
			continue
		}
		if netnsPath.MatchString(point) {
			continue // takeNetwork asks who uses each namespace
		}
		if match := pinned.FindStringSubmatch(point); match != nil {
			perSandbox[match[1]]++
			continue
		}
		if match := runtimeMount.FindStringSubmatch(point); match != nil {
			perRuntime[match[1]]++
			continue
		}
		p.set("mount", point, kind+" "+normalArgs(root))
	}
	for dir, n := range perSandbox {
		if n > living.sandboxes {
			p.orphan("%d namespaces of sandboxes below /%s for %d pods", n, dir, living.sandboxes)
		}
		p.set("mounts", "/"+dir, "some")
	}
	for dir, n := range perRuntime {
		// A container has its root, a sandbox its root and its shm.
		if most := living.containers + 2*living.sandboxes; n > most {
			p.orphan("%d mounts of containers below /%s for %d containers and %d sandboxes", n, dir, living.containers, living.sandboxes)
		}
		p.set("mounts", "/"+dir, "some")
	}
	return nil
}
