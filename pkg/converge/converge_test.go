package converge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

const (
	config = "/var/lib/kubelet/config.yaml"
	dropIn = "/etc/crio/crio.conf.d/99-kubectl-runtime.conf"
	parked = "/etc/systemd/system/containerd.service.d/zz-kubectl-runtime-parked.conf"
)

var (
	containerd = v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Endpoint: "unix:///run/containerd/containerd.sock", CRIVersion: "v1", Units: []string{"containerd.service"}}
	crio       = v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Endpoint: "unix:///var/run/crio/crio.sock", CRIVersion: "v1", Units: []string{"crio.service"}}
)

// bed is a node on containerd and a plan to CRI-O.
type bed struct {
	*hosttest.Node
	plan  *v1alpha1.Plan
	blobs map[string][]byte
}

func newBed(pods ...hosttest.Pod) *bed {
	n := hosttest.New(hosttest.RealTime())
	n.KubeletConnects = true
	b := &bed{Node: n, blobs: map[string][]byte{}}
	service := "[Service]\nType=notify\nRestart=always\nRestartSec=1\nExecStart=%s\n\n[Install]\nWantedBy=multi-user.target\n"
	n.Write("/usr/lib/systemd/system/containerd.service", fmt.Sprintf(service, "/usr/bin/containerd"))
	n.Write("/usr/lib/systemd/system/crio.service", fmt.Sprintf(service, "/usr/bin/crio"))
	n.Write("/usr/lib/systemd/system/kubelet.service", "[Service]\nRestart=always\nRestartSec=10\nExecStart=/usr/bin/kubelet --config="+config+"\n")
	n.Link("/etc/systemd/system/multi-user.target.wants/containerd.service", "/usr/lib/systemd/system/containerd.service")
	n.Link("/etc/systemd/system/multi-user.target.wants/kubelet.service", "/usr/lib/systemd/system/kubelet.service")
	n.Dir("/etc/crio/crio.conf.d", 0o755)
	n.Write(config, "containerRuntimeEndpoint: "+containerd.Endpoint+"\n")
	n.Install(hosttest.Containerd("1.7.24"), hosttest.CRIO("1.34.1"), hosttest.Kubelet("/usr/bin/kubelet", "1.34.4"))
	n.Pods(pods...)
	n.Boot()
	file := func(path, text string) v1alpha1.FileState {
		sha := journal.Digest([]byte(text))
		b.blobs[sha] = []byte(text)
		return v1alpha1.FileState{Path: path, Type: v1alpha1.Regular, Mode: 0o644, SHA256: sha}
	}
	absent := func(path string) v1alpha1.FileState { return v1alpha1.FileState{Path: path, Type: v1alpha1.Absent} }
	dir := "/etc/systemd/system/containerd.service.d"
	b.plan = &v1alpha1.Plan{
		Run: "r-0000000a", Node: "node-1", From: containerd, To: crio, Evacuate: []v1alpha1.RuntimeRef{containerd, crio},
		Kubelet: v1alpha1.KubeletRef{Unit: "kubelet.service", Healthz: "http://127.0.0.1:10248/healthz"},
		Before: v1alpha1.State{
			Runtime: containerd, Units: []v1alpha1.UnitState{{Name: "containerd.service", Active: true}, {Name: "crio.service"}},
			Files: []v1alpha1.FileState{absent(dropIn), absent(dir), absent(parked), file(config, "containerRuntimeEndpoint: "+containerd.Endpoint+"\n")},
		},
		After: v1alpha1.State{
			Runtime: crio, Units: []v1alpha1.UnitState{{Name: "containerd.service"}, {Name: "crio.service", Active: true}},
			Files: []v1alpha1.FileState{
				file(dropIn, "[crio]\n"),
				{Path: dir, Type: v1alpha1.Directory, Mode: 0o755},
				file(parked, "[Unit]\nConditionPathExists=!"+parked+"\n"), file(config, "containerRuntimeEndpoint: "+crio.Endpoint+"\n"),
			},
		},
	}
	return b
}

func (b *bed) blob(sha string) ([]byte, error) {
	if data, ok := b.blobs[sha]; ok {
		return data, nil
	}
	return nil, host.ErrNotExist
}

