package v1alpha1

import "time"

// KindFacts is the kind of a Facts document.
const KindFacts = "Facts"

// Facts is what the agent saw on one node at one moment. It is raw: what a file or a process says, not what it means.
// The pure packages kubelet and runtimes derive meaning from it. Secrets in file contents are masked (File.Masked)
// before Facts leave the node.
type Facts struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Node is the Kubernetes name of the node.
	Node    string      `json:"node"`
	Taken   time.Time   `json:"taken"`
	Machine MachineInfo `json:"machine"`
	// Kubelet is the kubelet's process and unit; a kubelet that isn't a systemd service leaves Unit empty.
	Kubelet  KubeletInfo   `json:"kubelet"`
	Runtimes []RuntimeInfo `json:"runtimes"`
	// Units are all units that the pure packages asked for, found or not (Unit.LoadState "not-found").
	Units []Unit `json:"units"`
	// Files are all paths that were looked at, absent ones included, sorted by path. Symbolic links that were followed
	// stand in the list with their target, and the file behind them stands under its own path.
	Files []File `json:"files"`
	// Dirs are the directories whose listing matters (drop-ins): a file added there later changes the meaning.
	Dirs []Dir `json:"dirs"`
	// Filesystems are the file systems behind the runtimes' stores, the kubelet's root and our own directory.
	Filesystems []Filesystem `json:"filesystems"`
	// Mounts are the mount points where a plan may write, and above, later ones behind those that they hide.
	Mounts []Mount `json:"mounts,omitempty"`
	// Networks are the configurations of CNI in the runtimes' directories, sorted by path.
	Networks []Network `json:"networks,omitempty"`
	// Modules are the loaded kernel modules among those that matter; Sysctls the current values of those that matter.
	Modules []string          `json:"modules"`
	Sysctls map[string]string `json:"sysctls"`
	// Users are those who use the runtimes without Kubernetes; nil in facts of agents that didn't look.
	Users *Users `json:"users,omitempty"`
	// Managers are the agents of configuration management that run on the node, or will at its next boot, by name.
	Managers []ConfigManager `json:"managers,omitempty"`
	// Uninterruptible are the processes of pods that wait in the kernel where no signal reaches them, by their numbers.
	Uninterruptible []UninterruptibleProcess `json:"uninterruptible,omitempty"`
	// OpenRun is the run that is open on the node, if any; Runs are the kept ones, newest first.
	OpenRun *Run  `json:"openRun,omitempty"`
	Runs    []Run `json:"runs,omitempty"`
	// Problems are things that could not be looked at, in words.
	Problems []string `json:"problems,omitempty"`
}

// MachineInfo is the node below Kubernetes.
type MachineInfo struct {
	Architecture string `json:"architecture"` // as GOARCH
	Kernel       string `json:"kernel"`
	OSID         string `json:"osID"`      // os-release ID
	OSVersion    string `json:"osVersion"` // os-release VERSION_ID
	OSName       string `json:"osName"`    // os-release PRETTY_NAME
	// OSVariant is os-release VARIANT_ID: Fedora CoreOS is Fedora by its ID.
	OSVariant string `json:"osVariant,omitempty"`
	// OSTree says that the system was booted from an image by OSTree (/run/ostree-booted).
	OSTree         bool   `json:"osTree,omitempty"`
	SystemdVersion int    `json:"systemdVersion"` // 0: PID 1 isn't systemd
	CgroupVersion  int    `json:"cgroupVersion"`  // 1 or 2
	SELinux        string `json:"selinux"`        // "", "permissive", "enforcing"
	// Boot identifies this boot of PID 1 (boot_id and PID 1's start time: a container node that restarts keeps the
	// former).
	Boot string `json:"boot"`
	// ReadOnlyUsr says that /usr is mounted read-only or /etc is not writable: an immutable system.
	ReadOnlyUsr bool `json:"readOnlyUsr,omitempty"`
	// Swap are the devices and files to which the kernel swaps now.
	Swap []string `json:"swap,omitempty"`
	// AppArmor is nil where the kernel has none.
	AppArmor *AppArmor `json:"appArmor,omitempty"`
}

