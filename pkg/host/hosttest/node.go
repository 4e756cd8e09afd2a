// Package hosttest is a machine in memory: files with the durability that fsync gives them, a PID 1 that loads its units
// from those files, container runtimes that remember with which configuration they were started, pods that outlive their
// daemon, a clock that only Sleep advances, and an agent process that can crash before every act. What it doesn't know
// fails as it does on a real machine.
package hosttest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Node is a machine in memory. Lay out its files and programs, then Boot it.
type Node struct {
	// Info is what the kernel says of the machine; change it before Boot. Boot is set by the node.
	Info v1alpha1.MachineInfo
	// API answers requests to the API server; nil: it can't be reached.
	API func(method, path, contentType string, body []byte) (int, []byte)

	// KubeletConnects shows the kubelet's own connection to its runtime, too. Tests of who else uses a runtime leave it out.
	KubeletConnects bool

	// Credential is what the kubelet's kubeconfig says, where there is one.
	Credential host.Credential

	// Pull is the registry: what an endpoint gets for a reference and a credential; nil: no registry can be reached.
	Pull func(endpoint, ref string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error)
	// OpenImage answers Stores.Image; nil: the stores have no contents.
	OpenImage func(ctx context.Context, r v1alpha1.RuntimeName, ref, scratch string) (*host.StoredImage, error)

	mu       sync.Mutex
	cond     *sync.Cond
	clock    clock
	fs       *tree
	programs map[string]*Program
	pid1     *manager
	stores   map[v1alpha1.RuntimeName]*store
	pods     []Pod
	// clients, dockerHosts and swarm are what Connect, DockerHosts and Swarm said.
	clients     []v1alpha1.Client
	dockerHosts []v1alpha1.DockerHost
	swarm       v1alpha1.Swarm
	// others are the processes that Processes gave it.
	others []v1alpha1.Process
	// squatters are local users who listen at ports of the kubelet's.
	squatters map[int]*squatter
	// strays are the monitors that their runtime has lost.
	strays []int

	// immutable are paths that can't be replaced, mountMade what pods' mounts left at paths in /run.
	immutable map[string]bool
	mountMade map[string]bool
	frozen    string
	// hanging are paths that never answer, waits is how often somebody waited for one.
	hanging map[string]bool
	waits   int

	modules map[string]bool
	sysctls map[string]string
	fsInfo  map[string]v1alpha1.Filesystem
	mounts  []v1alpha1.Mount
	locks   map[string]*Process
	hung    map[string]bool
	lastPID int
	boots   int
	broken  []string // violations of what must never be
	crash   crash
	life    context.Context
	end     context.CancelFunc
}

// Option changes how a Node is made.
type Option func(*Node)

// RealTime makes the clock that of package time, for use inside a synctest bubble: sleeping processes then let each other
// run. Without it Sleep returns at once and moves the clock.
func RealTime() Option { return func(n *Node) { n.clock.real = true } }

// New returns a machine that is switched off and has the directories of every Linux and nothing in them.
func New(options ...Option) *Node {
	n := &Node{
		Info: v1alpha1.MachineInfo{
			Architecture: "amd64", Kernel: "6.1.0-28-amd64", OSID: "debian", OSVersion: "12",
			OSName: "Debian GNU/Linux 12 (bookworm)", SystemdVersion: 252, CgroupVersion: 2,
		},
		fs:       newTree(),
		programs: map[string]*Program{},
		stores:   map[v1alpha1.RuntimeName]*store{},
		modules:  map[string]bool{},
		sysctls:  map[string]string{},
		fsInfo:   map[string]v1alpha1.Filesystem{},
		locks:    map[string]*Process{},
		lastPID:  1000,

		squatters: map[int]*squatter{},
		immutable: map[string]bool{},
		mountMade: map[string]bool{},
		hanging:   map[string]bool{},
	}
	n.cond = sync.NewCond(&n.mu)
	for _, o := range options {
		o(n)
	}
	n.clock.start()
	for _, d := range []string{
		"/etc/systemd/system", "/etc/sysctl.d", "/etc/modules-load.d", "/etc/default", "/usr/bin", "/usr/sbin", "/usr/local/bin",
		"/usr/lib/systemd/system", "/run/systemd/system", "/var/lib", "/root", "/tmp",
	} {
		n.Dir(d, 0o755)
	}
	n.Link("/var/run", "/run")
	n.Link("/lib", "usr/lib")
	n.Link("/bin", "usr/bin")
	n.Link("/sbin", "usr/sbin")
	n.pid1 = newManager(n)
	return n
}

// Machine returns the node as a process sees it that never crashes: a test, a person.
func (n *Node) Machine() host.Machine { return n.Process().Machine() }

// Process starts a process that belongs to no unit, as an exec into the host pod is one.
func (n *Node) Process() *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newProcess("")
}

// Broken returns what happened that must never happen: a pod in two runtimes, a runtime that starts beside another
// one's pods.
func (n *Node) Broken() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.broken...)
}

func (n *Node) violation(format string, args ...any) {
	n.broken = append(n.broken, fmt.Sprintf(format, args...))
}

// Now is the machine's time.
func (n *Node) Now() time.Time { return n.clock.now() }
