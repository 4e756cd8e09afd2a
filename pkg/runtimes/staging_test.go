package runtimes

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// stage configures a runtime and returns its staging instance with the masked contents of its files.
func stage(t *testing.T, name v1alpha1.RuntimeName, f *v1alpha1.Facts, s v1alpha1.Settings) (v1alpha1.Staging, map[string]string) {
	t.Helper()
	d, _ := Get(name)
	files, _, err := d.Configure(f, s, systemdKubelet)
	if err != nil {
		t.Fatal(err)
	}
	st := d.Staging(f, files)
	out := map[string]string{}
	for _, x := range st.Files {
		content := x.Content
		if x.After != "" {
			i := slices.IndexFunc(files, func(y v1alpha1.FileState) bool { return y.Path == x.After })
			content = files[i].Content
		}
		if out[x.Path], err = resolve(f, content); err != nil {
			t.Fatalf("%s: %v", x.Path, err)
		}
	}
	return st, out
}

func TestStagingOfContainerd(t *testing.T) {
	// What a staging instance must have, by the version of the file.
	want := map[int]map[string]string{
		1: {"state": "{dir}/state", "grpc.address": "{dir}/containerd.sock", "plugins.cri.cni.conf_dir": "{dir}/cni", "plugins.cri.registry.config_path": "{dir}/certs.d"},
		2: {"state": "{dir}/state", "ttrpc.address": "{dir}/containerd.sock.ttrpc", "plugins/io.containerd.grpc.v1.cri/cni/conf_dir": "{dir}/cni", "plugins/io.containerd.grpc.v1.cri/stream_server_port": "0"},
		3: {"state": "{dir}/state", "grpc.address": "{dir}/containerd.sock", "plugins/io.containerd.cri.v1.runtime/cni/conf_dir": "{dir}/cni", "plugins/io.containerd.cri.v1.images/registry/config_path": "{dir}/certs.d"},
		4: {"state": "{dir}/state", "plugins/io.containerd.server.v1.grpc/address": "{dir}/containerd.sock", "plugins/io.containerd.server.v1.metrics/address": "", "plugins/io.containerd.cri.v1.runtime/cni/conf_dir": "{dir}/cni"},
	}
	for version, main := range map[int]string{
		1: "root = \"/data/containerd\"\n[plugins.cri]\nsandbox_image = \"a/pause:1\"\n",
		2: "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"a/pause:1\"\nstream_server_port = \"10010\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://m\"]\n",
		3: "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'a/pause:1'\n",
		4: "version = 4\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'a/pause:1'\n[plugins.'io.containerd.server.v1.metrics']\naddress = ':1338'\n",
	} {
		f := factsOf(t, map[string]string{"containerd": map[int]string{1: "1.6.38", 2: "1.7.28", 3: "2.2.9", 4: "2.4.2"}[version]},
			map[string]string{containerdConfig: main, containerdCerts + "/q.example/hosts.toml": "server = \"https://q\"\n", containerdCerts + "/q.example/ca.crt": "x"})
		st, files := stage(t, v1alpha1.Containerd, f, v1alpha1.Settings{})
		got := parseTree(files["config.toml"])
		for key, value := range want[version] {
			sep := "."
			if strings.Contains(key, "/") {
				sep = "/"
			}
			if v, ok := got.get(strings.Split(key, sep)...); !ok || v != value {
				t.Errorf("version %d: %s is %v, want %q in\n%s", version, key, v, value, files["config.toml"])
			}
		}
		if _, ok := got.get("plugins", "io.containerd.grpc.v1.cri", "registry", "mirrors"); ok {
			t.Errorf("version %d: mirrors exclude certs.d:\n%s", version, files["config.toml"])
		}
		if version > 1 {
			if v, _ := got.boolean("plugins", "io.containerd.nri.v1.nri", "disable"); !v {
				t.Errorf("version %d: NRI is on", version)
			}
		}
		if version == 1 && got.str("root") != "/data/containerd" {
			t.Errorf("the store is %q", got.str("root"))
		}
		if v, _ := got.get("plugins", map[bool]string{true: "io.containerd.cri.v1.runtime", false: "io.containerd.grpc.v1.cri"}[version > 2], "containerd", "runtimes", "runc", "options", "SystemdCgroup"); version > 1 && v != true {
			t.Errorf("version %d: the instance doesn't have what the switch configures", version)
		}
		if diff := cmp.Diff([]string{"a/pause:1"}, st.Pinned); diff != "" {
			t.Error(diff)
		}
		if version == 3 && (files["certs.d/q.example/hosts.toml"] == "" || files["certs.d/q.example/ca.crt"] == "") {
			t.Errorf("certs.d isn't staged: %v", files)
		}
	}
}

