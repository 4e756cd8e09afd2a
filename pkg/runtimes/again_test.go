package runtimes

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// What CRI-O doesn't let containers do is told, unless an operator allowed it.
func TestNarrower(t *testing.T) {
	const all = `default_capabilities = ["CHOWN", "NET_RAW", "CAP_MKNOD", "AUDIT_WRITE", "SETFCAP", "SYS_CHROOT"]` + "\n"
	for _, tt := range []struct {
		name, conf, printed string
		settings            v1alpha1.Settings
		want                []string
	}{
		{name: "by itself", want: []string{"AUDIT_WRITE, MKNOD, NET_RAW, SETFCAP, SYS_CHROOT"}},
		{name: "some", conf: `default_capabilities = ["NET_RAW", "SETFCAP"]` + "\n", want: []string{"capabilities AUDIT_WRITE, MKNOD, SYS_CHROOT by"}},
		{name: "allowed", conf: all},
		{name: "a limit that is built in", conf: all, printed: "# pids_limit = 1024\n", want: []string{"1024 processes"}},
		{name: "no limit that is built in", conf: all, printed: "# pids_limit = -1\n"},
		{name: "a limit of the operator", conf: all + "pids_limit = 2048\n", want: []string{"2048 processes"}},
		{name: "none by the operator", conf: all + "pids_limit = -1\n", printed: "# pids_limit = 1024\n"},
		{name: "limited before", conf: all + "pids_limit = 2048\n", settings: v1alpha1.Settings{PidsLimit: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, map[string]string{"crio": "1.24.6"}, map[string]string{
				"/usr/lib/systemd/system/crio.service": crioUnitTxt,
				"/etc/crio/crio.conf":                  "[crio.runtime]\n" + tt.conf,
				policyFile:                             "{}",
			})
			for i := range f.Runtimes {
				f.Runtimes[i].EffectiveConfig = tt.printed
			}
			_, findings := configure(t, v1alpha1.CRIO, f, tt.settings)
			if len(findings) != len(tt.want) {
				t.Fatalf("got %v, want %v", findings, tt.want)
			}
			for i, want := range tt.want {
				if x := findings[i]; x.ID != Narrower || x.Severity != v1alpha1.SeverityWarning || x.Hint == "" || !strings.Contains(x.Message, want) {
					t.Errorf("got %+v, want %q", x, want)
				}
			}
		})
	}
}

// One base spec that several handlers share is one finding.
func TestBaseSpecs(t *testing.T) {
	f := factsOf(t, map[string]string{"containerd": "2.2.9"}, map[string]string{containerdConfig: `version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.test-handler]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "/etc/containerd/other.json"
`})
	_, findings := containerdSettings(f)
	if ids(findings) != "warning R020, warning R020" {
		t.Fatalf("got %v", findings)
	}
	for i, want := range []struct{ message, evidence string }{
		{"the base spec /etc/containerd/cri-base.json (handlers: runc, test-handler) has no equal in other runtimes", containerdConfig + ":4"},
		{"the base spec /etc/containerd/other.json (handlers: other) has no equal in other runtimes", containerdConfig + ":10"},
	} {
		if x := findings[i]; x.Message != want.message || len(x.Evidence) != 1 || x.Evidence[0] != want.evidence {
			t.Errorf("got %+v, want %+v", x, want)
		}
	}
}

// Certificates that an earlier run brought to CRI-O out of a mirror's hosts.toml aren't carried back as a registry.
func TestCarriedCertificates(t *testing.T) {
	mirror := []v1alpha1.Mirror{{URL: "https://m.example", CAs: []string{"/etc/ssl/m.pem"}}}
	for _, tt := range []struct {
		name, ca string
		want     string
	}{
		{name: "ours", ca: "/etc/containers/certs.d/m.example/kubectl-runtime.crt"},
		{name: "an operator's", ca: "/etc/containers/certs.d/m.example/ca.crt", want: "fixable R026"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, map[string]string{"containerd": "2.2.9"}, map[string]string{
				"/usr/lib/systemd/system/containerd.service": ctdUnitFile,
				containerdConfig: "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n",
				containerdCerts + "/docker.io/hosts.toml": "[host.\"https://m.example\"]\nca = \"/etc/ssl/m.pem\"\n",
			})
			_, findings := configure(t, v1alpha1.Containerd, f, v1alpha1.Settings{Registries: []v1alpha1.Registry{
				{Host: "docker.io", Mirrors: mirror}, {Host: "m.example", CAs: []string{tt.ca}},
			}})
			if ids(findings) != tt.want {
				t.Errorf("got %v, want %q", findings, tt.want)
			}
		})
	}
}
