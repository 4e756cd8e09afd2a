package facts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// TestUsersHoldNothingUp: what users keep in their homes may never answer. It costs a bounded
// time, and none of what root's own units and jobs call is missed for it.
func TestUsersHoldNothingUp(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Docker}.Build()
	n.Write("/etc/cron.d/prune", "0 3 * * * root docker system prune -f\n")
	for _, user := range []string{"a", "b", "c", "d"} {
		n.Dir("/home/"+user+"/.config/systemd/user", 0o755)
		n.HangPath("/home/" + user + "/.config")
	}
	n.Dir("/home/e/.config/systemd/user", 0o755)
	n.Lay(hosttest.File{Path: "/home/e/.config/systemd/user/pipe.service", Type: hosttest.Other})
	n.Link("/home/e/.config/systemd/user/to.service", "/home/a/.config/x")
	f, err := facts.Gather(t.Context(), n.Machine(), "node")
	if err != nil {
		t.Fatal(err)
	}
	if waits := n.Waits(); waits == 0 || waits > 2 {
		t.Errorf("waited %d times for what never answers", waits)
	}
	if !slices.ContainsFunc(f.Users.Calls, func(c v1alpha1.RuntimeCall) bool { return c.Path == "/etc/cron.d/prune" }) {
		t.Errorf("root's own job is missed: %+v", f.Users.Calls)
	}
	if !slices.ContainsFunc(f.Problems, func(p string) bool { return strings.Contains(p, "some did not answer") }) {
		t.Errorf("it isn't told: %q", f.Problems)
	}
}
