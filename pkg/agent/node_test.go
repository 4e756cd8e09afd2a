package agent_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/agent"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

const (
	binary  = journal.Dir + "/agents/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	healthz = "http://127.0.0.1:10248/healthz"
	runID   = "r-0000000a"
	etc     = "/etc/systemd/system"
	slow    = "/tmp/slow-registry" // while it stands, images come in slowly
)

// refs are the runtimes of the test node.
var refs = map[v1alpha1.RuntimeName]v1alpha1.RuntimeRef{
	v1alpha1.Containerd: {
		Name: v1alpha1.Containerd, Version: "1.7.24", Endpoint: "unix:///run/containerd/containerd.sock", CRIVersion: "v1",
		Units: []string{"containerd.service"},
	},
	v1alpha1.CRIO: {
		Name: v1alpha1.CRIO, Version: "1.34.1", Endpoint: "unix:///var/run/crio/crio.sock", CRIVersion: "v1",
		Units: []string{"crio.service"},
	},
	v1alpha1.Docker: {
		Name: v1alpha1.Docker, Version: "26.1.5", Endpoint: "unix:///run/cri-dockerd.sock", CRIVersion: "v1",
		Units: []string{"containerd.service", "docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service"},
	},
}

// sockets are where their units bind.
var sockets = []string{"/run/containerd/containerd.sock", "/run/cri-dockerd.sock", "/run/docker.sock", "/var/run/crio/crio.sock"}

func daemon(exec, more string) string {
	return "[Unit]\n" + more + "\n[Service]\nType=notify\nKillMode=process\nRestart=always\nRestartSec=1\nExecStart=" + exec +
		"\n\n[Install]\nWantedBy=multi-user.target\n"
}

func socket(listen string) string {
	return "[Socket]\nListenStream=" + listen + "\n\n[Install]\nWantedBy=sockets.target\n"
}

func kubeletConfig(endpoint string) string {
	return "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncontainerRuntimeEndpoint: " + endpoint +
		"\nstaticPodPath: /etc/kubernetes/manifests\n"
}

// newNode is a kubeadm node that runs on from.
func newNode(t testing.TB, from v1alpha1.RuntimeName, options ...hosttest.Option) *hosttest.Node {
	t.Helper()
	n := hosttest.New(options...)
	n.KubeletConnects = true
	lib := "/usr/lib/systemd/system/"
	for p, text := range map[string]string{
		lib + "containerd.service":                daemon("/usr/bin/containerd", ""),
		lib + "crio.service":                      daemon("/usr/bin/crio $CRIO_OPTS", ""),
		lib + "docker.service":                    daemon("/usr/bin/dockerd -H fd://", "Requires=docker.socket\nWants=containerd.service\nAfter=containerd.service docker.socket"),
		lib + "docker.socket":                     socket("/run/docker.sock"),
		lib + "cri-docker.service":                daemon("/usr/bin/cri-dockerd --container-runtime-endpoint fd://", "Requires=cri-docker.socket\nWants=docker.service\nAfter=docker.service cri-docker.socket"),
		lib + "cri-docker.socket":                 socket("/run/cri-dockerd.sock"),
		lib + "kubelet.service":                   "[Unit]\nAfter=network-online.target\n\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nRestartSec=10\n\n[Install]\nWantedBy=multi-user.target\n",
		lib + "kubelet.service.d/10-kubeadm.conf": "[Service]\nEnvironment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/default/kubelet\nExecStart=\nExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n",
		"/var/lib/kubelet/kubeadm-flags.env":      "KUBELET_KUBEADM_ARGS=\"\"\n",
		"/var/lib/kubelet/config.yaml":            kubeletConfig(refs[from].Endpoint),
		"/var/lib/kubelet/instance-config.yaml":   "containerRuntimeEndpoint: \"" + refs[from].Endpoint + "\"\n",
		"/etc/crictl.yaml":                        "runtime-endpoint: " + refs[from].Endpoint + "\n",
		"/etc/containerd/config.toml":             "version = 2\n",
		"/etc/crio/crio.conf.d/10-crio.conf":      "[crio.runtime]\ndefault_runtime = \"runc\"\n",
		"/etc/docker/daemon.json":                 "{}\n",
		"/etc/kubernetes/kubelet.conf":            "apiVersion: v1\nkind: Config\n",
	} {
		n.Write(p, text)
	}
	n.Lay(hosttest.File{Path: pullrecord.PathOf(privateBefore), Content: record(privateBefore), Mode: 0o600})
	n.Lay(hosttest.File{Path: pullrecord.Dir() + "/pulling", Type: v1alpha1.Directory, Mode: 0o700})
	enabled := append([]string{"kubelet.service"}, refs[from].Units...)
	for _, u := range enabled {
		target := "multi-user"
		if strings.HasSuffix(u, ".socket") {
			target = "sockets"
		}
		n.Link(etc+"/"+target+".target.wants/"+u, lib+u)
	}
	n.Install(hosttest.Containerd("1.7.24"), hosttest.CRIO("1.34.1"), hosttest.Dockerd("26.1.5"),
		hosttest.CRIDockerd("0.3.16", "26.1.5"), hosttest.Kubelet("/usr/bin/kubelet", "1.34.4"), agentProgram())
	n.Pods(
		hosttest.Pod{Namespace: "kube-system", Name: "kube-proxy", UID: "u1", Containers: []string{"kube-proxy"}, Grace: 30},
		hosttest.Pod{Namespace: "kube-system", Name: "etcd", UID: "u2", Containers: []string{"etcd"}, Grace: 30},
	)
	return n
}

