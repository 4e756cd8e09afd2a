package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

func addNode(api *apitest.Server, name string, labels map[string]string) {
	api.Put("nodes", &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
	})
}

func TestSelect(t *testing.T) {
	api := apitest.New(t)
	for _, name := range []string{"w3", "w1", "w2", "cp"} {
		pool := "blue"
		if name == "cp" {
			pool = "control"
		}
		addNode(api, name, map[string]string{"pool": pool})
	}
	tests := map[string]struct {
		s    Selection
		want []string
		err  string
	}{
		"names in their order, once": {s: Selection{Names: []string{"w2", "node/w1", "w2"}}, want: []string{"w2", "w1"}},
		"a name that isn't":          {s: Selection{Names: []string{"w2", "w9"}}, err: `there is no node "w9"`},
		"names that aren't":          {s: Selection{Names: []string{"w8", "w1", "w9"}}, err: `there are no nodes "w8", "w9"`},
		"many names at once":         {s: Selection{Names: []string{"w1", "w2", "w3", "cp", "x", "y"}}, err: `there are no nodes "x", "y"`},
		"labels":                     {s: Selection{Labels: "pool=blue"}, want: []string{"w1", "w2", "w3"}},
		"fields":                     {s: Selection{Fields: "metadata.name=cp"}, want: []string{"cp"}},
		"all":                        {s: Selection{All: true}, want: []string{"cp", "w1", "w2", "w3"}},
		"nobody":                     {s: Selection{Labels: "pool=red"}, err: ErrNoMatch.Error()},
		"never all in silence":       {s: Selection{}, err: ErrNothingSelected.Error()},
		"names and labels":           {s: Selection{Names: []string{"w1"}, Labels: "a"}, err: "not both"},
		"all and labels":             {s: Selection{All: true, Labels: "a"}, err: "can't be used together"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			nodes, err := Select(t.Context(), api.Client(), tt.s)
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || tt.err == "" && err != nil {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			var got []string
			for _, n := range nodes {
				got = append(got, n.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReview(t *testing.T) {
	api := apitest.New(t)
	rights := SwitchRights("ops", DrainOptions{})
	if err := Review(t.Context(), api.Client(), rights); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"patch nodes", "watch nodes", "get pods/exec", "create pods/eviction", "update leases"} {
		api.Deny(what)
	}
	err := Review(t.Context(), api.Client(), rights)
	denied, ok := errors.AsType[*DeniedError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	const message = "not allowed: get pods/exec in ops, watch nodes, patch nodes, update leases.coordination.k8s.io in kube-system, create pods/eviction"
	if err.Error() != message {
		t.Errorf("got  %s\nwant %s", err, message)
	}
	const want = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubectl-runtime
rules:
- apiGroups:
  - ""
  resources:
  - nodes
  verbs:
  - watch
  - patch
- apiGroups:
  - ""
  resources:
  - pods/eviction
  verbs:
  - create
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kubectl-runtime
  namespace: kube-system
rules:
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - update
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kubectl-runtime
  namespace: ops
rules:
- apiGroups:
  - ""
  resources:
  - pods/exec
  verbs:
  - get
`
	if diff := cmp.Diff(want, denied.YAML()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNodeChanges(t *testing.T) {
	api := apitest.New(t)
	addNode(api, "w1", nil)
	client := api.Client()
	node := func() *corev1.Node {
		var n corev1.Node
		api.Get("nodes", "", "w1", &n)
		return &n
	}
	if err := Cordon(t.Context(), client, "w1", true); err != nil || !node().Spec.Unschedulable {
		t.Errorf("cordon: %v", err)
	}
	if err := Cordon(t.Context(), client, "w1", false); err != nil || node().Spec.Unschedulable {
		t.Errorf("uncordon: %v", err)
	}
	last := v1alpha1.LastRun{Run: "r-00000001", From: v1alpha1.Docker, To: v1alpha1.CRIO, Phase: v1alpha1.PhaseConfirmed, By: "ana@laptop"}
	if err := SetLastRun(t.Context(), client, "w1", last); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(&last, LastRun(node())); diff != "" {
		t.Errorf("last run, -want +got:\n%s", diff)
	}
	if err := Annotate(t.Context(), client, "w1", KubeadmSocketAnnotation, "unix:///x"); err != nil || node().Annotations[KubeadmSocketAnnotation] != "unix:///x" {
		t.Errorf("annotate: %v", err)
	}
	if err := Annotate(t.Context(), client, "w1", KubeadmSocketAnnotation, ""); err != nil {
		t.Error(err)
	}
	if _, there := node().Annotations[KubeadmSocketAnnotation]; there {
		t.Error("an emptied annotation is still there")
	}
	if err := Event(t.Context(), client, node(), ReasonRolledBack, "why"); err != nil {
		t.Error(err)
	}
	namespace, name, _ := strings.Cut(api.Names("events")[0], "/")
	var event corev1.Event
	api.Get("events", namespace, name, &event)
	if event.Type != corev1.EventTypeWarning || event.InvolvedObject.UID != node().UID || event.Reason != "RuntimeSwitchRolledBack" || event.Namespace != "default" {
		t.Errorf("got %+v", event)
	}
}

// TestNoSecretInTheCluster: whoever may read nodes and Events reads why a run ended.
func TestNoSecretInTheCluster(t *testing.T) {
	api := apitest.New(t)
	addNode(api, "w1", nil)
	const reason = "Get http://ana:hunter2-secret@proxy:3128: refused"
	if err := SetLastRun(t.Context(), api.Client(), "w1", v1alpha1.LastRun{Run: "r-00000001", Phase: v1alpha1.PhaseRolledBack, Reason: reason}); err != nil {
		t.Fatal(err)
	}
	var node corev1.Node
	api.Get("nodes", "", "w1", &node)
	if err := Event(t.Context(), api.Client(), &node, ReasonRolledBack, reason); err != nil {
		t.Fatal(err)
	}
	namespace, name, _ := strings.Cut(api.Names("events")[0], "/")
	var event corev1.Event
	api.Get("events", namespace, name, &event)
	for where, text := range map[string]string{"the annotation": node.Annotations[v1alpha1.LastRunAnnotation], "the Event": event.Message} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "proxy:3128: refused") {
			t.Errorf("%s says %s", where, text)
		}
	}
}

func TestEtcdQuorum(t *testing.T) {
	member := func(api *apitest.Server, node string, ready bool) {
		status := corev1.ConditionFalse
		if ready {
			status = corev1.ConditionTrue
		}
		api.Put("pods", &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "etcd-" + node, Labels: map[string]string{"component": "etcd", "tier": "control-plane"}},
			Spec:       corev1.PodSpec{NodeName: node},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}},
		})
	}
	tests := map[string]struct {
		others  []bool
		refused bool
	}{
		"alone":                  {nil, false},
		"two":                    {[]bool{true}, false},
		"two, one down":          {[]bool{false}, true},
		"three":                  {[]bool{true, true}, false},
		"three, one down":        {[]bool{true, false}, true},
		"five, one down":         {[]bool{true, true, true, false}, false},
		"five, two of them down": {[]bool{true, true, false, false}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			member(api, "cp-0", true)
			for i, ready := range tt.others {
				member(api, "cp-"+string(rune('1'+i)), ready)
			}
			err := EtcdQuorum(t.Context(), api.Client(), "cp-0")
			if _, refused := errors.AsType[*QuorumError](err); refused != tt.refused {
				t.Errorf("got %v", err)
			}
			if err := EtcdQuorum(t.Context(), api.Client(), "worker"); err != nil {
				t.Errorf("a worker: %v", err)
			}
		})
	}
}
