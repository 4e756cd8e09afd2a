package edit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const kubesprayEnv = `KUBE_LOGTOSTDERR="--logtostderr=true"
KUBE_LOG_LEVEL="--v=2"
# The address for the info server to serve on (set to 0.0.0.0 or "" for all interfaces)
KUBELET_ADDRESS="--node-ip=10.0.0.3"
KUBELET_HOSTNAME="--hostname-override=node3"

KUBELET_ARGS="--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--config=/etc/kubernetes/kubelet-config.yaml \
--kubeconfig=/etc/kubernetes/kubelet.conf \
--container-runtime=remote \
--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock \
--runtime-cgroups=/systemd/system.slice \
   "
KUBELET_CLOUDPROVIDER=""

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
`

func TestEnvSetFlag(t *testing.T) {
	const flag, value = "container-runtime-endpoint", "unix:///var/run/crio/crio.sock"
	set := "--container-runtime-endpoint=unix:///var/run/crio/crio.sock"
	for _, c := range []struct{ name, in, want string }{
		{
			"kubeadm",
			"KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.9\"\n",
			"KUBELET_KUBEADM_ARGS=\"" + set + " --pod-infra-container-image=registry.k8s.io/pause:3.9\"\n",
		},
		{"two words", "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint /x --a=b\"", "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint unix:///var/run/crio/crio.sock --a=b\""},
		{
			"twice, the last wins and stays",
			"KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=/x --a=b --container-runtime-endpoint=/y\"\n",
			"KUBELET_KUBEADM_ARGS=\"--a=b " + set + "\"\n",
		},
		{"absent", "KUBELET_KUBEADM_ARGS=\"--a=b\"\n", "KUBELET_KUBEADM_ARGS=\"--a=b " + set + "\"\n"},
		{"absent, single quotes", "KUBELET_KUBEADM_ARGS='--a=b'\n", "KUBELET_KUBEADM_ARGS='--a=b " + set + "'\n"},
		{"absent, no quotes", "KUBELET_KUBEADM_ARGS=--a=b\n", "KUBELET_KUBEADM_ARGS=\"--a=b " + set + "\"\n"},
		{"empty", "KUBELET_KUBEADM_ARGS=\n", "KUBELET_KUBEADM_ARGS=\"" + set + "\"\n"},
		{"empty quotes", "KUBELET_KUBEADM_ARGS=''\nB=1", "KUBELET_KUBEADM_ARGS='" + set + "'\nB=1"},
		{"no variable", "# c\nA=1", "# c\nA=1\nKUBELET_KUBEADM_ARGS=\"" + set + "\"\n"},
		{"empty file", "", "KUBELET_KUBEADM_ARGS=\"" + set + "\"\n"},
		{"assigned twice", "KUBELET_KUBEADM_ARGS=--a\n;c\nKUBELET_KUBEADM_ARGS=\"--b\"\n", "KUBELET_KUBEADM_ARGS=--a\n;c\nKUBELET_KUBEADM_ARGS=\"--b " + set + "\"\n"},
		{"CRLF", "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=/x\"\r\n", "KUBELET_KUBEADM_ARGS=\"" + set + "\"\r\n"},
		{"equal", "KUBELET_KUBEADM_ARGS=\"" + set + "\"\n", "KUBELET_KUBEADM_ARGS=\"" + set + "\"\n"},
		{
			"quotes inside",
			"KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint='/x' --a=b\"\n",
			"KUBELET_KUBEADM_ARGS=\"" + set + " --a=b\"\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(EnvSetFlag(c.in, "KUBELET_KUBEADM_ARGS", flag, value)) })
	}
	t.Run("kubespray", func(t *testing.T) {
		want := strings.Replace(kubesprayEnv, "unix:///var/run/containerd/containerd.sock", value, 1)
		check(t, kubesprayEnv, want)(EnvSetFlag(kubesprayEnv, "KUBELET_ARGS", flag, value))
	})
	t.Run("kubespray, absent", func(t *testing.T) {
		want := strings.Replace(kubesprayEnv, "system.slice ", "system.slice --container-log-max-files=5 ", 1)
		check(t, kubesprayEnv, want)(EnvSetFlag(kubesprayEnv, "KUBELET_ARGS", "container-log-max-files", "5"))
	})
}

func TestEnvRemoveFlag(t *testing.T) {
	for _, c := range []struct{ name, in, variable, flag, want string }{
		{"a line of its own", kubesprayEnv, "KUBELET_ARGS", "container-runtime", strings.Replace(kubesprayEnv, "--container-runtime=remote \\\n", "", 1)},
		{"the first of the line", kubesprayEnv, "KUBELET_ARGS", "bootstrap-kubeconfig", strings.Replace(kubesprayEnv, "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\", " \\", 1)},
		{"the only one", kubesprayEnv, "KUBELET_ADDRESS", "node-ip", strings.Replace(kubesprayEnv, "--node-ip=10.0.0.3", "", 1)},
		{"middle", "A=\"--a=1 --b=2  --c=3\"\n", "A", "b", "A=\"--a=1 --c=3\"\n"},
		{"last", "A=\"--a=1 --b=2\"\n", "A", "b", "A=\"--a=1\"\n"},
		{"two words", "A=\"--a=1 --b 2 --c=3\"\n", "A", "b", "A=\"--a=1 --c=3\"\n"},
		{"two words on two lines", "A=\"--a=1 --b \\\n 2 --c=3\"\n", "A", "b", "A=\"--a=1 \\\n --c=3\"\n"},
		{"a switch", "A=\"--b --c=3\"\n", "A", "b", "A=\"--c=3\"\n"},
		{"all of them", "A=\"--b --c=3 --b=4 --b 5\"\n", "A", "b", "A=\"--c=3\"\n"},
		{"absent", "A=\"--a=1\"\n", "A", "b", "A=\"--a=1\"\n"},
		{"no variable", "B=\"--b=1\"\n", "A", "b", "B=\"--b=1\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(EnvRemoveFlag(c.in, c.variable, c.flag)) })
	}
}

func TestEnvRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, variable, flag, value string }{
		{"open quote", "A=\"--b=1\n", "A", "b", "2"},
		{"comment with a backslash", "# c \\\nA=\"--b=1\"\n", "A", "b", "2"},
		{"a value that needs quotes", "A=\"--b=1\"\n", "A", "b", "2 3"},
		{"a name that is none", "A=\"--b=1\"\n", "A B", "b", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s, err := EnvSetFlag(c.in, c.variable, c.flag, c.value); !errors.Is(err, ErrRefused) || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

func TestParseEnv(t *testing.T) {
	type v struct {
		Name, Value string
		Line        int
	}
	for _, c := range []struct {
		name, in string
		want     []v
	}{
		{"quotes", "A='x y' \nB=\"x \\\" \\$ \\z\"\nC=x y  \n", []v{{"A", "x y", 1}, {"B", `x " $ \z`, 2}, {"C", "x y", 3}}},
		{"joined", "A=\"x\" 'y'z\n", []v{{"A", "xyz", 1}}},
		{"continued", "A=x\\\ny\nB=\"a \\\n b\"\n", []v{{"A", "xy", 1}, {"B", "a  b", 3}}},
		{"spaces", " A = x\n", []v{{"A", "x", 1}}},
		{"no names", "export A=x\n1=2\nfoo\nB=y", []v{{"B", "y", 4}}},
		{"comments", "#A=1\n ;B=2\nC=x#y\n", []v{{"C", "x#y", 3}}},
		{"open quote", "A=\"x\nB=y\n", []v{{"A", "x\nB=y\n", 1}}},
		{"escaped blank", "A=x\\ y\\ \n", []v{{"A", "x y ", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEnv(c.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []v
			for _, x := range e.Vars {
				got = append(got, v{x.Name, x.Value, x.Line})
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	e, err := ParseEnv(kubesprayEnv)
	if err != nil {
		t.Fatal(err)
	}
	args, _ := e.Get("KUBELET_ARGS")
	if f, ok := LastFlag(args.Flags(), "container-runtime-endpoint"); !ok || f.Line != 11 || f.Value != "unix:///var/run/containerd/containerd.sock" {
		t.Errorf("got %+v", f)
	}
}
