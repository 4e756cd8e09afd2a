package agent_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// These tests hold that a node with a working runtime is never left without a kubelet, whatever surrounds it.

// serves reports a node that doesn't serve by the runtime, or by another one besides.
func serves(t testing.TB, n *hosttest.Node, by v1alpha1.RuntimeName) {
	t.Helper()
	if got := n.Active()["kubelet.service"]; got != "active" {
		t.Errorf("the kubelet is %q", got)
	}
	if got := n.Sandboxes(by); len(got) == 0 {
		t.Errorf("no pod runs in %s", by)
	}
}

// told returns what the run's progress says.
func told(t testing.TB, n *hosttest.Node) string {
	t.Helper()
	var b strings.Builder
	for _, l := range must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Progress {
		b.WriteString(l.Step + " " + l.Detail + " " + l.Error + "\n")
	}
	return b.String()
}

// staged takes a run between two runtimes to its staged phase.
func staged(t testing.TB, n *hosttest.Node, from, to v1alpha1.RuntimeName) {
	t.Helper()
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, from, to), By: "ana@laptop"})
	until(t, n, runID, v1alpha1.PhaseStaged)
}

// applied takes it on to applied.
func applied(t testing.TB, n *hosttest.Node, from, to v1alpha1.RuntimeName) {
	t.Helper()
	staged(t, n, from, to)
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
	until(t, n, runID, v1alpha1.PhaseApplied)
}

// agents is the DaemonSet of a security or metrics agent: its mounts of every runtime's socket have no type.
var agents = hosttest.Pod{
	Namespace: "monitoring", Name: "agent", UID: "u7", Containers: []string{"agent"}, Grace: 5,
	HostPaths: []string{"/run/containerd/containerd.sock", "/var/run/crio/crio.sock", "/var/run/docker.sock", "/run/cri-dockerd.sock"},
}

// TestSocketDirectories: a runtime makes directories of such mounts where the other runtimes' sockets belong, before the switch and
// after it. Every pair goes there, and back at the deadline, after a boot, and when asked.
func TestSocketDirectories(t *testing.T) {
	all := []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Docker}
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			for end, want := range map[string]v1alpha1.Phase{
				"confirmed": v1alpha1.PhaseConfirmed, "deadline": v1alpha1.PhaseRolledBack, "boot": v1alpha1.PhaseRolledBack, "asked": v1alpha1.PhaseRolledBack,
			} {
				t.Run(string(from)+" to "+string(to)+"/"+end, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						n := newNode(t, from, hosttest.RealTime())
						n.Pods(agents)
						n.Boot()
						defer n.PowerOff(nil)
						before := photograph(n)
						applied(t, n, from, to)
						time.Sleep(5 * time.Second)
						switch end {
						case "confirmed":
							must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
						case "boot":
							n.PowerOff(nil)
							n.Boot()
						case "asked":
							must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
						}
						if end != "confirmed" {
							until(t, n, runID, want)
						}
						time.Sleep(time.Minute)
						if end == "confirmed" {
							serves(t, n, to)
						} else {
							serves(t, n, from)
							if diff := cmp.Diff(before, photograph(n)); diff != "" {
								t.Errorf("the node isn't as before (-before +now):\n%s", diff)
							}
						}
						clean(t, n)
					})
				})
			}
		}
	}
}

// TestStagingClearsSockets: a staged dockerd takes anything at containerd's socket for a containerd that runs, and waits for it.
func TestStagingClearsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.CRIO, hosttest.RealTime())
		n.Pods(agents)
		n.Boot()
		defer n.PowerOff(nil)
		var acts []string
		plan := newPlan(t, n, runID, v1alpha1.CRIO, v1alpha1.Docker)
		n.Fault(func(act string) error { acts = append(acts, act); return nil })
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan})
		until(t, n, runID, v1alpha1.PhaseStaged)
		cleared := slices.Index(acts, "remove /run/containerd/containerd.sock")
		began := slices.Index(acts, "write /var/lib/kubectl-runtime/runs/"+runID+"/staging/config")
		if cleared < 0 || began < 0 || cleared > began {
			t.Errorf("the way was cleared as act %d, the instance laid out as act %d", cleared, began)
		}
		serves(t, n, v1alpha1.CRIO)
	})
}

