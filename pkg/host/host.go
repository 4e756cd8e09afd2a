// Package host is the only door to a machine: its files, units, CRI endpoints, processes, kernel and clock. Everything
// on the node's side reaches the machine through the interfaces of this file, so that hosttest can stand in for it and
// crash anywhere.
//
// Linux implements them on a real node. The package imports apis and nothing else of this project.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Machine is a node as the agent reaches it.
type Machine struct {
	Files    Files
	Units    Units
	CRI      CRI
	Pods     Pods
	Procs    Procs
	Kernel   Kernel
	Commands Commands
	HTTP     HTTP
	Stores   Stores
	Clients  Clients
	Clock    Clock
}

// ErrNotExist is returned by Files.Read and Files.ReadDir for a path that isn't there.
var ErrNotExist = errors.New("no such file or directory")

// ErrLocked is returned by Files.Lock when another process holds the lock and the caller doesn't wait.
var ErrLocked = errors.New("locked by another process")

// Reader looks at paths. It reads directories and regular files alone, and waits for neither a pipe, a device nor a file system
// that never answers.
type Reader interface {
	// Lstat says what stands at path, content, digest and package left out; an absent path is Type Absent without error.
	Lstat(path string) (v1alpha1.File, error)
	// Read returns the content of a regular file, links followed; more than limit bytes is an error.
	Read(path string, limit int64) ([]byte, error)
	// ReadDir returns the base names in a directory, sorted, links followed.
	ReadDir(path string) ([]string, error)
}

// UntrustedError says that a program isn't run, as somebody else than root may have written it.
type UntrustedError struct {
	// Program is the path that was to be run, At the file or directory on the way to it that isn't root's alone.
	Program, At string
	UID         int
	Mode        uint32
}

func (e *UntrustedError) Error() string {
	who := fmt.Sprintf("belongs to user %d", e.UID)
	if e.UID == 0 {
		who = fmt.Sprintf("may be written by others than root (mode %04o)", e.Mode)
	}
	return fmt.Sprintf("%s was not run: %s %s; make it root's alone (chown root:root, chmod go-w)", e.Program, e.At, who)
}

// StrangerError says that somebody else than root answers at an address of this machine.
type StrangerError struct {
	// At is what was asked, Who the process that answers there, as far as it is known.
	At, Who string
}

// Error implements error.
func (e *StrangerError) Error() string {
	return fmt.Sprintf("%s is answered by %s, and not by root on this machine: the answer isn't believed", e.At, e.Who)
}

// Files reads and writes paths. Paths are absolute and clean. Writing is refused outside the allowlist that the
// implementation was made with.
type Files interface {
	Reader
	// Foreign returns how paths are looked at that others than root may write, or a directory on the way to which they may:
	// somebody may want it to take forever. One that doesn't answer soon is an error that is context.DeadlineExceeded, and after
	// the end of ctx every one is an error.
	Foreign(ctx context.Context) Reader
	// Program returns the file that path leads to, links followed, where nobody but root can have put it there or may change
	// it: it and every directory on the way to it are root's, and neither their group nor others may write them. It is an
	// UntrustedError where that isn't so.
	Program(path string) (string, error)
	// Put makes path what want says, atomically and durably: a new file is written under a temporary name on the same
	// file system, given mode, owner and extended attributes, fsynced, renamed over it, and the directory fsynced; a
	// symbolic link goes the same way. Absent removes it (an empty directory too; one that isn't
	// empty stays and is no error). Directory creates it, or sets mode and owner of the one that is there. Missing
	// parents are an error, except that removing what has no parent is none.
	Put(path string, want v1alpha1.FileState, content []byte) error
	// Sweep removes the temporary names that Put left for any of paths in a process that is no more. Those that may not be
	// written are left alone.
	Sweep(paths ...string) error
	// Append adds data to the end of a file, which it creates with mode 0600. Nothing is fsynced: a crash may lose or cut
	// what was added last.
	Append(path string, data []byte) error
	// RemoveAll removes path and everything below it, links not followed and mounts not entered.
	RemoveAll(path string) error
	// Lock takes the exclusive flock on the file at path, which it creates with mode 0600. It waits for it, or returns
	// ErrLocked. The lock ends with unlock or with the process; programs that the process starts don't inherit it.
	Lock(path string, wait bool) (unlock func(), err error)
	// Filesystem says where path (or its nearest existing parent) lies and what room there is.
	Filesystem(path string) (v1alpha1.Filesystem, error)
	// Replaceable returns why Put could not replace what stands at path, or create it: an immutable or append-only file or
	// directory, a mount, a read-only or full file system. Nothing stays changed. A path whose directory is missing is fine.
	Replaceable(path string) error
	// SyncFS waits until what the file system of path holds in memory is on its disk.
	SyncFS(path string) error
	// ClearSocket makes way where a daemon is to bind a Unix socket. A socket, a link to one and a path that isn't there stay
	// as they are, and found is empty. An empty directory is removed; anything else is renamed to a free name beside it, which
	// aside returns. found is what stood there.
	ClearSocket(path string) (found v1alpha1.FileType, aside string, err error)
}

