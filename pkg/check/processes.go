package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// endable tells of the pods, and the monitors of containers, that could not be ended: a dead file server may hold many processes
// of one pod.
func endable(n *node) []v1alpha1.Finding {
	byOwner := map[string][]v1alpha1.UninterruptibleProcess{}
	for _, p := range n.f.Uninterruptible {
		owner := "a container's monitor"
		if p.PodUID != "" {
			owner = "pod " + cmp.Or(p.Pod, p.PodUID)
		}
		byOwner[owner] = append(byOwner[owner], p)
	}
	var out []v1alpha1.Finding
	for _, owner := range slices.Sorted(maps.Keys(byOwner)) {
		list := byOwner[owner]
		var shows []string
		for _, p := range list {
			shows = append(shows, fmt.Sprintf("process %d (%s)", p.PID, p.Program))
		}
		more := ""
		if len(list) > 1 {
			more = fmt.Sprintf(" and %d more", len(list)-1)
		}
		hint := fmt.Sprintf("see what it waits for (cat /proc/%d/stack on the node) and bring that back, such as an NFS server; or drain and reboot the node", list[0].PID)
		out = append(out, shown(stop(hint, "%s can't be ended: %s%s waits in the kernel (state D), where no signal reaches it", owner, shows[0], more), shows...)...)
	}
	return out
}