func (b *bed) to(t testing.TB, want v1alpha1.State) error {
	return converge.To(t.Context(), b.Machine(), b.plan, want, b.blob, converge.Options{})
}

// acts records what is done until the returned function is called.
func (b *bed) acts() func() []string {
	var acts []string
	b.Fault(func(act string) error { acts = append(acts, act); return nil })
	return func() []string { b.Fault(nil); return acts }
}

func inBubble(t *testing.T, do func(t *testing.T)) { t.Helper(); synctest.Test(t, do) }

var web = hosttest.Pod{Namespace: "shop", Name: "web", UID: "u1", Containers: []string{"web"}, Grace: 20}

func TestThereAndBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		before, loaded := b.Snapshot("/etc", "/var/lib"), b.Loaded()
		done := b.acts()
		for _, want := range []v1alpha1.State{b.plan.After, b.plan.After, b.plan.Before, b.plan.Before} {
			if err := b.to(t, want); err != nil {
				t.Fatal(err)
			}
			if got := b.Sandboxes(want.Runtime.Name); len(got) != 1 {
				t.Errorf("pods in %s: %v", want.Runtime.Name, got)
			}
		}
		writes := 0
		for _, act := range done() {
			if strings.HasPrefix(act, "rename ") {
				writes++
			}
		}
		if writes != 4 { // three there, one back: the second pass in each direction had nothing to write
			t.Errorf("%d files written", writes)
		}
		if diff := cmp.Diff(before, b.Snapshot("/etc", "/var/lib")); diff != "" {
			t.Errorf("files (-before +now):\n%s", diff)
		}
		if diff := cmp.Diff(loaded, b.Loaded()); diff != "" {
			t.Errorf("loaded configurations (-before +now):\n%s", diff)
		}
		if bad := append(b.Broken(), b.Leaks()...); len(bad) > 0 {
			t.Error(bad)
		}
	})
}

// TestOrder pins the order that everything else rests on: files are written while pods end, once the kubelet is down and before a
// runtime is stopped.
func TestOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		done := b.acts()
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(done(), func(act string) bool { return strings.HasPrefix(act, "fsync ") || strings.HasPrefix(act, "write ") })
		pods := []string{"stop container web of shop/web", "stop sandbox shop/web", "remove sandbox shop/web"}
		files := []string{"rename " + dropIn, "mkdir " + parked[:strings.LastIndex(parked, "/")], "rename " + parked, "rename " + config, "reload"}
		want := []string{"stop kubelet.service", "forgive kubelet.service"}
		end := []string{"stop crio.service", "stop containerd.service", "forgive crio.service containerd.service", "detach pods", "unmount pods of containerd", "unmount pods of cri-o", "start crio.service", "start kubelet.service"}
		among := func(list []string) []string {
			return slices.DeleteFunc(slices.Clone(got), func(act string) bool { return !slices.Contains(list, act) })
		}
		if diff := cmp.Diff([][]string{want, pods, files, end}, [][]string{got[:len(want)], among(pods), among(files), got[len(got)-len(end):]}); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if all := len(want) + len(pods) + len(files) + len(end); len(got) != all {
			t.Errorf("%d acts, want %d: %q", len(got), all, got)
		}
	})
}

// TestRefusals are the failures that come before anything is touched.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b *bed)
		want string
	}{
		"content": {func(b *bed) { b.Write(config, "authentication: {}\n") }, config},
		"mode": {func(b *bed) {
			b.Lay(hosttest.File{Path: config, Content: "containerRuntimeEndpoint: " + containerd.Endpoint + "\n", Mode: 0o600})
		}, "mode 0600"},
		"owner": {func(b *bed) {
			b.Lay(hosttest.File{Path: config, Content: "containerRuntimeEndpoint: " + containerd.Endpoint + "\n", UID: 7})
		}, "owner 7:0"},
		"link": {func(b *bed) { b.Link(dropIn, "/tmp/x") }, "a link to /tmp/x"},
		"gone": {func(b *bed) { b.Remove(config) }, "it is absent"},
		"lost": {func(b *bed) { clear(b.blobs) }, "the content of"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBed(web)
				defer b.PowerOff(nil)
				c.do(b)
				done := b.acts()
				err := b.to(t, b.plan.After)
				var neither *converge.NeitherError
				if err == nil || !strings.Contains(err.Error(), c.want) || name != "lost" && !errors.As(err, &neither) {
					t.Errorf("got %v", err)
				}
				if acts := done(); len(acts) > 0 {
					t.Errorf("it did all the same: %v", acts)
				}
			})
		})
	}
}

