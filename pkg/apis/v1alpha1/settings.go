package v1alpha1

// Settings is what an operator configured of a container runtime, in the words of none of them: read from the runtime
// that a node leaves, written for the one it goes to. A zero field was not configured.
type Settings struct {
	// CgroupDriver is "systemd" or "cgroupfs".
	CgroupDriver string `json:"cgroupDriver,omitempty"`
	// SandboxImage holds a pod's namespaces ("pause").
	SandboxImage string `json:"sandboxImage,omitempty"`
	// Registries are sorted by host.
	Registries []Registry `json:"registries,omitempty"`
	// SearchRegistries complete image names without a registry, in order.
	SearchRegistries []string `json:"searchRegistries,omitempty"`
	// Proxy are the daemon's proxy variables (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), sorted by name.
	Proxy []Variable `json:"proxy,omitempty"`
	// OCIRuntimes are the handlers beside the usual runc and crun, sorted by name; DefaultOCIRuntime is the one for pods
	// without a RuntimeClass.
	OCIRuntimes       []OCIRuntime `json:"ociRuntimes,omitempty"`
	DefaultOCIRuntime string       `json:"defaultOCIRuntime,omitempty"`
	// LogMaxBytes and LogMaxFiles limit a container's log where the runtime itself does.
	LogMaxBytes int64    `json:"logMaxBytes,omitempty"`
	LogMaxFiles int      `json:"logMaxFiles,omitempty"`
	Ulimits     []Ulimit `json:"ulimits,omitempty"`
	// StoreRoot and StateRoot are its data and state directories.
	StoreRoot string `json:"storeRoot,omitempty"`
	StateRoot string `json:"stateRoot,omitempty"`
	// StorageDriver is its snapshotter or graph driver.
	StorageDriver string `json:"storageDriver,omitempty"`
	// CNIConfDir and CNIBinDirs are where it looks for the cluster's network.
	CNIConfDir string   `json:"cniConfDir,omitempty"`
	CNIBinDirs []string `json:"cniBinDirs,omitempty"`
	// MaxConcurrentDownloads of one pull; 0: the runtime's own default.
	MaxConcurrentDownloads int `json:"maxConcurrentDownloads,omitempty"`
	// SELinux: containers get SELinux labels.
	SELinux bool `json:"selinux,omitempty"`
	// SeccompProfile is the file of a default seccomp profile.
	SeccompProfile string `json:"seccompProfile,omitempty"`
	// PidsLimit of each container; 0: none of the runtime's.
	PidsLimit int64 `json:"pidsLimit,omitempty"`
	// CDISpecDirs are where device specifications lie.
	CDISpecDirs []string `json:"cdiSpecDirs,omitempty"`
}

// Registry is how images of one registry host are fetched.
type Registry struct {
	// Host is the host, with a port where one is needed, as in an image's name; CRI-O may have a path behind it.
	Host string `json:"host"`
	// Location replaces Host where images are really fetched from.
	Location string `json:"location,omitempty"`
	// Insecure: its certificate isn't verified, and plain HTTP is tried.
	Insecure bool `json:"insecure,omitempty"`
	// Blocked: nothing may be pulled from it.
	Blocked bool `json:"blocked,omitempty"`
	// CAs are files of certificates that are trusted for it; Clients are client certificates.
	CAs     []string     `json:"cas,omitempty"`
	Clients []ClientCert `json:"clients,omitempty"`
	// Mirrors are asked before it, in order.
	Mirrors []Mirror `json:"mirrors,omitempty"`
	// Source is the file that says so.
	Source string `json:"source,omitempty"`
}

// Mirror is asked instead of a registry host.
type Mirror struct {
	// URL has scheme, host and, where the mirror has one, a path.
	URL      string       `json:"url"`
	Insecure bool         `json:"insecure,omitempty"`
	CAs      []string     `json:"cas,omitempty"`
	Clients  []ClientCert `json:"clients,omitempty"`
	// DigestOnly and TagOnly restrict what is asked of it.
	DigestOnly bool `json:"digestOnly,omitempty"`
	TagOnly    bool `json:"tagOnly,omitempty"`
	// OverridePath: URL names the API root itself.
	OverridePath bool `json:"overridePath,omitempty"`
}

// ClientCert is a client certificate and its key, as files.
type ClientCert struct {
	Cert string `json:"cert"`
	Key  string `json:"key,omitempty"`
}

// Variable is an environment variable. Its value may hold a secret: Text is the masked value, for people; Content says
// how the true one comes about.
type Variable struct {
	Name    string    `json:"name"`
	Text    string    `json:"text"`
	Content []Segment `json:"content,omitempty"`
	// Source is the file that says so.
	Source string `json:"source,omitempty"`
}

// OCIRuntime is a low-level runtime under its handler's name, the name that a RuntimeClass uses.
type OCIRuntime struct {
	Name string `json:"name"`
	// Path is its binary; empty where the runtime is a shim of its own.
	Path string `json:"path,omitempty"`
	// Type is containerd's runtime type or CRI-O's (oci, vm).
	Type string `json:"type,omitempty"`
}

// Ulimit is a resource limit of containers.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}