// A private image as the source and the target call it to the kubelet.
const privateBefore, privateAfter = "sha256:aa", "aa"

// stagedImages are what staging finds in the target's store in the end.
var stagedImages = []pullrecord.Image{{ID: privateAfter, Tags: []string{"reg.example/team/app:1"}, Sources: []string{privateBefore}}, {ID: "free"}}

// record is the kubelet's record of an image that was pulled with a secret.
func record(id string) string {
	return fmt.Sprintf(`{"apiVersion":"kubelet.config.k8s.io/v1beta1","credentialMapping":{"reg.example/team/app":{"kubernetesSecrets":`+
		`[{"uid":"u","namespace":"team","name":"pull","credentialHash":"h"}]}},"imageRef":%q,"kind":"ImagePulledRecord","lastUpdatedTime":"2026-01-02T03:04:05Z"}`, id)
}

// agentProgram is the agent as PID 1 runs it.
func agentProgram() hosttest.Program {
	return hosttest.Program{Path: binary, Main: func(ctx context.Context, m host.Machine, argv []string, stdin io.Reader) error {
		a := newAgent(m)
		switch words := strings.Join(argv[1:], " "); {
		case words == "early":
			return a.Early(ctx)
		case words == "recover":
			return a.Recover(ctx)
		case len(argv) == 4 && argv[2] == "stage":
			return a.RunStage(ctx, argv[3], stdin)
		case len(argv) == 4 && argv[2] == "apply":
			return a.RunApply(ctx, argv[3])
		case len(argv) == 4 && argv[2] == "rollback":
			return a.RunRollback(ctx, argv[3])
		}
		return fmt.Errorf("usage: %q", argv)
	}}
}

func newAgent(m host.Machine) *agent.Agent {
	return &agent.Agent{
		Machine: m, Binary: binary, Gather: facts.Gather,
		Images: func(ctx context.Context, m host.Machine, p *v1alpha1.Plan, wanted []v1alpha1.WantedImage, dir string, report func(v1alpha1.Progress)) ([]pullrecord.Image, error) {
			if f, err := m.Files.Lstat(slow); err != nil || f.Type != v1alpha1.Absent {
				return nil, errors.Join(err, m.Clock.Sleep(ctx, time.Hour))
			}
			file := dir + "/config"
			if err := m.Files.Put(file, v1alpha1.FileState{Path: file, Type: v1alpha1.Regular, Mode: 0o600}, []byte("x")); err != nil {
				return nil, err
			}
			report(v1alpha1.Progress{Step: "pull", Detail: fmt.Sprint(len(wanted))})
			return stagedImages, m.Clock.Sleep(ctx, 0)
		},
		Version: facts.Version,
	}
}

// planner makes a plan by hand: it photographs what it changes.
type planner struct {
	t    testing.TB
	m    host.Machine
	plan *v1alpha1.Plan
}

func (p *planner) see(file string) v1alpha1.FileState {
	f, err := p.m.Files.Lstat(file)
	if err != nil {
		p.t.Fatal(err)
	}
	s := v1alpha1.FileState{Path: file, Type: f.Type, Mode: f.Mode, UID: f.UID, GID: f.GID, Target: f.Target, Xattrs: f.Xattrs}
	if f.Type == v1alpha1.Regular {
		data, err := p.m.Files.Read(file, 1<<20)
		if err != nil {
			p.t.Fatal(err)
		}
		s.SHA256 = journal.Digest(data)
	}
	return s
}

func (p *planner) change(after v1alpha1.FileState) {
	before := p.see(after.Path)
	p.plan.Before.Files = append(p.plan.Before.Files, before)
	p.plan.After.Files = append(p.plan.After.Files, after)
	p.plan.ReadSet.Files = append(p.plan.ReadSet.Files, v1alpha1.FileDigest{
		Path: before.Path, Type: before.Type, SHA256: before.SHA256, Target: before.Target,
	})
}

func (p *planner) file(name, text string) {
	p.change(v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o644, Content: edit.Text(text)})
}

