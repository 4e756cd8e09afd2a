package check

import "fmt"

// hostRules are about what the kubelet and the runtimes stand on: file systems, the kernel, the network's configuration,
// and what they are told that others contradict.
func hostRules() []rule {
	return []rule{
		{Rule{
			"H001", "there are inodes for a second image store",
			"An unpacked image is many small files. Where inodes end before bytes do, the kubelet sees it by inodesFree and evicts pods. The old store's own count, where the runtime tells it, says what the new one may need. Remove unused images, or give the store a file system of its own.",
		}, inodes},
		{Rule{
			"H002", "overlay can work where the target keeps its images",
			"Overlay needs a file system whose directories tell the types of their entries: XFS made with ftype=0 (mkfs.xfs before 2015) doesn't, and neither overlay itself nor NFS can hold its upper layer. The runtimes refuse such a directory. Make a file system with ftype=1 for the store, or choose another driver or snapshotter.",
		}, overlayable},
		{Rule{
			"H003", "kernel modules and parameters last through the next boot",
			"dockerd loads br_netfilter and sets net.ipv4.ip_forward at each start; containerd and CRI-O don't. What is in force today without a file that says so is gone after the next boot, and pods' traffic with it. The plan writes what no file says. A file that says otherwise stays, and is named.",
		}, lasting},
		{Rule{
			"H004", "the kubelet and the runtime it leaves agree on the cgroup driver",
			"From 1.31 on a kubelet goes by the driver that its runtime names, whatever its own configuration says; a runtime that doesn't name one (containerd 1, CRI-O before 1.28, cri-dockerd before 0.3.17) leaves it to the configuration. Write the driver that is in force into cgroupDriver before the switch.",
		}, agreedDriver},
		{Rule{
			"H005", "the target goes on with the node's cgroup version",
			"containerd from 2.2 on and Docker from 29 on announce the end of cgroup v1 by May 2029; the kubelet has its own rule (N006). Move the node to cgroup v2 when it is next built.",
		}, cgroupSupport},
		{Rule{
			"H006", "pods keep their network",
			"Runtimes take the first configuration of CNI by name, but not alike: containerd stops at a file that isn't valid and may be told to take several, CRI-O and cri-dockerd step over it and over one whose plugins aren't installed, and CRI-O may be told a name. Bridges that packages of CRI-O, podman and nerdctl bring win by accident where they sort first. Leave the cluster's file alone in the directory.",
		}, network},
		{Rule{
			"H007", "containerd accepts its own configuration",
			"Where containerd refuses what its files say it doesn't start, or serves everything but CRI: a file of a newer version than it reads, registry.mirrors together with registry.config_path, cni.bin_dir together with cni.bin_dirs, a plugin that CRI needs among disabled_plugins, a snapshotter or shim that 2.0 removed.",
		}, accepted},
		{Rule{
			"H008", "containerd is told nothing that goes",
			"What containerd announces to remove, as its files show and as the running daemon says itself (ctr deprecations list), and what this release ignores already though its files say it.",
		}, announcedEnds},
		{Rule{
			"H009", "this and the next kubelet know its flags",
			"A kubelet exits at a flag that it doesn't know, and systemd starts it for ever. Flags that this release doesn't know any more stop it at the restart that a switch needs; those that the next release drops stop it after the upgrade. kubeadm takes --container-runtime and --pod-infra-container-image out of its own file, and nothing out of others.",
		}, knownFlags},
		{Rule{
			"H010", "kubeadm's record on the node names the kubelet's endpoint",
			"kubeadm rewrites the kubelet's configuration at each upgrade from /var/lib/kubelet/instance-config.yaml, or takes the endpoint out of its own flags. A record that is out of date would bring an endpoint back that isn't in use. The plan writes the new one.",
		}, records},
		{Rule{
			"H011", "AppArmor confines containers as before",
			"Each runtime has a default profile of its own, which it loads itself. CRI-O refuses to start when it is told one that isn't loaded, and releases of containerd before 1.5 and Docker before 23.0 fail at every container where AppArmor is on and apparmor_parser is missing. A profile that an operator chose isn't carried.",
		}, appArmor},
	}
}

// place is a file and a line as evidence.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
