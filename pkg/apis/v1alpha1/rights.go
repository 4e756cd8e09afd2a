package v1alpha1

// Right is something that the node agent may do as root, and why it does.
type Right struct{ What, Why string }

// WritablePaths are the paths that the node agent may write, whatever a plan says: one that ends in a slash with everything below
// it, another one exactly itself. To these come the kubelet's configuration file and drop-in directory, where its units name others
// in /etc/kubernetes, /etc/kubelet… or /var/lib/kubelet.
func WritablePaths() []Right {
	return []Right{
		{"/var/lib/kubectl-runtime/", "the agent itself, records and backups of runs, staging"},
		{"/etc/systemd/system/", "drop-ins and links of the runtimes' units and the kubelet's, units of an open run"},
		{"/etc/containerd/", "containerd's configuration"},
		{"/etc/crio/", "CRI-O's configuration"},
		{"/etc/containers/", "CRI-O's registries, certificates and signature policy"},
		{"/etc/docker/", "Docker's configuration"},
		{"/etc/crictl.yaml", "the endpoint that crictl asks"},
		{"/etc/modules-load.d", "the directory, where there is none"},
		{"/etc/modules-load.d/kubectl-runtime.conf", "kernel modules that the runtimes need"},
		{"/etc/sysctl.d", "the directory, where there is none"},
		{"/etc/sysctl.d/99-kubectl-runtime.conf", "kernel parameters that pods' networks need"},
		{"/etc/default/kubelet", "the kubelet's flags"},
		{"/etc/sysconfig/kubelet", "the kubelet's flags"},
		{"/etc/kubernetes/kubelet.env", "the kubelet's flags"},
		{"/etc/kubernetes/kubelet-config.yaml", "the kubelet's configuration"},
		{"/var/lib/kubelet/kubeadm-flags.env", "the kubelet's flags, as kubeadm keeps them"},
		{"/var/lib/kubelet/config.yaml", "the kubelet's configuration, as kubeadm keeps it"},
		{"/var/lib/kubelet/instance-config.yaml", "the kubelet's endpoint, as kubeadm keeps it"},
		{"/var/lib/kubelet/image_manager/pulled/", "the kubelet's records of the credentials that images were pulled with"},
		{"/var/lib/kubelet/image_manager/pulling/", "the kubelet's records of pulls that have begun"},
		{"/var/lib/kubelet/.kubectl-runtime-reserve", "room that is set aside for a rollback"},
	}
}

// Programs are the names of the programs that the node agent may run, whatever a plan says. Each is run from a file that root alone
// can have written, by its path or out of the system's directories; no shell is among them.
func Programs() []Right {
	return []Right{
		{"containerd", "its version, its configuration as it understands it, and as the staging instance"},
		{"crio", "its version, its configuration as it understands it, and as the staging instance"},
		{"dockerd", "its version, to validate its configuration, and as the staging instance"},
		{"cri-dockerd", "its version"},
		{"docker", "its version"},
		{"ctr", "its version, and to import images into containerd"},
		{"crictl", "its version"},
		{"conmon", "its version"},
		{"runc", "its version"},
		{"crun", "its version"},
		{"kubelet", "its version"},
		{"kubeadm", "its version"},
		{"journalctl", "the last log lines of a unit that did not start"},
		{"modprobe", "kernel modules that the runtimes need"},
	}
}

// ProgramDirs are where a program is looked for that is called by its name alone.
func ProgramDirs() []string {
	return []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

// PluginDirs are the directories of network plugins. Those that a pod's network was made with are run once more for it where no
// runtime is left that could.
func PluginDirs() []string { return []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"} }