// Units is PID 1. Every call that changes a unit waits for its job to end.
type Units interface {
	// Show returns the unit as PID 1 knows it; an unknown unit has LoadState "not-found" and no error.
	Show(ctx context.Context, name string) (v1alpha1.Unit, error)
	// Start starts the unit; a unit whose condition isn't met stays inactive and is no error (systemd's view).
	Start(ctx context.Context, name string) error
	// Stop stops it, cancelling a queued start; stopping what is unknown or inactive is no error.
	Stop(ctx context.Context, name string) error
	// Kill sends SIGKILL to what the unit's KillMode lets a stop end: its main process, or all of them. A unit that is
	// unknown or has no process is no error.
	Kill(ctx context.Context, name string) error
	// Reload makes PID 1 read its unit files again.
	Reload(ctx context.Context) error
	// Forgive clears the failed state of the named units, and their start limits; one that is unknown is no error.
	Forgive(ctx context.Context, names ...string) error
	// StartTransient starts a unit that exists only at run time. A unit of that name that is active is an error; one that
	// failed or ended is forgotten first. A program that others than root can have written isn't started, which is an
	// UntrustedError.
	StartTransient(ctx context.Context, unit Transient) error
	// Beat tells PID 1 that the calling unit makes progress, and that it hangs unless it says so again within limit: then it
	// is killed, and started again if it restarts on failure. Outside of a unit it does nothing. It never fails: a unit that
	// can't tell has the limit that it was started with.
	Beat(limit time.Duration)
	// Log returns the last lines that the unit's processes wrote to the journal since its last start, newest last; empty
	// where there are none. It serves people and never fails.
	Log(ctx context.Context, name string, lines int) string
}

// Transient is a unit of the host that exists only at run time.
type Transient struct {
	Name        string // with suffix .service
	Description string
	Argv        []string
	Env         []string
	// EnvFile is a file of NAME=value lines that PID 1 reads itself: values in Env can be read by everybody.
	EnvFile string
	// PrivateMounts gives it a mount namespace of its own: what it mounts is gone with it.
	PrivateMounts bool
	// Stdin is what the process reads on its standard input (empty: nothing). It may hold credentials: it reaches the
	// process through a file descriptor of memory and stands in no file, property or environment.
	Stdin []byte
	// RestartOnFailure starts it again one second after it died of anything but a clean exit.
	RestartOnFailure bool
	// KillProcess leaves children alone when it is stopped (KillMode=process); otherwise the whole cgroup goes.
	KillProcess bool
	// NotifyReady waits until the process has told PID 1 that it is ready (Type=notify).
	NotifyReady bool
	// Watchdog is how long the process may be silent (Units.Beat) before it counts as hung; 0: it never does.
	Watchdog time.Duration
}

// CRI reaches container runtimes.
type CRI interface {
	// Dial connects to endpoint (unix://…) and speaks apiVersion ("v1", "v1alpha2"; "" tries both). An endpoint that
	// doesn't answer within ctx is an error.
	//
	// Two endpoints are Docker's own: one whose file is named docker.sock speaks Docker's API instead of CRI (a staged
	// dockerd has no CRI beside it), and dockershim.sock falls back to it while the kubelet is down. What Docker can't
	// say of a pod's network is left to Pods.Detach. A containerd.sock without the CRI plugin, as Docker's packages set it
	// up, answers where any version will do: it takes images in (Images, Load) and fails at everything else. Both leave
	// CRIInfo.APIVersion empty.
	Dial(ctx context.Context, endpoint, apiVersion string) (Runtime, error)
}

