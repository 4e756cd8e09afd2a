package edit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const kubeKeyDropIn = `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generate at runtime
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
Environment="KUBELET_EXTRA_ARGS=--node-ip=10.0.0.3 --hostname-override=node3 --network-plugin=cni"
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`

const kubeaszUnit = `[Unit]
Description=Kubernetes Kubelet
After=containerd.service

[Service]
WorkingDirectory=/var/lib/kubelet
ExecStartPre=/bin/mount -o remount,rw '/sys/fs/cgroup'
ExecStart=/opt/kube/bin/kubelet \
  --config=/var/lib/kubelet/config.yaml \
  --container-runtime=remote \
  # the socket
  --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
  --kubeconfig=/etc/kubernetes/kubelet.kubeconfig \
  --v=2
Restart=always

[Install]
WantedBy=multi-user.target
`

func TestUnitFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		edit func(in string) ([]Splice, error)
		want string
	}{
		{
			"set in Environment", kubeKeyDropIn,
			func(in string) ([]Splice, error) { return UnitSetFlag(in, "KUBELET_EXTRA_ARGS", "node-ip", "10.0.0.4") },
			strings.Replace(kubeKeyDropIn, "10.0.0.3", "10.0.0.4", 1),
		},
		{
			"append in Environment", kubeKeyDropIn,
			func(in string) ([]Splice, error) { return UnitSetFlag(in, "KUBELET_EXTRA_ARGS", "a", "b") },
			strings.Replace(kubeKeyDropIn, "plugin=cni", "plugin=cni --a=b", 1),
		},
		{
			"remove from Environment", kubeKeyDropIn,
			func(in string) ([]Splice, error) { return UnitRemoveFlag(in, "KUBELET_EXTRA_ARGS", "network-plugin") },
			strings.Replace(kubeKeyDropIn, " --network-plugin=cni", "", 1),
		},
		{
			"append to a word without quotes", "[Service]\nEnvironment=A=1 B=--x=y C=2\n",
			func(in string) ([]Splice, error) { return UnitSetFlag(in, "B", "a", "b") },
			"[Service]\nEnvironment=A=1 \"B=--x=y --a=b\" C=2\n",
		},
		{
			"append to an empty variable", "[Service]\nEnvironment=\"B=\"\n",
			func(in string) ([]Splice, error) { return UnitSetFlag(in, "B", "a", "b") },
			"[Service]\nEnvironment=\"B=--a=b\"\n",
		},
		{
			"set in ExecStart", kubeaszUnit,
			func(in string) ([]Splice, error) {
				return ExecSetFlag(in, "container-runtime-endpoint", "unix:///var/run/crio/crio.sock")
			},
			strings.Replace(kubeaszUnit, "unix:///run/containerd/containerd.sock", "unix:///var/run/crio/crio.sock", 1),
		},
		{
			"append to ExecStart", kubeaszUnit,
			func(in string) ([]Splice, error) { return ExecSetFlag(in, "a", "b") },
			strings.Replace(kubeaszUnit, "--v=2\n", "--v=2 \\\n  --a=b\n", 1),
		},
		{
			"append to ExecStart on one line", "[Service]\nExecStart=/bin/kubelet\n",
			func(in string) ([]Splice, error) { return ExecSetFlag(in, "a", "b") },
			"[Service]\nExecStart=/bin/kubelet --a=b\n",
		},
		{
			"remove from ExecStart", kubeaszUnit,
			func(in string) ([]Splice, error) { return ExecRemoveFlag(in, "container-runtime") },
			strings.Replace(kubeaszUnit, "  --container-runtime=remote \\\n", "", 1),
		},
		{
			"remove the last from ExecStart", kubeaszUnit,
			func(in string) ([]Splice, error) { return ExecRemoveFlag(in, "v") },
			strings.Replace(kubeaszUnit, "  --v=2\n", "  \n", 1),
		},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(c.edit(c.in)) })
	}
}

func TestUnitRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		s    []Splice
		err  error
	}{
		{name: "variable isn't set"}, {name: "two commands"}, {name: "no command"}, {name: "value with a blank"},
	} {
		switch c.name {
		case "variable isn't set":
			c.s, c.err = UnitSetFlag(kubeaszUnit, "X", "a", "b")
		case "two commands":
			c.s, c.err = ExecSetFlag("[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n", "a", "b")
		case "no command":
			c.s, c.err = ExecSetFlag("[Service]\n", "a", "b")
		case "value with a blank":
			c.s, c.err = ExecSetFlag(kubeaszUnit, "a", "b c")
		}
		if !errors.Is(c.err, ErrRefused) || c.s != nil {
			t.Errorf("%s: %v, %v", c.name, c.s, c.err)
		}
	}
}

func TestParseUnit(t *testing.T) {
	u, err := ParseUnit(kubeaszUnit)
	if err != nil {
		t.Fatal(err)
	}
	exec := u.Values("Service", "ExecStart")
	if len(exec) != 1 || exec[0].Line != 8 {
		t.Fatalf("got %+v", exec)
	}
	flags, err := exec[0].Flags()
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := LastFlag(flags, "container-runtime-endpoint"); !ok || f.Line != 12 {
		t.Errorf("got %+v", f)
	}
	u, err = ParseUnit(kubeKeyDropIn)
	if err != nil {
		t.Fatal(err)
	}
	if !u.Resets("Service", "ExecStart") || len(u.Values("Service", "ExecStart")) != 1 {
		t.Error("ExecStart= resets the list")
	}
	vars, err := u.Environment()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range vars {
		names = append(names, v.Name)
	}
	if d := cmp.Diff([]string{"KUBELET_KUBECONFIG_ARGS", "KUBELET_CONFIG_ARGS", "KUBELET_EXTRA_ARGS"}, names); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"[Service\n", "A=1\n", "[Service]\nfoo\n", "[Service]\na\rb=1\n"} {
		if _, err := ParseUnit(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
