package runtimes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const crioOwnPath = "/etc/crio/crio.conf.d/99-kubectl-runtime.conf"

// What the target's own configuration gives already stays as it is, and no file is written.
func TestNothingToConfigure(t *testing.T) {
	s := v1alpha1.Settings{
		SandboxImage: "registry.k8s.io/pause:3.10", SearchRegistries: []string{"docker.io"},
		CNIConfDir: "/etc/cni/net.d/", CNIBinDirs: []string{"/opt/cni/bin/"},
		Registries: []v1alpha1.Registry{
			{Host: "docker.io", Mirrors: []v1alpha1.Mirror{{URL: "https://m.example"}}},
			{Host: "lab.example", Insecure: true},
		},
		Proxy: []v1alpha1.Variable{{Name: "HTTP_PROXY", Text: "http://p:1", Content: text("http://p:1")}},
	}
	nodes := map[v1alpha1.RuntimeName]*v1alpha1.Facts{
		v1alpha1.CRIO: factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
			"/usr/lib/systemd/system/crio.service":      crioUnitTxt,
			"/etc/systemd/system/crio.service.d/p.conf": "[Service]\nEnvironment=HTTP_PROXY=http://p:1\n",
			"/etc/crio/crio.conf.d/10.conf":             "[crio.image]\npause_image = \"registry.k8s.io/pause:3.10\"\n[crio.runtime]\ndefault_capabilities = [\"AUDIT_WRITE\", \"MKNOD\", \"NET_RAW\", \"SETFCAP\", \"SYS_CHROOT\"]\n",
			registriesConf:                              "unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"m.example\"\n[[registry]]\nlocation = \"lab.example\"\ninsecure = true\n",
		}),
		v1alpha1.Containerd: factsOf(t, map[string]string{"containerd": "2.2.9"}, map[string]string{
			"/usr/lib/systemd/system/containerd.service":      ctdUnitFile,
			"/etc/systemd/system/containerd.service.d/p.conf": "[Service]\nEnvironment=HTTP_PROXY=http://p:1\n",
			containerdConfig: `version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = 'registry.k8s.io/pause:3.10'
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = '/etc/containerd/certs.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = true
`,
			containerdCerts + "/docker.io/hosts.toml":   "[host.\"https://m.example\"]\n",
			containerdCerts + "/lab.example/hosts.toml": "server = \"http://lab.example\"\n",
		}),
		v1alpha1.Docker: factsOf(t, map[string]string{"dockerd": "28.5.2", "cri-dockerd": "0.4.2"}, map[string]string{
			"/usr/lib/systemd/system/docker.service":      "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n",
			"/usr/lib/systemd/system/cri-docker.service":  "[Service]\nExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd://\n",
			"/etc/systemd/system/docker.service.d/p.conf": "[Service]\nEnvironment=HTTP_PROXY=http://p:1\n",
			dockerConfig: `{"registry-mirrors": ["https://m.example"], "insecure-registries": ["lab.example"], "log-opts": {"max-size": "1m"}}`,
		}),
	}
	for name, f := range nodes {
		t.Run(string(name), func(t *testing.T) {
			files, findings := configure(t, name, f, s)
			if len(files) > 0 || len(findings) > 0 {
				t.Errorf("files %v, findings %v", files, findings)
			}
		})
	}
}

// Where an operator configured the target otherwise, that wins.
func TestOperatorWins(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
		"/usr/lib/systemd/system/crio.service":      crioUnitTxt,
		"/etc/systemd/system/crio.service.d/p.conf": "[Service]\nEnvironment=HTTP_PROXY=http://mine:1\n",
		"/etc/crio/crio.conf":                       "[crio.image]\npause_image = \"corp.example/pause:1\"\n[crio.runtime]\ndefault_runtime = \"kata\"\n",
		registriesConf:                              "unqualified-search-registries = [\"quay.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"hub.corp.example\"\n",
	})
	files, findings := configure(t, v1alpha1.CRIO, f, v1alpha1.Settings{
		SandboxImage: "registry.k8s.io/pause:3.9", SearchRegistries: []string{"docker.io"}, DefaultOCIRuntime: "nvidia",
		Registries: []v1alpha1.Registry{{Host: "docker.io", Mirrors: []v1alpha1.Mirror{{URL: "https://m.example"}}}},
		Proxy:      []v1alpha1.Variable{{Name: "HTTP_PROXY", Text: "http://p:1", Content: text("http://p:1")}},
	})
	if len(files) > 0 {
		t.Errorf("files: %v", files)
	}
	if got := ids(findings); got != "warning R024, warning R021, warning R031, warning R021, warning R021" {
		t.Errorf("findings %s: %v", got, findings)
	}
}

