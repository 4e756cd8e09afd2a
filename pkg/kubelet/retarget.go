package kubelet

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// The kubelets that are known.
const (
	oldestMinor = 20
	newestMinor = 37
)

// Retarget returns what the files that tell the kubelet, kubeadm and crictl their endpoint become when the node moves
// from one runtime to the other: one FileState for each file that changes, sorted by path. A finding of severity error
// means that the files are no plan; there are none then.
//
// The result proves itself: read again as a whole, the files start the kubelet with the new endpoint and otherwise with
// the very same flags.
func Retarget(f *v1alpha1.Facts, v View, from, to v1alpha1.RuntimeRef) ([]v1alpha1.FileState, []v1alpha1.Finding, error) {
	if to.Endpoint == "" || from.Endpoint == "" {
		return nil, nil, fmt.Errorf("retargeting the kubelet from %q to %q: an endpoint is missing", from.Endpoint, to.Endpoint)
	}
	r := &retarget{
		src: source{f: f, changed: map[string]string{}}, view: v, from: from, to: to,
		drafts: map[string]*edit.Draft{}, why: map[string]string{},
	}
	r.read()
	if !r.allowed() {
		return nil, r.findings, nil
	}
	if r.dockershim() {
		r.toDockershim()
	} else {
		r.toRemote()
	}
	r.images()
	r.cgroups()
	r.kubeadm()
	r.crictl()
	if !r.failed() {
		r.verify()
	}
	if r.failed() {
		return nil, r.findings, nil
	}
	return r.states(), r.findings, nil
}

// retarget is one move under way.
type retarget struct {
	src      source // with the edits so far
	view     View   // of the node as it is
	from, to v1alpha1.RuntimeRef
	cmd      command // with the edits so far
	flags    []flag
	cfg      config
	drafts   map[string]*edit.Draft // by real path
	why      map[string]string
	findings []v1alpha1.Finding
}

// read reads the unit and the configuration again, edits included.
func (r *retarget) read() {
	u, _ := r.src.f.Unit(r.view.Unit)
	r.cmd = r.src.command(u)
	r.flags = r.cmd.flags()
	r.cfg, _, _ = r.src.config(r.flags)
}

// allowed refuses what isn't understood before anything is edited.
func (r *retarget) allowed() bool {
	v := r.view
	if !v.Installer.Switchable() {
		r.fail(idInstaller, "", "the kubelet of %s doesn't follow files that can be changed (%s)", v.Installer, v.Why)
		return false
	}
	if v.Unit != defaultUnit {
		r.fail(idInstaller, "run it as "+defaultUnit, "the kubelet runs in %s", v.Unit)
		return false
	}
	if v.Minor < oldestMinor || v.Minor > newestMinor {
		r.fail(idVersion, "", "kubelet %q is none of the known versions 1.%d to 1.%d", v.Version, oldestMinor, newestMinor)
	}
	for _, p := range v.Problems {
		r.fail(idUnclear, "", "the kubelet's configuration isn't understood: %s", p)
	}
	if len(v.Drift) > 0 {
		r.fail(idDrift, "restart "+v.Unit+" and see whether it still serves, or take the edit back",
			"the kubelet runs with other flags than its files would start it with: a restart would bring changes that nobody tried")
		r.findings[len(r.findings)-1].Evidence = v.Drift
	}
	if !SameSocket(v.Endpoint, r.from.Endpoint) {
		r.fail(idEndpoint, "", "the kubelet uses %q, which isn't the endpoint of %s (%s)", v.Endpoint, r.from.Name, r.from.Endpoint)
	}
	if r.dockershim() && v.Minor >= 24 {
		r.fail(idEndpoint, "use cri-dockerd", "kubelet %s has no dockershim", v.Version)
	}
	return !r.failed()
}

// dockershim reports whether the kubelet itself is to serve Docker's CRI.
func (r *retarget) dockershim() bool {
	return SameSocket(r.to.Endpoint, dockershimEndpoint)
}

