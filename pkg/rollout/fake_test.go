package rollout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

const (
	worker = "worker-1"
	docker = "docker://28.5.2"
	crio   = "cri-o://1.35.0"
)

// machine is a node behind its agent: it keeps one run by the design's table of phases, and shows at the API server
// what a kubelet would show.
type machine struct {
	t      *testing.T
	api    *apitest.Server
	mu     sync.Mutex
	run    *v1alpha1.Run
	kept   []v1alpha1.Run
	plan   *v1alpha1.Plan
	wanted []v1alpha1.WantedImage
	// stageTimeout is what the node was told.
	stageTimeout time.Duration
	// runtime is the containerRuntimeVersion that the node has.
	runtime string
	// ill are the pods that aren't Ready.
	ill    []string
	pods   int // of ours that are on the node
	canary int // canaries that are on the node
	// canaries counts those that were started.
	canaries int
	verbs    []v1alpha1.Verb

	// What goes wrong.
	stageFails string // the reason why staging fails
	applyFails string // the reason why applying fails, so that the node goes back
	stale      bool
	unproved   bool // the node comes back, its canary never gets Ready
	unstarted  bool // the runtime that the node has first starts no canary
	barred     bool // no canary is let in
	outlived   int  // so many canaries have ended by themselves when they are looked at
	stuck      bool
	deadline   time.Duration // of an applied run
	before     func(v v1alpha1.Verb) error
	after      func(v v1alpha1.Verb) error
	twice      int           // the call of this number is served twice, as after an answer that was lost
	slow       time.Duration // how long the node takes to answer the question that begins a run
	behind     func()        // what a question that was cut off has still to do
	calls      int
	rolling    bool // the node is going back by itself
	tidies     bool // going back, the node deletes our pods
	ours       []*pod
	brought    int // how often our agent was brought in the middle
	// The host pod through which the question of this number is asked is lost, and with losesAll every one behind it.
	loses    error
	losesAt  int
	losesAll bool
	asked    int
	// endsWaiting: the first host pod ends while it is waited for under the new runtime.
	endsWaiting bool
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, api: apitest.New(t), runtime: docker, deadline: 30 * time.Second, ill: []string{"broken"}}
	m.api.Put("nodes", &corev1.Node{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: worker, Annotations: map[string]string{cluster.KubeadmSocketAnnotation: "unix:///var/run/dockershim.sock"}},
	})
	m.addPod("kube-system", "proxy", "DaemonSet", "kube-proxy")
	m.addPod("kube-system", "broken", "DaemonSet", "broken")
	m.addPod("shop", "web", "ReplicaSet", "web-5d")
	m.api.Put("apps/daemonsets", &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-proxy"}})
	m.api.Put("apps/daemonsets", &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "broken"}})
	m.show()
	return m
}

func (m *machine) addPod(namespace, name, kind, owner string) {
	m.api.Put("pods", &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner, UID: types.UID(owner), Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: worker, Containers: []corev1.Container{{Name: "c", Image: "registry.example/" + owner + ":1"}}},
	})
}

// show lets the API server see what a kubelet would tell now.
func (m *machine) show() {
	now := time.Now()
	var node corev1.Node
	m.api.Get("nodes", "", worker, &node)
	node.Status = corev1.NodeStatus{
		NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: m.runtime, KubeletVersion: "v1.34.4"},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(now),
		}},
	}
	m.api.Put("nodes", &node)
	renewed := metav1.NewMicroTime(now.Add(time.Millisecond))
	m.api.Put("coordination.k8s.io/leases", &coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: worker},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &renewed},
	})
	for _, name := range m.api.Names("pods") {
		namespace, name, _ := strings.Cut(name, "/")
		var pod corev1.Pod
		m.api.Get("pods", namespace, name, &pod)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "c", ContainerID: strings.Split(m.runtime, "://")[0] + "://0123", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}
		ready := corev1.ConditionTrue
		if slices.Contains(m.ill, name) {
			ready = corev1.ConditionFalse
		}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		m.api.Put("pods", &pod)
	}
}

