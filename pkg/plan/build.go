package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// Build decides how the node gets to the goal. A node that is there already is a *NothingError, one that rules refuse
// a *RefusedError.
func Build(f *v1alpha1.Facts, g Goal) (*v1alpha1.Plan, error) {
	v, err := kubelet.Analyze(f)
	if err != nil {
		return nil, fmt.Errorf("reading the kubelet: %w", err)
	}
	b := &builder{f: f, v: v, goal: g, before: map[string]v1alpha1.FileState{}, after: map[string]v1alpha1.FileState{}}
	if b.to, err = runtimes.Get(g.To); err != nil {
		return nil, err
	}
	if runtimes.Serving(v) == g.To {
		return nil, &NothingError{Runtime: b.to.Ref(f, v)}
	}
	b.findings = check.Switch(f, v, g.To)
	if b.from, err = runtimes.Get(runtimes.Serving(v)); err != nil || notInstalled(b.findings) {
		return nil, b.refuse(err)
	}
	return b.build()
}

// notInstalled reports whether there is no target whose configuration could be looked at.
func notInstalled(findings []v1alpha1.Finding) bool {
	return slices.ContainsFunc(findings, func(x v1alpha1.Finding) bool { return x.ID == "R001" && x.Severity == v1alpha1.SeverityError })
}

// refuse returns the findings that stop the plan, else the error.
func (b *builder) refuse(err error) error {
	if refused(b.findings, b.goal.Ignore...) {
		return &RefusedError{Findings: b.findings, Ignored: b.goal.Ignore}
	}
	return err
}

func refused(findings []v1alpha1.Finding, ignored ...string) bool {
	return slices.ContainsFunc(findings, func(x v1alpha1.Finding) bool {
		return x.Severity == v1alpha1.SeverityError && (check.Firm(x.ID) || !slices.Contains(ignored, x.ID))
	})
}

// builder collects the two photographs.
type builder struct {
	f        *v1alpha1.Facts
	v        kubelet.View
	goal     Goal
	from, to runtimes.Description
	findings []v1alpha1.Finding
	before   map[string]v1alpha1.FileState
	after    map[string]v1alpha1.FileState
	modules  []string
}

func (b *builder) build() (*v1alpha1.Plan, error) {
	from, to := b.from.Ref(b.f, b.v), b.to.Ref(b.f, b.v)
	settings, lost := b.from.ReadSettings(b.f)
	configured, notes, err := b.to.Configure(b.f, settings, b.v)
	b.note(b.quieter(slices.Concat(lost, notes)))
	if err != nil || refused(b.findings, b.goal.Ignore...) {
		return nil, b.refuse(err)
	}
	retargeted, more, err := kubelet.Retarget(b.f, b.v, from, to)
	if err != nil {
		return nil, fmt.Errorf("changing the kubelet's endpoint: %w", err)
	}
	b.note(more)
	if refused(b.findings, b.goal.Ignore...) {
		return nil, b.refuse(nil)
	}
	if len(retargeted) == 0 {
		return nil, fmt.Errorf("no file would lead the kubelet to %s", to.Endpoint)
	}
	staging := b.to.Staging(b.f, configured)
	for _, file := range slices.Concat(configured, retargeted, b.parking(from, to), b.enabling(to), b.persistent()) {
		if err := b.put(file); err != nil {
			return nil, err
		}
	}
	b.note(check.Files(b.f, sortedFiles(b.after)))
	if refused(b.findings, b.goal.Ignore...) {
		return nil, b.refuse(nil)
	}
	p := &v1alpha1.Plan{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Node: b.f.Node, Run: b.goal.Run,
		From: from, To: to,
		Kubelet:  v1alpha1.KubeletRef{Unit: b.v.Unit, Version: b.v.Version, Healthz: b.v.Healthz, Listens: b.v.Listens, Kubeconfig: b.v.Kubeconfig},
		Evacuate: []v1alpha1.RuntimeRef{from, to},
		Sockets:  socketsOf(b.f, b.v, from.Name, to.Name),
		Modules:  b.modules, Staging: staging,
		Findings: b.findings,
	}
	p.KubeadmSocketBefore, p.KubeadmSocket = b.annotation(to)
	p.Before = v1alpha1.State{Files: sortedFiles(b.before), Units: b.unitStates(from, to, from), Runtime: from}
	p.After = v1alpha1.State{Files: sortedFiles(b.after), Units: b.unitStates(from, to, to), Runtime: to}
	p.ReadSet = readSet(b.f, p)
	p.Digest = Digest(p)
	return p, nil
}

