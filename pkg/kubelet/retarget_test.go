package kubelet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func ref(name v1alpha1.RuntimeName) v1alpha1.RuntimeRef {
	switch name {
	case v1alpha1.CRIO:
		return v1alpha1.RuntimeRef{Name: name, Endpoint: "unix:///var/run/crio/crio.sock", Units: []string{"crio.service"}}
	case v1alpha1.Docker:
		return v1alpha1.RuntimeRef{Name: name, Endpoint: "unix:///run/cri-dockerd.sock", Units: []string{"containerd.service", "docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service"}}
	}
	return v1alpha1.RuntimeRef{Name: name, Endpoint: "unix:///run/containerd/containerd.sock", Units: []string{"containerd.service"}}
}

func shim() v1alpha1.RuntimeRef {
	return v1alpha1.RuntimeRef{Name: v1alpha1.Docker, Endpoint: dockershimEndpoint, Units: []string{"docker.socket", "docker.service"}}
}

const (
	ctd   = "unix:///run/containerd/containerd.sock"
	crio  = "unix:///var/run/crio/crio.sock"
	dockd = "unix:///run/cri-dockerd.sock"
	pause = "--pod-infra-container-image=registry.k8s.io/pause:3.9"
)

func TestRetarget(t *testing.T) {
	kubeadmEnv := func(flags string) string { return "KUBELET_KUBEADM_ARGS=\"" + flags + "\"\n" }
	spray := func(in layout, old, text string) string { return strings.Replace(in.files[kubesprayEnv], old, text, 1) }
	for _, c := range []struct {
		name     string
		in       layout
		from, to v1alpha1.RuntimeRef
		want     map[string]string // by path; those not named stay
	}{
		{
			name: "kind 1.34", in: kind("1.34.4"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{
				kubeadmConfig:  kubeadmConfigText(crio),
				instanceConfig: "containerRuntimeEndpoint: " + crio + "\n",
				defaultEnv:     "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/crio.service",
				crictlConfig:   "runtime-endpoint: " + crio + "\n",
			},
		},
		{
			name: "kind 1.34 to Docker", in: kind("1.34.4"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.Docker),
			want: map[string]string{
				kubeadmConfig:  kubeadmConfigText(dockd),
				instanceConfig: "containerRuntimeEndpoint: " + dockd + "\n",
				defaultEnv:     "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/docker.service",
				crictlConfig:   "runtime-endpoint: " + dockd + "\n",
			},
		},
		{
			name: "kubeadm 1.34 without its record", in: newDeb("1.34.4", pause, ctd), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{
				kubeadmConfig: kubeadmConfigText(crio), instanceConfig: "containerRuntimeEndpoint: " + crio + "\n",
			},
		},
		{
			name: "kubeadm 1.37 told nowhere", in: newDeb("1.37.2", "", "-"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{
				kubeadmConfig:  kubeadmConfigText("-") + "containerRuntimeEndpoint: " + crio + "\n",
				instanceConfig: "containerRuntimeEndpoint: " + crio + "\n",
			},
		},
		{
			name: "kubeadm 1.34, the gate off", in: newDeb("1.34.4", "--container-runtime-endpoint="+ctd+" "+pause, "\"\""), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + crio + " " + pause)},
		},
		{
			name: "kubeadm 1.37 with a flag that stayed and a record", from: ref(v1alpha1.CRIO), to: ref(v1alpha1.Containerd),
			in: newDeb("1.37.2", "--container-runtime-endpoint="+crio, crio).with(map[string]string{instanceConfig: "containerRuntimeEndpoint: \"" + crio + "\"\n"}),
			want: map[string]string{
				kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + ctd), kubeadmConfig: kubeadmConfigText(ctd),
				instanceConfig: "containerRuntimeEndpoint: \"" + ctd + "\"\n",
			},
		},
		{
			name: "kubeadm 1.30", in: newDeb("1.30.14", "--container-runtime-endpoint="+ctd+" "+pause, "\"\""), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + crio + " " + pause)},
		},
		{
			name: "kubeadm 1.30, rpm, the operator's flag wins", from: ref(v1alpha1.Docker), to: ref(v1alpha1.Containerd),
			in: rpm("1.30.14", "--container-runtime-endpoint="+dockd, "\"\"").with(map[string]string{sysconfigEnv: "# mine\nKUBELET_EXTRA_ARGS='--v=2 --container-runtime-endpoint unix:///var/run/cri-dockerd.sock'\n"}),
			want: map[string]string{
				kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + ctd),
				sysconfigEnv: "# mine\nKUBELET_EXTRA_ARGS='--v=2 --container-runtime-endpoint " + ctd + "'\n",
			},
		},
		{
			name: "kubeadm 1.27 told nowhere", in: newDeb("1.27.16", pause, "\"\""), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.Docker),
			want: map[string]string{kubeadmFlags: kubeadmEnv(pause + " --container-runtime-endpoint=" + dockd)},
		},
		{
			name: "kubeadm 1.25", in: newDeb("1.25.16", "--container-runtime=remote --container-runtime-endpoint="+ctd+" "+pause, "-"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime=remote --container-runtime-endpoint=" + crio + " " + pause)},
		},
		{
			name: "kubeadm 1.26, a field that it doesn't read", in: newDeb("1.26.15", "--container-runtime-endpoint="+ctd, ctd), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + crio), kubeadmConfig: kubeadmConfigText(crio)},
		},
		{
			name: "kubeadm 1.23, no scheme", in: oldDeb("1.23.17", "--container-runtime=remote --container-runtime-endpoint=/run/containerd/containerd.sock "+pause), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.Docker),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime=remote --container-runtime-endpoint=/run/cri-dockerd.sock " + pause)},
		},
		{
			name: "kubeadm 1.23, no scheme, CRI-O's text", in: oldDeb("1.23.17", "--container-runtime=remote --container-runtime-endpoint=/run/containerd/containerd.sock"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime=remote --container-runtime-endpoint=" + crio)},
		},
		{
			name: "kubeadm 1.20, dockershim", in: oldDeb("1.20.15", "--network-plugin=cni --pod-infra-container-image=k8s.gcr.io/pause:3.2"), from: shim(), to: ref(v1alpha1.Containerd),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--network-plugin=cni --pod-infra-container-image=k8s.gcr.io/pause:3.2 --container-runtime=remote --container-runtime-endpoint=" + ctd)},
		},
		{
			name: "kubeadm 1.23, back to dockershim", in: oldDeb("1.23.17", "--network-plugin=cni "+pause+" --container-runtime=remote --container-runtime-endpoint="+ctd), from: ref(v1alpha1.Containerd), to: shim(),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--network-plugin=cni " + pause)},
		},
		{
			name: "kubeadm 1.22 born on containerd, to dockershim", from: ref(v1alpha1.Containerd), to: shim(),
			in: oldDeb("1.22.17", "--container-runtime=remote --container-runtime-endpoint=/run/containerd/containerd.sock").with(map[string]string{crictlConfig: "runtime-endpoint: " + ctd + "\n"}),
			want: map[string]string{
				kubeadmFlags: kubeadmEnv("--network-plugin=cni"),
				crictlConfig: "runtime-endpoint: " + dockershimEndpoint + "\n",
			},
		},
		{
			name: "an image endpoint that names the old socket", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in: newDeb("1.31.1", "--container-runtime-endpoint="+ctd+" --image-service-endpoint=unix:///var/run/containerd/containerd.sock", "\"\"").
				with(map[string]string{kubeadmConfig: kubeadmConfigText("\"\"") + "imageServiceEndpoint: '" + ctd + "' # same\n"}),
			want: map[string]string{
				kubeadmFlags:  kubeadmEnv("--container-runtime-endpoint=" + crio + " --image-service-endpoint=" + crio),
				kubeadmConfig: kubeadmConfigText("\"\"") + "imageServiceEndpoint: \"" + crio + "\" # same\n",
			},
		},
		{
			name: "kubespray 2.27", in: kubespray("1.31.4", "--runtime-cgroups=/system.slice/containerd.service \\\n", "", "containerRuntimeEndpoint : unix:///var/run/containerd/containerd.sock\n"),
			from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{
				"/etc/kubernetes/kubelet-config.yaml": strings.Replace(kubeadmConfigText(crio), "Endpoint:", "Endpoint :", 1),
				kubesprayEnv:                          spray(kubespray("", "--runtime-cgroups=/system.slice/containerd.service \\\n", "", ""), "containerd.service", "crio.service"),
				crictlConfig:                          "runtime-endpoint: " + crio + "\nimage-endpoint: " + crio + "\ntimeout: 30\n",
			},
		},
		{
			name: "kubespray 2.20", in: kubespray("1.24.6", "--container-runtime=remote \\\n--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock \\\n--runtime-cgroups=/systemd/system.slice \\\n", "", ""),
			from: ref(v1alpha1.Containerd), to: ref(v1alpha1.Docker),
			want: map[string]string{
				kubesprayEnv: spray(kubespray("", "--container-runtime=remote \\\n--container-runtime-endpoint="+dockd+" \\\n--runtime-cgroups=/systemd/system.slice \\\n", "", ""), "", ""),
				crictlConfig: "runtime-endpoint: " + dockd + "\nimage-endpoint: " + dockd + "\ntimeout: 30\n",
			},
		},
		{
			name: "kubespray 2.17, dockershim", in: kubespray("1.21.6", "--runtime-cgroups=/systemd/system.slice \\\n", "KUBELET_NETWORK_PLUGIN=\"--network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin\"\n", ""),
			from: shim(), to: ref(v1alpha1.Containerd),
			want: map[string]string{
				kubesprayEnv: spray(kubespray("", "--runtime-cgroups=/systemd/system.slice --container-runtime=remote --container-runtime-endpoint="+ctd+" \\\n", "KUBELET_NETWORK_PLUGIN=\"--network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin\"\n", ""), "", ""),
				crictlConfig: "runtime-endpoint: " + ctd + "\nimage-endpoint: " + ctd + "\ntimeout: 30\n",
			},
		},
		{
			name: "kubespray 2.17, back to dockershim", from: ref(v1alpha1.Containerd), to: shim(),
			in: kubespray("1.21.6", "--container-runtime=remote \\\n--container-runtime-endpoint="+ctd+" \\\n", "", ""),
			want: map[string]string{
				kubesprayEnv: spray(kubespray("", "", "", ""), "kubelet.conf \\", "kubelet.conf --network-plugin=cni \\"),
				crictlConfig: "runtime-endpoint: " + dockershimEndpoint + "\nimage-endpoint: " + dockershimEndpoint + "\ntimeout: 30\n",
			},
		},
		{
			name: "kubespray 1.34 whose kubeadm has a record and flags that only it reads", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in: kubespray("1.34.4", "", "", "containerRuntimeEndpoint: "+ctd+"\n").with(map[string]string{
				instanceConfig: "containerRuntimeEndpoint: " + ctd + "\n", kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + ctd), crictlConfig: "",
			}),
			want: map[string]string{
				"/etc/kubernetes/kubelet-config.yaml": kubeadmConfigText(crio),
				instanceConfig:                        "containerRuntimeEndpoint: " + crio + "\n", kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + crio),
			},
		},
		{
			name: "kubeasz 1.30", in: kubeasz("1.30.1", "", ctd), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmConfig: kubeadmConfigText(crio)},
		},
		{
			name: "kubeasz 1.30 told nowhere", in: kubeasz("1.30.1", "", "-"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{kubeadmConfig: kubeadmConfigText("-") + "containerRuntimeEndpoint: " + crio + "\n"},
		},
		{
			name: "kubeasz 1.25", in: kubeasz("1.25.9", "  --container-runtime-endpoint="+ctd+" \\\n", "-"), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{"/etc/systemd/system/kubelet.service": kubeasz("", "  --container-runtime-endpoint="+crio+" \\\n", "").files["/etc/systemd/system/kubelet.service"]},
		},
		{
			name: "kubeasz 1.22, dockershim", in: kubeasz("1.22.2", "  --network-plugin=cni \\\n", "-"), from: shim(), to: ref(v1alpha1.Containerd),
			want: map[string]string{"/etc/systemd/system/kubelet.service": strings.Replace(kubeasz("", "  --network-plugin=cni \\\n", "").files["/etc/systemd/system/kubelet.service"],
				"--v=2\n", "--v=2 \\\n  --container-runtime=remote \\\n  --container-runtime-endpoint="+ctd+"\n", 1)},
		},
		{
			name: "KubeKey 3", in: kubeKey("1.28.15", "--container-runtime-endpoint="+ctd+" "+pause, ""), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.Docker),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + dockd + " " + pause)},
		},
		{
			name: "KubeKey 3 with the flag in the drop-in", in: kubeKey("1.23.17", "", "--container-runtime=remote --container-runtime-endpoint="+ctd), from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			want: map[string]string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": kubeKey("", "", "--container-runtime=remote --container-runtime-endpoint="+crio).files["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"]},
		},
		{
			name: "KubeKey 3, the drop-in's variable is hidden and follows, too", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in: kubeKey("1.28.15", "--container-runtime-endpoint="+ctd, "--container-runtime-endpoint="+ctd).with(map[string]string{defaultEnv: "KUBELET_EXTRA_ARGS=--v=4\n"}),
			want: map[string]string{
				kubeadmFlags: kubeadmEnv("--container-runtime-endpoint=" + crio),
				"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": kubeKey("", "", "--container-runtime-endpoint="+crio).files["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"],
			},
		},
		{
			name: "a flag in the distribution's file is overridden", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in: newDeb("1.30.14", pause, "\"\"").with(map[string]string{
				"/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": strings.Replace(kubeadmDropIn, "config.yaml\"", "config.yaml --runtime-cgroups=/system.slice/containerd.service --container-runtime-endpoint="+ctd+"\"", 1),
			}),
			want: map[string]string{defaultEnv: "KUBELET_EXTRA_ARGS=\"--container-runtime-endpoint=" + crio + " --runtime-cgroups=/system.slice/crio.service\"\n"},
		},
		{
			name: "a drop-in of --config-dir wins", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in: newDeb("1.33.1", "--config-dir=/etc/kubernetes/kubelet.conf.d", ctd).with(map[string]string{
				"/etc/kubernetes/kubelet.conf.d/sub/20.conf": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncontainerRuntimeEndpoint: \"" + ctd + "\"\n",
				"/etc/kubernetes/kubelet.conf.d/30.txt":      "not read",
			}),
			want: map[string]string{
				kubeadmConfig: kubeadmConfigText(crio),
				"/etc/kubernetes/kubelet.conf.d/sub/20.conf": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncontainerRuntimeEndpoint: \"" + crio + "\"\n",
			},
		},
		{
			name: "secrets stay where they are", from: ref(v1alpha1.Containerd), to: ref(v1alpha1.CRIO),
			in:   newDeb("1.30.14", "--manifest-url-header=Authorization:abc --container-runtime-endpoint="+ctd, "\"\""),
			want: map[string]string{kubeadmFlags: kubeadmEnv("--manifest-url-header=Authorization:abc --container-runtime-endpoint=" + crio)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.in.facts(t)
			v, err := Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			states, findings, err := Retarget(f, v, c.from, c.to)
			if err != nil || len(findings) > 0 {
				t.Fatalf("%v %+v %+v", err, findings, v)
			}
			if d := cmp.Diff(c.want, c.in.after(t, states)); d != "" {
				t.Error(d)
			}
			// The node as it is then is at its goal: nothing is left to change.
			l := c.in.with(c.in.after(t, states))
			f = l.facts(t)
			if v, err = Analyze(f); err != nil {
				t.Fatal(err)
			}
			if !SameSocket(v.Endpoint, c.to.Endpoint) {
				t.Errorf("arrived at %s", v.Endpoint)
			}
			states, findings, err = Retarget(f, v, c.to, c.to)
			if err != nil || len(findings) > 0 || len(states) > 0 {
				t.Errorf("once more: %v %+v %+v", err, findings, states)
			}
		})
	}
}
