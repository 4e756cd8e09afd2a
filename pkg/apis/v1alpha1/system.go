package v1alpha1

import "time"

// AppArmor is the kernel's AppArmor as runtimes look at it.
type AppArmor struct {
	// Enabled: the kernel confines by AppArmor (/sys/module/apparmor/parameters/enabled) and shows it to this node
	// (/sys/kernel/security/apparmor): a node that is a container of its own may see the first alone.
	Enabled bool `json:"enabled"`
	// Parser is the path of apparmor_parser, without which no runtime loads a profile; empty when there is none.
	Parser string `json:"parser,omitempty"`
	// Profiles are the names of the loaded profiles, sorted, children left out; empty where the list can't be read.
	Profiles []string `json:"profiles,omitempty"`
}

// Deprecation is something that a running daemon says will go, as containerd's introspection service tells it.
type Deprecation struct {
	// ID is the daemon's own, such as io.containerd.deprecation/cri-registry-mirrors.
	ID      string `json:"id"`
	Message string `json:"message"`
	// Last is when it was last noticed.
	Last time.Time `json:"last,omitzero"`
}

// Mount is where something is mounted.
type Mount struct {
	Path     string `json:"path"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// KubeletClient is how the kubelet reaches the API server. It holds nothing secret.
type KubeletClient struct {
	Kubeconfig string `json:"kubeconfig"`
	// Server is the URL of the API server.
	Server string `json:"server,omitempty"`
	// Certificate is the file of its client certificate, the kubeconfig itself for one that stands there, and Expires its end;
	// empty where it uses something else.
	Certificate string    `json:"certificate,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
	// Proxy is the proxy that its environment puts between it and the server, masked; empty: none, or one of the kubeconfig,
	// which everybody who reads that uses.
	Proxy string `json:"proxy,omitempty"`
}

// ConfigManager is an agent of configuration management: it writes files of the node whoever changed them.
type ConfigManager struct {
	// Name is the product's, such as Puppet.
	Name string `json:"name"`
	// Seen are the units, processes and files that show it.
	Seen []string `json:"seen"`
}

// UninterruptibleProcess is a process of a pod that has a thread in state D: it waits in the kernel, for storage most often, and
// did not run while it was looked at.
type UninterruptibleProcess struct {
	PID int `json:"pid"`
	// Program is the process's name as the kernel keeps it, which is cut after 15 characters.
	Program string `json:"program"`
	// PodUID is the pod's; empty for the monitor of a container. Pod is its namespace/name where a runtime told it.
	PodUID string `json:"podUID,omitempty"`
	Pod    string `json:"pod,omitempty"`
}

// Network is a configuration of CNI: one of the files among which a runtime chooses the network of pods.
type Network struct {
	Path string `json:"path"`
	// Name is the network's, Plugins the types of its plugins in their order.
	Name    string   `json:"name,omitempty"`
	Plugins []string `json:"plugins,omitempty"`
	// Problem says why the file is no configuration of CNI; empty for one that is.
	Problem string `json:"problem,omitempty"`
}
