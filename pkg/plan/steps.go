package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Steps renders the acts of the plan, in the order in which they happen; files are written while containers end.
func Steps(p *v1alpha1.Plan) []Step {
	var out []Step
	say := func(kind Kind, format string, args ...any) {
		out = append(out, Step{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	if p.Staging.Needed {
		say(Create, "bring the node's images into %s while %s still serves", p.To.Name, p.From.Name)
	}
	say(Change, "cordon and drain %s", p.Node)
	say(Remove, "stop %s", p.Kubelet.Unit)
	grace := ""
	if p.EvacuationGrace > 0 {
		grace = fmt.Sprintf(", giving pods that stay up to %s to end", duration.HumanDuration(p.EvacuationGrace))
	}
	say(Remove, "remove the containers of %s%s", p.From.Name, grace)
	var stop, start []string
	for i, u := range p.Before.Units {
		if u.Active {
			stop = append(stop, u.Name)
		}
		if i < len(p.After.Units) && p.After.Units[i].Active {
			start = append(start, u.Name)
		}
	}
	for i, after := range p.After.Files {
		if i >= len(p.Before.Files) || told(p, i) {
			continue
		}
		why := ""
		if after.Why != "" {
			why = "  " + after.Why
		}
		say(kindOf(p.Before.Files[i], after), "%s%s", after.Path, why)
	}
	slices.Reverse(stop)
	if len(stop) > 0 {
		say(Remove, "stop %s", strings.Join(stop, ", "))
	}
	for _, m := range p.Modules {
		say(Create, "load the kernel module %s", m)
	}
	for _, s := range p.Sysctls {
		say(Change, "set %s = %s", s.Name, s.Value)
	}
	if len(start) > 0 {
		say(Create, "start %s", strings.Join(start, ", "))
	}
	say(Create, "start %s", p.Kubelet.Unit)
	if p.KubeadmSocket != "" {
		say(Change, "tell kubeadm's annotation on the node: %s", p.KubeadmSocket)
	}
	say(Change, "prove that pods run, then keep it or go back")
	return out
}
