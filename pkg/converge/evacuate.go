package converge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// evacuate ends every pod on the node and proves it. A kubelet sees pods through its own endpoint alone: what is left in
// another runtime runs on unseen, beside its successor.
func (a *actor) evacuate(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(a.plan.Evacuate))
	for k, ref := range a.plan.Evacuate {
		wg.Go(func() { errs[k] = a.endAll(ctx, ref) })
	}
	wg.Wait()
	forced := false
	for k, ref := range a.plan.Evacuate {
		if errs[k] != nil && !errors.Is(errs[k], errDown) {
			forced = true
			a.tell(v1alpha1.Progress{Step: "evacuate", Detail: string(ref.Name) + " can't be asked: by force", Error: errs[k].Error()})
		}
	}
	return a.gone(ctx, forced)
}

// sweep ends once more what runs of pods, now that no runtime does: the kubelet's last wish, a pod to be started, may have been
// under way behind the evacuation's end, unseen as yet by who lists pods; and a daemon that hung may have gone on in the moment
// in which it was told to end. Then it releases what pods held that no runtime could release, now or in a run before. What it
// can't release, as the network of a plugin that waits for an absent API server, is no reason to keep the node from serving.
func (a *actor) sweep(ctx context.Context) error {
	if err := a.gone(ctx, true); err != nil {
		return err
	}
	a.tellVolumes(ctx)
	failed := func(what string, err error) {
		if err != nil {
			a.tell(v1alpha1.Progress{Step: "stop runtimes", Detail: what, Error: err.Error()})
		}
	}
	failed("releasing the network of pods", call0(ctx, releaseTimeout, a.m.Pods.Detach))
	for _, ref := range a.plan.Evacuate {
		failed("unmounting what pods of "+string(ref.Name)+" left", a.m.Pods.Unmount(ctx, ref.Name))
	}
	return nil
}

// tellVolumes says which file systems outlive the pods that used them: what is in memory goes with the pod, all else the kubelet
// takes over or unmounts once it runs. Nothing of them is touched here.
func (a *actor) tellVolumes(ctx context.Context) {
	mounts, err := call(ctx, callTimeout, a.m.Pods.Volumes)
	line := v1alpha1.Progress{Step: "stop runtimes"}
	maps.DeleteFunc(mounts, func(_, kind string) bool { return kind == "tmpfs" })
	points := slices.Sorted(maps.Keys(mounts))
	switch {
	case err != nil:
		line.Detail, line.Error = "looking for volumes", err.Error()
	case len(points) == 0:
		return
	default:
		line.Detail = fmt.Sprintf("leaving %d volumes mounted for the kubelet: %s at %s", len(points), mounts[points[0]], points[0])
		if len(points) > 1 {
			line.Detail += fmt.Sprintf(" and %d more", len(points)-1)
		}
	}
	a.tell(line)
}

// errDown says that no daemon is there to ask.
var errDown = errors.New("it isn't running")