// Runtime is one CRI endpoint.
type Runtime interface {
	// Info asks Version, Status and RuntimeConfig.
	Info(ctx context.Context) (v1alpha1.CRIInfo, error)
	Sandboxes(ctx context.Context) ([]Sandbox, error)
	// StopContainer stops with grace, then kills. What is already gone is no error, here and below.
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	StopSandbox(ctx context.Context, id string) error
	RemoveSandbox(ctx context.Context, id string) error
	Images(ctx context.Context) ([]v1alpha1.Image, error)
	// Pull pulls ref with one credential (nil: anonymous) and returns the image's ID.
	Pull(ctx context.Context, ref string, auth *v1alpha1.RegistryAuth) (string, error)
	// ImageFs says where the image store is and what it uses.
	ImageFs(ctx context.Context) (ImageStore, error)
	Close() error
}

// ImageStore is where a runtime keeps images, and what they use there; 0 inodes where the runtime doesn't count them.
type ImageStore struct {
	Path          string
	Bytes, Inodes int64
}

// Loader is what a Runtime has that takes images in as an archive: Docker, which knows mirrors for one registry only, and a
// containerd that serves already, whose registry configuration isn't ours to change.
type Loader interface {
	// Load reads one docker-archive.
	Load(ctx context.Context, archive io.Reader) error
}

// Sandbox is a pod as a runtime knows it.
type Sandbox struct {
	ID, Namespace, Name, UID string
	Ready                    bool
	Containers               []SandboxContainer
}

// SandboxContainer is a container of a sandbox.
type SandboxContainer struct {
	ID, Name string
	Running  bool
	// Grace is the pod's own termination grace period (annotation io.kubernetes.pod.terminationGracePeriod); -1 unknown.
	Grace time.Duration
}

// Pods is what is left of pods when no runtime answers for them.
type Pods interface {
	// Processes are the processes in the kubepods cgroups and the monitors (conmon, containerd-shim) that belong to
	// pods of Kubernetes. Other containers' monitors (namespace moby, podman) aren't among them.
	Processes(ctx context.Context) ([]v1alpha1.Process, error)
	// Kill kills those processes, asking first with SIGTERM and then, after grace, with SIGKILL, and waits for their end.
	Kill(ctx context.Context, grace time.Duration) error
	// EndStrays kills those monitors that their runtime has let go of, and returns how many there were: their container is removed, and
	// the directory they stand in with it. A runtime leaves one where who asked it to end a pod has gone in the middle of that.
	EndStrays(ctx context.Context) (int, error)
	// Uninterruptible are those of the processes that have a thread in state D, in the kernel where no signal reaches it, and
	// that didn't run for longer than a disk takes to answer. Pod is left empty.
	Uninterruptible(ctx context.Context) ([]v1alpha1.UninterruptibleProcess, error)
	// Attaching reports whether a runtime is running a CNI plugin right now: for a pod that it starts or ends.
	Attaching(ctx context.Context) (bool, error)
	// Detach releases what their network attachments hold: CNI DEL from the cached results, then the named network
	// namespaces that nobody uses.
	Detach(ctx context.Context) error
	// Volumes are the file systems that the kubelet has mounted for volumes of pods, or a volume's driver for the kubelet: their
	// mount points, with the type of each. Nothing of them is read, as a server may be away.
	Volumes(ctx context.Context) (map[string]string, error)
	// Unmount unmounts the root file systems, shm and namespaces that pods of that runtime left mounted.
	Unmount(ctx context.Context, runtime v1alpha1.RuntimeName) error
}

// Procs looks at processes.
type Procs interface {
	// Find returns the machine's own processes whose executable's base name is one of names: those of root that are in no
	// container. What other users start under such a name is never among them. The command line of one that waits in the kernel
	// isn't read: who reads it may wait, too.
	Find(names ...string) ([]v1alpha1.Process, error)
	// OfRoot returns the processes of user root, kernel threads and what runs in containers left out.
	OfRoot() ([]v1alpha1.Process, error)
	// EndListeners ends the processes of others than root that listen on TCP at an address, or that keep others from listening
	// there, and returns them. What is in a network of its own is none of those.
	EndListeners(ctx context.Context, at netip.AddrPort) ([]Listener, error)
	// Environ returns the environment of a process.
	Environ(pid int) ([]string, error)
	// Runs reports whether a process runs the file that stands at path now, links followed: an upgrade puts another file
	// there, or none.
	Runs(pid int, path string) (bool, error)
}

// Listener is a process that listens at an address.
type Listener struct {
	At       string // address:port
	PID, UID int
}

// String tells of it.
func (l Listener) String() string {
	return fmt.Sprintf("process %d of user %d at %s", l.PID, l.UID, l.At)
}