// TestSocketPathTaken: what isn't an empty directory is kept, and told.
func TestSocketPathTaken(t *testing.T) {
	for name, put := range map[string]func(n *hosttest.Node){
		"a directory with a file": func(n *hosttest.Node) { n.Write("/run/crio/crio.sock/note", "mine") },
		"a file":                  func(n *hosttest.Node) { n.Write("/run/crio/crio.sock", "mine") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				put(n)
				applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
				kept := 0
				for p, f := range n.Snapshot("/run/crio") {
					if strings.HasPrefix(p, "/run/crio/crio.sock.aside-1") && f.Content == "mine" {
						kept++
					}
				}
				if said := told(t, n); kept != 1 || !strings.Contains(said, "/var/run/crio/crio.sock") || !strings.Contains(said, "aside-1") {
					t.Errorf("%d files kept, and this was told:\n%s", kept, said)
				}
			})
		})
	}
}

// failing makes acts that begin so fail until the returned function is called.
func failing(n *hosttest.Node, acts ...string) (mend func()) {
	n.Fault(func(act string) error {
		for _, a := range acts {
			if strings.HasPrefix(act, a) {
				return errors.New("exec format error")
			}
		}
		return nil
	})
	return func() { n.Fault(nil) }
}

// TestSourceCannotServe: its package was removed or upgraded meanwhile. The node serves as after again, doesn't end its pods over
// and over, survives boots so, and goes back when it is asked once the source can start.
func TestSourceCannotServe(t *testing.T) {
	for name, acts := range map[string][]string{
		"its daemon doesn't start": {"start containerd.service"},
		"systemd doesn't reload":   {"reload"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
				mend := failing(n, acts...)
				if name == "systemd doesn't reload" {
					// Not for good: after couldn't be reached either.
					failures := 0
					n.Fault(func(act string) error {
						if failures++; act == "reload" && failures < 40 {
							return errors.New("connection timed out")
						}
						return nil
					})
				}
				time.Sleep(20 * time.Minute)
				r := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run
				if name == "systemd doesn't reload" {
					serves(t, n, v1alpha1.Containerd)
					if r.Phase != v1alpha1.PhaseRolledBack {
						t.Errorf("the run is %s (%s)", r.Phase, r.Reason)
					}
					return
				}
				if r.Phase != v1alpha1.PhaseStuck || r.Serving != v1alpha1.CRIO || !strings.Contains(r.Reason, "containerd could not serve again") {
					t.Fatalf("the run is %s, served by %q (%s)", r.Phase, r.Serving, r.Reason)
				}
				serves(t, n, v1alpha1.CRIO)
				pods := n.Sandboxes(v1alpha1.CRIO)
				stops := 0
				n.Fault(func(act string) error {
					if strings.HasPrefix(act, "stop ") {
						stops++
					}
					return nil
				})
				time.Sleep(2 * time.Hour)
				if diff := cmp.Diff(pods, n.Sandboxes(v1alpha1.CRIO)); diff != "" || stops > 0 {
					t.Errorf("it was tried again unasked: %d stops, pods (-before +now):\n%s", stops, diff)
				}
				n.PowerOff(nil)
				n.Boot()
				time.Sleep(time.Minute)
				serves(t, n, v1alpha1.CRIO)
				mend()
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
				until(t, n, runID, v1alpha1.PhaseRolledBack)
				time.Sleep(time.Minute)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

// TestForeignFileAndNoSource: a file of others leads the kubelet to the target alone, so only that can serve.
func TestForeignFileAndNoSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
		n.Write("/var/lib/kubelet/config.yaml", kubeletConfig(refs[v1alpha1.CRIO].Endpoint)+"maxPods: 50\n")
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
		r := until(t, n, runID, v1alpha1.PhaseStuck)
		if r.Serving != v1alpha1.CRIO || !strings.Contains(r.Reason, "/var/lib/kubelet/config.yaml") {
			t.Errorf("served by %q (%s)", r.Serving, r.Reason)
		}
		serves(t, n, v1alpha1.CRIO)
	})
}

// hanging is a pod with a process that hangs in the kernel, as on a dead NFS server.
var hanging = hosttest.Pod{Namespace: "shop", Name: "nfs", UID: "u8", Containers: []string{"nfs"}, Grace: 5, Uninterruptible: true}

