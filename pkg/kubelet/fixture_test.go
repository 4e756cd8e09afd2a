package kubelet

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// layout is a node's files as tests write them; the command line of the running kubelet follows from them.
type layout struct {
	version, kubeadm string
	exe              string
	unit             string // the fragment's path
	dropIns          []string
	files            map[string]string
	links            map[string]string
	argv             []string // instead of what the unit starts
}

// facts are what gather would have seen.
func (l layout) facts(t *testing.T) *v1alpha1.Facts {
	t.Helper()
	f := &v1alpha1.Facts{Node: "n"}
	f.Kubelet = v1alpha1.KubeletInfo{Unit: "kubelet.service", PID: 1, Version: l.version, Exe: l.exe, Healthy: true}
	if l.kubeadm != "" {
		f.Kubelet.Kubeadm = &v1alpha1.Binary{Path: "/usr/bin/kubeadm", Version: l.kubeadm}
	}
	u := v1alpha1.Unit{Name: "kubelet.service", LoadState: "loaded", ActiveState: "active", Fragment: l.unit, DropIns: l.dropIns}
	f.Units = []v1alpha1.Unit{u}
	f.Kubelet.Argv = l.argv
	if l.argv == nil {
		all := *f
		all.Files = l.every()
		f.Kubelet.Argv = source{f: &all}.command(u).argv()
	}
	// Facts hold only what is asked for.
	for range 20 {
		w := Wants(f)
		if len(w.Files)+len(w.Stats)+len(w.Dirs)+len(w.Units) == 0 {
			return f
		}
		for _, p := range append(w.Files, w.Stats...) {
			f.Files = append(f.Files, l.at(p)...)
		}
		for _, d := range w.Dirs {
			f.Dirs = append(f.Dirs, l.dir(d))
		}
		for _, n := range w.Units {
			f.Units = append(f.Units, v1alpha1.Unit{Name: n, LoadState: "not-found"})
		}
	}
	t.Fatalf("still wanted: %+v", Wants(f))
	return nil
}

func (l layout) every() []v1alpha1.File {
	var out []v1alpha1.File
	for p := range l.files {
		out = append(out, l.at(p)...)
	}
	for p := range l.links {
		out = append(out, l.at(p)...)
	}
	return out
}

// at returns the path and, behind a link, its target.
func (l layout) at(p string) []v1alpha1.File {
	if to, ok := l.links[p]; ok {
		return append([]v1alpha1.File{{Path: p, Type: v1alpha1.Symlink, Target: to}}, l.at(to)...)
	}
	if text, ok := l.files[p]; ok {
		masked, spans := edit.Mask(p, text)
		return []v1alpha1.File{{Path: p, Type: v1alpha1.Regular, Content: masked, Masked: spans, Size: int64(len(text)), Mode: 0o600, UID: 1, GID: 2, Xattrs: map[string][]byte{"security.selinux": []byte("x")}}}
	}
	for q := range l.files {
		if strings.HasPrefix(q, p+"/") {
			return []v1alpha1.File{{Path: p, Type: v1alpha1.Directory}}
		}
	}
	return []v1alpha1.File{{Path: p, Type: v1alpha1.Absent}}
}

func (l layout) dir(p string) v1alpha1.Dir {
	d := v1alpha1.Dir{Path: p}
	for q := range l.files {
		if rest, ok := strings.CutPrefix(q, p+"/"); ok {
			d.Exists = true
			name, _, _ := strings.Cut(rest, "/")
			if !slices.Contains(d.Entries, name) {
				d.Entries = append(d.Entries, name)
			}
		}
	}
	slices.Sort(d.Entries)
	return d
}

// with returns the layout with some files exchanged; an empty text removes one.
func (l layout) with(files map[string]string) layout {
	out := l
	out.files = map[string]string{}
	for p, text := range l.files {
		out.files[p] = text
	}
	for p, text := range files {
		if text == "" {
			delete(out.files, p)
		} else {
			out.files[p] = text
		}
	}
	return out
}

const kubeadmDropIn = `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generates at runtime
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# This is a file that the user can use for overrides of the kubelet args as a last resort.
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`

const packagedUnit = `[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`

// kubeadmConfigText is config.yaml with the lines given put in their place.
func kubeadmConfigText(endpoint string) string {
	text := "apiVersion: kubelet.config.k8s.io/v1beta1\ncgroupDriver: systemd\n"
	if endpoint != "-" {
		text += "containerRuntimeEndpoint: " + endpoint + "\n"
	}
	return text + "healthzBindAddress: 127.0.0.1\nhealthzPort: 10248\nkind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\n"
}

// newDeb is a node of the packages from pkgs.k8s.io; oldDeb of those from apt.kubernetes.io; rpm of either.
func newDeb(version, flags, endpoint string) layout {
	return layout{
		version: version, kubeadm: version, exe: "/usr/bin/kubelet",
		unit:    "/usr/lib/systemd/system/kubelet.service",
		dropIns: []string{"/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"},
		files: map[string]string{
			"/usr/lib/systemd/system/kubelet.service":                   packagedUnit,
			"/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": kubeadmDropIn,
			kubeadmFlags: "KUBELET_KUBEADM_ARGS=\"" + flags + "\"\n", kubeadmConfig: kubeadmConfigText(endpoint),
		},
	}
}