// TestForeignWriteInBetween: a file that somebody writes while the runtimes are being stopped isn't overwritten, and no
// other is written either.
func TestForeignWriteInBetween(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		err := converge.To(t.Context(), b.Machine(), b.plan, b.plan.After, b.blob, converge.Options{Report: func(p v1alpha1.Progress) {
			if p.Step == "write files" && p.Took == 0 {
				b.Write(config, "mine: true\n")
			}
		}})
		var neither *converge.NeitherError
		if !errors.As(err, &neither) || neither.Path != config {
			t.Errorf("got %v", err)
		}
		if _, ok := b.Content(dropIn); ok {
			t.Error("another file was written")
		}
	})
}

// TestLatePods: a pod whose start was under way when the kubelet was stopped is ended as all others are.
func TestLatePods(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		b.Late(v1alpha1.Containerd, hosttest.Pod{Namespace: "shop", Name: "late", UID: "u9", Containers: []string{"late"}})
		done := b.acts()
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		if acts := done(); !slices.Contains(acts, "remove sandbox shop/late") || slices.Contains(acts, "kill pods") {
			t.Errorf("%q", acts)
		}
		if bad := append(b.Broken(), b.Leaks()...); len(bad) > 0 {
			t.Error(bad)
		}
	})
}

// TestUnbornPods: what a runtime had made of a pod that it was still starting when it was stopped doesn't stay.
func TestUnbornPods(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		b.Unborn(v1alpha1.Containerd, hosttest.Pod{Namespace: "shop", Name: "unborn", UID: "u9"})
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		if bad := append(b.Broken(), b.Leaks()...); len(bad) > 0 {
			t.Error(bad)
		}
	})
}

// TestUnreleased: a network plugin that can't do its work keeps no node from serving.
func TestUnreleased(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		b.Unborn(v1alpha1.Containerd, hosttest.Pod{Namespace: "shop", Name: "unborn", UID: "u9"})
		b.Fault(failing("detach pods"))
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		if leaks := b.Leaks(); !slices.Equal(leaks, []string{"containerd: network of shop/unborn"}) {
			t.Errorf("left: %q", leaks)
		}
	})
}

// TestEvacuationByForce: a runtime that can't be asked keeps no pod, no network and no mount.
func TestEvacuationByForce(t *testing.T) {
	for name, do := range map[string]func(b *bed){
		"it hangs":           func(b *bed) { b.Hang(containerd.Endpoint, true) },
		"it is down":         func(b *bed) { b.Stop("containerd.service") },
		"it can't stop pods": func(b *bed) { b.Fault(failing("stop sandbox")) },
		"it can't remove":    func(b *bed) { b.Fault(failing("remove sandbox")) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBed(web, hosttest.Pod{Namespace: "shop", Name: "db", UID: "u2", Containers: []string{"db"}, Grace: 3600, Stubborn: true})
				defer b.PowerOff(nil)
				do(b)
				if err := b.to(t, b.plan.After); err != nil {
					t.Fatal(err)
				}
				if bad := append(b.Broken(), b.Leaks()...); len(bad) > 0 {
					t.Error(bad)
				}
				if got := b.Sandboxes(v1alpha1.Containerd); len(got) > 0 {
					t.Errorf("still there: %v", got)
				}
			})
		})
	}
}

func failing(prefix string) func(string) error {
	return func(act string) error {
		if strings.HasPrefix(act, prefix) {
			return errors.New("no space left on device")
		}
		return nil
	}
}

