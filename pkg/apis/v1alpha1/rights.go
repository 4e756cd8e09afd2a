package v1alpha1

// Right is something that the node agent may do as root, and why it does.
type Right struct{ What, Why string }

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