func oldDeb(version, flags string) layout {
	l := newDeb(version, flags, "-")
	l.unit, l.dropIns = "/lib/systemd/system/kubelet.service", []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"}
	return l.with(map[string]string{
		"/usr/lib/systemd/system/kubelet.service": "", "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": "",
		l.unit: packagedUnit, l.dropIns[0]: kubeadmDropIn, defaultEnv: "KUBELET_EXTRA_ARGS=\n",
	})
}

func rpm(version, flags, endpoint string) layout {
	l := newDeb(version, flags, endpoint)
	return l.with(map[string]string{
		l.dropIns[0]: strings.Replace(kubeadmDropIn, defaultEnv, sysconfigEnv, 1), sysconfigEnv: "KUBELET_EXTRA_ARGS=\n",
	})
}

func kind(version string) layout {
	l := newDeb(version, "--node-ip=172.18.0.3 --node-labels= --provider-id=kind://docker/kind/kind-worker", "unix:///run/containerd/containerd.sock")
	l.unit = "/etc/systemd/system/kubelet.service"
	l.dropIns = []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/etc/systemd/system/kubelet.service.d/11-kind.conf"}
	return l.with(map[string]string{
		l.unit: packagedUnit, l.dropIns[0]: kubeadmDropIn, l.dropIns[1]: "# kind\n[Service]\nExecStartPre=/bin/sh -euc \"true\"\n",
		defaultEnv:     "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service",
		instanceConfig: "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n",
		crictlConfig:   "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
		traceKind:      "v1.34.4\n",
	})
}

const kubesprayUnit = `[Unit]
Description=Kubernetes Kubelet Server
After=containerd.service
Wants=containerd.service

[Service]
EnvironmentFile=-/etc/kubernetes/kubelet.env
ExecStart=/usr/local/bin/kubelet \
		$KUBE_LOGTOSTDERR \
		$KUBE_LOG_LEVEL \
		$KUBELET_API_SERVER \
		$KUBELET_ADDRESS \
		$KUBELET_PORT \
		$KUBELET_HOSTNAME \
		$KUBELET_ARGS \
		$DOCKER_SOCKET \
		$KUBELET_NETWORK_PLUGIN \
		$KUBELET_VOLUME_PLUGIN \
		$KUBELET_CLOUDPROVIDER
Restart=always
RestartSec=10s

[Install]
WantedBy=multi-user.target
`

func kubespray(version, flags, more, endpoint string) layout {
	config := strings.Replace(kubeadmConfigText("-"), "cgroupDriver: systemd\n", "cgroupDriver: systemd\n"+endpoint, 1)
	return layout{
		version: version, kubeadm: version, exe: "/usr/local/bin/kubelet", unit: "/etc/systemd/system/kubelet.service",
		files: map[string]string{
			"/etc/systemd/system/kubelet.service": kubesprayUnit,
			kubesprayEnv: "KUBE_LOG_LEVEL=\"--v=2\"\nKUBELET_ADDRESS=\"--node-ip=10.0.0.3\"\n\nKUBELET_ARGS=\"--config=/etc/kubernetes/kubelet-config.yaml \\\n" +
				"--kubeconfig=/etc/kubernetes/kubelet.conf \\\n" + flags + "   \"\n" + more + "KUBELET_CLOUDPROVIDER=\"\"\n",
			"/etc/kubernetes/kubelet-config.yaml": config,
			crictlConfig:                          "runtime-endpoint: unix:///var/run/containerd/containerd.sock\nimage-endpoint: unix:///var/run/containerd/containerd.sock\ntimeout: 30\n",
		},
	}
}

func kubeasz(version, flags, endpoint string) layout {
	return layout{
		version: version, exe: "/opt/kube/bin/kubelet", unit: "/etc/systemd/system/kubelet.service",
		files: map[string]string{
			"/etc/systemd/system/kubelet.service": "[Unit]\nDescription=Kubernetes Kubelet\n\n[Service]\nWorkingDirectory=/var/lib/kubelet\nExecStart=/opt/kube/bin/kubelet \\\n  --config=/var/lib/kubelet/config.yaml \\\n" +
				flags + "  --hostname-override=n \\\n  --kubeconfig=/etc/kubernetes/kubelet.kubeconfig \\\n  --root-dir=/var/lib/kubelet \\\n  --v=2\nRestart=always\n",
			kubeadmConfig: kubeadmConfigText(endpoint),
		},
	}
}

func kubeKey(version, flags, extra string) layout {
	l := newDeb(version, flags, "\"\"")
	l.exe = "/usr/local/bin/kubelet"
	l.unit, l.dropIns = "/etc/systemd/system/kubelet.service", []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"}
	dropIn := strings.Replace(kubeadmDropIn, "ExecStart=\n", "Environment=\"KUBELET_EXTRA_ARGS=--node-ip=10.0.0.3 --hostname-override=n "+extra+"\"\nExecStart=\n", 1)
	return l.with(map[string]string{l.unit: packagedUnit, l.dropIns[0]: strings.Replace(dropIn, "/usr/bin/kubelet", "/usr/local/bin/kubelet", 1)})
}

// after resolves the states against the true files.
func (l layout) after(t *testing.T, states []v1alpha1.FileState) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, s := range states {
		data, err := edit.Resolve(s.Content, func(p string) ([]byte, error) { return []byte(l.files[p]), nil })
		if err != nil {
			t.Fatal(err)
		}
		if s.Type != v1alpha1.Regular || s.Mode == 0 || s.Why == "" || !path.IsAbs(s.Path) {
			t.Errorf("%+v", s)
		}
		out[s.Path] = string(data)
	}
	return out
}
