package runtimes

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

func TestRegistriesOfContainerd(t *testing.T) {
	v2 := "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n"
	for _, tt := range []struct {
		name, version string
		files         map[string]string
		want          []v1alpha1.Registry
		findings      string
	}{
		{
			name: "mirrors in the order of the file, with certificates", version: "1.7.28",
			files: map[string]string{containerdConfig: v2, containerdCerts + "/quay.io/hosts.toml": `server = "https://quay.io"
[host."https://b.example"]
  capabilities = ["pull"]
  client = [["b.cert", "b.key"]]
[host."https://a.example/v2/quay"]
  override_path = true
  ca = ["a.crt", "/etc/ssl/root.crt"]
  skip_verify = true
`},
			want: []v1alpha1.Registry{{Host: "quay.io", Source: containerdCerts + "/quay.io/hosts.toml", Mirrors: []v1alpha1.Mirror{
				{URL: "https://b.example", DigestOnly: true, Clients: []v1alpha1.ClientCert{{Cert: containerdCerts + "/quay.io/b.cert", Key: containerdCerts + "/quay.io/b.key"}}},
				{URL: "https://a.example/v2/quay", OverridePath: true, Insecure: true, CAs: []string{containerdCerts + "/quay.io/a.crt", "/etc/ssl/root.crt"}},
			}}},
		},
		{
			name: "a port in a directory's name, both spellings", version: "2.2.9",
			files: map[string]string{
				containerdConfig: v2,
				containerdCerts + "/lab.example_5000_/hosts.toml": "server = \"http://lab.example:5000\"\n",
				containerdCerts + "/x.example:80/hosts.toml":      "[host.\"http://x.example:80\"]\n",
			},
			want: []v1alpha1.Registry{
				{Host: "lab.example:5000", Insecure: true, Source: containerdCerts + "/lab.example_5000_/hosts.toml"},
				{Host: "x.example:80", Insecure: true, Source: containerdCerts + "/x.example:80/hosts.toml"},
			},
		},
		{
			name: "another server, the default for all, and headers", version: "2.2.9",
			files: map[string]string{
				containerdConfig:                         v2,
				containerdCerts + "/_default/hosts.toml": "[host.\"https://m.example\"]\n",
				containerdCerts + "/gcr.io/hosts.toml":   "server = \"https://gcr.corp.example\"\n[host.\"https://gcr.corp.example\".header]\n  authorization = \"Basic c2VjcmV0\"\n",
			},
			want: []v1alpha1.Registry{{
				Host: "gcr.io", Location: "gcr.corp.example", Source: containerdCerts + "/gcr.io/hosts.toml",
				Mirrors: []v1alpha1.Mirror{{URL: "https://gcr.corp.example"}},
			}},
			findings: "warning R020, warning R020",
		},
		{
			name: "Docker's layout, found by default from 2.2 on", version: "2.2.9",
			files: map[string]string{containerdConfig: "version = 3\n", dockerCerts + "/corp.example/ca.crt": "x", dockerCerts + "/corp.example/client.cert": "x", dockerCerts + "/corp.example/client.key": "x"},
			want: []v1alpha1.Registry{{
				Host: "corp.example", Source: dockerCerts + "/corp.example", CAs: []string{dockerCerts + "/corp.example/ca.crt"},
				Clients: []v1alpha1.ClientCert{{Cert: dockerCerts + "/corp.example/client.cert", Key: dockerCerts + "/corp.example/client.key"}},
			}},
		},
		{
			name: "the old tables", version: "1.6.38",
			files: map[string]string{containerdConfig: `version = 2
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
endpoint = ["https://m.example/v2/hub", "https://registry-1.docker.io"]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."*"]
endpoint = ["https://all.example"]
[plugins."io.containerd.grpc.v1.cri".registry.configs."lab.example".tls]
insecure_skip_verify = true
ca_file = "/etc/ssl/lab.crt"
[plugins."io.containerd.grpc.v1.cri".registry.configs."lab.example".auth]
username = "u"
password = "p"
`},
			want: []v1alpha1.Registry{
				{Host: "docker.io", Source: containerdConfig, Mirrors: []v1alpha1.Mirror{{URL: "https://m.example/v2/hub", OverridePath: true}}},
				{Host: "lab.example", Source: containerdConfig, Insecure: true, CAs: []string{"/etc/ssl/lab.crt"}},
			},
			findings: "warning R020, warning R020",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, map[string]string{"containerd": tt.version}, tt.files)
			s, findings := containerdSettings(f)
			if diff := cmp.Diff(tt.want, s.Registries); diff != "" {
				t.Errorf("registries (-want +got):\n%s", diff)
			}
			if got := ids(findings); got != tt.findings {
				t.Errorf("findings %q, want %q: %v", got, tt.findings, findings)
			}
		})
	}
}

