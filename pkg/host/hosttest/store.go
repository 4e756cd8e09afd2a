package hosttest

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// store is what a runtime keeps while its daemon comes and goes.
type store struct {
	sandboxes []*sandbox
	images    []v1alpha1.Image
	foreign   []v1alpha1.Container
	announced []v1alpha1.Deprecation
	late      []Pod
	last      int
}

type sandbox struct {
	id       string
	pod      Pod
	running  map[string]bool // containers
	alive    bool            // its processes exist
	attached bool            // it holds a network attachment
	mounted  bool            // its file systems are mounted
	pid      int
	stopped  bool // its runtime was told to stop it, and knows it as such
	unborn   bool // its start never came to its end: no runtime lists it
}

func (n *Node) store(r v1alpha1.RuntimeName) *store {
	if n.stores[r] == nil {
		n.stores[r] = &store{}
	}
	return n.stores[r]
}

func (s *store) run(p Pod) {
	s.last++
	b := &sandbox{
		id: fmt.Sprintf("%s-%d", p.UID, s.last), pod: p, running: map[string]bool{}, alive: true, attached: true, mounted: true,
		pid: 100000 + s.last*10,
	}
	for _, c := range p.Containers {
		b.running[c] = true
	}
	s.sandboxes = append(s.sandboxes, b)
}

// find returns the living sandbox of a pod.
func (s *store) find(uid string) *sandbox {
	for _, b := range s.sandboxes {
		if b.alive && b.pod.UID == uid {
			return b
		}
	}
	return nil
}

// collect is the kubelet's garbage collection: a stopped sandbox goes once its pod has another one.
func (s *store) collect() {
	s.sandboxes = slices.DeleteFunc(s.sandboxes, func(b *sandbox) bool { return b.stopped && !b.alive && s.find(b.pod.UID) != nil })
}

// tag puts an image into the store. A tag that another image had is its own now.
func (s *store) tag(img v1alpha1.Image) {
	for i := range s.images {
		s.images[i].Tags = slices.DeleteFunc(slices.Clone(s.images[i].Tags), func(t string) bool { return slices.Contains(img.Tags, t) })
	}
	s.images = append(s.images, img)
}

func (s *store) living() int {
	count := 0
	for _, b := range s.sandboxes {
		if b.alive {
			count++
		}
	}
	return count
}

// kill ends the pod's processes, unless no signal reaches them.
func (b *sandbox) kill() {
	if !b.pod.Uninterruptible {
		b.end()
	}
}

// end ends it whatever hangs in it, as a boot does.
func (b *sandbox) end() {
	b.alive = false
	for c := range b.running {
		b.running[c] = false
	}
}

func (s *store) stopAll() {
	for _, b := range s.sandboxes {
		b.kill()
	}
}

// reboot ends processes and mounts; the runtime or kubelet that comes up clears the attachments it finds in its records.
func (s *store) reboot() {
	for _, b := range s.sandboxes {
		b.end()
		b.attached, b.mounted = false, false
	}
}

// Late makes a pod come to a runtime only after somebody has asked it for its pods: one whose start was under way.
func (n *Node) Late(r v1alpha1.RuntimeName, p Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).late = append(n.store(r).late, p)
}

// Unborn leaves of a pod what a runtime makes first: its network and mounts, of which the runtime tells nobody as yet.
func (n *Node) Unborn(r v1alpha1.RuntimeName, p Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).sandboxes = append(n.store(r).sandboxes, &sandbox{id: p.UID, pod: p, attached: true, mounted: true, unborn: true})
}

// Sandboxes returns the pods that live in a runtime, as namespace/name.
func (n *Node) Sandboxes(r v1alpha1.RuntimeName) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, b := range n.store(r).sandboxes {
		if b.alive {
			out = append(out, b.pod.Namespace+"/"+b.pod.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Leaks returns what ended pods still hold: attachments, mounts and monitors.
func (n *Node) Leaks() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for r, s := range n.stores {
		for _, b := range s.sandboxes {
			if !b.alive && b.attached {
				out = append(out, fmt.Sprintf("%s: network of %s/%s", r, b.pod.Namespace, b.pod.Name))
			}
			if !b.alive && b.mounted {
				out = append(out, fmt.Sprintf("%s: mounts of %s/%s", r, b.pod.Namespace, b.pod.Name))
			}
		}
	}
	for range n.strays {
		out = append(out, "a monitor that watches nothing")
	}
	slices.Sort(out)
	return out
}

// Images puts images into a runtime's store; Foreign puts containers there that Kubernetes doesn't own.
func (n *Node) Images(r v1alpha1.RuntimeName, images ...v1alpha1.Image) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).images = append(n.store(r).images, images...)
}

// Forget empties a runtime's store of images.
func (n *Node) Forget(r v1alpha1.RuntimeName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).images = nil
}

// Foreign puts containers into a runtime that Kubernetes does not own.
func (n *Node) Foreign(r v1alpha1.RuntimeName, containers ...v1alpha1.Container) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).foreign = append(n.store(r).foreign, containers...)
}

// Announce makes the runtime's daemon say that something will go.
func (n *Node) Announce(r v1alpha1.RuntimeName, list ...v1alpha1.Deprecation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store(r).announced = append(n.store(r).announced, list...)
}

// procs returns everything that PID 1 runs, by unit name.
func (n *Node) procs() []*proc {
	var out []*proc
	for _, name := range sortedKeys(n.pid1.units) {
		out = append(out, n.pid1.units[name].procs...)
	}
	return out
}

// serving returns the daemon that answers at a socket, nil when none does.
func (n *Node) serving(socket string) *proc {
	if socket == "" || n.life == nil {
		return nil
	}
	for _, p := range n.procs() {
		if p.endpoint == socket && p.program.Runtime != "" && n.needs(p) {
			return p
		}
	}
	return nil
}

func (n *Node) needs(p *proc) bool {
	for _, name := range p.program.Needs {
		if !slices.ContainsFunc(n.procs(), func(q *proc) bool { return q.program != nil && path.Base(q.program.Path) == name }) {
			return false
		}
	}
	return true
}

func (b *sandbox) view() host.Sandbox {
	s := host.Sandbox{
		ID: b.id, Namespace: b.pod.Namespace, Name: b.pod.Name, UID: b.pod.UID, Ready: b.alive,
	}
	for _, c := range b.pod.Containers {
		s.Containers = append(s.Containers, host.SandboxContainer{
			ID: b.id + "/" + c, Name: c, Running: b.running[c], Grace: time.Duration(b.pod.Grace) * time.Second,
		})
	}
	return s
}
