package kubelet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestAnalyze(t *testing.T) {
	fromConfig := View{
		Unit: "kubelet.service", CgroupDriver: "systemd", ConfigFile: kubeadmConfig, Kubeconfig: "/etc/kubernetes/kubelet.conf",
		Bootstrap:     "/etc/kubernetes/bootstrap-kubelet.conf",
		StaticPodPath: "/etc/kubernetes/manifests", RootDir: "/var/lib/kubelet", Healthz: "http://127.0.0.1:10248/healthz",
	}
	view := func(change func(*View)) View {
		v := fromConfig
		change(&v)
		return v
	}
	for _, c := range []struct {
		name string
		in   layout
		want View
	}{
		{
			"kind 1.34, control plane",
			kind("1.34.4").with(map[string]string{"/etc/kubernetes/manifests/kube-apiserver.yaml": "x"}),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor = "1.34.4", 34, "1.34.4", 34
				v.Installer, v.Endpoint, v.ControlPlane, v.RuntimeCgroups = Kind, ctd, true, "/system.slice/containerd.service"
				v.Places = []Place{
					{File: kubeadmConfig, Line: 3, Key: fieldEndpoint, Value: ctd, Wins: true, Reader: ReaderKubelet},
					{File: instanceConfig, Line: 1, Key: fieldEndpoint, Value: ctd, Reader: ReaderKubeadm},
					{File: crictlConfig, Line: 1, Key: "runtime-endpoint", Value: ctd, Reader: ReaderCrictl},
				}
			}),
		},
		{
			"the operator's flag beats kubeadm's and the field",
			newDeb("1.30.14", "--a=b --container-runtime-endpoint=/x", ctd).with(map[string]string{defaultEnv: "\nKUBELET_EXTRA_ARGS=--container-runtime-endpoint=" + crio + "\n"}),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.30.14", 30, "1.30.14", 30, Kubeadm, crio
				v.Places = []Place{
					{File: kubeadmConfig, Line: 3, Key: fieldEndpoint, Value: ctd, Reader: ReaderKubelet},
					{File: kubeadmFlags, Line: 1, Key: "--" + flagEndpoint, Variable: "KUBELET_KUBEADM_ARGS", Value: "/x", Reader: ReaderKubelet},
					{File: defaultEnv, Line: 2, Key: "--" + flagEndpoint, Variable: "KUBELET_EXTRA_ARGS", Value: crio, Wins: true, Reader: ReaderKubelet},
				}
			}),
		},
		{
			"a field that 1.26 doesn't know",
			newDeb("1.26.15", "--container-runtime-endpoint=/run/containerd/containerd.sock", crio),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.26.15", 26, "1.26.15", 26, Kubeadm, ctd
				v.Places = []Place{
					{File: kubeadmConfig, Line: 3, Key: fieldEndpoint, Value: crio, Reader: ReaderKubelet},
					{File: kubeadmFlags, Line: 1, Key: "--" + flagEndpoint, Variable: "KUBELET_KUBEADM_ARGS", Value: "/run/containerd/containerd.sock", Wins: true, Reader: ReaderKubelet},
				}
			}),
		},
		{
			"dockershim", oldDeb("1.23.17", "--network-plugin=cni"),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer = "1.23.17", 23, "1.23.17", 23, Kubeadm
				v.Endpoint, v.Dockershim = dockershimEndpoint, true
			}),
		},
		{
			"told nowhere", newDeb("1.35.4", "", "\"\""),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.35.4", 35, "1.35.4", 35, Kubeadm, ctd
			}),
		},
		{
			"1.25 told nowhere: nobody knows", newDeb("1.25.16", "", "-"),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer = "1.25.16", 25, "1.25.16", 25, Kubeadm
			}),
		},
		{
			"kubespray, its health check and cgroups by flags",
			kubespray("v1.29.5", "--healthz-port=0 \\\n--port=10260 \\\n--read-only-port=10255 \\\n--cgroup-driver=cgroupfs \\\n--root-dir=/data/kubelet \\\n", "", "containerRuntimeEndpoint: "+crio+"\n").with(map[string]string{crictlConfig: ""}),
			view(func(v *View) {
				v.Bootstrap = ""
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.29.5", 29, "v1.29.5"[1:], 29, Kubespray, crio
				v.ConfigFile, v.CgroupDriver, v.RootDir, v.Healthz = "/etc/kubernetes/kubelet-config.yaml", "cgroupfs", "/data/kubelet", ""
				v.Listens = []string{"0.0.0.0:10260", "0.0.0.0:10255"}
				v.Places = []Place{{File: "/etc/kubernetes/kubelet-config.yaml", Line: 3, Key: fieldEndpoint, Value: crio, Wins: true, Reader: ReaderKubelet}}
			}),
		},
		{
			"kubeasz listens everywhere", func() layout {
				l := kubeasz("1.30.1", "", ctd)
				return l.with(map[string]string{kubeadmConfig: strings.NewReplacer("127.0.0.1", "0.0.0.0", "10248", "10249").Replace(l.files[kubeadmConfig])})
			}(),
			view(func(v *View) {
				v.Bootstrap = ""
				v.Version, v.Minor, v.KubeadmMinor, v.Installer, v.Endpoint = "1.30.1", 30, 30, Kubeasz, ctd
				v.Kubeconfig, v.Healthz = "/etc/kubernetes/kubelet.kubeconfig", "http://127.0.0.1:10249/healthz"
				v.Places = []Place{{File: kubeadmConfig, Line: 3, Key: fieldEndpoint, Value: ctd, Wins: true, Reader: ReaderKubelet}}
			}),
		},
		{
			"KubeKey, the unit's variable is hidden",
			kubeKey("1.28.15", "--container-runtime-endpoint="+ctd, "--container-runtime-endpoint="+crio).with(map[string]string{defaultEnv: "KUBELET_EXTRA_ARGS=--v=4\n"}),
			view(func(v *View) {
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.28.15", 28, "1.28.15", 28, KubeKey, ctd
				v.Places = []Place{
					{File: "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", Line: 9, Key: "--" + flagEndpoint, Variable: "KUBELET_EXTRA_ARGS", Value: crio, Reader: ReaderKubelet},
					{File: kubeadmFlags, Line: 1, Key: "--" + flagEndpoint, Variable: "KUBELET_KUBEADM_ARGS", Value: ctd, Wins: true, Reader: ReaderKubelet},
				}
			}),
		},
		{
			"a flag of the running kubelet that no file has", func() layout {
				l := newDeb("1.30.14", "", "\"\"")
				l.argv = []string{"/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf", "--container-runtime-endpoint=" + crio}
				return l
			}(),
			view(func(v *View) {
				v.Bootstrap = ""
				v.Version, v.Minor, v.Kubeadm, v.KubeadmMinor, v.Installer, v.Endpoint = "1.30.14", 30, "1.30.14", 30, Kubeadm, crio
				v.Places = []Place{{Key: "--" + flagEndpoint, Value: crio, Wins: true, Reader: ReaderKubelet}}
				v.Drift = []string{
					"--container-runtime-endpoint=" + crio + " (only the running kubelet)",
					"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf (only its files)",
				}
			}),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Analyze(c.in.facts(t))
			if err != nil {
				t.Fatal(err)
			}
			if v.Why == "" {
				t.Error("no reason for the installer")
			}
			if d := cmp.Diff(c.want, v, cmpopts.IgnoreFields(View{}, "Why"), cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := Analyze(&v1alpha1.Facts{}); err == nil {
		t.Error("a node without a kubelet was taken")
	}
}

// TestRenewal: a kubelet renews its certificate where its configuration or a flag says so.
func TestRenewal(t *testing.T) {
	const usual = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	for _, c := range []struct {
		config, flags, want string
	}{
		{"", "", ""},
		{"rotateCertificates: true\n", "", usual},
		{"rotateCertificates: false\n", "", ""},
		{"", "--rotate-certificates", usual},
		{"rotateCertificates: true\n", "--rotate-certificates=false", ""},
		{"rotateCertificates: true\n", "--cert-dir=/srv/pki", "/srv/pki/kubelet-client-current.pem"},
	} {
		in := newDeb("1.34.4", "--container-runtime-endpoint="+ctd+" "+c.flags, "-").with(map[string]string{kubeadmConfig: kubeadmConfigText("-") + c.config})
		v, err := Analyze(in.facts(t))
		if err != nil || v.Rotated != c.want {
			t.Errorf("%q %q: %q, %v; want %q", c.config, c.flags, v.Rotated, err, c.want)
		}
	}
}

func TestInstallers(t *testing.T) {
	for _, c := range []struct {
		want Installer
		k    v1alpha1.KubeletInfo
	}{
		{K3s, v1alpha1.KubeletInfo{Unit: "k3s-agent.service", Version: "1.32.1+k3s1", Argv: []string{"/usr/local/bin/k3s", "agent"}, Exe: "/var/lib/rancher/k3s/data/x/bin/k3s"}},
		{RKE2, v1alpha1.KubeletInfo{Unit: "rke2-server.service", Version: "1.32.1+rke2r1", Argv: []string{"kubelet", "--kubeconfig=/var/lib/rancher/rke2/agent/kubelet.kubeconfig"}, Exe: "/var/lib/rancher/rke2/data/x/bin/kubelet"}},
		{K0s, v1alpha1.KubeletInfo{Unit: "k0sworker.service", Version: "1.31.1+k0s", Argv: []string{"/var/lib/k0s/bin/kubelet", "--container-runtime-endpoint=unix:///run/k0s/containerd.sock"}, Exe: "/var/lib/k0s/bin/kubelet"}},
		{RKE1, v1alpha1.KubeletInfo{Unit: "docker-0123.scope", Version: "1.24.1", Argv: []string{"kubelet", "--kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-node.yaml"}, Exe: "/opt/rke-tools/bin/kubelet"}},
		{MicroK8s, v1alpha1.KubeletInfo{Unit: "snap.microk8s.daemon-kubelite.service", Version: "1.31.1", Argv: []string{"/snap/microk8s/1/kubelite"}, Exe: "/snap/microk8s/1/kubelite"}},
		{Minikube, v1alpha1.KubeletInfo{Unit: "kubelet.service", Version: "1.31.1", Argv: []string{"/var/lib/minikube/binaries/v1.31.1/kubelet", "--config=/var/lib/kubelet/config.yaml"}, Exe: "/var/lib/minikube/binaries/v1.31.1/kubelet"}},
		{Unknown, v1alpha1.KubeletInfo{Unit: "", Version: "1.31.1", Argv: []string{"/bin/kubelet"}, Exe: "/bin/kubelet"}},
	} {
		t.Run(string(c.want), func(t *testing.T) {
			v, err := Analyze(&v1alpha1.Facts{Kubelet: c.k})
			if err != nil {
				t.Fatal(err)
			}
			if v.Installer != c.want || v.Why == "" || v.Installer.Switchable() || len(v.Problems)+len(v.Drift) > 0 {
				t.Errorf("%+v", v)
			}
		})
	}
	sealos := newDeb("1.30.1", "", ctd)
	sealos = sealos.with(map[string]string{kubeadmConfig: sealos.files[kubeadmConfig] + "imageServiceEndpoint: unix:///var/run/image-cri-shim.sock\n"})
	if v, err := Analyze(sealos.facts(t)); err != nil || v.Installer != Sealos || v.ImageEndpoint == "" {
		t.Errorf("%v %+v", err, v)
	}
}

func TestWants(t *testing.T) {
	f := &v1alpha1.Facts{Kubelet: v1alpha1.KubeletInfo{Argv: []string{"kubelet", "--config=/a.yaml", "--config-dir", "/d", "--kubeconfig=/k"}}}
	w := Wants(f)
	if d := cmp.Diff([]string{"kubelet.service"}, w.Units); d != "" {
		t.Error(d)
	}
	has := func(list []string, want ...string) {
		t.Helper()
		for _, x := range want {
			if !strings.Contains(" "+strings.Join(list, " ")+" ", " "+x+" ") {
				t.Errorf("%s isn't among %q", x, list)
			}
		}
	}
	has(w.Files, "/a.yaml", kubeadmFlags, instanceConfig, crictlConfig, defaultEnv)
	has(w.Dirs, "/d", "/etc/systemd/system/kubelet.service.d")
	has(w.Stats, "/k", "/etc/kubernetes/kubelet.conf")
	for _, p := range w.Files {
		if strings.HasSuffix(p, "kubelet.conf") {
			t.Error("the kubelet's credential must not be read")
		}
	}
}