// In 1.x an imported file that has the plugin's table replaces the main file's: it must be changed too.
func TestStagingOfImports(t *testing.T) {
	f := factsOf(t, map[string]string{"containerd": "1.7.28"}, map[string]string{
		containerdConfig:                "version = 2\nimports = [\"conf.d/*.toml\"]\n",
		"/etc/containerd/conf.d/x.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n",
		"/etc/containerd/conf.d/y.toml": "version = 2\n[grpc]\naddress = \"/run/mine.sock\"\n[debug]\naddress = \"/run/debug.sock\"\n",
	})
	_, files := stage(t, v1alpha1.Containerd, f, v1alpha1.Settings{})
	main, x, y := parseTree(files["config.toml"]), parseTree(files["conf.d/01-x.toml"]), parseTree(files["conf.d/02-y.toml"])
	if diff := cmp.Diff([]string{"{dir}/conf.d/01-x.toml", "{dir}/conf.d/02-y.toml"}, main.strs("imports")); diff != "" {
		t.Error(diff)
	}
	if x.str("plugins", "io.containerd.grpc.v1.cri", "cni", "conf_dir") != "{dir}/cni" {
		t.Errorf("the file that has the table sees the network:\n%s", files["conf.d/01-x.toml"])
	}
	if y.str("grpc", "address") != "{dir}/containerd.sock" || y.str("debug", "address") != "{dir}/debug.sock" {
		t.Errorf("the file that has the addresses keeps them:\n%s", files["conf.d/02-y.toml"])
	}
}

// Docker's containerd has its store open.
func TestStagingBesideDocker(t *testing.T) {
	f := factsOf(t, map[string]string{"containerd": "2.2.9", "ctr": "2.2.9"}, map[string]string{containerdConfig: "disabled_plugins = [\"cri\"]\n"})
	for i := range f.Runtimes {
		if f.Runtimes[i].Name == v1alpha1.Containerd {
			f.Runtimes[i].Processes = []v1alpha1.Process{{PID: 1, Exe: "/usr/bin/containerd", Argv: []string{"/usr/bin/containerd"}, Unit: containerdUnit}}
		}
	}
	st, files := stage(t, v1alpha1.Containerd, f, v1alpha1.Settings{})
	got := parseTree(files["config.toml"])
	if got.str("root") != "{dir}/root" || slices.Contains(got.strs("disabled_plugins"), "cri") || got.number("version") != 2 || len(st.Handover) != 2 {
		t.Errorf("%v %+v", files, st)
	}
	// The same containerd with its CRI on takes images in itself.
	for i := range f.Runtimes {
		if f.Runtimes[i].Name == v1alpha1.Containerd {
			f.Runtimes[i].CRI = &v1alpha1.CRIInfo{RuntimeReady: true, Endpoint: "unix:///run/containerd/containerd.sock"}
		}
	}
	if st, _ := stage(t, v1alpha1.Containerd, f, v1alpha1.Settings{}); st.Needed || st.Endpoint != "unix:///run/containerd/containerd.sock" {
		t.Errorf("%+v", st)
	}
}

