package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// recordsPulls reports whether the plan's kubelet records by default which credentials an image was pulled with: it does since 1.35.
func recordsPulls(p *v1alpha1.Plan) bool {
	v, err := version.ParseGeneric(p.Kubelet.Version)
	return err == nil && v.AtLeast(version.MajorMinor(1, 35))
}

// Steps renders the acts of the plan, in the order in which they happen; files are written while containers end.
func Steps(p *v1alpha1.Plan) []Step {
	var out []Step
	say := func(kind Kind, format string, args ...any) {
		out = append(out, Step{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	if p.Staging.Needed {
		say(Create, "bring the node's images into %s while %s still serves", p.To.Name, p.From.Name)
	}
	for _, argv := range commands(p.Staging) {
		say(Create, "run on the node, as root: %s", commandLine(argv))
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
	if recordsPulls(p) {
		say(Create, "%s/pulled/…  which pods may use private images, under the IDs of %s", pullrecord.Dir(), p.To.Name)
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
	health := ""
	if p.Kubelet.Healthz != "" {
		health = ", and ask " + p.Kubelet.Healthz + " for its health"
	}
	say(Create, "start %s%s", p.Kubelet.Unit, health)
	if p.KubeadmSocket != "" {
		say(Change, "tell kubeadm's annotation on the node: %s", p.KubeadmSocket)
	}
	say(Change, "prove that pods run, then keep it or go back")
	return out
}

// commands are the command lines that staging runs, in their order.
func commands(s v1alpha1.Staging) [][]string {
	out := slices.Clone(s.Validate)
	if len(s.Argv) > 0 {
		out = append(out, s.Argv)
	}
	return append(out, s.Handover...)
}

// commandLine writes a command line so that its words can be told apart.
func commandLine(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = w
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'\\$`;|&<>()*?#", r) }) {
			words[i] = strconv.Quote(w)
		}
	}
	return strings.Join(words, " ")
}