// note adds findings, all of them about this node.
func (b *builder) note(lists ...[]v1alpha1.Finding) {
	for _, x := range slices.Concat(lists...) {
		x.Node = b.f.Node
		b.findings = append(b.findings, x)
	}
}

// annotation returns the kubeadm annotation as it is and as it must become: only one that is there is changed, a
// kubeadm from 1.34 on wants none introduced.
func (b *builder) annotation(to v1alpha1.RuntimeRef) (before, after string) {
	if b.goal.KubeadmAnnotation == "" || b.goal.KubeadmAnnotation == to.Endpoint {
		return b.goal.KubeadmAnnotation, ""
	}
	return b.goal.KubeadmAnnotation, to.Endpoint
}

// unitOrder is the start order of all units of all runtimes: a runtime stands behind what it needs.
var unitOrder = []string{"containerd.service", "docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service", "crio.service"}

// unitStates are the units of both sides as they stand when the third serves.
func (b *builder) unitStates(from, to, serving v1alpha1.RuntimeRef) []v1alpha1.UnitState {
	var out []v1alpha1.UnitState
	for _, name := range unitOrder {
		if !slices.Contains(from.Units, name) && !slices.Contains(to.Units, name) {
			continue
		}
		active := slices.Contains(serving.Units, name)
		if serving.Name == from.Name {
			u, _ := b.f.Unit(name)
			active = u.ActiveState == "active"
		} else if !active && b.stays(name, to) {
			active = true
		}
		out = append(out, v1alpha1.UnitState{Name: name, Active: active})
	}
	return out
}

// stays reports whether a unit of the runtime that is left goes on for somebody else: containerd, when Docker runs on
// it beside Kubernetes.
func (b *builder) stays(unit string, to v1alpha1.RuntimeRef) bool {
	return unit == "containerd.service" && b.from.Name == v1alpha1.Containerd && to.Name != v1alpha1.Docker &&
		runtimes.DockerSharesContainerd(b.f) && runtimes.DockerRuns(b.f)
}

// parking puts the units that rest to rest and wakes those that serve.
func (b *builder) parking(from, to v1alpha1.RuntimeRef) []v1alpha1.FileState {
	var out []v1alpha1.FileState
	for _, unit := range from.Units {
		if slices.Contains(to.Units, unit) || b.stays(unit, to) {
			continue
		}
		out = append(out, runtimes.Parking(unit))
	}
	for _, unit := range to.Units {
		parked := runtimes.Parking(unit)
		if x, ok := b.f.File(parked.Path); ok && x.Type != v1alpha1.Absent {
			out = append(out, v1alpha1.FileState{Path: parked.Path, Type: v1alpha1.Absent, Why: "wakes " + unit})
		}
	}
	return out
}

// enabling makes the target start at boot.
func (b *builder) enabling(to v1alpha1.RuntimeRef) []v1alpha1.FileState {
	var out []v1alpha1.FileState
	for _, unit := range to.Units {
		if u, _ := b.f.Unit(unit); u.FileState == "enabled" || u.FileState == "enabled-runtime" {
			continue
		}
		for _, link := range runtimes.InstallLinks(b.f, unit) {
			if x, ok := b.f.File(link.Path); ok && x.Type == v1alpha1.Symlink {
				continue
			}
			out = append(out, link)
		}
	}
	return out
}

func sortedFiles(m map[string]v1alpha1.FileState) []v1alpha1.FileState {
	out := make([]v1alpha1.FileState, 0, len(m))
	for _, x := range m {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b v1alpha1.FileState) int { return cmp.Compare(a.Path, b.Path) })
	return out
}
