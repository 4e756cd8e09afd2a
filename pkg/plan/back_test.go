package plan_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// node is a machine and what a journal would keep of its runs.
type node struct {
	t     *testing.T
	m     *hosttest.Node
	blobs map[string][]byte
}

func newNode(t *testing.T, n layout.Node) *node {
	t.Helper()
	return &node{t: t, m: n.Build(), blobs: map[string][]byte{}}
}

func (n *node) gather() *v1alpha1.Facts {
	n.t.Helper()
	f, err := facts.Gather(context.Background(), n.m.Machine(), "node1")
	if err != nil {
		n.t.Fatal(err)
	}
	return f
}

func (n *node) keep(b []byte) string {
	sum := sha256.Sum256(b)
	n.blobs[hex.EncodeToString(sum[:])] = b
	return hex.EncodeToString(sum[:])
}

// apply stages a plan as the agent does, takes the machine to its After and returns the view of the run.
func (n *node) apply(p *v1alpha1.Plan) v1alpha1.RunView {
	n.t.Helper()
	read := func(name string) ([]byte, error) { return n.m.Machine().Files.Read(name, 1<<20) }
	for _, x := range p.Before.Files {
		if x.Type == v1alpha1.Regular {
			b, err := read(x.Path)
			if err != nil {
				n.t.Fatal(err)
			}
			if n.keep(b) != x.SHA256 {
				n.t.Errorf("%s isn't as the plan read it", x.Path)
			}
		}
	}
	for i, x := range p.After.Files {
		if x.Type == v1alpha1.Regular && x.Content != nil {
			b, err := edit.Resolve(x.Content, read)
			if err != nil {
				n.t.Fatal(err)
			}
			p.After.Files[i].SHA256 = n.keep(b)
		}
	}
	blob := func(sum string) ([]byte, error) {
		if b, ok := n.blobs[sum]; ok {
			return b, nil
		}
		return nil, errors.New("no such blob")
	}
	if err := converge.To(context.Background(), n.m.Machine(), p, p.After, blob, converge.Options{}); err != nil {
		n.t.Fatal(err)
	}
	view := v1alpha1.RunView{Plan: *p, Contents: map[string]string{}, Run: v1alpha1.Run{
		ID: p.Run, From: p.From.Name, To: p.To.Name, Phase: v1alpha1.PhaseConfirmed, Restores: p.Restores,
	}}
	for sum, b := range n.blobs {
		view.Contents[sum], _ = edit.Mask("x", string(b))
	}
	return view
}

// photo is what stands in the directories that plans write to.
func (n *node) photo() map[string]hosttest.File {
	out := n.m.Snapshot("/etc", "/var/lib/kubelet")
	for name, f := range out {
		f.Modified = f.Modified.Truncate(0)
		if f.Type == v1alpha1.Directory && strings.HasSuffix(name, ".d") {
			// Directories that were made stay only where something is in them.
			delete(out, name)
			continue
		}
		f.Modified = out["/etc/crictl.yaml"].Modified
		out[name] = f
	}
	return out
}

// TestThereAndBack applies every golden plan, undoes it by its inverse and finds the node as it was.
func TestThereAndBack(t *testing.T) {
	for _, c := range layout.All() {
		if c.Refused {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			n := newNode(t, c.Node)
			before := n.photo()
			p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: c.To})
			if err != nil {
				t.Fatal(err)
			}
			view := n.apply(p)
			after := n.gather()
			if _, err := plan.Build(after, plan.Goal{Run: "r-00000002", To: c.To}); !errors.As(err, new(*plan.NothingError)) {
				t.Errorf("after the switch there is more to do: %v", err)
			}
			back, err := plan.Inverse(view, after, "r-00000003")
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Verify(back); err != nil {
				t.Error(err)
			}
			if back.Restores != "r-00000001" || back.To.Name != c.Node.Runtime {
				t.Errorf("the way back restores %s and leads to %s", back.Restores, back.To.Name)
			}
			n.apply(back)
			if diff := cmp.Diff(before, n.photo()); diff != "" {
				t.Errorf("the node isn't as it was (-before +after):\n%s", diff)
			}
			if broken := n.m.Broken(); len(broken) > 0 {
				t.Error(broken)
			}
		})
	}
}

