package facts

import (
	"context"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// usersTimeout bounds the look at who uses the runtimes: a node with very many processes must not keep the rest waiting.
const usersTimeout = 10 * time.Second

// users looks for those who use the runtimes without Kubernetes. It comes last: what was asked of the daemons before names the
// pods, and no connection of this program's own is open any more.
func (g *gatherer) users(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, usersTimeout)
	defer cancel()
	u := &v1alpha1.Users{}
	var sockets []string
	var ports []int
	for _, d := range runtimes.All() {
		paths, tcp := d.Listening(g.facts)
		sockets, ports = append(sockets, paths...), append(ports, tcp...)
	}
	dockerd := g.dockerd()
	var group errgroup.Group
	group.Go(func() error {
		u.Clients = g.clients(ctx, sockets, ports, dockerd)
		return nil
	})
	group.Go(func() error {
		u.DockerHosts = g.dockerHosts(ctx, sockets)
		return nil
	})
	group.Go(func() error {
		u.Calls = g.calls(ctx)
		return nil
	})
	group.Go(func() error {
		u.Swarm = g.swarm(ctx, dockerd)
		return nil
	})
	_ = group.Wait() // failures are problems, not errors
	u.VolumesPath, u.Volumes = g.volumes()
	g.facts.Users = u
}

// dockerd is the process of the node's own dockerd; 0 where none runs.
func (g *gatherer) dockerd() int {
	for _, p := range g.facts.Runtime(v1alpha1.Docker).Processes {
		if path.Base(p.Exe) == "dockerd" {
			return p.PID
		}
	}
	return 0
}

func (g *gatherer) clients(ctx context.Context, sockets []string, ports []int, dockerd int) []v1alpha1.Client {
	out, err := g.m.Clients.Unix(ctx, sockets)
	g.problem("connections to runtimes", err)
	if dockerd != 0 && len(ports) > 0 {
		tcp, err := g.m.Clients.TCP(ctx, dockerd, ports)
		g.problem("connections to Docker's TCP ports", err)
		out = append(out, tcp...)
	}
	out = slices.Clone(out)
	for i := range out {
		g.tell(&out[i])
	}
	return out
}

func (g *gatherer) dockerHosts(ctx context.Context, sockets []string) []v1alpha1.DockerHost {
	out, err := g.m.Clients.DockerHosts(ctx, sockets)
	g.problem("processes with DOCKER_HOST", err)
	out = slices.Clone(out)
	for i := range out {
		g.tell(&out[i].Client)
		_, out[i].Value, _ = strings.Cut(edit.MaskEnviron("DOCKER_HOST="+out[i].Value), "=")
	}
	return out
}

// tell names a client's pod, and leaves of its command line what says which program it is: the rest is a workload's own.
func (g *gatherer) tell(c *v1alpha1.Client) {
	c.Pod = g.pods[c.PodUID]
	argv := c.Process.Argv
	n := min(len(argv), 1)
	for n < len(argv) && n < 3 && strings.HasPrefix(argv[n], "/") {
		n++ // an interpreter's script
	}
	c.Process.Argv = maskArgs(argv[:n])
	if len(argv) == 0 {
		c.Process.Argv = nil
	}
}

func (g *gatherer) swarm(ctx context.Context, dockerd int) *v1alpha1.Swarm {
	if dockerd == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := g.m.Stores.Swarm(ctx)
	if err != nil {
		g.problem("Docker's swarm", err)
		return nil
	}
	return &s
}

// anonymous is the name that Docker gives a volume to which nobody gave one, as it does for each pod whose image declares one.
var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

// maxVolumes bounds how many names are told.
const maxVolumes = 200

// volumes are the volumes in Docker's store that have names. They are read from its directory, since Docker may rest.
func (g *gatherer) volumes() (dir string, named []string) {
	root := "/var/lib/docker"
	if d, err := runtimes.Get(v1alpha1.Docker); err == nil {
		if s, _ := d.ReadSettings(g.facts); s.StoreRoot != "" {
			root = s.StoreRoot
		}
	}
	dir = path.Join(root, "volumes")
	entries, err := g.m.Files.ReadDir(dir)
	if errors.Is(err, host.ErrNotExist) {
		return "", nil
	}
	g.problem("Docker's volumes", err)
	for _, e := range entries {
		if !anonymous.MatchString(e) && e != "metadata.db" && e != "backingFsBlockDev" && len(named) < maxVolumes {
			named = append(named, e)
		}
	}
	return dir, named
}
