// Package runtimes describes the container runtimes: their units, sockets, binaries and files, what an operator
// configured of them and how the same is said to another one. A runtime is a description, data and pure functions, and
// never acts.
//
// The package is pure: it may import edit, kubelet and apis and reaches no machine.
package runtimes

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// Description is what there is to know of one runtime before a node is looked at, and the functions that read and
// write its configuration.
type Description struct {
	Name v1alpha1.RuntimeName
	// Daemons are the base names of the executables that run for as long as it serves; the first answers for its version.
	Daemons []string
	// Helpers are further executables that belong to it or that it calls.
	Helpers []string
	// Monitors are the base names of the executables that outlive the daemon, one a container or pod.
	Monitors []string
	// Units are its units in start order. What else a node's own relations add, UnitsOn tells.
	Units []string
	// Main is the unit of the daemon that pulls images and is told proxies.
	Main string
	// Sockets are where its CRI endpoint is found, the usual one first.
	Sockets []string
	// Store is where it keeps images unless it is told otherwise.
	Store string

	// listen returns the socket that its own configuration names, if any.
	listen    func(f *v1alpha1.Facts) string
	wants     func(f *v1alpha1.Facts, w *wants)
	settings  func(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding)
	configure func(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) (changes, error)
	staging   func(f *v1alpha1.Facts, c configured) v1alpha1.Staging
}

// All returns the descriptions, in the order of their names.
func All() []Description {
	return []Description{containerd(), crio(), docker()}
}

// Get returns the description of the runtime of that name.
func Get(name v1alpha1.RuntimeName) (Description, error) {
	for _, d := range All() {
		if d.Name == name {
			return d, nil
		}
	}
	return Description{}, fmt.Errorf("unknown runtime %q (containerd, cri-o or docker)", name)
}

// Binaries are the base names of all executables that matter to it.
func (d Description) Binaries() []string {
	return slices.Concat(d.Daemons, d.Helpers)
}

// Owns reports whether the process is the runtime's own: its daemon or the monitor of one of its containers.
func (d Description) Owns(p v1alpha1.Process) bool {
	base := path.Base(p.Exe)
	return slices.Contains(d.Daemons, base) || slices.Contains(d.Monitors, base)
}

// Endpoint returns its usual CRI endpoint as a kubelet of that version must be told it. Kubelets up to 1.28 recognise
// CRI-O by this very text; up to 1.23 they serve Docker's themselves unless cri-dockerd does.
func (d Description) Endpoint(kubeletVersion string) string {
	if d.Name == v1alpha1.Docker && minor(kubeletVersion) > 0 && minor(kubeletVersion) < 24 {
		return dockershimEndpoint
	}
	return "unix://" + d.Sockets[0]
}

// Wants asks for what the descriptions need to know of every runtime and facts don't hold yet. Repeated until it asks
// for nothing new.
func Wants(f *v1alpha1.Facts) v1alpha1.Wants {
	w := newWants(f)
	for _, d := range All() {
		for _, name := range d.Units {
			w.unit(name)
		}
		d.wants(f, w)
	}
	w.common()
	return w.want
}

// UnitsOn returns the units that serve it on this node, in start order: those of Units that exist there and, where
// Docker uses the node's own containerd, that one's before them.
func (d Description) UnitsOn(f *v1alpha1.Facts) []string {
	var out []string
	if d.Name == v1alpha1.Docker && DockerSharesContainerd(f) {
		out = append(out, containerdUnit)
	}
	for _, name := range d.Units {
		if u, ok := f.Unit(name); ok && u.LoadState != "not-found" {
			out = append(out, name)
		}
	}
	return out
}

// Ref returns the runtime as one side of a switch; version is what its daemon's binary or its CRI endpoint said.
func (d Description) Ref(f *v1alpha1.Facts, v kubelet.View) v1alpha1.RuntimeRef {
	r := f.Runtime(d.Name)
	ref := v1alpha1.RuntimeRef{Name: d.Name, Version: r.Binaries[d.Daemons[0]].Version, Endpoint: d.endpointOn(f, v), Units: d.UnitsOn(f)}
	ref.CRIVersion, _ = SpokenCRI(f, d.Name, v.Minor)
	if r.CRI != nil && r.CRI.RuntimeVersion != "" && ref.Version == "" {
		ref.Version = r.CRI.RuntimeVersion
	}
	return ref
}

// endpointOn returns its endpoint on this node: as the kubelet names it where it serves it already, else where the
// runtime's own configuration puts it.
func (d Description) endpointOn(f *v1alpha1.Facts, v kubelet.View) string {
	if Serving(v) == d.Name {
		return v.Endpoint
	}
	if d.listen != nil {
		if socket := d.listen(f); socket != "" && !sameSocket(socket, d.Sockets[0]) {
			return "unix://" + socket
		}
	}
	return "unix://" + d.Sockets[0]
}

// Serving names the runtime behind the kubelet's endpoint; empty when its socket is none that we know.
func Serving(v kubelet.View) v1alpha1.RuntimeName {
	if v.Dockershim {
		return v1alpha1.Docker
	}
	switch endpoint := v.Endpoint; {
	case strings.HasSuffix(endpoint, "containerd.sock"):
		return v1alpha1.Containerd
	case strings.HasSuffix(endpoint, "crio.sock"):
		return v1alpha1.CRIO
	case strings.HasSuffix(endpoint, "cri-dockerd.sock"), strings.HasSuffix(endpoint, "dockershim.sock"):
		return v1alpha1.Docker
	}
	return ""
}

// sameSocket compares paths, /var/run being /run.
func sameSocket(a, b string) bool {
	return strings.TrimPrefix(a, "/var") == strings.TrimPrefix(b, "/var")
}

// ReadSettings returns what an operator configured of it, and what of that can't be said in Settings.
func (d Description) ReadSettings(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding) {
	return d.settings(f)
}

// Configure returns what its files must become so that it serves this kubelet as the runtime did whose settings are
// given. A file that already says what is needed stays as it is; an operator's own configuration of it wins over the
// settings.
func (d Description) Configure(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) ([]v1alpha1.FileState, []v1alpha1.Finding, error) {
	c, err := d.configure(f, s, v)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring %s: %w", d.Name, err)
	}
	return c.sorted(), c.findings, nil
}

// Staging describes its staging instance, with the files that Configure returned.
func (d Description) Staging(f *v1alpha1.Facts, files []v1alpha1.FileState) v1alpha1.Staging {
	return d.staging(f, newConfigured(f, files))
}
