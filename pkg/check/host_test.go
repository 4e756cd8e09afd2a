package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// hostCase is a node, what is changed about it, and what the rules about its host say.
type hostCase struct {
	name   string
	node   layout.Node
	to     v1alpha1.RuntimeName
	change func(f *v1alpha1.Facts)
	want   string // severity and ID of what is asked, sorted
	says   string // in one of the messages
	shows  string // in one of the places
}

// rules whose findings the cases tell; the others have their own tests.
func hosts(id string) bool {
	return strings.HasPrefix(id, "H") || slices.Contains([]string{"N001", "N004", "N005", "N006", "K001", "R009"}, id)
}

func (c hostCase) run(t *testing.T) {
	n, to := c.node, c.to
	if n.Kubelet == "" {
		n.Kubelet = "1.34.4"
	}
	if n.Installer == "" {
		n.Installer = layout.KubeadmNew
	}
	if n.Runtime == "" {
		n.Runtime = v1alpha1.Containerd
	}
	if to == "" {
		to = v1alpha1.CRIO
	}
	n.Also = append([]v1alpha1.RuntimeName{to}, n.Also...)
	f := gather(t, n)
	disk(f, 200*gib, 20*gib)
	if c.change != nil {
		c.change(f)
	}
	v, err := kubelet.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	said, shown := c.says == "", c.shows == ""
	for _, x := range check.Switch(f, v, to) {
		if !hosts(x.ID) {
			continue
		}
		got = append(got, string(x.Severity)+" "+x.ID)
		said = said || strings.Contains(x.Message, c.says)
		shown = shown || slices.ContainsFunc(x.Evidence, func(s string) bool { return strings.Contains(s, c.shows) })
		if x.Severity == v1alpha1.SeverityError && x.Hint == "" {
			t.Errorf("%s has no hint: %s", x.ID, x.Message)
		}
	}
	if s := strings.Join(got, ", "); s != c.want {
		t.Errorf("got %q, want %q: %+v", s, c.want, check.Switch(f, v, to))
	}
	if !said || !shown {
		t.Errorf("nothing says %q or shows %q: %+v", c.says, c.shows, check.Switch(f, v, to))
	}
}

// appended adds to a file of the layout.
func appended(name, text string) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) { fileOf(f, name).Content += text }
}

func edited(name, old, text string) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) {
		x := fileOf(f, name)
		x.Content = strings.ReplaceAll(x.Content, old, text)
	}
}

// target gives one of the target's binaries another version.
func target(name v1alpha1.RuntimeName, binary, version string) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) {
		runtimeOf(f, name).Binaries[binary] = v1alpha1.Binary{Path: "/usr/bin/" + binary, Version: version}
	}
}

func all(list ...func(*v1alpha1.Facts)) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) {
		for _, change := range list {
			change(f)
		}
	}
}

// store changes the file systems of the runtimes' stores.
func store(change func(fs *v1alpha1.Filesystem)) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) {
		for i := range f.Filesystems {
			if fs := &f.Filesystems[i]; fs.Path != "/" && fs.Path != "/var/lib/kubelet" {
				change(fs)
			}
		}
	}
}

const kubeletConfig = "/var/lib/kubelet/config.yaml"