// KubeletInfo is the running kubelet.
type KubeletInfo struct {
	Unit    string    `json:"unit"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Argv    []string  `json:"argv"`
	Exe     string    `json:"exe"`
	Version string    `json:"version"` // of the binary at Exe, without "v"
	// Untrusted is the file or directory on the way to Exe that others than root may write: it was not asked for its version.
	Untrusted string `json:"untrusted,omitempty"`
	// Replaced says that another file, or none, stands at the path by which the process was started.
	Replaced bool `json:"replaced,omitempty"`
	// Healthy is what its healthz answered.
	Healthy bool `json:"healthy"`
	// Env are the environment variables of the process that carry kubelet flags (KUBELET_*), masked.
	Env map[string]string `json:"env,omitempty"`
	// Client is how it reaches the API server; nil where its kubeconfig couldn't be read.
	Client *KubeletClient `json:"client,omitempty"`
	// Kubeadm is the kubeadm binary on the node (kubelet.KubeadmBinaries says where to look); nil when there is none.
	Kubeadm *Binary `json:"kubeadm,omitempty"`
}

// RuntimeName names a container runtime as the --to flag does.
type RuntimeName string

// The runtimes. Docker is Docker Engine behind cri-dockerd or, up to kubelet 1.23, behind the kubelet's dockershim.
const (
	Containerd RuntimeName = "containerd"
	CRIO       RuntimeName = "cri-o"
	Docker     RuntimeName = "docker"
)

// RuntimeInfo is one runtime's traces on the node.
type RuntimeInfo struct {
	Name RuntimeName `json:"name"`
	// Binaries maps a binary's base name ("containerd", "crio", "dockerd", "cri-dockerd", "runc", …) to what was found.
	Binaries map[string]Binary `json:"binaries,omitempty"`
	// Processes are the daemon's running processes.
	Processes []Process `json:"processes,omitempty"`
	// Sockets are its known sockets that exist.
	Sockets []string `json:"sockets,omitempty"`
	// Blocked are the paths at which it makes sockets on this node and at which something else stands.
	Blocked []BlockedSocket `json:"blocked,omitempty"`
	// CRI is what its CRI endpoint answered; nil when there is no socket or no answer.
	CRI *CRIInfo `json:"cri,omitempty"`
	// EffectiveConfig is what the runtime's own dump command printed (containerd config dump, crio config), masked;
	// empty where the command fails.
	EffectiveConfig string `json:"effectiveConfig,omitempty"`
	// Foreign are containers in this runtime that Kubernetes does not own (docker run, ctr -n moby, podman in the same
	// store).
	Foreign []Container `json:"foreign,omitempty"`
	// StoreBytes is what its image store uses, in bytes; StorePath where it is.
	StoreBytes int64  `json:"storeBytes,omitempty"`
	StorePath  string `json:"storePath,omitempty"`
	// StoreInodes is how many inodes its image store uses; 0 where the runtime doesn't count them.
	StoreInodes int64 `json:"storeInodes,omitempty"`
	// Deprecations are what the running daemon says will go; only containerd (1.6.27, 1.7.12 and later) tells.
	Deprecations []Deprecation `json:"deprecations,omitempty"`
}

// Installed reports whether the runtime's daemon binary was found.
func (r RuntimeInfo) Installed() bool { return len(r.Binaries) > 0 }

// BlockedSocket is a path at which a runtime would make a socket and at which something else stands: most often a directory,
// which another runtime made for a pod that mounts the path.
type BlockedSocket struct {
	Path string `json:"path"`
	// Type is what stands there. A symbolic link is one that leads to no socket.
	Type FileType `json:"type"`
	// Entries counts what is in a directory.
	Entries int `json:"entries,omitempty"`
}

// Binary is an executable on the node.
type Binary struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// Untrusted is the file or directory on the way to it that others than root may write: it was not run.
	Untrusted string `json:"untrusted,omitempty"`
}

// Process is a running process.
type Process struct {
	PID     int       `json:"pid"`
	Exe     string    `json:"exe"`
	Argv    []string  `json:"argv"`
	Started time.Time `json:"started"`
	Unit    string    `json:"unit,omitempty"` // the systemd unit of its cgroup
	// Replaced says of a runtime's daemon that another file, or none, stands at the path by which it was started.
	Replaced bool `json:"replaced,omitempty"`
}

// CRIInfo is what a CRI endpoint answered.
type CRIInfo struct {
	Endpoint       string `json:"endpoint"`   // unix:///…
	APIVersion     string `json:"apiVersion"` // v1 or v1alpha2
	RuntimeName    string `json:"runtimeName"`
	RuntimeVersion string `json:"runtimeVersion"`
	RuntimeReady   bool   `json:"runtimeReady"`
	NetworkReady   bool   `json:"networkReady"`
	CgroupDriver   string `json:"cgroupDriver,omitempty"` // systemd, cgroupfs; empty: RuntimeConfig unimplemented
	SandboxImage   string `json:"sandboxImage,omitempty"` // from verbose Status, where the runtime gives it
	// Images are the images in its store.
	Images []Image `json:"images,omitempty"`
	// Containers and Sandboxes count what it runs for Kubernetes.
	Containers int `json:"containers"`
	Sandboxes  int `json:"sandboxes"`
}

// Image is an image in a runtime's store.
type Image struct {
	ID      string   `json:"id"`
	Tags    []string `json:"tags,omitempty"`
	Digests []string `json:"digests,omitempty"`
	Bytes   int64    `json:"bytes"`
}

// Container is a container that Kubernetes does not own.
type Container struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Image string `json:"image,omitempty"`
	// Scope says where it was found: "docker", a containerd namespace, "podman".
	Scope   string `json:"scope"`
	Running bool   `json:"running"`
	// Labels are those by which Docker's own tools know what they made (LabelComposeProject and its like).
	Labels map[string]string `json:"labels,omitempty"`
	// Volumes are the names of Docker's volumes that it uses.
	Volumes []string `json:"volumes,omitempty"`
}

// Unit is a systemd unit as PID 1 knows it.
type Unit struct {
	Name        string   `json:"name"`
	LoadState   string   `json:"loadState"`   // loaded, not-found, masked
	ActiveState string   `json:"activeState"` // active, inactive, failed, activating …
	SubState    string   `json:"subState"`
	FileState   string   `json:"fileState"` // UnitFileState: enabled, disabled, static …
	Fragment    string   `json:"fragment"`  // FragmentPath
	DropIns     []string `json:"dropIns,omitempty"`
	// EnvironmentFiles as written in the unit, a leading "-" included.
	EnvironmentFiles []string `json:"environmentFiles,omitempty"`
	Environment      []string `json:"environment,omitempty"` // masked
	MainPID          int      `json:"mainPID,omitempty"`
	// ActiveSince is when the unit became active; zero when it isn't.
	ActiveSince time.Time `json:"activeSince,omitzero"`
	// NeedDaemonReload: a unit file is newer than what PID 1 loaded.
	NeedDaemonReload bool   `json:"needDaemonReload,omitempty"`
	KillMode         string `json:"killMode,omitempty"`
	Type             string `json:"type,omitempty"`
	// Wants, Requires, BindsTo and WantedBy as PID 1 resolved them.
	Wants    []string `json:"wants,omitempty"`
	Requires []string `json:"requires,omitempty"`
	BindsTo  []string `json:"bindsTo,omitempty"`
	WantedBy []string `json:"wantedBy,omitempty"`
}

// FileType says what stands at a path.
type FileType string

// The file types that a plan can speak of.
const (
	Absent    FileType = "absent"
	Regular   FileType = "file"
	Symlink   FileType = "symlink"
	Directory FileType = "directory"
)

// Socket is a Unix socket. A plan never speaks of one.
const Socket FileType = "socket"

// File is a path on the node and what stood there.
type File struct {
	Path string   `json:"path"`
	Type FileType `json:"type"`
	// Content is the masked text of a regular file that a pure package asked to read: every byte of a secret is
	// replaced by MaskByte, so offsets, lines and structure are those of the true file.
	Content string `json:"content,omitempty"`
	// Masked are the byte spans of Content that were masked.
	Masked []Span `json:"masked,omitempty"`
	// SHA256 is of the true bytes, hexadecimal; sealed (see Sealed) when it leaves the node.
	SHA256   string            `json:"sha256,omitempty"`
	Size     int64             `json:"size,omitempty"`
	Mode     uint32            `json:"mode,omitempty"` // permission bits, setuid, setgid and sticky included
	UID      int               `json:"uid"`
	GID      int               `json:"gid"`
	Xattrs   map[string][]byte `json:"xattrs,omitempty"`
	Target   string            `json:"target,omitempty"` // of a symlink, as written
	Modified time.Time         `json:"modified,omitzero"`
	// Package is the distribution package that owns the path, where that was asked.
	Package string `json:"package,omitempty"`
}

// MaskByte replaces every byte of a secret.
const MaskByte = '*'

// Span is a half-open byte range [Start, End).
type Span struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// Dir is a directory's listing.
type Dir struct {
	Path    string   `json:"path"`
	Exists  bool     `json:"exists"`
	Entries []string `json:"entries,omitempty"` // base names, sorted
}

// Filesystem is a mounted file system and its room, in bytes and inodes.
type Filesystem struct {
	Path       string `json:"path"`   // the path that was asked about
	Device     string `json:"device"` // identifies the file system: equal for paths that share it
	Type       string `json:"type,omitempty"`
	Bytes      int64  `json:"bytes"`
	FreeBytes  int64  `json:"freeBytes"`
	Inodes     int64  `json:"inodes"`
	FreeInodes int64  `json:"freeInodes"`
	ReadOnly   bool   `json:"readOnly,omitempty"`
	NoExec     bool   `json:"noExec,omitempty"`
	// NoFileTypes: its directories don't tell the types of their entries (XFS made with ftype=0), which overlay needs.
	NoFileTypes bool `json:"noFileTypes,omitempty"`
}

// File returns the file at path and whether Facts looked at it.
func (f *Facts) File(path string) (File, bool) {
	for _, x := range f.Files {
		if x.Path == path {
			return x, true
		}
	}
	return File{}, false
}

// Unit returns the unit of that name and whether Facts looked at it.
func (f *Facts) Unit(name string) (Unit, bool) {
	for _, x := range f.Units {
		if x.Name == name {
			return x, true
		}
	}
	return Unit{}, false
}

// Runtime returns the traces of that runtime; a zero value with its name where there are none.
func (f *Facts) Runtime(name RuntimeName) RuntimeInfo {
	for _, x := range f.Runtimes {
		if x.Name == name {
			return x
		}
	}
	return RuntimeInfo{Name: name}
}

// Dir returns the listing of path and whether Facts looked at it.
func (f *Facts) Dir(path string) (Dir, bool) {
	for _, x := range f.Dirs {
		if x.Path == path {
			return x, true
		}
	}
	return Dir{}, false
}

// Wants are things that a pure package asks gather to look at next. Gather repeats until nothing new is asked for.
type Wants struct {
	Files []string `json:"files,omitempty"` // content wanted
	Stats []string `json:"stats,omitempty"` // only what stands there (photographed, content not needed)
	Dirs  []string `json:"dirs,omitempty"`
	Units []string `json:"units,omitempty"`
	// Commands are read-only programs whose output becomes RuntimeInfo.EffectiveConfig, keyed by runtime.
	Commands map[RuntimeName][]string `json:"commands,omitempty"`
}