// endAll ends the pods of one runtime through its CRI, all at once, each with its own grace.
func (a *actor) endAll(ctx context.Context, ref v1alpha1.RuntimeRef) error {
	up, err := a.up(ctx, ref)
	if err != nil {
		return err
	}
	if !up {
		return errDown
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := a.m.CRI.Dial(dialCtx, ref.Endpoint, ref.CRIVersion)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// What the kubelet asked for last may still be under way: a pod that is being started comes late, or is ended before it has
	// its network.
	for range endRounds {
		if err := a.idle(ctx); err != nil {
			return err
		}
		boxes, err := call(ctx, callTimeout, conn.Sandboxes)
		if err != nil {
			return fmt.Errorf("listing its pods: %w", err)
		}
		if len(boxes) == 0 {
			return nil
		}
		var wg sync.WaitGroup
		errs := make([]error, len(boxes))
		for k, box := range boxes {
			wg.Go(func() { errs[k] = a.end(ctx, conn, box) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil // gone proves it, or kills
}

// removeEnded removes the pods that an evacuation which was cut off has ended without removing them. Those that live on, and those in
// which something can't be ended, are the kubelet's. What fails is told: the kubelet mends that, too, if later.
func (a *actor) removeEnded(ctx context.Context) error {
	for _, ref := range a.plan.Evacuate {
		up, err := a.up(ctx, ref)
		if err == nil && up {
			err = a.removeEndedOf(ctx, ref)
		}
		if err != nil {
			a.tell(v1alpha1.Progress{Step: "remove ended pods", Detail: string(ref.Name), Error: err.Error()})
		}
	}
	return nil
}

func (a *actor) removeEndedOf(ctx context.Context, ref v1alpha1.RuntimeRef) error {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := a.m.CRI.Dial(dialCtx, ref.Endpoint, ref.CRIVersion)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	boxes, err := call(ctx, callTimeout/2, conn.Sandboxes)
	if err != nil {
		return fmt.Errorf("listing its pods: %w", err)
	}
	boxes = slices.DeleteFunc(boxes, func(b host.Sandbox) bool {
		return b.Ready || slices.ContainsFunc(b.Containers, func(c host.SandboxContainer) bool { return c.Running })
	})
	var wg sync.WaitGroup
	errs := make([]error, len(boxes))
	for k, box := range boxes {
		wg.Go(func() {
			errs[k] = call0(ctx, callTimeout, func(ctx context.Context) error { return a.end(ctx, conn, box) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// endStrays ends the monitors that a runtime lost while an evacuation was cut off.
func (a *actor) endStrays(ctx context.Context) error {
	n, err := call(ctx, callTimeout, a.m.Pods.EndStrays)
	line := v1alpha1.Progress{Step: "end strays"}
	switch {
	case err != nil:
		line.Detail, line.Error = "looking for monitors that watch nothing any more", err.Error()
	case n > 0:
		line.Detail = fmt.Sprintf("ended %d monitors that watched nothing any more", n)
	default:
		return nil
	}
	a.tell(line)
	return nil
}

// idle waits a while until no runtime is attaching a pod to its network. That this can't be seen is no reason to end pods by force.
func (a *actor) idle(ctx context.Context) error {
	done := func() (bool, error) {
		busy, err := call(ctx, callTimeout, a.m.Pods.Attaching)
		return !busy || err != nil, nil
	}
	return a.waitFor(ctx, idleTimeout, done, func() error { return nil })
}

// up reports whether the service that serves the endpoint runs, which is the last to be started. Where only its socket
// listens, dialling would wake it for nothing; and a containerd that runs may be there for Docker alone.
func (a *actor) up(ctx context.Context, ref v1alpha1.RuntimeRef) (bool, error) {
	for _, name := range slices.Backward(ref.Units) {
		if !strings.HasSuffix(name, ".service") {
			continue
		}
		u, err := a.m.Units.Show(ctx, name)
		if err != nil {
			return false, fmt.Errorf("asking for %s: %w", name, err)
		}
		return u.ActiveState != "inactive" && u.ActiveState != "failed", nil
	}
	return false, nil
}

// end ends one pod.
func (a *actor) end(ctx context.Context, conn host.Runtime, box host.Sandbox) error {
	name := box.Namespace + "/" + box.Name
	var wg sync.WaitGroup
	errs := make([]error, len(box.Containers))
	for k, c := range box.Containers {
		if !c.Running {
			continue
		}
		grace := a.grace(c.Grace)
		wg.Go(func() {
			errs[k] = call0(ctx, grace+callTimeout, func(ctx context.Context) error { return conn.StopContainer(ctx, c.ID, grace) })
		})
	}
	wg.Wait()
	// A container that can't be stopped alone goes with its sandbox.
	if err := call0(ctx, callTimeout, func(ctx context.Context) error { return conn.StopSandbox(ctx, box.ID) }); err != nil {
		return fmt.Errorf("stopping the pod %s: %w", name, errors.Join(append(errs, err)...))
	}
	if err := call0(ctx, callTimeout, func(ctx context.Context) error { return conn.RemoveSandbox(ctx, box.ID) }); err != nil {
		return fmt.Errorf("removing the pod %s: %w", name, err)
	}
	return nil
}

func (a *actor) grace(own time.Duration) time.Duration {
	if own < 0 {
		own = graceDefault
	}
	return min(own, a.plan.Grace())
}

// gone waits until no process of a pod is left, and kills what stays. What can't be killed, as it hangs in the kernel, stops the
// way to after; on the way to before it is told and left: the node must serve again, and a boot ends it.
func (a *actor) gone(ctx context.Context, forced bool) error {
	var left []v1alpha1.Process
	none := func() (bool, error) {
		var err error
		left, err = call(ctx, callTimeout, a.m.Pods.Processes)
		if err != nil {
			return false, fmt.Errorf("looking for the processes of pods: %w", err)
		}
		left = slices.DeleteFunc(left, func(p v1alpha1.Process) bool { return a.left[p.PID] })
		return len(left) == 0, nil
	}
	limit := goneTimeout
	if forced {
		limit = 0
	}
	stays := errors.New("processes stay")
	err := a.waitFor(ctx, limit, none, func() error { return stays })
	if err == nil || !errors.Is(err, stays) {
		return err
	}
	a.tell(v1alpha1.Progress{Step: "evacuate", Detail: fmt.Sprintf("killing %d processes of pods", len(left))})
	err = a.m.Pods.Kill(ctx, a.grace(-1))
	if err == nil {
		err = a.waitFor(ctx, killTimeout, none, func() error { return stays })
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case len(left) == 0:
		return fmt.Errorf("killing the processes of pods: %w", err)
	case a.forward() && !errors.Is(err, stays):
		return fmt.Errorf("killing the processes of pods, of which %s are left: %w", describe(left), err)
	case a.forward():
		return fmt.Errorf("processes of pods can't be killed: %s", describe(left))
	}
	if a.left == nil {
		a.left = map[int]bool{}
	}
	for _, p := range left {
		a.left[p.PID] = true
	}
	a.tell(v1alpha1.Progress{Step: "evacuate", Detail: "leaving processes of pods that can't be killed", Error: describe(left)})
	return nil
}

func describe(left []v1alpha1.Process) string {
	var out []string
	for _, p := range left[:min(len(left), 5)] {
		out = append(out, fmt.Sprintf("%d (%s)", p.PID, path.Base(p.Exe)))
	}
	if more := len(left) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

func call[T any](ctx context.Context, limit time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

func call0(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
