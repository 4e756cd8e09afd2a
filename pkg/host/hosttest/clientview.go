package hosttest

import (
	"context"
	"errors"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Connect gives the machine connections to sockets, until they are replaced by another call: those whose Socket is asked for
// are seen, and so are those with From for a server on TCP.
func (n *Node) Connect(clients ...v1alpha1.Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clients = clients
}

// DockerHosts gives the machine processes that have DOCKER_HOST in their environment.
func (n *Node) DockerHosts(processes ...v1alpha1.DockerHost) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dockerHosts = processes
}

// Processes gives the machine processes of root that no unit of it started, until they are replaced by another call.
func (n *Node) Processes(processes ...v1alpha1.Process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.others = processes
}

// Swarm says what dockerd answers when it is asked for its swarm.
func (n *Node) Swarm(s v1alpha1.Swarm) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.swarm = s
}

// clients is host.Clients for one process.
type clients struct{ p *Process }

func (v clients) Unix(_ context.Context, paths []string) ([]v1alpha1.Client, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []v1alpha1.Client
	for _, c := range v.p.n.clients {
		if c.From == "" && slices.Contains(paths, c.Socket) {
			out = append(out, c)
		}
	}
	// The kubelet has one to its runtime as long as that serves.
	if k := v.p.n.kubelet(); v.p.n.KubeletConnects && k != nil && v.p.n.serving(k.endpoint) != nil {
		i := slices.IndexFunc(paths, func(p string) bool { return socketPath(p) == k.endpoint })
		if i >= 0 {
			out = append(out, v1alpha1.Client{Process: v1alpha1.Process{PID: k.pid, Exe: k.program.Path, Unit: k.unit, Started: k.started}, Socket: paths[i], Connections: 1})
		}
	}
	return out, nil
}

func (v clients) TCP(_ context.Context, pid int, ports []int) ([]v1alpha1.Client, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if !slices.ContainsFunc(v.p.n.procs(), func(p *proc) bool { return p.pid == pid }) {
		return nil, errors.New("no such process")
	}
	var out []v1alpha1.Client
	for _, c := range v.p.n.clients {
		if c.From != "" && len(ports) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

func (v clients) DockerHosts(context.Context, []string) ([]v1alpha1.DockerHost, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return slices.Clone(v.p.n.dockerHosts), nil
}

func (v stores) Swarm(context.Context) (v1alpha1.Swarm, error) {
	leave, err := v.p.enter()
	if err != nil {
		return v1alpha1.Swarm{}, err
	}
	defer leave()
	s := v.p.n.swarm
	if s.State == "" {
		s.State = "inactive"
	}
	return s, nil
}