// TestBackThroughSeveral goes from containerd to CRI-O to Docker and back to containerd by one plan.
func TestBackThroughSeveral(t *testing.T) {
	n := newNode(t, layout.Node{
		Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd,
		Also: []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker},
	})
	before := n.photo()
	var views []v1alpha1.RunView
	for i, to := range []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker} {
		p, err := plan.Build(n.gather(), plan.Goal{Run: []string{"r-00000001", "r-00000002"}[i], To: to})
		if err != nil {
			t.Fatal(err)
		}
		views = append([]v1alpha1.RunView{n.apply(p)}, views...)
	}
	if _, err := plan.Inverse(views[1], n.gather(), "r-00000003"); err == nil {
		t.Error("a run that is not the newest was undone alone")
	}
	all, err := plan.Compose(views)
	if err != nil {
		t.Fatal(err)
	}
	back, err := plan.Inverse(all, n.gather(), "r-00000003")
	if err != nil {
		t.Fatal(err)
	}
	n.apply(back)
	if diff := cmp.Diff(before, n.photo()); diff != "" {
		t.Errorf("the node isn't as it was (-before +after):\n%s", diff)
	}
	if got := n.m.Active(); got["containerd.service"] != "active" || got["docker.service"] != "" || got["crio.service"] != "" {
		t.Errorf("units: %v", got)
	}
}

// TestForwardAgain leaves CRI-O by another switch instead of a rollback: what parked containerd goes, CRI-O is parked.
func TestForwardAgain(t *testing.T) {
	n := newNode(t, layout.Node{Kubelet: "1.31.14", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}})
	for i, to := range []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Containerd} {
		p, err := plan.Build(n.gather(), plan.Goal{Run: fmt.Sprintf("r-0000000%d", i), To: to})
		if err != nil {
			t.Fatal(err)
		}
		n.apply(p)
		_, containerd := n.m.Content("/etc/systemd/system/containerd.service.d/zz-kubectl-runtime-parked.conf")
		_, crio := n.m.Content("/etc/systemd/system/crio.service.d/zz-kubectl-runtime-parked.conf")
		if containerd != (to == v1alpha1.CRIO) || crio != (to == v1alpha1.Containerd) {
			t.Errorf("to %s: containerd parked: %v, CRI-O parked: %v", to, containerd, crio)
		}
		if i > 1 && len(p.After.Files) > 8 {
			t.Errorf("the configuration is written again: %v", p.After.Files)
		}
	}
	if broken := n.m.Broken(); len(broken) > 0 {
		t.Error(broken)
	}
}

// TestChangedSince refuses to overwrite what others did since.
func TestChangedSince(t *testing.T) {
	n := newNode(t, layout.Node{Kubelet: "1.31.14", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}})
	p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	view := n.apply(p)
	flags, _ := n.m.Content("/var/lib/kubelet/kubeadm-flags.env")
	n.m.Write("/var/lib/kubelet/kubeadm-flags.env", strings.Replace(flags, "--pod", "--v=4 --pod", 1))
	_, err = plan.Inverse(view, n.gather(), "r-00000003")
	var changed *plan.ChangedError
	if !errors.As(err, &changed) {
		t.Fatalf("got %v, want a *ChangedError", err)
	}
	if len(changed.Files) != 1 || changed.Files[0].Path != "/var/lib/kubelet/kubeadm-flags.env" || !strings.Contains(changed.Files[0].Unified, "+KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///var/run/crio/crio.sock --v=4") {
		t.Errorf("got %+v", changed.Files)
	}
}

// TestDeterministic: equal facts give equal plans, byte for byte, and plans survive JSON.
func TestDeterministic(t *testing.T) {
	n := layout.Node{Kubelet: "1.27.16", Installer: layout.Kubespray, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}}
	var texts []string
	for range 3 {
		p, err := plan.Build(newNode(t, n).gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.Containerd, KubeadmAnnotation: "unix:///var/run/crio/crio.sock"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
		var again v1alpha1.Plan
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if err := plan.Verify(&again); err != nil {
			t.Errorf("after JSON: %v", err)
		}
		if again.KubeadmSocket != "unix:///run/containerd/containerd.sock" || again.KubeadmSocketBefore != "unix:///var/run/crio/crio.sock" {
			t.Errorf("annotation %q → %q", again.KubeadmSocketBefore, again.KubeadmSocket)
		}
		again.After.Files[0].Path = "/etc/passwd"
		if plan.Verify(&again) == nil {
			t.Error("a plan with a changed path was taken")
		}
		again.Digest = plan.Digest(&again)
		if err := plan.Verify(&again); err == nil {
			t.Error("a plan that writes /etc/passwd was taken")
		}
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Error("plans of equal facts differ")
	}
}
