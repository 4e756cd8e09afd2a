package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// switched is the sound node after a switch to CRI-O that was confirmed.
func switched(t *testing.T) (*node, v1alpha1.RunView) {
	t.Helper()
	n := newNode(t, soundNode)
	p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	return n, n.apply(p)
}

// TestRollbackBehindUpgrade: kubeadm upgrade writes the kubelet's files anew between a switch and its rollback. The rollback is
// refused, and the road that it names is open.
func TestRollbackBehindUpgrade(t *testing.T) {
	n, view := switched(t)
	flags, _ := n.m.Content("/var/lib/kubelet/kubeadm-flags.env")
	n.m.Write("/var/lib/kubelet/kubeadm-flags.env", flags+"# kubeadm upgrade\n")
	n.m.Install(hosttest.Kubelet("/usr/bin/kubelet", "1.32.9"))
	units := n.m.Machine().Units
	if err := errors.Join(units.Stop(t.Context(), "kubelet.service"), units.Start(t.Context(), "kubelet.service")); err != nil {
		t.Fatal(err)
	}
	_, err := plan.Inverse(view, n.gather(), "r-00000003")
	var changed *plan.ChangedError
	if !errors.As(err, &changed) {
		t.Fatalf("got %v, want a *ChangedError", err)
	}
	const road = "kubectl runtime switch node1 --to=containerd"
	for _, want := range []string{"r-00000001", "/var/lib/kubelet/kubeadm-flags.env", "nothing was changed on node node1", road} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q isn't in %q", want, err)
		}
	}
	p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000004", To: v1alpha1.Containerd})
	if err != nil {
		t.Fatalf("%s: %v", road, err)
	}
	n.apply(p)
	if flags, _ := n.m.Content("/var/lib/kubelet/kubeadm-flags.env"); !strings.Contains(flags, "containerd.sock") || !strings.Contains(flags, "# kubeadm upgrade") {
		t.Errorf("the kubelet's flags: %s", flags)
	}
}

// TestRollbackRules: what would make the way back fail refuses it, and nothing else does.
func TestRollbackRules(t *testing.T) {
	n, view := switched(t)
	binary := func(name v1alpha1.RuntimeName, daemon, version string) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			for i := range f.Runtimes {
				if f.Runtimes[i].Name == name {
					f.Runtimes[i].Binaries = map[string]v1alpha1.Binary{daemon: {Path: "/usr/bin/" + daemon, Version: version}}
				}
			}
		}
	}
	unit := func(name string, change func(u *v1alpha1.Unit)) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			for i := range f.Units {
				if f.Units[i].Name == name {
					change(&f.Units[i])
				}
			}
		}
	}
	for _, c := range []struct {
		name    string
		change  func(f *v1alpha1.Facts)
		refused []string // parts of the refusal; none: there is a plan
		says    string   // a finding of the plan, as severity and ID
	}{
		{name: "nothing changed", change: func(*v1alpha1.Facts) {}},
		{name: "an ill kubelet is a reason to go back", change: func(f *v1alpha1.Facts) { f.Kubelet.Healthy = false }},
		{name: "the earlier runtime is gone", change: func(f *v1alpha1.Facts) {
			for i := range f.Runtimes {
				if f.Runtimes[i].Name == v1alpha1.Containerd {
					f.Runtimes[i].Binaries = nil
				}
			}
		}, refused: []string{"R001 containerd isn't installed"}},
		{name: "its unit is gone", change: unit("containerd.service", func(u *v1alpha1.Unit) { u.LoadState = "not-found" }), refused: []string{"R001 containerd has no systemd unit"}},
		{name: "its unit is masked", change: unit("containerd.service", func(u *v1alpha1.Unit) { u.LoadState = "masked" }), refused: []string{"R002 "}},
		{name: "another release of it", change: binary(v1alpha1.Containerd, "containerd", "2.2.0"), refused: []string{"R013 containerd is 2.2.0 now and was 1.7.28 when it served before"}},
		{name: "another patch of it", change: binary(v1alpha1.Containerd, "containerd", "1.7.29"), says: "warning R013"},
		{name: "another build of it", change: binary(v1alpha1.Containerd, "containerd", "1.7.28-0ubuntu1")},
		{name: "a CRI version that it doesn't serve", change: binary(v1alpha1.Containerd, "containerd", "1.5.18"), refused: []string{"K005 kubelet 1.31.14 needs CRI v1", "R013 "}},
		{name: "another CRI-O, which is left", change: binary(v1alpha1.CRIO, "crio", "1.32.0")},
		{name: "a cgroup version that the kubelet refuses", change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion, f.Kubelet.Version = 1, "1.35.1" }, refused: []string{"N006 kubelet 1.35.1 refuses to start on cgroup v1"}},
		{name: "a kubelet that was upgraded and not restarted", change: func(f *v1alpha1.Facts) { f.Kubelet.Replaced = true }, refused: []string{"K008 "}},
		{name: "a process that nothing ends", change: func(f *v1alpha1.Facts) {
			f.Uninterruptible = []v1alpha1.UninterruptibleProcess{{PID: 7, Program: "cp", Pod: "shop/web", PodUID: "u"}}
		}, refused: []string{"N008 "}},
		{name: "a directory at its socket", change: func(f *v1alpha1.Facts) {
			for i := range f.Runtimes {
				if f.Runtimes[i].Name == v1alpha1.Containerd {
					f.Runtimes[i].Blocked = []v1alpha1.BlockedSocket{{Path: "/run/containerd/containerd.sock", Type: v1alpha1.Directory}}
				}
			}
		}, says: "fixable R011"},
		{name: "Puppet", change: func(f *v1alpha1.Facts) {
			f.Managers = []v1alpha1.ConfigManager{{Name: "Puppet", Seen: []string{"puppet.service (active)"}}}
		}, says: "warning N009"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := n.gather()
			c.change(f)
			p, err := plan.Inverse(view, f, "r-00000003")
			if len(c.refused) > 0 {
				if !errors.As(err, new(*plan.RefusedError)) {
					t.Fatalf("got %v, want a *RefusedError", err)
				}
				for _, want := range c.refused {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q isn't in %q", want, err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range p.Findings {
				got = append(got, string(x.Severity)+" "+x.ID)
			}
			if strings.Join(got, ", ") != c.says {
				t.Errorf("got %q, want %q: %+v", got, c.says, p.Findings)
			}
		})
	}
}

// TestRollbackToToday: the runtime may serve another CRI version to the kubelet than it did then.
func TestRollbackToToday(t *testing.T) {
	n, view := switched(t)
	view.Plan.From.CRIVersion = "v1alpha2"
	p, err := plan.Inverse(view, n.gather(), "r-00000003")
	if err != nil {
		t.Fatal(err)
	}
	if p.To.CRIVersion != "v1" || p.After.Runtime.CRIVersion != "v1" || p.Evacuate[1].CRIVersion != "v1" {
		t.Errorf("%+v, %+v, %+v", p.To, p.After.Runtime, p.Evacuate)
	}
}
