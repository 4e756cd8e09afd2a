package kubelet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestRetargetRefuses(t *testing.T) {
	good := newDeb("1.30.14", "--container-runtime-endpoint="+ctd, "\"\"")
	argv := []string{
		"/usr/bin/kubelet", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf",
		"--config=/var/lib/kubelet/config.yaml", "--container-runtime-endpoint=" + crio,
	}
	drifted := good
	drifted.argv = argv
	for _, c := range []struct {
		name string
		in   layout
		to   v1alpha1.RuntimeRef
		id   string
	}{
		{"an installer that isn't known", good.with(map[string]string{good.dropIns[0]: "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --container-runtime-endpoint=" + ctd + "\n"}), ref(v1alpha1.CRIO), idInstaller},
		{"an old kubelet", newDeb("1.19.1", "--container-runtime=remote --container-runtime-endpoint="+ctd, "-"), ref(v1alpha1.CRIO), idVersion},
		{"a kubelet from the future", newDeb("1.41.0", "", ctd), ref(v1alpha1.CRIO), idVersion},
		{"a kubelet that runs with other flags", drifted, ref(v1alpha1.CRIO), idDrift},
		{"another endpoint than the plan's", newDeb("1.30.14", "--container-runtime-endpoint="+crio, "\"\""), ref(v1alpha1.Docker), idEndpoint},
		{"a dockershim that is gone", good, shim(), idEndpoint},
		{"a proxy for images", newDeb("1.30.14", "--image-service-endpoint=unix:///run/proxy.sock", ctd), ref(v1alpha1.CRIO), idImages},
		{"a proxy for images in the configuration", good.with(map[string]string{kubeadmConfig: kubeadmConfigText("\"\"") + "imageServiceEndpoint: unix:///run/proxy.sock\n"}), ref(v1alpha1.CRIO), idImages},
		{"a configuration in JSON", newDeb("1.34.1", "", "x").with(map[string]string{kubeadmConfig: "{\"kind\": \"KubeletConfiguration\", \"containerRuntimeEndpoint\": \"" + ctd + "\"}\n"}), ref(v1alpha1.CRIO), idEdit},
		{"a configuration that is a link elsewhere", func() layout {
			l := newDeb("1.34.1", "", ctd).with(map[string]string{kubeadmConfig: "", "/opt/kubelet.yaml": kubeadmConfigText(ctd)})
			l.links = map[string]string{kubeadmConfig: "/opt/kubelet.yaml"}
			return l
		}(), ref(v1alpha1.CRIO), idEdit},
		{"a configuration that isn't there", good.with(map[string]string{kubeadmConfig: ""}), ref(v1alpha1.CRIO), idUnclear},
		{"a configuration that doesn't parse", good.with(map[string]string{kubeadmConfig: "a: [\n"}), ref(v1alpha1.CRIO), idUnclear},
		{"a drop-in that empties the endpoint", newDeb("1.33.1", "--config-dir=/etc/kubernetes/d", ctd).with(map[string]string{"/etc/kubernetes/d/1.conf": "containerRuntimeEndpoint: \"\"\n"}), ref(v1alpha1.CRIO), idUnclear},
		{"an environment file by pattern", good.with(map[string]string{good.dropIns[0]: strings.Replace(kubeadmDropIn, defaultEnv, "/etc/default/kubelet*", 1)}), ref(v1alpha1.CRIO), idUnclear},
		{"a specifier", good.with(map[string]string{good.dropIns[0]: strings.Replace(kubeadmDropIn, "$KUBELET_EXTRA_ARGS", "--hostname-override=%H", 1)}), ref(v1alpha1.CRIO), idUnclear},
		{"crictl's file in another style", good.with(map[string]string{crictlConfig: "{\"runtime-endpoint\": \"x\"}\n"}), ref(v1alpha1.CRIO), idEdit},
		{"a flag made of a variable", good.with(map[string]string{
			good.dropIns[0]: strings.Replace(kubeadmDropIn, "$KUBELET_EXTRA_ARGS", "--container-runtime-endpoint=${SOCKET}", 1), defaultEnv: "SOCKET=" + ctd + "\n",
		}), ref(v1alpha1.CRIO), idEdit},
		{"an open quote", good.with(map[string]string{kubeadmFlags: "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=" + ctd + "\n"}), ref(v1alpha1.CRIO), idEdit},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.in.facts(t)
			v, err := Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			states, findings, err := Retarget(f, v, ref(v1alpha1.Containerd), c.to)
			if err != nil || len(states) > 0 {
				t.Fatalf("%v %+v", err, states)
			}
			for _, x := range findings {
				if x.ID == c.id && x.Severity == v1alpha1.SeverityError {
					return
				}
			}
			t.Errorf("no finding %s in %+v", c.id, findings)
		})
	}
	if _, _, err := Retarget(good.facts(t), View{}, v1alpha1.RuntimeRef{}, ref(v1alpha1.CRIO)); err == nil {
		t.Error("a side without an endpoint was taken")
	}
}

func TestRetargetWarns(t *testing.T) {
	in := newDeb("1.30.14", "--runtime-cgroups=/system.slice/docker.service --container-runtime-endpoint="+ctd, "\"\"")
	f := in.facts(t)
	v, err := Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	states, findings, err := Retarget(f, v, ref(v1alpha1.Containerd), ref(v1alpha1.CRIO))
	if err != nil || len(findings) != 1 || findings[0].ID != idCgroups || findings[0].Severity != v1alpha1.SeverityWarning {
		t.Fatalf("%v %+v", err, findings)
	}
	want := map[string]string{kubeadmFlags: "KUBELET_KUBEADM_ARGS=\"--runtime-cgroups=/system.slice/docker.service --container-runtime-endpoint=" + crio + "\"\n"}
	if d := cmp.Diff(want, in.after(t, states)); d != "" {
		t.Error(d)
	}
}

func TestRetargetKeepsOwners(t *testing.T) {
	f := kind("1.34.4").with(map[string]string{instanceConfig: ""}).facts(t)
	v, err := Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	states, _, err := Retarget(f, v, ref(v1alpha1.Containerd), ref(v1alpha1.CRIO))
	if err != nil || len(states) != 4 {
		t.Fatalf("%v %+v", err, states)
	}
	for _, s := range states {
		if s.Mode != 0o600 || s.UID != 1 || s.GID != 2 || string(s.Xattrs["security.selinux"]) != "x" {
			t.Errorf("%+v", s)
		}
	}
}
