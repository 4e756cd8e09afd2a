package plan_test

import (
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// seldom are nodes on which plans write what they write on none of layout.All.
var seldom = []struct {
	name string
	node layout.Node
	to   v1alpha1.RuntimeName
	// prepare changes the node, change what was gathered of it.
	prepare func(n *hosttest.Node)
	change  func(f *v1alpha1.Facts)
	writes  []string
}{
	{
		name: "flags in the kubelet's unit", to: v1alpha1.Containerd,
		node: layout.Node{
			Kubelet: "1.27.16", Installer: layout.Kubespray, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd},
			Files: map[string]string{
				"/etc/kubernetes/kubelet.env":         "KUBELET_ARGS=\"--config=/etc/kubernetes/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf\"\n",
				"/etc/kubernetes/kubelet-config.yaml": "",
				"/etc/kubernetes/kubelet/config.yaml": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n",
				"/etc/systemd/system/kubelet.service": "[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet.env\n" +
					"ExecStart=/usr/local/bin/kubelet --container-runtime-endpoint=unix:///var/run/crio/crio.sock $KUBELET_ARGS\n[Install]\nWantedBy=multi-user.target\n",
			},
		},
		writes: []string{"/etc/systemd/system/kubelet.service", "/etc/kubernetes/kubelet/config.yaml"},
	},
	{
		name: "flags in a drop-in of the kubelet's", to: v1alpha1.Containerd,
		node: layout.Node{
			Kubelet: "1.31.14", Installer: layout.KubeKey, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd},
			Files: map[string]string{
				"/var/lib/kubelet/kubeadm-flags.env": "KUBELET_KUBEADM_ARGS=\n",
				"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": "[Service]\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n" +
					"Environment=\"KUBELET_EXTRA_ARGS=--container-runtime-endpoint=unix:///var/run/crio/crio.sock\"\nExecStart=\n" +
					"ExecStart=/usr/local/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n",
			},
		},
		writes: []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"},
	},
	{
		name: "flags where Red Hat's packages have them", to: v1alpha1.Containerd,
		node: layout.Node{
			Kubelet: "1.27.16", Installer: layout.KubeadmOld, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd},
			Files: map[string]string{
				"/etc/default/kubelet":   "",
				"/etc/sysconfig/kubelet": "KUBELET_EXTRA_ARGS=--container-runtime-endpoint=unix:///var/run/crio/crio.sock\n",
				"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": "[Service]\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/sysconfig/kubelet\nExecStart=\n" +
					"ExecStart=/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n",
			},
		},
		writes: []string{"/etc/sysconfig/kubelet"},
	},
	{
		name: "a signature policy that is missing", to: v1alpha1.CRIO,
		node: layout.Node{
			Kubelet: "1.27.16", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO},
			Files: map[string]string{"/etc/containers/policy.json": ""},
		},
		writes: []string{"/etc/containers/policy.json"},
	},
	{
		name: "certificates of clients, for CRI-O", to: v1alpha1.CRIO, node: withClients(v1alpha1.CRIO),
		writes: []string{"/etc/containers/certs.d/corp.example/kubectl-runtime.cert", "/etc/containers/certs.d/corp.example/kubectl-runtime.key"},
	},
	{
		name: "certificates of clients, for Docker", to: v1alpha1.Docker, node: withClients(v1alpha1.Docker),
		writes: []string{"/etc/docker/certs.d/corp.example/kubectl-runtime.cert", "/etc/docker/certs.d/corp.example/kubectl-runtime.key"},
	},
	{
		name: "registries in Docker's directory, a drop-in of containerd's", to: v1alpha1.Containerd,
		node: layout.Node{
			Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd},
			Files: map[string]string{
				"/etc/containerd/config.toml":         "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n",
				"/etc/containerd/conf.d/50-site.toml": "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/docker/certs.d'\n",
			},
		},
		change: func(f *v1alpha1.Facts) {
			for i := range f.Runtimes {
				f.Runtimes[i].EffectiveConfig = strings.Replace(f.Runtimes[i].EffectiveConfig, "config_path = ''", "config_path = '/etc/docker/certs.d'", 1)
			}
		},
		writes: []string{"/etc/docker/certs.d/docker.io/hosts.toml", "/etc/containerd/conf.d/99-kubectl-runtime.toml"},
	},
	{
		name: "units that others require, containerd", to: v1alpha1.Containerd, prepare: requiredBy,
		node:   layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}},
		writes: []string{"/etc/systemd/system/multi-user.target.requires/containerd.service"},
	},
	{
		name: "units that others require, CRI-O", to: v1alpha1.CRIO, prepare: requiredBy, node: soundNode,
		writes: []string{"/etc/systemd/system/multi-user.target.requires/crio.service"},
	},
	{
		name: "units that others require, Docker", to: v1alpha1.Docker, prepare: requiredBy,
		node: layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.Docker}},
		writes: []string{
			"/etc/systemd/system/multi-user.target.requires/docker.service", "/etc/systemd/system/sockets.target.requires/docker.socket",
			"/etc/systemd/system/multi-user.target.requires/cri-docker.service", "/etc/systemd/system/sockets.target.requires/cri-docker.socket",
		},
	},
}