// Kernel is the kernel and the system below Kubernetes.
type Kernel interface {
	Info() (v1alpha1.MachineInfo, error)
	Modules() ([]string, error)
	// Mounts returns what is mounted, in the order in which it was.
	Mounts() ([]v1alpha1.Mount, error)
	LoadModule(ctx context.Context, name string) error
	// Sysctl reads a parameter by its dotted name; "" where it doesn't exist.
	Sysctl(name string) (string, error)
	SetSysctl(name, value string) error
}

// Commands runs programs that only look, and the target's own validators.
type Commands interface {
	// Output runs argv without a shell and returns its standard output; the error carries the end of standard error. A program
	// that others than root can have written isn't run, which is an UntrustedError.
	Output(ctx context.Context, argv []string, env []string) ([]byte, error)
}

// HTTP asks addresses of this machine and, with the kubelet's credential, the API server.
type HTTP interface {
	// Healthz returns nil if url answers 200 within a second. Where the answer comes from no process of root's on this machine it isn't
	// believed, which is a StrangerError.
	Healthz(ctx context.Context, url string) error
	// Do sends one request to the API server that the kubeconfig at path names, with its client certificate, and
	// returns the status code and the body.
	Do(ctx context.Context, kubeconfig, method, path, contentType string, body []byte) (int, []byte, error)
	// Credential says what the kubeconfig at path makes a client do, its secrets left out. rotated is the file in which a
	// kubelet renews its certificate: one that is there and holds longer counts. ErrNotExist without a kubeconfig.
	Credential(path, rotated string) (Credential, error)
	// Serve answers root on a free port of 127.0.0.1 until stop is called, and returns the address as host:port.
	Serve(handler http.Handler) (address string, stop func() error, err error)
}

// Credential is what a client uses.
type Credential struct {
	Server string
	// Proxy is the kubeconfig's own.
	Proxy string
	// Certificate is the file of the client certificate, the kubeconfig itself for one that stands there, and Expires its end;
	// empty where there is none.
	Certificate string
	Expires     time.Time
}

// Stores looks below CRI, into what a runtime keeps.
type Stores interface {
	// Foreign returns the containers in that runtime that Kubernetes does not own.
	Foreign(ctx context.Context, runtime v1alpha1.RuntimeName) ([]v1alpha1.Container, error)
	// Deprecations returns what that runtime's daemon, which must be running, says will go. One that doesn't tell such
	// things has none, without error.
	Deprecations(ctx context.Context, runtime v1alpha1.RuntimeName) ([]v1alpha1.Deprecation, error)
	// Swarm asks dockerd for this machine's part in a swarm.
	Swarm(ctx context.Context) (v1alpha1.Swarm, error)
	// Image opens an image of that runtime's store for reading as a registry would give it; ErrNotExist when the store
	// doesn't have it. What must be laid out on disk for that goes below scratch, a directory of the caller.
	Image(ctx context.Context, runtime v1alpha1.RuntimeName, ref, scratch string) (*StoredImage, error)
}

// Clients looks for the processes that use a daemon of this machine. What it finds it returns beside an error about the rest.
type Clients interface {
	// Unix returns the processes that have a connection open to one of the Unix stream sockets at paths, whatever network they
	// are in; Client.Socket is the first of the paths that leads to the socket. The calling process is left out.
	Unix(ctx context.Context, paths []string) ([]v1alpha1.Client, error)
	// TCP returns who has a connection open to one of the ports on which a process of this machine listens.
	TCP(ctx context.Context, pid int, ports []int) ([]v1alpha1.Client, error)
	// DockerHosts returns the processes that have DOCKER_HOST in their environment, as it stands there. Client.Socket is the
	// one of sockets that it leads to as the process sees it.
	DockerHosts(ctx context.Context, sockets []string) ([]v1alpha1.DockerHost, error)
}

// StoredImage is an image of a store: its root manifest or index, and everything below it that the store has.
type StoredImage struct {
	MediaType string // of the root
	Digest    string // of the root, sha256:…
	// Blobs are the manifests, configurations and layers by digest, the root included.
	Blobs map[string]Blob
	// Close releases what was laid out in scratch.
	Close func() error
}

// Blob is one piece of an image.
type Blob struct {
	MediaType string
	Size      int64
	Open      func(ctx context.Context) (io.ReadCloser, error)
}

// Clock is the machine's time.
type Clock interface {
	Now() time.Time
	// SinceBoot is CLOCK_BOOTTIME: it runs through suspend and starts again at a boot.
	SinceBoot() time.Duration
	// Boot identifies this boot, see MachineInfo.Boot.
	Boot() string
	// Sleep waits for d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}
