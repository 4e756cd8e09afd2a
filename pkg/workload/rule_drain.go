package workload

import (
	"fmt"
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func drainRules() []rule {
	return []rule{
		{Rule{
			"W030", failing, "every disruption budget lets a pod go",
			"A drain asks the PodDisruptionBudget before it moves a pod, and waits while that says no. A budget whose own numbers allow none blocks it for ever: an error. " +
				"Raise maxUnavailable, lower minAvailable or add a replica. A pod that two budgets cover is never evicted either. " +
				"One that allows none only now, because pods aren't ready, is a warning.",
		}, nil, func(j *judge) []about { return append(budgets(j), covered(j)...) }},
		{Rule{
			"W031", advising, "every pod has a controller that brings it back",
			"A pod without a controller isn't started anew elsewhere. The drain refuses it unless --force is given, and then it is gone. Static pods aren't meant: the drain leaves them alone.",
		}, bare, nil},
		{Rule{
			"W032", advising, "no pod keeps data on its node",
			"A claim that leads to a volume of the node itself binds its pod to that node: it waits there until the node is back.",
		}, moved(localStorage), nil},
		{Rule{
			"W033", advising, "no pod has a finalizer",
			"A pod with a finalizer stays until somebody removes it, and the drain waits for that. The finalizers of Jobs aren't meant: their controller removes them.",
		}, moved(finalizers), nil},
		{Rule{
			"W034", advising, "emptyDir volumes may be lost",
			"The drain refuses pods with emptyDir volumes unless --delete-emptydir-data is given, because what is in them is lost. All such workloads are one finding.",
		}, nil, emptyDirs},
	}
}

func budgets(j *judge) []about {
	var out []about
	for i := range j.inv.Budgets {
		b := &j.inv.Budgets[i]
		// Most budgets allow something whatever they cover.
		if why, _ := allowsNone(b, 0, true); why == "" {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || b.Spec.Selector == nil {
			continue
		}
		a := about{object: Object{"policy/v1", "PodDisruptionBudget", b.Namespace, b.Name}, annotations: []map[string]string{b.Annotations}}
		asked, counted := 0, true
		var names []string
		for _, w := range j.selected(b.Namespace, selector) {
			if w.Object.Kind == "DaemonSet" {
				continue
			}
			a.pods = append(a.pods, w.Pods...)
			names = append(names, w.Object.Kind+" "+w.Object.Name)
			switch {
			case w.Replicas != nil:
				asked += int(*w.Replicas)
			case len(w.Pods) > 0:
				asked += len(w.Pods)
			default:
				counted = false
			}
		}
		if b.Status.ExpectedPods > 0 {
			asked, counted = int(b.Status.ExpectedPods), true
		}
		if len(names) == 0 && b.Status.ExpectedPods == 0 || counted && asked == 0 {
			continue
		}
		why, never := allowsNone(b, asked, counted)
		if why == "" || !j.moves(a.pods) {
			continue
		}
		severity, message := advising, "allows no pod to go while its pods aren't all ready"
		if never {
			severity, message = failing, "never allows a pod to go, so that a drain waits for ever"
		}
		slices.Sort(names)
		a.source = j.inv.Sources[a.object]
		a.hits = one(severity, 0, why+"; covers "+few(names), message, "raise maxUnavailable, lower minAvailable, or add a replica")
		out = append(out, a)
	}
	return out
}

// covered tells of workloads with more than one budget: the API server refuses every eviction of their pods.
func covered(j *judge) []about {
	by := map[*Workload][]string{}
	var order []*Workload
	for i := range j.inv.Budgets {
		b := &j.inv.Budgets[i]
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || b.Spec.Selector == nil {
			continue
		}
		for _, w := range j.selected(b.Namespace, selector) {
			if len(by[w]) == 1 {
				order = append(order, w)
			}
			by[w] = append(by[w], b.Name)
		}
	}
	var out []about
	for _, w := range order {
		if w.Object.Kind != "DaemonSet" && j.moves(w.Pods) {
			out = append(out, about{w.Object, []map[string]string{w.Annotations, w.PodAnnotations}, w.Pods, 0, w.Source, one(
				failing, w.Source.Line, "budgets "+few(by[w]), "is covered by more than one disruption budget, and then never evicted", "leave it one budget",
			)})
		}
	}
	return out
}

// allowsNone says why a budget lets no pod go; never tells that its own numbers forbid it, whatever state its pods are in.
func allowsNone(b *policyv1.PodDisruptionBudget, asked int, counted bool) (why string, never bool) {
	round := func(v *intstr.IntOrString) int {
		n, err := intstr.GetScaledValueFromIntOrPercent(v, asked, true)
		if err != nil {
			return -1
		}
		return n
	}
	switch s := b.Spec; {
	case s.MaxUnavailable != nil && (s.MaxUnavailable.Type == intstr.Int && s.MaxUnavailable.IntVal == 0 || s.MaxUnavailable.StrVal == "0%"):
		return "maxUnavailable " + s.MaxUnavailable.String(), true
	case s.MinAvailable != nil && s.MinAvailable.StrVal == "100%":
		return "minAvailable 100%", true
	case s.MinAvailable != nil && counted && round(s.MinAvailable) >= asked:
		return fmt.Sprintf("minAvailable %s of %d pods", s.MinAvailable.String(), asked), true
	case b.Status.ExpectedPods > 0 && b.Status.DisruptionsAllowed == 0:
		return fmt.Sprintf("%d of %d pods are healthy, %d must be", b.Status.CurrentHealthy, b.Status.ExpectedPods, b.Status.DesiredHealthy), false
	}
	return "", false
}

// few shows the first of many.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func bare(s *subject) []hit {
	if s.w.Object.Kind != "Pod" || s.w.Object.APIVersion != "v1" {
		return nil
	}
	for _, p := range s.w.Pods {
		if !p.Mirror && s.j.moving(p.Node) {
			return one(advising, s.w.Source.Line, "pod "+p.Name+" has no controller", "has no controller that would bring it back", "make it a Deployment or a Job, or drain with --force")
		}
	}
	return nil
}

func localStorage(s *subject) []hit {
	if s.w.Object.Kind == "DaemonSet" {
		return nil
	}
	var out []hit
	seen := map[string]bool{}
	for i := range s.containers {
		c := &s.containers[i]
		for n := range c.mounts {
			m := &c.mounts[n]
			if m.via == "" || m.host == "" || seen[m.volume] {
				continue
			}
			seen[m.volume] = true
			out = append(out, hit{advising, "keeps data on its node, and waits there while the node is drained", "see that it may be away for that long", found{c: c, m: m}.evidence(), found{c: c, m: m}.line()})
		}
	}
	return out
}

func finalizers(s *subject) []hit {
	var out []hit
	for _, f := range s.w.Finalizers {
		if f == "batch.kubernetes.io/job-tracking" {
			continue
		}
		out = append(out, hit{advising, "its pods have a finalizer, and stay until somebody removes it", "see that whoever removes it runs", "finalizer " + f, s.w.Source.Line})
	}
	return out
}

// emptyDirs tells of all workloads at once: most of them have such a volume.
func emptyDirs(j *judge) []about {
	var a about
	var names []string
	nodes := map[string]bool{}
	for i := range j.inv.Workloads {
		w := &j.inv.Workloads[i]
		if len(w.Pods) == 0 || w.Object.Kind == "DaemonSet" || !hasEmptyDir(w) || suppressed("W034", []map[string]string{w.Annotations, w.PodAnnotations}) != "" {
			continue
		}
		moves := false
		for _, p := range w.Pods {
			if !p.Mirror && j.moving(p.Node) {
				moves = true
				a.more++
				nodes[p.Node] = true
			}
		}
		if moves {
			names = append(names, w.Object.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	for _, n := range sortedKeys(nodes) {
		a.pods = append(a.pods, Placed{Node: n})
	}
	slices.Sort(names)
	names = slices.Compact(names)
	a.hits = one(advising, 0, few(names), fmt.Sprintf("workloads with emptyDir volumes: %d; what is in them is lost when their pods move", len(names)), "drain with --delete-emptydir-data")
	return []about{a}
}

func hasEmptyDir(w *Workload) bool {
	for i := range w.Spec.Volumes {
		if w.Spec.Volumes[i].EmptyDir != nil {
			return true
		}
	}
	return false
}