// change is converge: the kubelet is away and comes back under another runtime.
func (m *machine) change(runtime string) {
	m.run.KubeletStopped = time.Now()
	m.runtime = runtime
	m.run.KubeletStarted = time.Now()
	m.show()
}

func (m *machine) to(phase v1alpha1.Phase, reason string) {
	m.run.Phase, m.run.Changed = phase, time.Now()
	if reason != "" {
		m.run.Reason = reason
	}
	if !phase.Open() {
		m.kept = append([]v1alpha1.Run{*m.run}, m.kept...)
	}
}

// goBack is converge(before), and the tidying of a node that ends alone.
func (m *machine) goBack(reason string) {
	m.to(v1alpha1.PhaseRollingBack, reason)
	m.change(docker)
	m.to(v1alpha1.PhaseRolledBack, "")
	for _, p := range m.ours {
		if m.tidies && !p.stopped && !p.gone {
			p.gone = true
			m.pods--
		}
	}
	if m.run.Restore.Uncordon {
		var node corev1.Node
		m.api.Get("nodes", "", worker, &node)
		node.Spec.Unschedulable = false
		m.api.Put("nodes", &node)
	}
}

// advance lets the units of the host make their next move.
func (m *machine) advance() {
	if m.run == nil {
		return
	}
	switch m.run.Phase {
	case v1alpha1.PhaseStaging:
		if m.stageFails != "" {
			m.to(v1alpha1.PhaseRemoved, m.stageFails)
			return
		}
		m.to(v1alpha1.PhaseStaged, "")
	case v1alpha1.PhaseRollingBack:
		if m.rolling {
			m.goBack("")
		}
	case v1alpha1.PhaseApplying:
		switch {
		case m.stuck:
			m.change(crio)
			m.to(v1alpha1.PhaseStuck, "/etc/crictl.yaml was written by somebody else")
		case m.applyFails != "":
			m.goBack(m.applyFails)
		default:
			m.change(crio)
			m.to(v1alpha1.PhaseApplied, "")
			m.run.DeadlineIn = m.deadline
		}
	}
}

func (m *machine) agentError(v v1alpha1.Verb, code v1alpha1.ErrorCode, text string) error {
	return &hostpod.AgentError{Node: worker, Verb: v, Code: code, Message: text}
}

func (m *machine) call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	if err := ctx.Err(); err != nil {
		return v1alpha1.Response{}, context.Cause(ctx)
	}
	if m.before != nil {
		if err := m.before(req.Verb); err != nil {
			return v1alpha1.Response{}, err
		}
	}
	if cut := m.cutOff(ctx, req); cut != nil {
		return v1alpha1.Response{}, cut
	}
	if m.calls++; m.calls == m.twice {
		_, _ = m.serve(req)
	}
	answer, err := m.serve(req)
	if m.after != nil {
		if lost := m.after(req.Verb); lost != nil {
			return v1alpha1.Response{}, lost
		}
	}
	return answer, err
}

// cutOff is a question that takes a moment. Whoever doesn't wait for its answer doesn't stop it: it has its effect behind
// the next one.
func (m *machine) cutOff(ctx context.Context, req v1alpha1.Request) error {
	if req.Verb == v1alpha1.VerbStage && m.slow > 0 {
		select {
		case <-ctx.Done():
			m.behind = func() { _, _ = m.serve(req) }
			return context.Cause(ctx)
		case <-time.After(m.slow):
		}
	} else if behind := m.behind; behind != nil {
		m.behind = nil
		defer behind()
		return m.agentError(req.Verb, v1alpha1.CodeUnknown, "no such run")
	}
	return nil
}

