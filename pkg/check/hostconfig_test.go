package check_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

const (
	cni        = "/etc/cni/net.d/"
	ctdConfig  = "/etc/containerd/config.toml"
	siteCRIO   = "/etc/crio/crio.conf.d/20-site.conf"
	extraFlags = "/etc/default/kubelet"
)

func bridge(name string) string { return `{"name": "` + name + `", "plugins": [{"type": "bridge"}]}` }

func TestNetworks(t *testing.T) {
	node := func(runtime v1alpha1.RuntimeName, files map[string]string) layout.Node {
		return layout.Node{Runtime: runtime, Files: files}
	}
	named := map[string]string{siteCRIO: "[crio.network]\ncni_default_network = \"site\"\n", cni + "50-site.conflist": bridge("site")}
	for _, c := range []hostCase{
		{name: "others behind the cluster's", node: node(v1alpha1.Containerd, map[string]string{cni + "87-podman-bridge.conflist": bridge("podman"), cni + "99-loopback.conf": `{"name": "lo", "type": "loopback"}`})},
		{name: "a bridge before the cluster's", node: node(v1alpha1.Containerd, map[string]string{cni + "05-crio.conflist": bridge("crio")}), want: "warning H006", says: "k8s-pod-network", shows: "05-crio.conflist"},
		{name: "a bridge alone is the cluster's", node: node(v1alpha1.Containerd, map[string]string{cni + "05-crio.conflist": bridge("crio"), cni + "10-calico.conflist": ""})},
		{name: "Multus before the cluster's", node: node(v1alpha1.Containerd, map[string]string{cni + "00-multus.conf": `{"name": "multus", "type": "tuning"}`})},
		{name: "a file that isn't valid, left by what steps over it", node: node(v1alpha1.CRIO, map[string]string{cni + "00-old.conflist": "{"}), to: v1alpha1.Containerd, want: "error H006", says: "not valid JSON", shows: "00-old.conflist"},
		{name: "a file that isn't valid, behind the cluster's", node: node(v1alpha1.CRIO, map[string]string{cni + "90-old.conflist": "{"}), to: v1alpha1.Containerd},
		{name: "a file that isn't valid, met by what steps over it", node: node(v1alpha1.CRIO, map[string]string{cni + "00-old.conflist": "{"}), to: v1alpha1.Docker},
		{name: "a plugin that isn't installed", node: node(v1alpha1.CRIO, map[string]string{cni + "00-weave.conflist": `{"name": "weave", "plugins": [{"type": "weave-net"}]}`}), to: v1alpha1.Containerd, want: "warning H006", says: "weave (weave-net), and now it is k8s-pod-network", shows: "00-weave.conflist"},
		{name: "a name that the old runtime is told", node: node(v1alpha1.CRIO, named), to: v1alpha1.Containerd, want: "warning H006", says: "now it is site"},
		{name: "a name that the target is told", node: node(v1alpha1.Containerd, named), to: v1alpha1.CRIO, want: "warning H006", says: "another network: site"},
		{name: "a name that nothing has", node: node(v1alpha1.Containerd, map[string]string{siteCRIO: named[siteCRIO]}), to: v1alpha1.CRIO, want: "error H006", says: "to use the network site"},
		{name: "the cluster's own name", node: node(v1alpha1.Containerd, map[string]string{siteCRIO: "[crio.network]\ncni_default_network = \"k8s-pod-network\"\n"}), to: v1alpha1.CRIO},
		{name: "several networks a pod", node: node(v1alpha1.Containerd, map[string]string{cni + "50-site.conflist": bridge("site")}), change: func(f *v1alpha1.Facts) {
			r := runtimeOf(f, v1alpha1.Containerd)
			r.EffectiveConfig = strings.ReplaceAll(r.EffectiveConfig, "bin_dir =", "max_conf_num = 0\n      bin_dir =")
			r.EffectiveConfig = strings.ReplaceAll(r.EffectiveConfig, "bin_dirs =", "max_conf_num = 0\n      bin_dirs =")
		}, want: "warning H006", says: "2 networks"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestContainerdsOwn(t *testing.T) {
	resting := layout.Node{Runtime: v1alpha1.CRIO}
	images := `plugins."io.containerd.grpc.v1.cri"`
	mirrors := "\n[" + images + `.registry.mirrors."docker.io"]` + "\nendpoint = [\"https://m.example\"]\n"
	path := edited(ctdConfig, `config_path = ""`, `config_path = "/etc/containerd/certs.d"`)
	named := func(old, text string) func(*v1alpha1.Facts) { return edited(ctdConfig, old, text) }
	for _, c := range []hostCase{
		{name: "as it was printed once", node: resting},
		{name: "mirrors and config_path", node: resting, change: all(path, appended(ctdConfig, mirrors)), want: "error H007, warning H008", says: "registry.mirrors together with registry.config_path", shows: ctdConfig + ":"},
		{name: "mirrors alone", node: resting, change: appended(ctdConfig, mirrors), want: "warning H008", says: "registry.mirrors", shows: ctdConfig + ":"},
		{name: "config_path alone", node: resting, change: path},
		{name: "certificates and config_path in 1.7", node: resting, change: all(path, target(v1alpha1.Containerd, "containerd", "1.7.28"),
			appended(ctdConfig, "\n["+images+".registry.configs.\"r.example\".tls]\nca_file = \"/ca\"\n")), want: "error H007, warning H008", says: "with tls"},
		{name: "a file of a newer version", node: resting, change: named("version = 2", "version = 4"), want: "error H007", says: "of version 4"},
		{name: "a file of a newer version and a containerd that doesn't look", node: layout.Node{Kubelet: "1.31.14", Runtime: v1alpha1.CRIO}, change: all(named("version = 2", "version = 3"), target(v1alpha1.Containerd, "containerd", "1.6.20~ds1")), want: "error H007", says: "ignores what is said of CRI in a file of version 3"},
		{name: "the version that 1.7 reads", node: resting, change: target(v1alpha1.Containerd, "containerd", "1.7.28")},
		{name: "a snapshotter that is gone", node: resting, change: named(`  sandbox_image`, "  containerd.snapshotter = \"aufs\"\n  sandbox_image"), want: "error H007", says: "aufs"},
		{name: "a shim that is gone", node: resting, change: named("io.containerd.runc.v2", "io.containerd.runc.v1"), want: "error H007", says: "io.containerd.runc.v1"},
		{name: "a handler whose shim is gone", node: resting, change: appended(ctdConfig, "\n["+images+".containerd.runtimes.old]\nruntime_type = \"io.containerd.runtime.v1.linux\"\n"), want: "warning H008", says: "handler old"},
		{name: "a shim that 1.7 has", node: resting, change: all(named("io.containerd.runc.v2", "io.containerd.runc.v1"), target(v1alpha1.Containerd, "containerd", "1.7.28"))},
		{name: "a plugin that CRI needs", node: resting, change: named("imports = []", "disabled_plugins = [\"io.containerd.snapshotter.v1.overlayfs\"]"), want: "error H007", says: "snapshotter.v1.overlayfs"},
		{name: "a plugin that CRI doesn't need", node: resting, change: named("imports = []", "disabled_plugins = [\"io.containerd.snapshotter.v1.btrfs\"]")},
		{name: "a key without effect", node: resting, change: named("  sandbox_image", "  systemd_cgroup = true\n  sandbox_image"), want: "warning H008", says: "ignores what its configuration says of systemd_cgroup"},
		{name: "a key that will have none", node: resting, change: all(named("  sandbox_image", "  systemd_cgroup = true\n  sandbox_image"), target(v1alpha1.Containerd, "containerd", "1.7.28")), want: "warning H008", says: "a later containerd"},
		{name: "what the daemon says itself", node: resting, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Containerd).Deprecations = []v1alpha1.Deprecation{
				{ID: "io.containerd.deprecation/nri-v010-plugin", Message: "NRI plugins of the first kind will go."},
				{ID: "io.containerd.deprecation/cgroup-v1", Message: "so will cgroup v1"},
			}
		}, want: "warning H008", says: "containerd itself warns: NRI"},
		{name: "what the daemon that is left says", change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Containerd).Deprecations = []v1alpha1.Deprecation{{ID: "io.containerd.deprecation/nri-v010-plugin", Message: "x"}}
		}},

		{name: "a containerd that is tested", node: layout.Node{Kubelet: "1.35.4", Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: target(v1alpha1.Containerd, "containerd", "1.7.28")},
		{name: "an older patch", node: layout.Node{Kubelet: "1.35.4", Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: target(v1alpha1.Containerd, "containerd", "2.1.4"), want: "warning R009", says: "2.1.4"},
		{name: "a line that isn't", node: layout.Node{Kubelet: "1.35.4", Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: target(v1alpha1.Containerd, "containerd", "2.0.9"), want: "warning R009"},
		{name: "a newer line than any", node: layout.Node{Kubelet: "1.35.4", Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: target(v1alpha1.Containerd, "containerd", "2.4.2")},
		{name: "Debian's", node: layout.Node{Kubelet: "1.31.14", Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: target(v1alpha1.Containerd, "containerd", "1.6.20~ds1")},
	} {
		if c.to == "" && c.node.Runtime == v1alpha1.CRIO {
			c.to = v1alpha1.Containerd
		}
		t.Run(c.name, c.run)
	}
}

func TestToldTheKubelet(t *testing.T) {
	kind := layout.Node{Installer: layout.Kind}
	for _, c := range []hostCase{
		{name: "a flag that kubeadm takes out of its own file", node: kind},
		{name: "the same flag elsewhere", change: func(f *v1alpha1.Facts) {
			appended(extraFlags, "KUBELET_EXTRA_ARGS=--pod-infra-container-image=x\n")(f)
			f.Kubelet.Argv = append(f.Kubelet.Argv, "--pod-infra-container-image=x")
		}, want: "warning H009", says: "kubelet 1.35 doesn't know --pod-infra-container-image", shows: extraFlags + ":2"},
		{name: "a flag that is gone already", change: func(f *v1alpha1.Facts) {
			appended(extraFlags, "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")(f)
		}, want: "error H009", says: "kubelet 1.34.4 doesn't know --network-plugin", shows: extraFlags + ":2"},
		{name: "a flag that a vendor's kubelet still has", change: func(f *v1alpha1.Facts) {
			appended(extraFlags, "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")(f)
			f.Kubelet.Argv = append(f.Kubelet.Argv, "--network-plugin=cni")
		}},
		{name: "a flag that the one after next drops", change: func(f *v1alpha1.Facts) {
			appended(extraFlags, "KUBELET_EXTRA_ARGS=--containerd=/run/containerd/containerd.sock\n")(f)
		}},

		{name: "a record that is out of date", change: edited("/var/lib/kubelet/instance-config.yaml", "containerd/containerd.sock", "crio/crio.sock"), want: "fixable H010", says: "crio.sock", shows: "/var/lib/kubelet/instance-config.yaml:1"},
		{name: "a record in another spelling", change: edited("/var/lib/kubelet/instance-config.yaml", "unix:///var/run/", "unix:///run/")},
	} {
		t.Run(c.name, c.run)
	}
}

func TestSELinuxOfContainers(t *testing.T) {
	enforcing := func(f *v1alpha1.Facts) { f.Machine.SELinux = "enforcing" }
	docker, crio := layout.Node{Runtime: v1alpha1.Docker}, layout.Node{Runtime: v1alpha1.CRIO}
	kernel := all(appended("/etc/sysctl.conf", "net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\nnet.bridge.bridge-nf-call-ip6tables=1\n"), func(f *v1alpha1.Facts) {
		f.Files = append(f.Files, v1alpha1.File{Path: "/etc/modules-load.d/k8s.conf", Type: v1alpha1.Regular, Content: "overlay\nbr_netfilter\n"})
	})
	for _, c := range []hostCase{
		{name: "neither labels", node: docker, to: v1alpha1.Containerd, change: all(kernel, enforcing)},
		{name: "both label, as the plan carries it", node: docker, to: v1alpha1.Containerd, change: all(kernel, enforcing, edited("/etc/docker/daemon.json", `"live-restore": true`, `"selinux-enabled": true`))},
		{name: "the target labels", change: enforcing, want: "warning N005", says: "which the runtime that is left doesn't"},
		{name: "the target is told not to", node: layout.Node{Files: map[string]string{siteCRIO: "[crio.runtime]\nselinux = false\n"}}, change: enforcing},
		{name: "the target doesn't", node: crio, to: v1alpha1.Containerd, change: enforcing, want: "warning N005", says: "gives them no labels"},
		{name: "permissive", node: crio, to: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { f.Machine.SELinux = "permissive" }},
	} {
		t.Run(c.name, c.run)
	}
}

func TestAppArmorOfContainers(t *testing.T) {
	on := func(f *v1alpha1.Facts) {
		f.Machine.AppArmor = &v1alpha1.AppArmor{Enabled: true, Parser: "/sbin/apparmor_parser", Profiles: []string{"cri-containerd.apparmor.d", "site"}}
	}
	profile := func(name string) layout.Node {
		return layout.Node{Files: map[string]string{siteCRIO: "[crio.runtime]\napparmor_profile = \"" + name + "\"\n"}}
	}
	away := func(n layout.Node) layout.Node {
		n.Runtime = v1alpha1.CRIO
		return n
	}
	for _, c := range []hostCase{
		{name: "defaults on both sides", change: on},
		{name: "a profile that isn't loaded", node: profile("corp"), change: on, want: "error H011", says: "corp", shows: siteCRIO + ":2"},
		{name: "a profile that isn't loaded, where AppArmor is off", node: profile("corp")},
		{name: "a profile that isn't loaded, where nobody can load one", node: profile("corp"), change: func(f *v1alpha1.Facts) { f.Machine.AppArmor = &v1alpha1.AppArmor{Enabled: true} }},
		{name: "a profile that is", node: profile("site"), change: on},
		{name: "CRI-O's default by its name", node: profile("crio-default"), change: on},
		{name: "a target that confines nothing", node: profile("unconfined"), change: on, want: "warning H011", says: "is told not to"},
		{name: "a profile that stays behind", node: away(profile("site")), to: v1alpha1.Containerd, change: on, want: "warning H011", says: "site, isn't carried"},
		{name: "neither confines", node: away(profile("unconfined")), to: v1alpha1.Containerd, change: all(on, edited(ctdConfig, "  sandbox_image", "  disable_apparmor = true\n  sandbox_image"))},
		{name: "an old Docker without the parser", to: v1alpha1.Docker, change: all(func(f *v1alpha1.Facts) { f.Machine.AppArmor = &v1alpha1.AppArmor{Enabled: true} }, target(v1alpha1.Docker, "dockerd", "20.10.24"),
			target(v1alpha1.Docker, "cri-dockerd", "0.3.4")), want: "warning H011", says: "apparmor_parser is missing"},
		{name: "a newer Docker without the parser", to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) { f.Machine.AppArmor = &v1alpha1.AppArmor{Enabled: true} }},
	} {
		t.Run(c.name, c.run)
	}
}