func TestConfigureCRIO(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0", "runc": "1.1.12"}, map[string]string{
		"/usr/lib/systemd/system/crio.service": crioUnitTxt,
		"/etc/crio/crio.conf":                  "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\nconmon_cgroup = \"\"\n",
		"/etc/ssl/ca.pem":                      "PEM",
	})
	files, findings := configure(t, v1alpha1.CRIO, f, v1alpha1.Settings{
		OCIRuntimes: []v1alpha1.OCIRuntime{{Name: "gvisor", Type: "io.containerd.runsc.v1"}, {Name: "nvidia", Path: "/usr/bin/nv"}},
		Ulimits:     []v1alpha1.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}},
		Registries: []v1alpha1.Registry{
			{Host: "a.example", Mirrors: []v1alpha1.Mirror{{URL: "https://m.example/proxy"}, {URL: "https://n.example/v2/a", OverridePath: true, DigestOnly: true}}},
			{Host: "ca.example", CAs: []string{"/etc/ssl/ca.pem"}},
		},
	})
	want := map[string]string{
		crioOwnPath: `# Written by kubectl runtime.

[crio.runtime]
cgroup_manager = "systemd"
default_runtime = "runc"
default_ulimits = ["nofile=1:2"]

[crio.runtime.runtimes.nvidia]
runtime_path = "/usr/bin/nv"
runtime_type = "oci"
runtime_root = "/run/nv"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/bin/runc"
`,
		registriesDir + "/" + crioOwn: `# Written by kubectl runtime: as the runtime that CRI-O replaced fetched images.

[[registry]]
prefix = "a.example"
location = "a.example"

[[registry.mirror]]
location = "n.example/a"
pull-from-mirror = "digest-only"
`,
		containerCerts + "/ca.example/kubectl-runtime.crt": "PEM",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := ids(findings); got != "fixable R023, warning R028, fixable R028, fixable R028, warning R031, warning R020, fixable R026" {
		t.Errorf("findings %s: %v", got, findings)
	}
}

// A file that sorts behind ours would overrule it.
func TestOverruled(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
		"/usr/lib/systemd/system/crio.service": crioUnitTxt,
		"/etc/crio/crio.conf.d/zz-local":       "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\n",
	})
	_, findings := configure(t, v1alpha1.CRIO, f, v1alpha1.Settings{})
	if got := ids(findings); !strings.Contains(got, "error R029") {
		t.Errorf("findings %s: %v", got, findings)
	}
}

func TestConfigureContainerd(t *testing.T) {
	main := containerdConfig
	for _, tt := range []struct {
		name, version string
		files, want   map[string]string
		settings      v1alpha1.Settings
		findings      string
	}{
		{
			name: "a drop-in of ours where drop-ins are merged", version: "2.2.9",
			files: map[string]string{main: "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n"},
			want: map[string]string{"/etc/containerd/conf.d/99-kubectl-runtime.toml": `# Written by kubectl runtime.
version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = true
`},
			findings: "fixable R023",
		},
		{
			name: "the main file of 1.7, whose drop-ins replace whole tables", version: "1.7.28",
			files: map[string]string{main: "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"] # ops\n"},
			want: map[string]string{main: `version = 2
imports = ["/etc/containerd/conf.d/*.toml"] # ops

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
`},
			findings: "fixable R023",
		},
		{
			name: "the file that has the table in 1.7", version: "1.7.28",
			files: map[string]string{
				main:                            "version = 2\nimports = [\"conf.d/*.toml\"]\n",
				"/etc/containerd/conf.d/a.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x/pause:1\"\n",
			},
			want: map[string]string{"/etc/containerd/conf.d/a.toml": `version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "x/pause:1"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
`},
			findings: "fixable R023",
		},
		{
			name: "what disables the plugin goes, in whatever file", version: "2.2.9",
			files: map[string]string{
				main:                            "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.zfs\"]\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n",
				"/etc/containerd/conf.d/a.toml": "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
			},
			want: map[string]string{
				main:                            "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\ndisabled_plugins = [\"io.containerd.snapshotter.v1.zfs\"]\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n",
				"/etc/containerd/conf.d/a.toml": "version = 2\ndisabled_plugins = []\n",
			},
			findings: "fixable R022, fixable R022",
		},
		{
			name: "a version 1 file", version: "1.6.38",
			files: map[string]string{main: "disabled_plugins = [\"cri\"]\n"},
			want: map[string]string{main: `disabled_plugins = []

[plugins.cri.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.cri.containerd.runtimes.runc.options]
SystemdCgroup = true
`},
			findings: "fixable R022, fixable R023",
		},
		{
			name: "registries beside the old tables", version: "1.7.28",
			files: map[string]string{main: "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"quay.io\"]\nendpoint = [\"https://q.example\"]\n"},
			settings: v1alpha1.Settings{Registries: []v1alpha1.Registry{
				{Host: "quay.io", Mirrors: []v1alpha1.Mirror{{URL: "https://q.example"}}},
				{Host: "docker.io", Mirrors: []v1alpha1.Mirror{{URL: "http://m.example", Insecure: true}}},
			}},
			want:     map[string]string{main: "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"quay.io\"]\nendpoint = [\"https://q.example\"]\n\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"http://m.example\"]\n"},
			findings: "fixable R026",
		},
		{
			name: "network directories, by the key that the version knows", version: "2.4.2",
			files: map[string]string{
				main:                  "version = 4\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/usr/lib/cni']\n",
				"/opt/cni/bin/calico": "x", "/usr/lib/cni/bridge": "x",
			},
			settings: v1alpha1.Settings{CNIConfDir: "/etc/kubernetes/cni", CNIBinDirs: []string{"/opt/cni/bin"}},
			want:     map[string]string{main: "version = 4\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/opt/cni/bin', '/usr/lib/cni']\nconf_dir = '/etc/kubernetes/cni'\n"},
			findings: "fixable R025, fixable R025",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.files["/usr/lib/systemd/system/containerd.service"] = ctdUnitFile
			files, findings := configure(t, v1alpha1.Containerd, factsOf(t, map[string]string{"containerd": tt.version}, tt.files), tt.settings)
			if diff := cmp.Diff(tt.want, files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if got := ids(findings); got != tt.findings {
				t.Errorf("findings %q, want %q: %v", got, tt.findings, findings)
			}
		})
	}
}

// A file that can't be read is refused, and nothing is written.
func TestUnreadable(t *testing.T) {
	for name, f := range map[v1alpha1.RuntimeName]*v1alpha1.Facts{
		v1alpha1.Containerd: factsOf(t, map[string]string{"containerd": "2.2.9"}, map[string]string{containerdConfig: "version = = 3\n"}),
		v1alpha1.CRIO:       factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{"/etc/crio/crio.conf.d/10.conf.bak": "not toml\n"}),
		v1alpha1.Docker:     factsOf(t, map[string]string{"dockerd": "28.5.2"}, map[string]string{dockerConfig: "{,}"}),
	} {
		files, findings := configure(t, name, f, v1alpha1.Settings{SandboxImage: "x"})
		if got := ids(findings); got != "error R029" || len(files) > 0 {
			t.Errorf("%s: findings %s, files %v", name, got, files)
		}
	}
}

