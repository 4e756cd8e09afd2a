package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// TestFixedAsPromised: what a rule about the host calls fixable, the plan does away with.
func TestFixedAsPromised(t *testing.T) {
	const record = "/var/lib/kubelet/instance-config.yaml"
	for _, tt := range []struct {
		name string
		node layout.Node
		id   string
		want map[string]string // a text in a file that the plan leaves behind
	}{
		{
			name: "what Docker set at each start", id: "H003",
			node: layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Docker, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Containerd}},
			want: map[string]string{runtimes.ModulesFile: "\nbr_netfilter\n", runtimes.SysctlFile: "net.ipv4.ip_forward = 1\n"},
		},
		{
			name: "a record that is out of date", id: "H010",
			node: layout.Node{
				Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO},
				Files: map[string]string{record: "containerRuntimeEndpoint: unix:///var/run/cri-dockerd.sock\n"},
			},
			want: map[string]string{record: "unix:///var/run/crio/crio.sock"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.Build(gather(t, tt.node), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(p.Findings, func(x v1alpha1.Finding) bool { return x.ID == tt.id && x.Severity == v1alpha1.SeverityFixable }) {
				t.Errorf("nothing fixable is told by %s: %+v", tt.id, p.Findings)
			}
			for name, text := range tt.want {
				i := slices.IndexFunc(p.After.Files, func(x v1alpha1.FileState) bool { return x.Path == name })
				if i < 0 {
					t.Errorf("the plan doesn't write %s", name)
					continue
				}
				var content strings.Builder
				for _, s := range p.After.Files[i].Content {
					content.WriteString(s.Text)
				}
				if !strings.Contains(content.String(), text) {
					t.Errorf("%s has no %q: %s", name, text, content.String())
				}
			}
		})
	}
}
