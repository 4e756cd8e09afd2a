package v1alpha1

// Users is what was seen on a node of those who use its container runtimes without Kubernetes. It is raw: whether a use ends
// with a switch is for rules to say.
type Users struct {
	// Clients are the processes that had a connection open to a runtime's socket at the moment of the look, the kubelet and
	// the runtimes' own among them. One that connects for moments only is missed.
	Clients []Client `json:"clients,omitempty"`
	// DockerHosts are the processes that have DOCKER_HOST in their environment.
	DockerHosts []DockerHost `json:"dockerHosts,omitempty"`
	// Calls are the lines of units, cron jobs and scripts that call a runtime.
	Calls []RuntimeCall `json:"calls,omitempty"`
	// Swarm is what dockerd says of its swarm; nil where it wasn't asked.
	Swarm *Swarm `json:"swarm,omitempty"`
	// VolumesPath is the directory of Docker's volumes, and Volumes are the names of those in it that somebody gave a name.
	VolumesPath string   `json:"volumesPath,omitempty"`
	Volumes     []string `json:"volumes,omitempty"`
}

// Client is a process with an open connection to a runtime.
type Client struct {
	// Socket is the path of the runtime's socket as it was asked for, or the address as host:port.
	Socket string `json:"socket"`
	// Process holds the connection. Its PID is 0 where nobody on this machine does.
	Process Process `json:"process"`
	// PodUID is the UID of the pod that the process is in, Pod its namespace/name where a runtime knows it.
	PodUID string `json:"podUID,omitempty"`
	Pod    string `json:"pod,omitempty"`
	// Container is the ID of the container that the process is in, in a pod or not.
	Container string `json:"container,omitempty"`
	// From is the address of a client of a TCP socket, as host:port.
	From string `json:"from,omitempty"`
	// Connections counts them.
	Connections int `json:"connections"`
}

// DockerHost is a process that is told which daemon to ask.
type DockerHost struct {
	Client
	// Value is the variable's, masked. Client.Socket is the socket on the node that it leads to as the process sees it, and
	// empty where it leads to none.
	Value string `json:"value"`
	// OwnNetwork says that the process is in another network than the node's.
	OwnNetwork bool `json:"ownNetwork,omitempty"`
}

// CallKind says where a call of a runtime stands.
type CallKind string

// The kinds of calls.
const (
	CallUnit      CallKind = "unit"      // a systemd unit or one of its drop-ins
	CallCron      CallKind = "cron"      // a crontab, or a script of cron's directories
	CallScript    CallKind = "script"    // a script in a usual place, or one that a unit or a cron job runs
	CallLogrotate CallKind = "logrotate" // a configuration of logrotate
)

// RuntimeCall is a line of a file on the node that uses a runtime.
type RuntimeCall struct {
	Kind CallKind `json:"kind"`
	Path string   `json:"path"`
	Line int      `json:"line"` // from 1
	// Text is the line, masked and shortened.
	Text    string      `json:"text"`
	Runtime RuntimeName `json:"runtime"`
	// Address is the daemon that the call is told to ask, masked; empty where it is told none.
	Address string `json:"address,omitempty"`
	// Daemon says that it acts on the daemon or watches it; Ties that a unit stops with the daemon's (Setting says by what);
	// Logs that it names the directory of Docker's container logs.
	Daemon bool `json:"daemon,omitempty"`
	Ties   bool `json:"ties,omitempty"`
	Logs   bool `json:"logs,omitempty"`
	// Unit is the unit whose file it is, or that runs the script; Setting the setting of a unit's file.
	Unit    string `json:"unit,omitempty"`
	Setting string `json:"setting,omitempty"`
	// MayFail says that the unit goes on where the command fails (a leading "-").
	MayFail bool `json:"mayFail,omitempty"`
	// ActiveState and FileState are PID 1's of Unit; Timers are the timers that start it and are active or enabled.
	ActiveState string   `json:"activeState,omitempty"`
	FileState   string   `json:"fileState,omitempty"`
	Timers      []string `json:"timers,omitempty"`
	// RunBy are the files that run the script, as path:line.
	RunBy []string `json:"runBy,omitempty"`
}

// Swarm is a node's part in a swarm of Docker's.
type Swarm struct {
	// State is Docker's LocalNodeState: inactive, pending, active, error, locked.
	State string `json:"state"`
	// Manager says that the node is one of the swarm's managers.
	Manager bool `json:"manager,omitempty"`
	// Nodes and Managers count the swarm's, where the node is a manager.
	Nodes    int `json:"nodes,omitempty"`
	Managers int `json:"managers,omitempty"`
}

// The labels of containers by which Docker's own tools know what they made; Container.Labels holds no others.
const (
	LabelComposeProject = "com.docker.compose.project"
	LabelComposeService = "com.docker.compose.service"
	LabelSwarmService   = "com.docker.swarm.service.name"
	LabelStack          = "com.docker.stack.namespace"
)
