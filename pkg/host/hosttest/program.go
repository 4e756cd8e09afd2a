package hosttest

import (
	"context"
	"io"
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Program is what an executable does when a unit runs it.
type Program struct {
	// Path is where the executable is; Install puts a file there.
	Path    string
	Version string
	// Reads are the files that it loads when it starts, as path patterns (path.Match). What it runs with are those files,
	// its arguments and its environment.
	Reads []string
	// Check may refuse to start, as a daemon does that doesn't like its configuration; read follows links.
	Check func(argv []string, read func(path string) (string, bool)) error
	// Serves returns the CRI endpoint that it serves with those arguments; empty: none.
	Serves func(argv []string, read func(path string) (string, bool)) string
	// Runtime owns the pods behind that endpoint.
	Runtime v1alpha1.RuntimeName
	// CRI is what the endpoint says of itself; Endpoint, names and counts are filled in.
	CRI v1alpha1.CRIInfo
	// SpeaksBoth says that it serves v1alpha2 beside v1; ImageStore is where its images are.
	SpeaksBoth bool
	ImageStore string
	// Needs are base names of programs without which the endpoint doesn't answer (cri-dockerd needs dockerd).
	Needs []string
	// StopsPods says that its pods end when it stops (dockerd without live-restore).
	StopsPods bool
	// Kubelet makes it the kubelet: healthy while it runs and its endpoint answers, and running the node's pods there.
	Kubelet bool
	// Output answers Commands.Output; nil knows --version alone.
	Output func(argv, env []string) (string, error)
	// Main is a process of the test's own, such as the agent; nil runs until it is stopped. ctx ends with the process.
	Main func(ctx context.Context, m host.Machine, argv []string, stdin io.Reader) error
}

// Install puts programs on the machine.
func (n *Node) Install(programs ...Program) {
	for _, p := range programs {
		n.Lay(File{Path: p.Path, Content: "\x7fELF " + path.Base(p.Path) + " " + p.Version, Mode: 0o755})
		n.mu.Lock()
		n.programs[p.Path] = &p
		n.mu.Unlock()
	}
}

// Pod is a pod that the API server has bound to the node: the kubelet runs it in whatever runtime it talks to.
type Pod struct {
	Namespace, Name, UID string
	Containers           []string
	// Grace is its termination grace period in seconds; Stubborn pods ignore SIGTERM.
	Grace    int
	Stubborn bool
	// Unkillable pods have a process that hangs in the kernel: neither their runtime nor a signal ends it.
	Unkillable bool
	// HostPaths are its hostPath volumes without a type: a runtime makes a directory where nothing stands.
	HostPaths []string
	// Volumes are its network volumes, which the kubelet mounts and keeps mounted.
	Volumes []string
}

// Pods binds pods to the node.
func (n *Node) Pods(pods ...Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = append(n.pods, pods...)
	n.settle()
}
