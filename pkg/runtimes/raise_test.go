package runtimes

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// containerd 2 ignores what a file of version 1 says of CRI.
func TestRaise(t *testing.T) {
	const shipped = "#   Licensed\n\ndisabled_plugins = [\"cri\"]\n\n#root = \"/var/lib/containerd\"\n"
	const raised = `
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
`
	for _, tt := range []struct {
		name, version, content string
		want                   string // the whole file; empty: refused
		findings               string
	}{
		{
			name: "as Docker ships it", version: "2.2.9", content: shipped,
			want:     "#   Licensed\n\ndisabled_plugins = []\nversion = 2\n\n#root = \"/var/lib/containerd\"\n" + raised,
			findings: "fixable R022, fixable R023",
		},
		{
			name: "for containerd 1", version: "1.7.28", content: shipped,
			want: "#   Licensed\n\ndisabled_plugins = []\n\n#root = \"/var/lib/containerd\"\n" +
				strings.ReplaceAll(raised, `"io.containerd.grpc.v1.cri"`, "cri"),
			findings: "fixable R022, fixable R023",
		},
		{
			name: "a plugin's short name", version: "2.2.9", content: `disabled_plugins = ["cri", "aufs"]` + "\n",
			findings: "fixable R022, fixable R023, error R029",
		},
		{
			name: "tables of version 1", version: "2.2.9", content: "[plugins.cri]\nsandbox_image = \"a/pause:1\"\n",
			findings: "fixable R023, error R029",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, map[string]string{"containerd": tt.version}, map[string]string{
				"/usr/lib/systemd/system/containerd.service": ctdUnitFile, containerdConfig: tt.content,
			})
			files, findings := configure(t, v1alpha1.Containerd, f, v1alpha1.Settings{})
			if got := ids(findings); got != tt.findings {
				t.Errorf("findings %s, want %s: %v", got, tt.findings, findings)
			}
			if tt.want != "" && files[containerdConfig] != tt.want {
				t.Errorf("got\n%s\nwant\n%s", files[containerdConfig], tt.want)
			}
		})
	}
}

// TestEnablesWhatMakesCRI: from 2.0 on the CRI plugin is three, and each of them may be disabled by its own name.
func TestEnablesWhatMakesCRI(t *testing.T) {
	for _, id := range []string{"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"} {
		f := factsOf(t, map[string]string{"containerd": "2.2.9"}, map[string]string{
			containerdConfig: "version = 3\ndisabled_plugins = ['" + id + "', 'io.containerd.snapshotter.v1.btrfs']\n",
		})
		files, findings := configure(t, v1alpha1.Containerd, f, v1alpha1.Settings{})
		if !strings.Contains(ids(findings), "fixable "+CRIDisabled) || strings.Contains(files[containerdConfig], "'"+id+"'") || !strings.Contains(files[containerdConfig], "v1.btrfs") {
			t.Errorf("%s: %s\n%s", id, ids(findings), files[containerdConfig])
		}
	}
}