// endpoint is the new endpoint as it is written where old stood: kubeadm up to 1.23 wrote none with a scheme. CRI-O is
// recognised by its very text.
func (r *retarget) endpoint(old string) string {
	if r.to.Name == v1alpha1.CRIO && SameSocket(r.to.Endpoint, crioEndpoint) {
		return crioEndpoint
	}
	text := withScheme(r.to.Endpoint)
	if old != "" && !strings.Contains(old, "://") && r.view.Minor < 24 {
		return strings.TrimPrefix(text, "unix://")
	}
	return text
}

// verify reads the edited files as a whole, as the kubelet will.
func (r *retarget) verify() {
	before, was := analyze(source{f: r.src.f}, nil)
	after, is := analyze(r.src, nil)
	for _, p := range after.Problems {
		r.fail(idProof, "", "the edited files wouldn't be understood: %s", p)
	}
	if !SameSocket(after.Endpoint, r.to.Endpoint) || after.Dockershim != r.dockershim() {
		r.fail(idProof, "", "the edited files would leave the kubelet at %s", after.Endpoint)
	}
	if r.to.Name == v1alpha1.CRIO && after.Endpoint != crioEndpoint && SameSocket(r.to.Endpoint, crioEndpoint) {
		r.fail(idProof, "", "the kubelet wouldn't recognise CRI-O by %s", after.Endpoint)
	}
	if after.ImageEndpoint != "" && !SameSocket(after.ImageEndpoint, r.to.Endpoint) {
		r.fail(idProof, "", "the kubelet would fetch images through %s", after.ImageEndpoint)
	}
	if f, ok := lastFlag(is.flags(), flagRuntime); ok && r.view.Minor >= 27 {
		r.fail(idProof, "", "kubelet %s doesn't know --%s=%s", r.view.Version, flagRuntime, f.value)
	}
	if d := difference(others(was), others(is)); len(d) > 0 {
		r.fail(idProof, "", "the edited files would change other flags, too: %s", strings.Join(d, ", "))
	}
	if before.CgroupDriver != after.CgroupDriver || before.RootDir != after.RootDir || before.ConfigFile != after.ConfigFile || before.Healthz != after.Healthz ||
		!slices.Equal(before.Listens, after.Listens) {
		r.fail(idProof, "", "the edited files would change more than the endpoint")
	}
}

// others is the command line without the flags that a move may change.
func others(c command) []string {
	var out []string
	skip := false
	for i, w := range c.words {
		name, isFlag := strings.CutPrefix(w.text, "--")
		name, _, has := strings.Cut(name, "=")
		if skip && !isFlag {
			skip = false
			continue
		}
		skip = false
		if i > 0 && isFlag && slices.Contains([]string{flagRuntime, flagEndpoint, flagImage, flagCgroups, flagNetwork}, name) {
			skip = !has
			continue
		}
		out = append(out, w.text)
	}
	return out
}

// states are the files that changed.
func (r *retarget) states() []v1alpha1.FileState {
	var out []v1alpha1.FileState
	for name, d := range r.drafts {
		x, _ := r.src.f.File(name)
		if x.Type == v1alpha1.Regular && !d.Changed() {
			continue
		}
		state := v1alpha1.FileState{
			Path: name, Type: v1alpha1.Regular, Mode: x.Mode, UID: x.UID, GID: x.GID, Xattrs: maps.Clone(x.Xattrs),
			Content: d.Segments(), Why: r.why[name],
		}
		if x.Type != v1alpha1.Regular {
			r.inherit(&state)
		}
		out = append(out, state)
	}
	slices.SortFunc(out, func(a, b v1alpha1.FileState) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// inherit gives a new file the mode, owner and labels of the file beside it that has the same reader.
func (r *retarget) inherit(state *v1alpha1.FileState) {
	state.Mode = 0o644
	for _, name := range []string{kubeadmConfig, kubeadmFlags} {
		if x, ok := r.src.f.File(r.src.real(name)); ok && x.Type == v1alpha1.Regular && path.Dir(x.Path) == path.Dir(state.Path) {
			state.Mode, state.UID, state.GID, state.Xattrs = x.Mode, x.UID, x.GID, maps.Clone(x.Xattrs)
			return
		}
	}
}
