//go:build e2e

package e2e

import (
	"fmt"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestSelfRollback breaks a switch where nothing on the operator's side can mend it. The node must take itself back:
// Ready on what it had, schedulable, its pods running, its photograph as before, and nobody does anything.
func TestSelfRollback(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	t.Run("TargetDiesAtStart", func(t *testing.T) {
		selfRollback(t, pool, fault{
			// Staging starts the daemon with the configuration, but not its unit.
			plant: dropIn("crio.service", "ExecStartPre=/bin/false"), heal: reload,
			code: 3,
		})
	})
	t.Run("NetworkBroken", func(t *testing.T) {
		selfRollback(t, pool, fault{
			// The node will be Ready and pods in the host's network will run: only a pod of the pod network can tell.
			plant: func(t *testing.T, n *bed.Node) { breakNetwork(t, n, "crio") },
			args:  []string{"--confirm-timeout", "30s"},
			code:  3,
		})
	})
	t.Run("PluginKilled", func(t *testing.T) {
		selfRollback(t, pool, fault{
			args: []string{"--confirm-timeout", "30s"},
			arm: func(_ *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
				return func(t *testing.T, _ *bed.Bed, s *bed.Session, known []v1alpha1.Run) {
					ended(t, n, known, patience, v1alpha1.PhaseApplying, v1alpha1.PhaseApplied)
					s.Signal(syscall.SIGKILL)
				}
			},
			code: -1,
		})
	})
	for _, reboot := range []struct {
		name  string
		phase v1alpha1.Phase
		cut   bool
	}{
		{"RebootedWhileApplying", v1alpha1.PhaseApplying, false},
		{"PowerLostWhileApplying", v1alpha1.PhaseApplying, true},
		{"RebootedWhenApplied", v1alpha1.PhaseApplied, false},
	} {
		t.Run(reboot.name, func(t *testing.T) {
			selfRollback(t, pool, fault{
				plant: func(t *testing.T, n *bed.Node) {
					// A pod that takes its time to end holds the evacuation, so that the reboot falls into it.
					slow := bed.Web("e2e-slow", bed.ImageLocal, corev1.PullNever)
					slow.Spec.Containers[0].Args = []string{"serve", "-grace", "6s"}
					slow.Spec.TerminationGracePeriodSeconds = new(int64(12))
					bed.Open(t).StaticPod(t, n, slow)
				},
				arm: func(_ *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
					return func(t *testing.T, _ *bed.Bed, _ *bed.Session, known []v1alpha1.Run) {
						ended(t, n, known, patience, reboot.phase)
						if err := n.Reboot(t.Context(), reboot.cut); err != nil {
							t.Fatal(err)
						}
					}
				},
				code:    3,
				allowed: rebooted,
			})
		})
	}
}

// breakNetwork makes CNI ADD of the cluster's plugin fail for one runtime alone.
func breakNetwork(t *testing.T, n *bed.Node, parent string) {
	t.Helper()
	plugin := n.Sh(t, `echo "/usr/lib/cni/$(jq -r '.plugins[0].type // .type' "$(ls /etc/cni/net.d/*.conf* | head -n 1)")"`)
	n.Undo(t, fmt.Sprintf("[ ! -e %[1]s.e2e ] || mv %[1]s.e2e %[1]s", plugin))
	wrapper := fmt.Sprintf(`#!/bin/sh
if [ "$CNI_COMMAND" = ADD ] && [ "$(cat /proc/$PPID/comm)" = %s ]; then
	echo '{"cniVersion":"1.0.0","code":100,"msg":"broken for a test"}'
	exit 1
fi
exec %s.e2e
`, parent, plugin)
	n.Sh(t, fmt.Sprintf("mv %[1]s %[1]s.e2e", plugin))
	if _, err := n.RunIn(t.Context(), []byte(wrapper), fmt.Sprintf("cat >%[1]s; chmod 0755 %[1]s", plugin)); err != nil {
		t.Fatal(err)
	}
}
