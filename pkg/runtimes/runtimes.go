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
	// Main is the unit of the daemon that the kubelet speaks to.
	Main string
	// Sockets are where its CRI endpoint is found, the usual one first.
	Sockets []string
	// Store is where it keeps images unless it is told otherwise.
	Store string

	wants     func(f *v1alpha1.Facts) v1alpha1.Wants
	settings  func(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding)
	configure func(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) ([]v1alpha1.FileState, []v1alpha1.Finding, error)
	staging   func(f *v1alpha1.Facts, configured []v1alpha1.FileState) v1alpha1.Staging
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
