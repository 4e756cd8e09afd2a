package rollout

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// addGuilty puts a Deployment's pod on the node that mounts Docker's socket, and a script that calls docker.
func (m *machine) addGuilty(annotations map[string]string) {
	m.api.Put("apps/deployments", &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "builder", Annotations: annotations},
	})
	m.api.Put("pods", &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ci", Name: "builder-5d-x", Labels: map[string]string{"pod-template-hash": "5d"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "builder-5d", UID: "rs", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: worker,
			Containers: []corev1.Container{{
				Name: "c", Image: "registry.example/builder:1", VolumeMounts: []corev1.VolumeMount{{Name: "docker", MountPath: "/var/run/docker.sock"}},
			}},
			Volumes: []corev1.Volume{{Name: "docker", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/docker.sock"}}}},
		},
	})
	m.show()
}

// TestWorkloadsStop refuses a node whose pods depend on the runtime that goes, unless that is known.
func TestWorkloadsStop(t *testing.T) {
	known := map[string]string{workload.IgnoreAnnotation: "W001: goes away in May"}
	for name, tt := range map[string]struct {
		annotations map[string]string
		ignore      []string
		blocked     bool
		suppressed  string
	}{
		"error":      {blocked: true},
		"ignored":    {ignore: []string{"W001"}},
		"annotation": {annotations: known, suppressed: "goes away in May"},
		"another":    {annotations: map[string]string{workload.IgnoreAnnotation: "W002"}, ignore: []string{"W002"}, blocked: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.addGuilty(tt.annotations)
			p, err := m.engine(Options{Ignore: tt.ignore}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
				m.nothingLeft(t, false)
			}()
			i := slices.IndexFunc(p.Findings(), func(f v1alpha1.Finding) bool { return f.ID == "W001" })
			if i < 0 {
				t.Fatalf("findings %+v", p.Findings())
			}
			if f := p.Findings()[i]; f.Object != "ci/Deployment/builder" || f.Suppressed != tt.suppressed || f.Pods != 1 {
				t.Errorf("%+v", f)
			}
			var stop *FindingsError
			if got := errors.As(p.Blocked(), &stop); got != tt.blocked {
				t.Fatalf("blocked: %v", p.Blocked())
			}
			if tt.blocked && !strings.Contains(stop.Error(), "W001 ci/Deployment/builder mounts") {
				t.Errorf("%v", stop)
			}
			// One request more than a node costs whose pods depend on nothing, for which only cluster-autoscaler is looked for: the annotations
			// of the owner.
			extra := slices.DeleteFunc(m.api.Requests(), func(r string) bool {
				return !strings.Contains(r, "apps/deployments") && !strings.Contains(r, "configmaps")
			})
			if diff := cmp.Diff([]string{"list configmaps", "get apps/deployments"}, extra); diff != "" {
				t.Errorf("requests (-want +got)\n%s", diff)
			}
		})
	}
}

