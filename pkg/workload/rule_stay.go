package workload

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// stayRules are about pods that a drain leaves on their node: those of DaemonSets, and static ones. They end and start there while the
// runtime changes.
func stayRules() []rule {
	return []rule{
		{Rule{
			"W040", advising, "pods that stay on their node get the time that they ask for to end",
			"A drain leaves pods of DaemonSets and static pods on their node. The node ends them itself before the runtime changes, and a container that has not ended after the limit is killed, whatever its pod's terminationGracePeriodSeconds says. " +
				"The limit is the longest grace period of these pods on the node, up to 2 minutes, or what --evacuation-grace of switch and rollback says; zero means infinite, up to 24 hours. " +
				"Each of these minutes is one without a kubelet on the node, and the deadline of the switch begins after it. Nothing but these pods is waited for.",
		}, moved(graces), nil},
		volumeRule(),
	}
}

// stays reports whether the workload's pods stay on their nodes through a drain.
func (s *subject) stays() bool {
	return s.w.Object.Kind == "DaemonSet" || slices.ContainsFunc(s.w.Pods, func(p Placed) bool { return p.Mirror })
}

// podsSaid names the pods of a workload that take part, or its template where none is known.
func (s *subject) podsSaid() string {
	var names []string
	for _, p := range s.w.Pods {
		if p.Node != "" && s.j.moving(p.Node) {
			names = append(names, p.Name)
		}
	}
	switch len(names) {
	case 0:
		return "pod template"
	case 1:
		return "pod " + names[0]
	}
	return "pods " + few(names)
}

func graces(s *subject) []hit {
	own := s.w.Spec.TerminationGracePeriodSeconds
	limit := cmp.Or(s.j.o.EvacuationGrace, EvacuationGrace)
	if own == nil || !s.stays() || *own <= int64(limit/time.Second) {
		return nil
	}
	grace := time.Duration(min(*own, math.MaxInt64/int64(time.Second))) * time.Second
	fix := fmt.Sprintf("switch with --evacuation-grace=%s, or lower terminationGracePeriodSeconds", grace)
	if grace > v1alpha1.MostGrace {
		fix = "lower terminationGracePeriodSeconds"
	}
	return one(
		advising, s.line("spec", "terminationGracePeriodSeconds"), fmt.Sprintf("%s: terminationGracePeriodSeconds %d", s.podsSaid(), *own),
		fmt.Sprintf("stays on its node while that is switched, and is killed after %s although its termination grace period is %s", duration.HumanDuration(limit), duration.HumanDuration(grace)),
		fix,
	)
}