func TestSpokenCRI(t *testing.T) {
	for _, tt := range []struct {
		name    v1alpha1.RuntimeName
		version string
		kubelet int
		want    string
		ok      bool
	}{
		{v1alpha1.Containerd, "1.5.18", 22, "v1alpha2", true},
		{v1alpha1.Containerd, "1.5.18", 25, "v1alpha2", true},
		{v1alpha1.Containerd, "1.5.18", 26, "v1", false},
		{v1alpha1.Containerd, "1.6.20~ds1", 26, "v1", true},
		{v1alpha1.Containerd, "2.0.0", 22, "v1alpha2", false},
		{v1alpha1.CRIO, "1.25.5", 22, "v1alpha2", true},
		{v1alpha1.CRIO, "1.26.4", 22, "v1alpha2", false},
		{v1alpha1.CRIO, "1.26.4", 23, "v1", true},
		{v1alpha1.Docker, "0.2.6", 24, "v1alpha2", true},
		{v1alpha1.Docker, "0.2.6", 26, "v1", false},
		{v1alpha1.Docker, "0.4.1", 20, "v1alpha2", true},
		{v1alpha1.Docker, "0.4.2", 20, "v1alpha2", false},
	} {
		binary := map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "containerd", v1alpha1.CRIO: "crio", v1alpha1.Docker: "cri-dockerd"}[tt.name]
		got, ok := SpokenCRI(factsOf(t, map[string]string{binary: tt.version}, nil), tt.name, tt.kubelet)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s %s, kubelet 1.%d: %s %v, want %s %v", tt.name, tt.version, tt.kubelet, got, ok, tt.want, tt.ok)
		}
	}
}

// Without a policy CRI-O pulls nothing; where it is told a file that isn't there, only an operator knows what was meant.
func TestSignaturePolicy(t *testing.T) {
	files := map[string]string{"/usr/lib/systemd/system/crio.service": crioUnitTxt}
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, files)
	f.Files = append(f.Files, v1alpha1.File{Path: policyFile, Type: v1alpha1.Absent})
	got, findings := configure(t, v1alpha1.CRIO, f, v1alpha1.Settings{})
	if !strings.Contains(got[policyFile], "insecureAcceptAnything") || ids(findings) != "warning R031, fixable R030" {
		t.Errorf("files %v, findings %v", got, findings)
	}
	if st, _ := stage(t, v1alpha1.CRIO, f, v1alpha1.Settings{}); !strings.Contains(strings.Join(st.Argv, " "), "--signature-policy={dir}/policy.json") {
		t.Errorf("the instance would pull nothing: %v", st.Argv)
	}
	files["/etc/crio/crio.conf"] = "[crio.image]\nsignature_policy = \"/etc/crio/mine.json\"\n"
	f = factsOf(t, map[string]string{"crio": "1.34.0"}, files)
	f.Files = append(f.Files, v1alpha1.File{Path: "/etc/crio/mine.json", Type: v1alpha1.Absent})
	if _, findings := configure(t, v1alpha1.CRIO, f, v1alpha1.Settings{}); ids(findings) != "warning R031, error R030" {
		t.Errorf("findings %v", findings)
	}
}