// TestUninterruptible: a process that can't be killed stops the way to after before a runtime was stopped, and the source's other pods
// go on; on the way back it is told and left.
func TestUninterruptible(t *testing.T) {
	for name, late := range map[string]bool{"before the switch": false, "since the switch": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				if !late {
					n.Pods(hanging)
				}
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				if late {
					applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
					n.Pods(hanging)
				} else {
					staged(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
					stopped := failing(n, "stop containerd.service")
					defer stopped()
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
				}
				r := until(t, n, runID, v1alpha1.PhaseRolledBack)
				if !late && !strings.Contains(r.Reason, "nfs") {
					t.Errorf("the reason doesn't name the process: %s", r.Reason)
				}
				if said := told(t, n); late && !strings.Contains(said, "leaving processes of pods") {
					t.Errorf("that one was left isn't told:\n%s", said)
				}
				if away := r.KubeletStarted.Sub(r.KubeletStopped); away > 3*time.Minute {
					t.Errorf("the kubelet was away for %s", away)
				}
				time.Sleep(time.Minute)
				serves(t, n, v1alpha1.Containerd)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
			})
		})
	}
}

// full makes every write fail as on a full disk. What is removed gives its room to the writes that follow, and no more.
func full(n *hosttest.Node, where string) (mend func()) {
	room := 0
	n.Fault(func(act string) error {
		what, file, _ := strings.Cut(act, " ")
		if what == "remove" && strings.HasSuffix(file, "reserve") {
			room += 200 // writes, of what was set aside
		}
		if (what == "write" || what == "append" || what == "mkdir") && strings.Contains(file, where) {
			if room--; room < 0 {
				return errors.New("no space left on device")
			}
		}
		return nil
	})
	return func() { n.Fault(nil) }
}

// TestDiskFull: a disk that fills up while the node waits for its confirmation doesn't keep it from going back, and one that is
// full even so doesn't keep it from serving.
func TestDiskFull(t *testing.T) {
	for name, c := range map[string]struct {
		where   string
		dropped bool // somebody has eaten what was set aside, too
	}{
		"everywhere":             {where: "/"},
		"below /etc":             {where: "/etc/"},
		"below the kubelet":      {where: "/var/lib/kubelet/"},
		"with nothing set aside": {where: "/", dropped: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				if c.where != "/" {
					n.SetFilesystem(strings.TrimSuffix(c.where, "/"), v1alpha1.Filesystem{Device: "8:2", Type: "ext4", Bytes: 1 << 30, FreeBytes: 1 << 29, Inodes: 1000, FreeInodes: 500})
				}
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
				if c.dropped {
					n.Remove("/var/lib/kubectl-runtime/reserve")
				}
				mend := full(n, c.where)
				if !c.dropped {
					until(t, n, runID, v1alpha1.PhaseRolledBack)
				} else {
					time.Sleep(30 * time.Minute)
					serves(t, n, v1alpha1.CRIO)
					mend()
					until(t, n, runID, v1alpha1.PhaseRolledBack)
				}
				mend()
				time.Sleep(time.Minute)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

// TestNoRoomToGoBack: what can't be set aside stops the run while it is staged.
func TestNoRoomToGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		n.Fault(func(act string) error {
			if act == "write /var/lib/kubectl-runtime/reserve" {
				return errors.New("no space left on device")
			}
			return nil
		})
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)})
		if r := until(t, n, runID, v1alpha1.PhaseRemoved); !strings.Contains(r.Reason, "for the way back: no space left") {
			t.Errorf("the reason is %s", r.Reason)
		}
	})
}

// TestImmutableFiles: a file that can't be replaced stops the run while it is staged, whichever of the plan's it is.
func TestImmutableFiles(t *testing.T) {
	for _, file := range []string{
		"/etc/crictl.yaml", "/var/lib/kubelet/config.yaml", "/etc/crio/crio.conf.d/99-kubectl-runtime.conf", "/etc/modules-load.d/kubectl-runtime.conf",
	} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				n.Immutable(file)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)})
				if r := until(t, n, runID, v1alpha1.PhaseRemoved); !strings.Contains(r.Reason, file) {
					t.Errorf("the reason doesn't name %s: %s", file, r.Reason)
				}
				time.Sleep(time.Minute)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
			})
		})
	}
}