// withClients is a node whose containerd shows a registry a certificate.
func withClients(to v1alpha1.RuntimeName) layout.Node {
	return layout.Node{
		Kubelet: "1.31.14", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{to},
		Files: map[string]string{
			"/etc/containerd/certs.d/corp.example/hosts.toml": "server = \"https://corp.example\"\n[host.\"https://corp.example\"]\n  client = [[\"/etc/ssl/c.cert\", \"/etc/ssl/c.key\"]]\n",
			"/etc/ssl/c.cert": "CERT", "/etc/ssl/c.key": "KEY",
		},
	}
}

// requiredBy says in every unit of a distribution that others require it, where it said that they want it.
func requiredBy(n *hosttest.Node) {
	for name, x := range n.Snapshot("/usr/lib/systemd/system", "/lib/systemd/system") {
		if x.Type == v1alpha1.Regular {
			n.Write(name, strings.Replace(x.Content, "WantedBy=", "RequiredBy=", 1))
		}
	}
}

// TestWritablePaths: of the paths that plans may name, each is one that a plan writes on some node, and no plan writes another one.
func TestWritablePaths(t *testing.T) {
	written := map[string]bool{}
	take := func(name string, f *v1alpha1.Facts, to v1alpha1.RuntimeName) {
		t.Helper()
		p, err := plan.Build(f, plan.Goal{Run: "r-0badcafe", To: to})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if err := plan.Verify(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, x := range p.After.Files {
			if x.Type != v1alpha1.Directory {
				written[x.Path] = true
			}
		}
	}
	for _, c := range layout.All() {
		if !c.Refused {
			take(c.Name, gather(t, c.Node), c.To)
		}
	}
	for _, c := range seldom {
		n := newNode(t, c.node)
		if c.prepare != nil {
			c.prepare(n.m)
			if err := n.m.Machine().Units.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f := n.gather()
		if c.change != nil {
			c.change(f)
		}
		take(c.name, f, c.to)
		for _, name := range c.writes {
			if !written[name] {
				t.Errorf("%s: %s wasn't written", c.name, name)
			}
		}
	}
	for _, w := range v1alpha1.WritablePaths() {
		for _, pattern := range w.Patterns() {
			used := slices.ContainsFunc(slices.Collect(maps.Keys(written)), func(name string) bool {
				ok, err := path.Match(pattern, name)
				return ok && err == nil
			})
			if !used && !w.Own {
				t.Errorf("no plan writes %s", pattern)
			}
		}
	}
}

// hostile is what a plan of somebody else's may want to write.
var hostile = []v1alpha1.FileState{
	{Path: "/etc/passwd", Type: v1alpha1.Regular},
	{Path: "/etc/containerd/../passwd", Type: v1alpha1.Regular},
	{Path: "/etc/containerd/certs.d/../../cron.d/hosts.toml", Type: v1alpha1.Regular},
	{Path: "/etc/containerd/certs.d//x/hosts.toml", Type: v1alpha1.Regular},
	{Path: "etc/crictl.yaml", Type: v1alpha1.Regular},
	{Path: "/etc/crictl.yaml\x00", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system", Type: v1alpha1.Directory},
	{Path: "/etc/systemd/system/evil.service", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/containerd.service", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/containerd.service", Type: v1alpha1.Symlink, Target: "/dev/null"},
	{Path: "/etc/systemd/system/sshd.service.d/x.conf", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/sshd.service.d/90-kubectl-runtime.conf", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/sshd.service.d", Type: v1alpha1.Directory},
	{Path: "/etc/systemd/system/containerd.service.d/x.conf", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/crio.service.d/00-kubectl-runtime-early.conf", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/kubectl-runtime-recover.service", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/multi-user.target.wants/evil.service", Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/evil.service"},
	{Path: "/etc/systemd/system/multi-user.target.wants/crio.service", Type: v1alpha1.Symlink, Target: "/tmp/crio.service"},
	{Path: "/etc/systemd/system/multi-user.target.wants/crio.service", Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/evil.service"},
	{Path: "/etc/systemd/system/multi-user.target.wants/crio.service", Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/../../../../tmp/crio.service"},
	{Path: "/etc/systemd/system/multi-user.target.wants/crio.service", Type: v1alpha1.Symlink, Target: "crio.service"},
	{Path: "/etc/systemd/system/multi-user.target.wants/crio.service", Type: v1alpha1.Regular},
	{Path: "/etc/systemd/system/cri-o.service", Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/sshd.service"},
	{Path: "/etc/systemd/system/kubelet.service", Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/kubelet.service"},
	{Path: "/etc/docker/plugins/evil.json", Type: v1alpha1.Regular},
	{Path: "/etc/docker/key.json", Type: v1alpha1.Regular},
	{Path: "/etc/docker/daemon.json", Type: v1alpha1.Symlink, Target: "/etc/shadow"},
	{Path: "/etc/docker/daemon.json", Type: v1alpha1.Directory},
	{Path: "/etc/docker/certs.d/corp.example/theirs.key", Type: v1alpha1.Regular},
	{Path: "/etc/containers/policy.json.d", Type: v1alpha1.Directory},
	{Path: "/etc/containers/storage.conf", Type: v1alpha1.Regular},
	{Path: "/etc/containers/registries.conf", Type: v1alpha1.Regular},
	{Path: "/etc/crio/crio.conf", Type: v1alpha1.Regular},
	{Path: "/etc/crio/crio.conf.d/10-crio.conf", Type: v1alpha1.Regular},
	{Path: "/etc/modules-load.d/evil.conf", Type: v1alpha1.Regular},
	{Path: "/etc/sysctl.d/evil.conf", Type: v1alpha1.Regular},
	{Path: "/etc/kubernetes/manifests/evil.yaml", Type: v1alpha1.Regular},
	{Path: "/etc/kubernetes/admin.conf", Type: v1alpha1.Regular},
	{Path: "/etc/kubernetes/pki/ca.key", Type: v1alpha1.Regular},
	{Path: "/var/lib/kubelet/pki/kubelet.key", Type: v1alpha1.Regular},
	{Path: "/var/lib/kubelet/pods/x/volumes/config.yaml", Type: v1alpha1.Regular},
	{Path: "/var/lib/kubectl-runtime/agents/x", Type: v1alpha1.Regular},
	{Path: "/", Type: v1alpha1.Directory},
	{Path: "/etc/crictl.yaml", Type: "pipe"},
	{Path: "/etc/crictl.yaml"},
}

// TestVerifyRefusesForeignPaths: neither state of a plan may have anything stand where plans write nothing.
func TestVerifyRefusesForeignPaths(t *testing.T) {
	p, err := plan.Build(gather(t, soundNode), plan.Goal{Run: "r-0badcafe", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range hostile {
		if x.Type == v1alpha1.Regular {
			x.Content = []v1alpha1.Segment{{Text: "x"}}
		}
		for _, when := range []string{"before", "after"} {
			bad, absent := *p, v1alpha1.FileState{Path: x.Path, Type: v1alpha1.Absent}
			before, after := absent, x
			if when == "before" {
				before, after = x, absent
			}
			bad.Before.Files, bad.After.Files = []v1alpha1.FileState{before}, []v1alpha1.FileState{after}
			bad.Digest = plan.Digest(&bad)
			if err := plan.Verify(&bad); err == nil || !strings.Contains(err.Error(), "which no plan may") {
				t.Errorf("%s: %s %s %s: %v", when, x.Path, x.Type, x.Target, err)
			}
		}
	}
}

// TestVerifyRefusesGraces: twice a grace is a time that a node may take, so that no plan may give one that can't be counted.
func TestVerifyRefusesGraces(t *testing.T) {
	p, err := plan.Build(gather(t, soundNode), plan.Goal{Run: "r-0badcafe", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	for grace, good := range map[time.Duration]bool{0: true, time.Second: true, 24 * time.Hour: true, -1: false, 24*time.Hour + 1: false, math.MaxInt64: false} {
		p.EvacuationGrace = grace
		p.Digest = plan.Digest(p)
		if err := plan.Verify(p); (err == nil) != good {
			t.Errorf("%s: %v", grace, err)
		}
	}
}

// TestVerifyRefusesForeignUnits: a plan stops and starts the kubelet alone.
func TestVerifyRefusesForeignUnits(t *testing.T) {
	p, err := plan.Build(gather(t, soundNode), plan.Goal{Run: "r-0badcafe", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"", "sshd.service", "kubelet.service.d", "../kubelet.service"} {
		p.Kubelet.Unit = unit
		p.Digest = plan.Digest(p)
		if err := plan.Verify(p); err == nil {
			t.Errorf("a plan was taken that starts %q", unit)
		}
	}
}
