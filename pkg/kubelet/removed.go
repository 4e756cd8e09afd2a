package kubelet

import "slices"

// removed are the flags that a minor release took away: the kubelets of that release and later exit when they meet one.
// They are the differences between the flags of cmd/kubelet/app/options and its vendored packages from release to release.
var removed = map[int][]string{
	22: {"redirect-container-streaming", "experimental-logging-sanitization"},
	23: {"experimental-bootstrap-kubeconfig", "seccomp-profile-root"},
	24: {
		"network-plugin", "network-plugin-mtu", "cni-conf-dir", "cni-bin-dir", "cni-cache-dir", "docker-endpoint", "image-pull-progress-deadline",
		"experimental-dockershim-root-directory", "dynamic-config-dir", "non-masquerade-cidr", "really-crash-for-testing",
		"docker", "docker-env-metadata-whitelist", "docker-only", "docker-root", "docker-tls", "docker-tls-ca", "docker-tls-cert", "docker-tls-key",
	},
	27: {"container-runtime", "master-service-namespace"},
	30: {"azure-container-registry-config"},
	31: {"keep-terminated-pod-volumes", "iptables-masquerade-bit", "iptables-drop-bit"},
	34: {"cloud-config", "register-schedulable"},
	35: {"pod-infra-container-image"},
	37: {
		"containerd", "containerd-namespace", "housekeeping-interval", "global-housekeeping-interval", "container-hints", "machine-id-file", "boot-id-file",
		"log-cadvisor-usage", "enable-load-reader", "application-metrics-count-limit", "event-storage-age-limit", "event-storage-event-limit",
		"storage-driver-buffer-duration", "storage-driver-db", "storage-driver-host", "storage-driver-password", "storage-driver-secure", "storage-driver-table", "storage-driver-user",
	},
}

// RemovedIn returns the minor release that took a flag away; 0 for one that all known kubelets have, or none.
func RemovedIn(flag string) int {
	for minor, flags := range removed {
		if slices.Contains(flags, flag) {
			return minor
		}
	}
	return 0
}

// KubeadmRemoves reports whether kubeadm itself takes a flag out of its own file when it brings the node to that minor.
func KubeadmRemoves(flag string, minor int) bool {
	return flag == flagRuntime && minor == 27 || flag == "pod-infra-container-image" && minor == 35
}