// TestConfirmLooksAtFiles: what configuration management puts back meanwhile isn't confirmed. What was before leads back; anything
// else is left, and the node serves around it.
func TestConfirmLooksAtFiles(t *testing.T) {
	const file = "/var/lib/kubelet/config.yaml"
	as := kubeletConfig(refs[v1alpha1.Containerd].Endpoint)
	for name, c := range map[string]struct {
		change func(n *hosttest.Node)
		end    v1alpha1.Phase
	}{
		"as before":      {func(n *hosttest.Node) { n.Write(file, as) }, v1alpha1.PhaseRolledBack},
		"something else": {func(n *hosttest.Node) { n.Write(file, as+"maxPods: 50\n") }, v1alpha1.PhaseStuck},
		"another mode": {func(n *hosttest.Node) {
			n.Lay(hosttest.File{Path: file, Content: kubeletConfig(refs[v1alpha1.CRIO].Endpoint), Mode: 0o600})
		}, v1alpha1.PhaseStuck},
		"removed": {func(n *hosttest.Node) { n.Remove("/etc/crio/crio.conf.d/99-kubectl-runtime.conf") }, v1alpha1.PhaseRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				applied(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
				c.change(n)
				resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
				named := file
				if name == "removed" {
					named = "99-kubectl-runtime.conf"
				}
				if resp.Code != v1alpha1.CodePhase || !strings.Contains(resp.Error, named) {
					t.Errorf("the answer is %q (%s)", resp.Error, resp.Code)
				}
				until(t, n, runID, c.end)
				time.Sleep(time.Minute)
				if name != "another mode" {
					serves(t, n, v1alpha1.Containerd)
				}
				if got := n.Active()["kubelet.service"]; got != "active" {
					t.Errorf("the kubelet is %q", got)
				}
			})
		})
	}
}

// TestHangs: a process of ours that hangs in a call that no context ends is killed by PID 1 in every phase that acts, and the run
// goes on to its end.
func TestHangs(t *testing.T) {
	for name, c := range map[string]struct {
		at   string
		when v1alpha1.Phase // the phase in which that act is to hang
		end  v1alpha1.Phase
	}{
		"staging":                     {"mkdir /var/lib/kubectl-runtime/runs/" + runID + "/staging", v1alpha1.PhaseStaging, v1alpha1.PhaseRemoved},
		"applying, the kubelet":       {"stop kubelet.service", v1alpha1.PhaseApplying, v1alpha1.PhaseRolledBack},
		"applying, a file":            {"write /var/lib/kubelet/config.yaml", v1alpha1.PhaseApplying, v1alpha1.PhaseRolledBack},
		"applying, systemd":           {"reload", v1alpha1.PhaseApplying, v1alpha1.PhaseRolledBack},
		"applying, the runtime":       {"start crio.service", v1alpha1.PhaseApplying, v1alpha1.PhaseRolledBack},
		"rolling back, the runtime":   {"start containerd.service", v1alpha1.PhaseRollingBack, v1alpha1.PhaseRolledBack},
		"rolling back, pods' network": {"detach pods", v1alpha1.PhaseRollingBack, v1alpha1.PhaseRolledBack},
		"rolled back, its cleaning":   {"remove /etc/systemd/system/kubectl-runtime-early.service", v1alpha1.PhaseRollingBack, v1alpha1.PhaseRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
				if c.when == v1alpha1.PhaseStaging {
					n.Freeze(c.at)
				}
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan})
				if c.when != v1alpha1.PhaseStaging {
					until(t, n, runID, v1alpha1.PhaseStaged)
					if c.when == v1alpha1.PhaseApplying {
						n.Freeze(c.at)
					}
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
				}
				if c.when == v1alpha1.PhaseRollingBack {
					until(t, n, runID, v1alpha1.PhaseApplied)
					n.Freeze(c.at)
				}
				time.Sleep(90 * time.Minute)
				if r := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run; r.Phase != c.end {
					t.Errorf("the run is %s (%s)", r.Phase, r.Reason)
				}
				time.Sleep(time.Minute)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

// TestConfirmedAlone: a plugin that dies between its confirmation and its uncordoning leaves the latter to the node, which takes
// nothing back that belongs to the new state.
func TestConfirmedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		server := &api{}
		n.API = server.serve
		n.Boot()
		defer n.PowerOff(nil)
		staged(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute, Restore: v1alpha1.APIRestore{
			Uncordon: true, KubeadmSocket: "unix:///old.sock", Pods: []v1alpha1.PodRef{{Namespace: "kube-system", Name: "host", UID: "1"}},
		}})
		until(t, n, runID, v1alpha1.PhaseApplied)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
		time.Sleep(5 * time.Minute)
		want := []string{
			"PATCH /api/v1/nodes/node-1 application/merge-patch+json uncordon " + runID + " confirmed",
			"DELETE /api/v1/namespaces/kube-system/pods/host application/json uid=1",
		}
		if diff := cmp.Diff(want, server.log); diff != "" {
			t.Errorf("what the API server was asked (-want +got):\n%s", diff)
		}
		clean(t, n)
	})
}
