package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// TestUntrustedPrograms: a program that others may write is not run, and stops the switch where it is one of the two sides'.
func TestUntrustedPrograms(t *testing.T) {
	for _, c := range []struct {
		name string
		lay  hosttest.File
		want string // a part of the message; empty: none
	}{
		{"root's alone", hosttest.File{Path: "/usr/bin/crio", Mode: 0o755}, ""},
		{"out of an archive", hosttest.File{Path: "/usr/bin/crio", Mode: 0o755, UID: 1001}, "others than root may write /usr/bin/crio"},
		{"for its group", hosttest.File{Path: "/usr/bin/containerd", Mode: 0o775}, "others than root may write /usr/bin/containerd"},
		{"in a directory for all", hosttest.File{Path: "/usr/bin", Type: v1alpha1.Directory, Mode: 0o1777}, "others than root may write /usr/bin, so /usr/bin/crio"},
		{"of a runtime that takes no part", hosttest.File{Path: "/usr/bin/dockerd", Mode: 0o755, UID: 1001}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker}}.Build()
			n.Lay(c.lay)
			f, err := facts.Gather(t.Context(), n.Machine(), "node1")
			if err != nil {
				t.Fatal(err)
			}
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range check.Switch(f, v, v1alpha1.CRIO) {
				if x.ID == "R014" && x.Severity == v1alpha1.SeverityError {
					got = append(got, x.Message)
				}
			}
			if said := slices.ContainsFunc(got, func(m string) bool { return strings.Contains(m, c.want) }); len(got) > 0 != (c.want != "") || c.want != "" && !said {
				t.Errorf("got %q", got)
			}
		})
	}
}