func TestThresholds(t *testing.T) {
	filled := func(used int64) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			disk(f, 100*gib, used)
			runtimeOf(f, v1alpha1.Containerd).StoreBytes = 4 * gib
			runtimeOf(f, v1alpha1.Containerd).CRI.Images[0].Bytes = 4 * gib
		}
	}
	ownDisk := func(f *v1alpha1.Facts) {
		for i := range f.Filesystems {
			if f.Filesystems[i].Path == "/var/lib/containers/storage" {
				f.Filesystems[i].Device = "8:17"
			}
		}
	}
	for _, c := range []hostCase{
		{name: "below all of them", change: filled(80 * gib)},
		{name: "garbage collection", change: filled(82 * gib), want: "error N004", says: "garbage collection threshold of 85 %"},
		{name: "garbage collection, on a disk of the target's own", change: all(filled(82*gib), ownDisk), want: "error N004", says: "garbage collection"},
		{name: "collection off, eviction by default", change: all(filled(82*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\n")), want: "error N004", says: "imagefs.available"},
		{name: "naming one signal drops the other ones' defaults", change: all(filled(92*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nevictionHard:\n  memory.available: 1Gi\n"))},
		{name: "unless they are merged", change: all(filled(92*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nmergeDefaultEvictionSettings: true\nevictionHard:\n  memory.available: 1Gi\n")), want: "error N004", says: "imagefs.available"},
		{name: "a quantity", change: all(filled(82*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nevictionHard:\n  nodefs.available: 15Gi\n")), want: "error N004", says: "nodefs.available"},
		{name: "a quantity that leaves room", change: all(filled(82*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nevictionHard:\n  nodefs.available: 1Gi\n"))},
		{name: "a signal of a disk that the target doesn't use", change: all(filled(82*gib), ownDisk, appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nevictionHard:\n  nodefs.available: 15Gi\n"))},
		{name: "a soft threshold", change: all(filled(82*gib), appended(kubeletConfig, "imageGCHighThresholdPercent: 100\nevictionHard:\n  memory.available: 1Gi\nevictionSoft:\n  imagefs.available: 15.5%\n")), want: "error N004", says: "imagefs.available"},
		{name: "a flag overrules the file", change: all(filled(82*gib), func(f *v1alpha1.Facts) {
			f.Kubelet.Argv = append(f.Kubelet.Argv, "--image-gc-high-threshold=100", "--eviction-hard=memory.available<100Mi,nodefs.available<1Gi")
		})},
		{name: "an old place of the store", change: all(filled(82*gib), func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.CRIO).StorePath = "/nowhere/looked/at" }), want: "error N004"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestStores(t *testing.T) {
	few := func(inodes, free, ofStore int64) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			for i := range f.Filesystems {
				f.Filesystems[i].Inodes, f.Filesystems[i].FreeInodes = inodes, free
			}
			runtimeOf(f, v1alpha1.Containerd).StoreInodes = ofStore
		}
	}
	old := func(fs *v1alpha1.Filesystem) { fs.Type, fs.NoFileTypes = "xfs", true }
	resting := layout.Node{Runtime: v1alpha1.CRIO}
	for _, c := range []hostCase{
		{name: "inodes enough", change: few(1000, 400, 300)},
		{name: "a file system that counts none", change: few(0, 0, 300)},
		{name: "inodes that the images need", change: few(1000, 300, 260), want: "warning H001", says: "inodesFree"},
		{name: "inodes that are gone already", change: few(1000, 20, 0), want: "warning H001", says: "beyond the kubelet's"},
		{name: "few inodes and no threshold", change: all(few(1000, 60, 0), appended(kubeletConfig, "evictionHard:\n  nodefs.inodesFree: 0%\n")), want: "warning H001", says: "60 of 1000"},
		{name: "inodes of another disk", change: all(few(1000, 300, 260), store(func(fs *v1alpha1.Filesystem) { fs.Device, fs.Inodes, fs.FreeInodes = "8:17", 9000, 8000 }))},

		{name: "XFS without types below containerd", node: resting, to: v1alpha1.Containerd, change: store(old), want: "error H002", says: "ftype=0", shows: "/var/lib/containerd"},
		{name: "XFS with types", node: resting, to: v1alpha1.Containerd, change: store(func(fs *v1alpha1.Filesystem) { fs.Type = "xfs" })},
		{name: "XFS without types and another snapshotter", node: resting, to: v1alpha1.Containerd, change: all(store(old), func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Containerd).EffectiveConfig = strings.ReplaceAll(runtimeOf(f, v1alpha1.Containerd).EffectiveConfig, "overlayfs", "native")
			x := fileOf(f, "/etc/containerd/config.toml")
			x.Content = strings.ReplaceAll(x.Content, "sandbox_image", "containerd.snapshotter = \"native\"\n  sandbox_image")
		})},
		{name: "XFS without types below a Docker that may choose", to: v1alpha1.Docker, change: store(old), want: "warning H002", says: "copy every layer"},
		{name: "a network's file system", change: store(func(fs *v1alpha1.Filesystem) { fs.Type = "nfs" }), want: "warning H002"},
		{name: "overlay on overlay", node: resting, to: v1alpha1.Containerd, change: store(func(fs *v1alpha1.Filesystem) { fs.Type = "overlay" }), want: "warning H002"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestHostSystem(t *testing.T) {
	byDocker := layout.Node{Runtime: v1alpha1.Docker}
	for _, c := range []hostCase{
		{name: "what Docker set and no file says", node: byDocker, to: v1alpha1.Containerd, want: "fixable H003, fixable H003", says: "br_netfilter", shows: "/etc/modules-load.d/kubectl-runtime.conf"},
		{name: "what Docker set and files say", node: layout.Node{Runtime: v1alpha1.Docker, Files: map[string]string{
			"/etc/modules-load.d/k8s.conf": "overlay\nbr-netfilter\n",
			"/usr/lib/sysctl.d/k8s.conf":   "net/ipv4/ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\n-net.bridge.bridge-nf-call-ip6tables = 1\n",
		}}, to: v1alpha1.Containerd},
		{name: "Docker sets it itself", change: func(f *v1alpha1.Facts) {
			fileOf(f, "/etc/modules-load.d/k8s.conf").Content, fileOf(f, "/etc/sysctl.d/k8s.conf").Content = "", ""
		}, to: v1alpha1.Docker},
		{name: "a file that says otherwise", change: func(f *v1alpha1.Facts) {
			f.Files = append(f.Files, v1alpha1.File{Path: "/etc/sysctl.d/99-cis.conf", Type: v1alpha1.Regular, Content: "# hardening\nnet.ipv4.ip_forward = 0\n"})
			fileOf(f, "/etc/sysctl.d/k8s.conf").Path = "/etc/sysctl.d/90-k8s.conf"
		}, want: "warning H003", says: "sets it to 0", shows: "/etc/sysctl.d/99-cis.conf:2"},
		{name: "a file that says otherwise and comes before", change: func(f *v1alpha1.Facts) {
			f.Files = append(f.Files, v1alpha1.File{Path: "/etc/sysctl.d/10-cis.conf", Type: v1alpha1.Regular, Content: "net.ipv4.ip_forward = 0\n"})
		}},
		{name: "a file that another of its name hides", change: func(f *v1alpha1.Facts) {
			f.Files = append(f.Files, v1alpha1.File{Path: "/usr/lib/sysctl.d/zz.conf", Type: v1alpha1.Regular, Content: "net.ipv4.ip_forward = 0\n"},
				v1alpha1.File{Path: "/etc/sysctl.d/zz.conf", Type: v1alpha1.Regular})
		}},
		{name: "a parameter that isn't in force", change: all(edited("/etc/sysctl.d/k8s.conf", "net.ipv4.ip_forward = 1", ""), func(f *v1alpha1.Facts) { f.Sysctls["net.ipv4.ip_forward"] = "0" })},

		{name: "a kubelet that is told otherwise by its runtime", change: edited(kubeletConfig, "cgroupDriver: systemd", "cgroupDriver: cgroupfs"), want: "warning H004", says: "goes by that", shows: kubeletConfig + ":"},
		{
			name: "and a target that tells nothing", node: layout.Node{Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd,
			change: all(edited(kubeletConfig, "cgroupDriver: systemd", "cgroupDriver: cgroupfs"), target(v1alpha1.Containerd, "containerd", "1.7.28")),
			want:   "error H004", says: "every pod would fail",
		},
		{name: "an older kubelet and its runtime", node: layout.Node{Kubelet: "1.27.16"}, change: edited(kubeletConfig, "cgroupDriver: systemd", "cgroupDriver: cgroupfs"), want: "warning H004", says: "is told systemd"},
		{name: "an older kubelet and a runtime of one mind", node: layout.Node{Kubelet: "1.27.16"}},

		{name: "cgroup v1 and CRI-O", change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }},
		{name: "cgroup v1 and a containerd that announces its end", node: layout.Node{Runtime: v1alpha1.CRIO}, to: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }, want: "warning H005", says: "containerd 2.2.9"},
		{name: "cgroup v1 and an older Docker", to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }},
		{name: "cgroup v1 and Docker 29", to: v1alpha1.Docker, change: all(func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }, target(v1alpha1.Docker, "dockerd", "29.3.0")), want: "warning H005"},
		{name: "cgroup v1 and a kubelet told to fail", change: all(func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }, appended(kubeletConfig, "failCgroupV1: true\n")), want: "error N006", shows: kubeletConfig + ":"},
		{name: "cgroup v1 and a flag that allows it", node: layout.Node{Kubelet: "1.35.4"}, change: func(f *v1alpha1.Facts) {
			f.Machine.CgroupVersion = 1
			f.Kubelet.Argv = append(f.Kubelet.Argv, "--fail-cgroupv1=false")
		}},

		{name: "Fedora CoreOS", change: func(f *v1alpha1.Facts) {
			f.Machine.OSID, f.Machine.OSName, f.Machine.OSVariant = "fedora", "Fedora Linux 43", "coreos"
		}, want: "error N001", says: "Fedora Linux 43 (CoreOS)"},
		{name: "an image of OSTree", change: func(f *v1alpha1.Facts) { f.Machine.OSTree = true }, want: "error N001", says: "OSTree"},
		{name: "Talos, whose process 1 isn't systemd either", change: func(f *v1alpha1.Facts) {
			f.Machine.OSID, f.Machine.OSName, f.Machine.SystemdVersion = "talos", "Talos (v1.12.0)", 0
		}, want: "error N001", says: "Talos (v1.12.0) is an immutable system"},
		{name: "Bottlerocket", change: func(f *v1alpha1.Facts) { f.Machine.OSID, f.Machine.OSName = "bottlerocket", "" }, want: "error N001", says: "bottlerocket"},
		{name: "Fedora", change: func(f *v1alpha1.Facts) { f.Machine.OSID, f.Machine.OSVariant = "fedora", "server" }},
		{name: "MicroK8s", change: func(f *v1alpha1.Facts) { f.Kubelet.Unit = "snap.microk8s.daemon-kubelite.service" }, want: "error K001", says: "by MicroK8s"},
		{name: "RKE2", change: func(f *v1alpha1.Facts) { f.Kubelet.Version = "1.34.4+rke2r1" }, want: "error K001", says: "by RKE2"},
		{name: "k0s", change: func(f *v1alpha1.Facts) { f.Kubelet.Exe = "/var/lib/k0s/bin/kubelet" }, want: "error K001", says: "by k0s"},
		{name: "RKE1", change: func(f *v1alpha1.Facts) { f.Kubelet.Unit = "docker-0123abcd.scope" }, want: "error K001", says: "RKE1"},
	} {
		t.Run(c.name, c.run)
	}
}