// TestBudgetsStop refuses a node with a pod that a budget never lets go, before anybody waits for that, unless pods are deleted.
func TestBudgetsStop(t *testing.T) {
	for name, tt := range map[string]struct {
		opts    Options
		blocked bool
	}{
		"evicted": {blocked: true},
		"ignored": {opts: Options{Ignore: []string{"W030"}}},
		"deleted": {opts: Options{Drain: cluster.DrainOptions{DisableEviction: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.api.Put("pods", &corev1.Pod{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "shop", Name: "db-0", Labels: map[string]string{"app": "db"},
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "db", Controller: new(true)}},
				},
				Spec: corev1.PodSpec{NodeName: worker, Containers: []corev1.Container{{Name: "c", Image: "registry.example/db:1"}}},
			})
			m.api.Put("policy/poddisruptionbudgets", &policyv1.PodDisruptionBudget{
				TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"},
				Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: new(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}},
			})
			m.show()
			p, err := m.engine(tt.opts, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
			if err != nil {
				t.Fatal(err)
			}
			var stop *FindingsError
			if got := errors.As(p.Blocked(), &stop); got != tt.blocked {
				t.Errorf("blocked: %v", p.Blocked())
			}
			if tt.blocked && !strings.Contains(p.Blocked().Error(), "W030 shop/PodDisruptionBudget/db never allows a pod to go") {
				t.Errorf("%v", p.Blocked())
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWorkloadsOfSavedPlan judges the node and the pods that are there when a saved plan is applied: findings in a file are nobody's word.
func TestWorkloadsOfSavedPlan(t *testing.T) {
	m := newMachine(t)
	e := m.engine(Options{}, nil)
	e.decide.verify = func(*v1alpha1.Plan) error { return nil }
	saved, err := e.decide.build(nil, planGoal())
	if err != nil {
		t.Fatal(err)
	}
	saved.Findings = []v1alpha1.Finding{{ID: "W001", Severity: v1alpha1.SeverityError, Object: "ci/Deployment/gone"}}
	build := e.decide.build
	e.decide.build = func(f *v1alpha1.Facts, g plan.Goal) (*v1alpha1.Plan, error) {
		made, err := build(f, g)
		made.Findings = []v1alpha1.Finding{{ID: "N004", Severity: v1alpha1.SeverityWarning}}
		return made, err
	}
	p, err := e.PrepareFromPlan(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	if p.Blocked() != nil || len(p.Findings()) != 1 || p.Findings()[0].ID != "N004" {
		t.Errorf("blocked %v, findings %+v", p.Blocked(), p.Findings())
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNodeControllers tells on either way who may delete the node, unless the node says that it is left alone. What can't be read bars
// a switch, and no way back.
func TestNodeControllers(t *testing.T) {
	const keep = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
	for name, tt := range map[string]struct {
		annotations map[string]string
		forbid      bool
		fail        bool
		want        []string
		err         bool
	}{
		"warned":     {want: []string{"C008 kube-system/ConfigMap/cluster-autoscaler-status"}},
		"paused":     {annotations: map[string]string{keep: "true"}},
		"not paused": {annotations: map[string]string{keep: "false"}, want: []string{"C008 kube-system/ConfigMap/cluster-autoscaler-status"}},
		"forbidden":  {forbid: true},
		"away":       {fail: true, err: true},
	} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, back %v", name, back), func(t *testing.T) {
				m := newMachine(t)
				e := m.engine(Options{}, nil)
				if back {
					if r, err := switchOne(t.Context(), e); err != nil || r.Outcome != Switched {
						t.Fatalf("%+v, %v", r, err)
					}
					e = m.engine(Options{}, nil)
					e.decide.inverse = func(_ v1alpha1.RunView, _ *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
						made, err := e.decide.build(nil, planGoal())
						made.Run, made.Restores = run, "r-before"
						return made, err
					}
				}
				m.api.Put("configmaps", &corev1.ConfigMap{
					TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler-status"},
				})
				var node corev1.Node
				m.api.Get("nodes", "", worker, &node)
				maps.Copy(node.Annotations, tt.annotations)
				m.api.Put("nodes", &node)
				m.show()
				if tt.forbid {
					m.api.Forbid("list configmaps")
				}
				if tt.fail {
					m.api.Before(func(_ string, r *http.Request) error {
						if strings.Contains(r.URL.Path, "/configmaps") {
							return errors.New("etcd is away")
						}
						return nil
					})
				}
				var p *Prepared
				var err error
				if back {
					p, err = e.PrepareRollback(t.Context(), worker, "")
				} else {
					p, err = e.Prepare(t.Context(), worker, v1alpha1.CRIO)
				}
				if tt.err && !back {
					if err == nil || !strings.Contains(err.Error(), "etcd is away") {
						t.Fatalf("%v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				var have []string
				for _, f := range p.Findings() {
					have = append(have, f.ID+" "+f.Object)
				}
				if diff := cmp.Diff(tt.want, have); diff != "" || p.Blocked() != nil {
					t.Errorf("blocked %v, findings (-want +have)\n%s", p.Blocked(), diff)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestWorkloadsDontBarTheWayBack lets a node go back whatever runs on it.
func TestWorkloadsDontBarTheWayBack(t *testing.T) {
	m := newMachine(t)
	if r, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil || r.Outcome != Switched {
		t.Fatalf("%+v, %v", r, err)
	}
	m.addGuilty(nil)
	e := m.engine(Options{}, nil)
	e.decide.inverse = func(_ v1alpha1.RunView, _ *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
		made, err := e.decide.build(nil, planGoal())
		made.Run, made.Restores = run, "r-before"
		return made, err
	}
	p, err := e.PrepareRollback(t.Context(), worker, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Blocked() != nil || len(p.Findings()) != 0 {
		t.Errorf("blocked %v, findings %+v", p.Blocked(), p.Findings())
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func planGoal() plan.Goal { return plan.Goal{Run: "r-00000001", To: v1alpha1.Containerd} }