func TestRegistriesOfCRIO(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
		registriesConf: "unqualified-search-registries = [\"quay.io\"]\n[[registry]]\nlocation = \"old.example\"\ninsecure = true\n",
		registriesDir + "/10-a.conf": `[[registry]]
prefix = "docker.io"
location = "hub.corp.example/dockerhub"
blocked = true
[[registry.mirror]]
location = "m.example/hub"
insecure = true
pull-from-mirror = "tag-only"
`,
		registriesDir + "/20-b.conf":           "[[registry]]\nlocation = \"old.example\"\n",
		registriesDir + "/README":              "[[registry]]\nlocation = \"not.read\"\ninsecure = true\n",
		containerCerts + "/corp.example/a.crt": "x",
	})
	s, _ := crioSettings(f)
	want := []v1alpha1.Registry{
		{Host: "corp.example", Source: containerCerts + "/corp.example", CAs: []string{containerCerts + "/corp.example/a.crt"}},
		{
			Host: "docker.io", Source: registriesDir + "/10-a.conf", Location: "hub.corp.example/dockerhub", Blocked: true,
			Mirrors: []v1alpha1.Mirror{{URL: "https://m.example/v2/hub", OverridePath: true, Insecure: true, TagOnly: true}},
		},
	}
	if diff := cmp.Diff(want, s.Registries); diff != "" {
		t.Errorf("registries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"quay.io"}, s.SearchRegistries); diff != "" {
		t.Errorf("search list (-want +got):\n%s", diff)
	}
}

func TestSettingsOfDocker(t *testing.T) {
	f := factsOf(t, map[string]string{"dockerd": "24.0.9", "cri-dockerd": "0.3.4"}, map[string]string{
		dockerConfig: `{
  "exec-opts": ["native.cgroupdriver=systemd"],
  "registry-mirrors": ["https://m.example/"],
  "insecure-registries": ["m.example", "10.0.0.0/8"],
  "log-opts": {"max-size": "20m", "max-file": "4"},
  "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}},
  "runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime", "runtimeArgs": ["--debug"]}},
  "default-runtime": "nvidia",
  "data-root": "/data/docker",
  "proxies": {"http-proxy": "http://u:pw@p.example:3128", "no-proxy": "localhost"},
  "authorization-plugins": ["opa"]
}
`,
		"/usr/lib/systemd/system/docker.service":     "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --insecure-registry=flag.example\n",
		"/usr/lib/systemd/system/cri-docker.service": "[Service]\nExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --cni-bin-dir /a,/b\n",
	})
	s, findings := dockerSettings(f)
	file, _ := f.File(dockerConfig)
	if len(s.Proxy) != 2 || s.Proxy[0].Text != "http://u:**@p.example:3128" || len(s.Proxy[0].Content) != 1 || s.Proxy[0].Content[0].From != dockerConfig ||
		file.Content[s.Proxy[0].Content[0].Start:s.Proxy[0].Content[0].End] != s.Proxy[0].Text {
		t.Errorf("proxies: %+v", s.Proxy)
	}
	s.Proxy = nil
	want := v1alpha1.Settings{
		CgroupDriver: "systemd", SandboxImage: "registry.k8s.io/pause:3.6", SearchRegistries: []string{"docker.io"},
		Registries: []v1alpha1.Registry{
			{Host: "docker.io", Source: dockerConfig, Mirrors: []v1alpha1.Mirror{{URL: "https://m.example", Insecure: true}}},
			{Host: "flag.example", Source: dockerConfig, Insecure: true},
			{Host: "m.example", Source: dockerConfig, Insecure: true},
		},
		OCIRuntimes: []v1alpha1.OCIRuntime{{Name: "nvidia", Path: "/usr/bin/nvidia-container-runtime"}}, DefaultOCIRuntime: "nvidia",
		LogMaxBytes: 20 << 20, LogMaxFiles: 4, Ulimits: []v1alpha1.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}},
		StoreRoot: "/data/docker", CNIConfDir: "/etc/cni/net.d", CNIBinDirs: []string{"/a", "/b"},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got := ids(findings); got != "warning R020, warning R020, warning R020" {
		t.Errorf("findings %s: %v", got, findings)
	}
}

func TestProxiesByFile(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
		"/usr/lib/systemd/system/crio.service":          crioUnitTxt,
		"/etc/systemd/system/crio.service.d/proxy.conf": "[Service]\nEnvironment=NO_PROXY=a,b \"HTTP_PROXY=http://u:p%%40w@x:1\"\n",
		"/etc/default/crio":                             "# site\nHTTPS_PROXY='http://u:secret@y:2'\nCRIO_STORAGE_OPTIONS=\"--root /data --runroot /run/data\"\n",
	})
	got := proxies(f, crioUnit)
	var texts []string
	for _, v := range got {
		s, err := resolve(f, v.Content)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, v.Name+"="+s)
	}
	want := []string{"HTTPS_PROXY=http://u:******@y:2", "HTTP_PROXY=http://u:******@x:1", "NO_PROXY=a,b"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
	if got, _ := command(f, v1alpha1.CRIO, "crio", crioUnit).flag("root"); got != "/data" {
		t.Errorf("--root is %q", got)
	}
}

func TestJSONSet(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"replaced where it stands", "{\n\t\"a\": 1,\n\t\"k\": [\"x\"]\n}\n", "{\n\t\"a\": 1,\n\t\"k\": [\"y\"]\n}\n"},
		{"added before the first", "{\n\t\"a\": 1\n}\n", "{\n\t\"k\": [\"y\"],\n\t\"a\": 1\n}\n"},
		{"added to nothing", "{}", "{\n  \"k\": [\"y\"]\n}"},
		{"on one line", `{"a": {"k": 2}}`, `{"k": ["y"], "a": {"k": 2}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, nil, nil)
			e := &dockerEdit{c: &changes{f: f}, f: f, draft: edit.NewDraft("x", tt.in)}
			e.set("", "k", []string{"y"})
			if e.err != nil {
				t.Fatal(e.err)
			}
			if diff := cmp.Diff(tt.want, e.draft.Text()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
