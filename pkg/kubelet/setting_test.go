package kubelet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConfigure: flags beat drop-ins beat the file, and tables are merged name by name.
func TestConfigure(t *testing.T) {
	const dir = "/etc/kubernetes/kubelet.conf.d"
	f := newDeb("1.34.4", "--config-dir="+dir+" --image-gc-high-threshold=97 --eviction-soft=nodefs.available<20%, memory.available<1Gi", ctd).with(map[string]string{
		"/var/lib/kubelet/config.yaml": "kind: KubeletConfiguration\nfailCgroupV1: true\nimageGCHighThresholdPercent: 90\ncgroupDriver: \"\"\nevictionHard:\n  memory.available: 100Mi\n  nodefs.available: 10%\n",
		dir + "/10-a.conf":             "failCgroupV1: false\n",
		dir + "/20-b.conf":             "evictionHard:\n  nodefs.available: 5%\n",
		dir + "/30-c.yaml":             "failCgroupV1: true\n",
	}).facts(t)
	c := Configure(f)
	type said struct {
		Value, File string
		Line        int
		OK          bool
	}
	get := func(flag string, field ...string) said {
		value, file, line, ok := c.Get(flag, field...)
		return said{value, file, line, ok}
	}
	if diff := cmp.Diff(said{"false", dir + "/10-a.conf", 1, true}, get("fail-cgroupv1", "failCgroupV1")); diff != "" {
		t.Error(diff)
	}
	if got := get("image-gc-high-threshold", "imageGCHighThresholdPercent"); got.Value != "97" || !got.OK {
		t.Errorf("%+v", got)
	}
	if got := get("cgroup-driver", "cgroupDriver"); got.OK {
		t.Errorf("an empty value says something: %+v", got)
	}
	if got := get("", "maxPods"); got != (said{}) {
		t.Errorf("%+v", got)
	}
	for _, tt := range []struct {
		flag, field string
		want        map[string]string
		ok          bool
	}{
		{"eviction-hard", "evictionHard", map[string]string{"memory.available": "100Mi", "nodefs.available": "5%"}, true},
		{"eviction-soft", "evictionSoft", map[string]string{"nodefs.available": "20%"}, true},
		{"", "evictionMinimumReclaim", map[string]string{}, false},
	} {
		got, ok := c.Table(tt.flag, tt.field)
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
			t.Errorf("%s: %v %s", tt.field, ok, diff)
		}
	}
}

// TestGate: a flag beats the configuration, gate by gate.
func TestGate(t *testing.T) {
	f := newDeb("1.35.4", "--feature-gates=A=true,B=false --feature-gates=C=x", ctd).with(map[string]string{
		"/var/lib/kubelet/config.yaml": "kind: KubeletConfiguration\nfeatureGates:\n  B: true\n  D: true\n  E: false\n",
	}).facts(t)
	c := Configure(f)
	for name, want := range map[string][2]bool{"A": {true, true}, "B": {false, true}, "C": {}, "D": {true, true}, "E": {false, true}, "F": {}} {
		if on, said := c.Gate(name); on != want[0] || said != want[1] {
			t.Errorf("%s: on %v, said %v", name, on, said)
		}
	}
}

// TestRemovedIn: one flag has one end, and what kubeadm writes today none.
func TestRemovedIn(t *testing.T) {
	seen := map[string]int{}
	for minor, flags := range removed {
		for _, f := range flags {
			if other := seen[f]; other != 0 {
				t.Errorf("%s was removed in 1.%d and 1.%d", f, other, minor)
			}
			seen[f] = minor
		}
	}
	for flag, want := range map[string]int{
		"container-runtime": 27, "network-plugin": 24, "pod-infra-container-image": 35, "containerd": 37,
		"container-runtime-endpoint": 0, "runtime-cgroups": 0, "node-ip": 0, "config": 0, "hostname-override": 0, "cgroup-driver": 0,
	} {
		if got := RemovedIn(flag); got != want {
			t.Errorf("%s: %d, want %d", flag, got, want)
		}
	}
	if !KubeadmRemoves("container-runtime", 27) || KubeadmRemoves("network-plugin", 24) {
		t.Error("kubeadm takes others out of its file")
	}
}
