package inventory

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// machined is a node that a Machine stands for.
func machined(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
		workload.MachineAnnotation: "m-" + name, workload.MachineNamespaceAnnotation: "clusters", "other": "x",
	}, Labels: map[string]string{"karpenter.sh/nodepool": "general", "kubernetes.io/os": "linux"}}}
}

// TestMachines reads whose Machine is paused, in whatever version it is served, and does without where that may not be read.
func TestMachines(t *testing.T) {
	paused := map[string]string{"cluster.x-k8s.io/paused": ""}
	for name, tt := range map[string]struct {
		version string
		forbid  bool
		want    map[string]string
	}{
		"served":      {version: "v1beta1", want: paused},
		"served anew": {version: "v1beta2", want: paused},
		"forbidden":   {version: "v1beta1", forbid: true},
		"elsewhere":   {},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t)
			if tt.version != "" {
				s.Custom("cluster.x-k8s.io/"+tt.version+"/machines", "Machine")
				for _, n := range []string{"a", "b"} {
					m := metav1.ObjectMeta{Namespace: "clusters", Name: "m-" + n}
					kept := map[string]string{"a": "cluster.x-k8s.io/paused", "b": "other"}[n]
					s.Put("cluster.x-k8s.io/machines", custom("cluster.x-k8s.io/"+tt.version, "Machine", m, map[string]string{kept: ""}))
				}
			}
			if tt.forbid {
				s.Forbid("list cluster.x-k8s.io/machines")
			}
			s.Put("nodes", machined("a"))
			s.Put("nodes", machined("b"))
			have := map[string]map[string]string{}
			for _, n := range read(t, s, Options{}).Nodes {
				have[n.Name] = n.MachineAnnotations
			}
			if diff := cmp.Diff(map[string]map[string]string{"a": tt.want, "b": nil}, have); diff != "" {
				t.Errorf("check (-want +have)\n%s", diff)
			}
			inv, err := OfPods(t.Context(), clients(s), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := AddNode(t.Context(), clients(s), inv, machined("a")); err != nil {
				t.Fatal(err)
			}
			want := []workload.Node{{
				Name: "a", Labels: map[string]string{"karpenter.sh/nodepool": "general"}, MachineAnnotations: tt.want,
				Annotations: map[string]string{workload.MachineAnnotation: "m-a", workload.MachineNamespaceAnnotation: "clusters"},
			}}
			if diff := cmp.Diff(want, inv.Nodes); diff != "" {
				t.Errorf("switch (-want +have)\n%s", diff)
			}
		})
	}
}

// TestAutoscalerStatus takes the status for a sign of cluster-autoscaler unless it is old, for all nodes and for one.
func TestAutoscalerStatus(t *testing.T) {
	const layout = "2006-01-02 15:04:05.999999999 -0700 MST"
	for name, tt := range map[string]struct {
		written string
		want    bool
	}{
		"now":          {time.Now().UTC().Format(layout), true},
		"in the past":  {time.Now().UTC().Add(-2 * time.Hour).Format(layout), false},
		"last year":    {"2025-02-03 04:05:06.789 +0000 UTC", false},
		"nobody knows": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t)
			status := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler-status"}, Data: map[string]string{"status": "x"}}
			if tt.written != "" {
				status.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/last-updated": tt.written}
			}
			s.Put("configmaps", status)
			s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "other"}})
			if have := read(t, s, Options{}).ConfigMaps[workload.AutoscalerStatus] != nil; have != tt.want {
				t.Errorf("check: %v", have)
			}
			inv, err := OfPods(t.Context(), clients(s), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := AddNode(t.Context(), clients(s), inv, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); err != nil {
				t.Fatal(err)
			}
			if have := inv.ConfigMaps[workload.AutoscalerStatus] != nil; have != tt.want || len(inv.ConfigMaps) > 1 {
				t.Errorf("switch: %v", inv.ConfigMaps)
			}
			if have := fmt.Sprint(s.Requests()); !cmp.Equal(s.Requests()[len(s.Requests())-1:], []string{"list configmaps"}) {
				t.Errorf("requests %s", have)
			}
		})
	}
}