func (m *machine) serve(req v1alpha1.Request) (answer v1alpha1.Response, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verbs = append(m.verbs, req.Verb)
	tell := func() (v1alpha1.Response, error) {
		r := *m.run
		return v1alpha1.Response{Run: &r}, nil
	}
	if i := slices.IndexFunc(m.kept, func(r v1alpha1.Run) bool { return r.ID == req.Run }); req.Verb == v1alpha1.VerbShow && i >= 0 {
		return v1alpha1.Response{View: &v1alpha1.RunView{Run: m.kept[i], Plan: *m.plan}}, nil
	}
	if !slices.Contains([]v1alpha1.Verb{v1alpha1.VerbGather, v1alpha1.VerbStage, v1alpha1.VerbFinish}, req.Verb) && (m.run == nil || m.run.ID != req.Run) {
		return answer, m.agentError(req.Verb, v1alpha1.CodeUnknown, "no such run")
	}
	switch req.Verb {
	case v1alpha1.VerbGather:
		f := &v1alpha1.Facts{Node: worker, Runs: m.kept}
		if m.run != nil && m.run.Phase.Open() {
			r := *m.run
			f.OpenRun = &r
		}
		return v1alpha1.Response{Facts: f}, nil
	case v1alpha1.VerbStage:
		if m.run != nil && m.run.Phase.Open() {
			r := *m.run
			err := &hostpod.AgentError{Node: worker, Code: v1alpha1.CodeBusy, Message: "busy", Response: v1alpha1.Response{Run: &r}}
			return answer, err
		}
		m.run = &v1alpha1.Run{Restore: req.Restore, ID: req.Run, Node: worker, From: req.Plan.From.Name, To: req.Plan.To.Name, Phase: v1alpha1.PhaseStaging, By: req.By, Created: time.Now()}
		m.plan, m.wanted, m.stageTimeout = req.Plan, req.Images, req.StageTimeout
		return tell()
	case v1alpha1.VerbWatch:
		m.advance()
		return tell()
	case v1alpha1.VerbApply:
		if m.stale {
			return answer, m.agentError(req.Verb, v1alpha1.CodeStale, "/etc/crictl.yaml changed")
		}
		if m.run.Phase != v1alpha1.PhaseStaged {
			return answer, m.agentError(req.Verb, v1alpha1.CodePhase, "phase is "+string(m.run.Phase))
		}
		m.run.Restore = req.Restore
		m.to(v1alpha1.PhaseApplying, "")
		return tell()
	case v1alpha1.VerbConfirm:
		if m.run.Phase != v1alpha1.PhaseApplied && m.run.Phase != v1alpha1.PhaseConfirmed {
			return answer, m.agentError(req.Verb, v1alpha1.CodePhase, "phase is "+string(m.run.Phase))
		}
		if m.run.Phase == v1alpha1.PhaseApplied {
			m.to(v1alpha1.PhaseConfirmed, "")
		}
		return tell()
	case v1alpha1.VerbRollback:
		switch m.run.Phase {
		case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged:
			m.to(v1alpha1.PhaseRemoved, "")
		case v1alpha1.PhaseApplying, v1alpha1.PhaseApplied, v1alpha1.PhaseStuck:
			m.goBack("rollback was asked for")
		case v1alpha1.PhaseRolledBack:
		default:
			return answer, m.agentError(req.Verb, v1alpha1.CodePhase, "phase is "+string(m.run.Phase))
		}
		return tell()
	case v1alpha1.VerbDiscard:
		if m.run.Phase != v1alpha1.PhaseStaging && m.run.Phase != v1alpha1.PhaseStaged && m.run.Phase != v1alpha1.PhaseRemoved {
			return answer, m.agentError(req.Verb, v1alpha1.CodePhase, "phase is "+string(m.run.Phase))
		}
		if m.run.Phase.Open() {
			m.to(v1alpha1.PhaseRemoved, "")
		}
		return tell()
	case v1alpha1.VerbShow:
		return v1alpha1.Response{View: &v1alpha1.RunView{Run: *m.run, Plan: *m.plan}}, nil
	case v1alpha1.VerbFinish:
		return v1alpha1.Response{}, nil
	}
	m.t.Errorf("unknown verb %q", req.Verb)
	return answer, errors.New("unknown verb")
}
