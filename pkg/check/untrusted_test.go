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

// TestUntrustedPrograms: a program that others may write is not run, and stops the switch where it is the kubelet's or one of the two
// sides' that the switch needs.
func TestUntrustedPrograms(t *testing.T) {
	for _, c := range []struct {
		name string
		lay  hosttest.File
		to   v1alpha1.RuntimeName
		want string // a part of the message; empty: none
		warn bool
	}{
		{"root's alone", hosttest.File{Path: "/usr/bin/crio", Mode: 0o755}, v1alpha1.CRIO, "", false},
		{"out of an archive", hosttest.File{Path: "/usr/bin/crio", Mode: 0o755, UID: 1001}, v1alpha1.CRIO, "others than root may write /usr/bin/crio", false},
		{"for its group", hosttest.File{Path: "/usr/bin/containerd", Mode: 0o775}, v1alpha1.CRIO, "others than root may write /usr/bin/containerd", false},
		{"in a directory for all", hosttest.File{Path: "/usr/bin", Type: v1alpha1.Directory, Mode: 0o1777}, v1alpha1.CRIO, "others than root may write /usr/bin, so /usr/bin/crio", false},
		{"of a runtime that takes no part", hosttest.File{Path: "/usr/bin/dockerd", Mode: 0o755, UID: 1001}, v1alpha1.CRIO, "", false},
		{"a daemon of the target", hosttest.File{Path: "/usr/bin/cri-dockerd", Mode: 0o755, UID: 1001}, v1alpha1.Docker, "so /usr/bin/cri-dockerd of docker is not run", false},
		{"what starts containers", hosttest.File{Path: "/usr/bin/runc", Mode: 0o755, UID: 1001}, v1alpha1.CRIO, "so /usr/bin/runc of containerd is not run", false},
		{"a client of people", hosttest.File{Path: "/usr/bin/docker", Mode: 0o755, UID: 1001}, v1alpha1.Docker, "so /usr/bin/docker of docker is not run", true},
		{"the kubelet", hosttest.File{Path: "/usr/bin/kubelet", Mode: 0o755, UID: 1001}, v1alpha1.CRIO, "so /usr/bin/kubelet is not asked for its version", false},
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
			severity := v1alpha1.SeverityError
			if c.warn {
				severity = v1alpha1.SeverityWarning
			}
			var got []string
			for _, x := range check.Switch(f, v, c.to) {
				if x.ID != "R014" {
					continue
				}
				got = append(got, x.Message)
				if x.Severity != severity {
					t.Errorf("%s: %s", x.Severity, x.Message)
				}
			}
			if said := slices.ContainsFunc(got, func(m string) bool { return strings.Contains(m, c.want) }); len(got) > 0 != (c.want != "") || c.want != "" && !said {
				t.Errorf("got %q", got)
			}
		})
	}
}