func TestStagingOfCRIO(t *testing.T) {
	f := factsOf(t, map[string]string{"crio": "1.34.0"}, map[string]string{
		"/usr/lib/systemd/system/crio.service":          crioUnitTxt,
		"/etc/default/crio":                             "CRIO_STORAGE_OPTIONS=\"--root=/data --storage-opt overlay.mount_program=x\"\nCRIO_CONFIG_OPTIONS=\"--config /etc/crio/mine.conf\"\n",
		"/etc/crio/mine.conf":                           "[crio.image]\npause_image = \"a/pause:1\"\n",
		"/etc/crio/crio.conf.d/10-x.conf":               "[crio.metrics]\nenable_metrics = true\n",
		"/etc/systemd/system/crio.service.d/proxy.conf": "[Service]\nEnvironment=\"HTTP_PROXY=http://u:pw@p:1\"\n",
	})
	st, files := stage(t, v1alpha1.CRIO, f, v1alpha1.Settings{SearchRegistries: []string{"docker.io"}})
	want := []string{
		"/usr/bin/crio", "--config={dir}/crio.conf", "--config-dir={dir}/crio.conf.d", "--registries-conf={dir}/registries.conf",
		"--registries-conf-dir={dir}/registries.conf.d", "--root=/data", "--storage-opt=overlay.mount_program=x", "--listen={dir}/crio.sock", "--cni-config-dir={dir}/cni",
	}
	if diff := cmp.Diff(want, st.Argv); diff != "" {
		t.Errorf("argv (-want +got):\n%s", diff)
	}
	if files["crio.conf"] == "" || files["crio.conf.d/10-x.conf"] == "" || files["registries.conf.d/99-kubectl-runtime.conf"] == "" {
		t.Errorf("files: %v", files)
	}
	if _, ok := files["registries.conf"]; !ok {
		t.Error("the registries file that is named isn't staged")
	}
	last := slices.Max(slices.DeleteFunc(keysOf(files), func(s string) bool { return !strings.HasPrefix(s, "crio.conf.d/") }))
	if last != "crio.conf.d/zzz-kubectl-runtime-staging.conf" {
		t.Errorf("%s has the last word", last)
	}
	if st.EnvFile != "proxy.env" || files["proxy.env"] != "HTTP_PROXY=http://u:**@p:1\n" {
		t.Errorf("proxies: %q", files["proxy.env"])
	}
	if diff := cmp.Diff([]string{"a/pause:1"}, st.Pinned); diff != "" {
		t.Error(diff)
	}
}

func TestStagingOfDocker(t *testing.T) {
	f := factsOf(t, map[string]string{"dockerd": "28.5.2", "cri-dockerd": "0.4.2"}, map[string]string{
		"/usr/lib/systemd/system/docker.service":     "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --data-root /data\n",
		"/usr/lib/systemd/system/cri-docker.service": "[Service]\nExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd://\n",
		dockerConfig: "{\n  \"live-restore\": true,\n  \"metrics-addr\": \":9323\",\n  \"hosts\": [\"tcp://0.0.0.0:2375\"]\n}\n",
	})
	st, files := stage(t, v1alpha1.Docker, f, v1alpha1.Settings{SandboxImage: "a/pause:1"})
	for _, want := range []string{`"hosts": ["unix://{dir}/docker.sock"]`, `"live-restore": false`, `"metrics-addr": ""`, `"iptables": false`, `"bridge": "none"`} {
		if !strings.Contains(files["daemon.json"], want) {
			t.Errorf("no %s in\n%s", want, files["daemon.json"])
		}
	}
	if diff := cmp.Diff([]string{"/usr/bin/dockerd", "--config-file={dir}/daemon.json", "--data-root=/data"}, st.Argv); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a/pause:1"}, st.Pinned); diff != "" {
		t.Error(diff)
	}
}

func keysOf(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