// TestGrace: pods end together, each with its own grace, none with more than the limit.
func TestGrace(t *testing.T) {
	for name, c := range map[string]struct {
		limit    time.Duration
		own      int
		atLeast  time.Duration
		lessThan time.Duration
	}{
		"its own":     {own: 5, atLeast: 5 * time.Second, lessThan: 6 * time.Second},
		"the default": {own: 3600, atLeast: 30 * time.Second, lessThan: 31 * time.Second},
		"the plan's":  {own: 3600, limit: time.Minute, atLeast: time.Minute, lessThan: 61 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var pods []hosttest.Pod
				for k := range 10 {
					pods = append(pods, hosttest.Pod{Namespace: "shop", Name: fmt.Sprint("db", k), UID: fmt.Sprint(k), Containers: []string{"a", "b"}, Grace: c.own, Stubborn: true})
				}
				b := newBed(pods...)
				defer b.PowerOff(nil)
				b.plan.EvacuationGrace = c.limit
				began := time.Now()
				if err := b.to(t, b.plan.After); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < c.atLeast || took > c.lessThan {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// TestFailures are told in words that help, within bounded time.
func TestFailures(t *testing.T) {
	broken := hosttest.CRIO("1.34.1")
	broken.Check = func([]string, func(string) (string, bool)) error { return errors.New("unknown key pids_limit") }
	for name, c := range map[string]struct {
		do   func(b *bed)
		want []string
	}{
		"the runtime doesn't start":  {func(b *bed) { b.Install(broken) }, []string{"starting crio.service", "unknown key pids_limit"}},
		"the runtime doesn't answer": {func(b *bed) { b.Hang(crio.Endpoint, true) }, []string{"cri-o did not get ready", crio.Endpoint}},
		"the kubelet isn't healthy":  {func(b *bed) { b.plan.Kubelet.Healthz = "http://127.0.0.1:10299/healthz" }, []string{"the kubelet did not answer", "10299"}},
		"a unit can't be stopped":    {func(b *bed) { b.Fault(failing("stop containerd.service")) }, []string{"stopping containerd.service", "no space left"}},
		"a file can't be written":    {func(b *bed) { b.Fault(failing("rename " + dropIn)) }, []string{"writing " + dropIn, "no space left"}},
		"pods can't be ended":        {func(b *bed) { b.Stop("containerd.service"); b.Fault(failing("kill pods")) }, []string{"killing the processes of pods"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBed(web)
				defer b.PowerOff(nil)
				c.do(b)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				err := converge.To(ctx, b.Machine(), b.plan, b.plan.After, b.blob, converge.Options{})
				if err == nil || ctx.Err() != nil {
					t.Fatalf("got %v, %v", err, ctx.Err())
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q doesn't say %q", err, want)
					}
				}
				// And the way back works from there.
				b.Fault(nil)
				b.plan.Kubelet.Healthz = "http://127.0.0.1:10248/healthz"
				if err := b.to(t, b.plan.Before); err != nil {
					t.Errorf("going back: %v", err)
				}
			})
		})
	}
}

// TestHangingStop: a daemon that doesn't stop is killed long before systemd would do it.
func TestHangingStop(t *testing.T) {
	for _, name := range []string{"containerd.service", "kubelet.service"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBed(web)
				defer b.PowerOff(nil)
				b.HangStop(name)
				began, told := time.Now(), ""
				err := converge.To(t.Context(), b.Machine(), b.plan, b.plan.After, b.blob, converge.Options{Report: func(p v1alpha1.Progress) {
					if p.Step == "kill" {
						told += p.Detail
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 40*time.Second {
					t.Errorf("it took %s", took)
				}
				if !strings.HasPrefix(told, name) {
					t.Errorf("it was told as %q", told)
				}
			})
		})
	}
}

// TestWakingUnit: a unit that others keep starting is stopped until it stays down, or the failure says so.
func TestWakingUnit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		times := 0
		b.Fault(func(act string) error {
			if act == "stop containerd.service" && times < 3 {
				times++
				go func() { _ = b.Start("containerd.service") }()
			}
			return nil
		})
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		if got := b.Active()["containerd.service"]; got != "" {
			t.Errorf("containerd is %s", got)
		}
	})
}