func (p *planner) replace(name, old, text string) {
	data, err := p.m.Files.Read(name, 1<<20)
	if err != nil {
		p.t.Fatal(err)
	}
	at := strings.Index(string(data), old)
	if at < 0 {
		p.t.Fatalf("%s has no %q", name, old)
	}
	s := p.see(name)
	s.SHA256 = ""
	s.Content = edit.Segments(name, string(data), edit.Splice{Start: at, End: at + len(old), Text: text})
	p.change(s)
}

// newPlan is a plan from the runtime that serves to another.
func newPlan(t testing.TB, n *hosttest.Node, run string, from, to v1alpha1.RuntimeName) *v1alpha1.Plan {
	t.Helper()
	m := n.Machine()
	p := &planner{t: t, m: m, plan: &v1alpha1.Plan{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Node: "node-1", Run: run, From: refs[from], To: refs[to],
		Kubelet: v1alpha1.KubeletRef{Unit: "kubelet.service", Version: "1.34.4", Healthz: healthz},
		Before:  v1alpha1.State{Runtime: refs[from]}, After: v1alpha1.State{Runtime: refs[to]},
		Evacuate: []v1alpha1.RuntimeRef{refs[from], refs[to]},
		Sockets:  sockets,
		Modules:  []string{"overlay", "br_netfilter"},
		Sysctls:  []v1alpha1.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}},
		ReadSet: v1alpha1.ReadSet{
			Boot: m.Clock.Boot(), Binaries: map[string]string{"/usr/bin/kubelet": "1.34.4"},
			Dirs: []v1alpha1.Dir{{Path: etc + "/kubelet.service.d"}},
		},
	}}
	for _, f := range []string{"/etc/crictl.yaml", "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml"} {
		p.replace(f, refs[from].Endpoint, refs[to].Endpoint)
	}
	p.file("/etc/modules-load.d/kubectl-runtime.conf", "overlay\nbr_netfilter\n")
	switch to {
	case v1alpha1.CRIO:
		p.file("/etc/crio/crio.conf.d/99-kubectl-runtime.conf", "[crio.runtime]\ncgroup_manager = \"systemd\"\n")
	case v1alpha1.Containerd:
		p.replace("/etc/containerd/config.toml", "version = 2", "version = 2 # for the kubelet")
	case v1alpha1.Docker:
		p.replace("/etc/docker/daemon.json", "{}", "{\"exec-opts\": [\"native.cgroupdriver=systemd\"]}")
	}
	var units []string
	for _, u := range append(slices.Clone(refs[from].Units), refs[to].Units...) {
		if !slices.Contains(units, u) {
			units = append(units, u)
		}
	}
	for _, u := range units {
		before, after := slices.Contains(refs[from].Units, u), slices.Contains(refs[to].Units, u)
		p.plan.Before.Units = append(p.plan.Before.Units, v1alpha1.UnitState{Name: u, Active: before})
		p.plan.After.Units = append(p.plan.After.Units, v1alpha1.UnitState{Name: u, Active: after})
		dir := path.Join(etc, u+".d")
		parked := path.Join(dir, "zz-kubectl-runtime-parked.conf")
		if before && !after {
			p.change(v1alpha1.FileState{Path: dir, Type: v1alpha1.Directory, Mode: 0o755})
			p.file(parked, "[Unit]\nConditionPathExists=!"+parked+"\n")
		}
		target := "multi-user"
		if strings.HasSuffix(u, ".socket") {
			target = "sockets"
		}
		if after && !before {
			link := etc + "/" + target + ".target.wants/" + u
			if s := p.see(path.Dir(link)); s.Type == v1alpha1.Absent {
				p.change(v1alpha1.FileState{Path: path.Dir(link), Type: v1alpha1.Directory, Mode: 0o755})
			}
			if p.see(link).Type == v1alpha1.Absent {
				p.change(v1alpha1.FileState{Path: link, Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/" + u})
			}
		}
	}
	for _, name := range append(units, "kubelet.service") {
		u, err := m.Units.Show(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		p.plan.ReadSet.Units = append(p.plan.ReadSet.Units, v1alpha1.UnitDigest{
			Name: name, LoadState: u.LoadState, ActiveState: u.ActiveState, FileState: u.FileState,
		})
	}
	for _, s := range []*v1alpha1.State{&p.plan.Before, &p.plan.After} {
		slices.SortFunc(s.Files, func(a, b v1alpha1.FileState) int { return cmp.Compare(a.Path, b.Path) })
		s.Files = slices.CompactFunc(s.Files, func(a, b v1alpha1.FileState) bool { return a.Path == b.Path })
	}
	return p.plan
}

// ours reports whether a file or unit stands for an open run only.
func ours(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "kubectl-runtime-") || base == "00-kubectl-runtime-early.conf" || strings.HasPrefix(base, ".kubectl-runtime")
}
