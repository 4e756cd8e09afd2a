package runtimes

import (
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// Wants asks for what the descriptions need to know of every runtime and facts don't hold yet. Repeated until it asks
// for nothing new.
func Wants(f *v1alpha1.Facts) v1alpha1.Wants { return v1alpha1.Wants{} }

// Endpoint returns the CRI endpoint as a kubelet of that version must be told it.
func (d Description) Endpoint(kubeletVersion string) string { return "" }

// UnitsOn returns the units that serve it on this node, in start order: those of Units that exist there and, where
// Docker uses the node's own containerd, that one's before them.
func (d Description) UnitsOn(f *v1alpha1.Facts) []string { return nil }

// ReadSettings returns what an operator configured of it, and what of that can't be said in Settings.
func (d Description) ReadSettings(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding) {
	return v1alpha1.Settings{}, nil
}

// Configure returns what its files must become so that it serves this kubelet as the runtime did whose settings are
// given. A file that already says what is needed stays as it is; an operator's own configuration of it wins over the
// settings.
func (d Description) Configure(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) ([]v1alpha1.FileState, []v1alpha1.Finding, error) {
	return nil, nil, errors.New("not implemented")
}

// Staging describes its staging instance, with the files that Configure returned.
func (d Description) Staging(f *v1alpha1.Facts, configured []v1alpha1.FileState) v1alpha1.Staging {
	return v1alpha1.Staging{}
}

func containerd() Description {
	return Description{Name: v1alpha1.Containerd, Daemons: []string{"containerd"}, Helpers: []string{"runc", "crun"}, Monitors: []string{"containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim"}, Units: []string{"containerd.service"}, Main: "containerd.service", Sockets: []string{"/run/containerd/containerd.sock"}, Store: "/var/lib/containerd"}
}

func crio() Description {
	return Description{Name: v1alpha1.CRIO, Daemons: []string{"crio"}, Helpers: []string{"conmon", "pinns", "runc", "crun"}, Monitors: []string{"conmon", "conmonrs"}, Units: []string{"crio.service"}, Main: "crio.service", Sockets: []string{"/var/run/crio/crio.sock"}, Store: "/var/lib/containers/storage"}
}

func docker() Description {
	return Description{Name: v1alpha1.Docker, Daemons: []string{"dockerd", "cri-dockerd"}, Helpers: []string{"docker", "docker-proxy", "containerd", "runc", "crun"}, Units: []string{"docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service"}, Main: "cri-docker.service", Sockets: []string{"/run/cri-dockerd.sock", "/var/run/dockershim.sock"}, Store: "/var/lib/docker"}
}
