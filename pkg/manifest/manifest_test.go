package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// told is what of a workload a test compares: the owner, where it is, and each host path with the line that its volume is in.
func told(inv *workload.Inventory) []string {
	var out []string
	for _, w := range inv.Workloads {
		line := fmt.Sprintf("%s:%d %s", w.Source.File, w.Source.Line, w.Object)
		for _, v := range w.Spec.Volumes {
			if v.HostPath != nil {
				line += fmt.Sprintf(" %s@%d", v.HostPath.Path, w.Line("spec", "volumes", v.Name))
			}
		}
		for _, c := range w.Spec.Containers {
			line += fmt.Sprintf(" %s@%d", c.Name, w.Line("spec", "containers", c.Name))
			for _, e := range c.Env {
				line += fmt.Sprintf(" $%s=%s@%d", e.Name, e.Value, w.Line("spec", "containers", c.Name, "env", e.Name))
			}
		}
		if len(w.Pods) > 0 {
			line += fmt.Sprintf(" %v", w.Pods)
		}
		out = append(out, line)
	}
	return out
}

func TestRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// The first line names what is expected, behind the marker a line each.
			input, want, ok := strings.Cut(string(text), "=====\n")
			if !ok {
				t.Fatal("no ===== in it")
			}
			l := New("")
			n, err := l.Read("f", strings.NewReader(input))
			got := []string{fmt.Sprintf("objects %d", n)}
			got = append(got, told(l.Inventory())...)
			if err != nil {
				got = append(got, strings.Split(err.Error(), "\n")...)
			}
			if diff := cmp.Diff(strings.TrimSpace(want), strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestOthers reads every kind that isn't a workload.
func TestOthers(t *testing.T) {
	l := New("team")
	text, err := os.ReadFile("testdata/others.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read("others.yaml", strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
	inv := l.Inventory()
	team := func(name string) workload.Key { return workload.Key{Namespace: "team", Name: name} }
	want := map[workload.Key]map[string]string{team("scripts"): {"run.sh": "docker ps\n", "flag": "true"}}
	if diff := cmp.Diff(want, inv.ConfigMaps); diff != "" {
		t.Errorf("ConfigMaps (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[workload.Key]string{team("data"): "disk", {Namespace: "db", Name: "bound"}: "disk2"}, inv.Claims); diff != "" {
		t.Errorf("claims (-want +got)\n%s", diff)
	}
	if p := inv.Volumes["disk"].HostPath; p == nil || p.Path != "/run" {
		t.Errorf("volumes %v", inv.Volumes)
	}
	if diff := cmp.Diff(map[string]string{"gvisor": "runsc"}, inv.RuntimeClasses); diff != "" {
		t.Errorf("classes (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[workload.Key]map[string]string{team("hook"): {"app": "hook"}}, inv.Services); diff != "" {
		t.Errorf("services (-want +got)\n%s", diff)
	}
	if len(inv.Budgets) != 1 || inv.Budgets[0].Namespace != "team" || inv.Budgets[0].Spec.MinAvailable.IntValue() != 1 {
		t.Errorf("budgets %v", inv.Budgets)
	}
	hooks := []workload.Webhook{{
		Object: workload.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration", Name: "judge"},
		Name:   "a.judge.example", Service: team("hook"), Fails: true, Pods: true, Source: workload.Source{File: "others.yaml", Line: 45},
	}}
	if diff := cmp.Diff(hooks, inv.Webhooks); diff != "" {
		t.Errorf("webhooks (-want +got)\n%s", diff)
	}
}

// TestLargeList reads a List that is larger than a document may be: item by item, with the right lines.
func TestLargeList(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nitems:\n")
	items := 0
	for b.Len() < 3*maxDocument {
		fmt.Fprintf(&b, "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: p%d\n    annotations:\n      text: |\n        - x\n%s  spec:\n    containers:\n    - name: c\n      image: x\n", items,
			strings.Repeat("        some long text that fills the annotation of this pod\n", 200))
		items++
	}
	b.WriteString("kind: List\nmetadata:\n  resourceVersion: \"\"\n")
	l := New("")
	n, err := l.Read("list.yaml", strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	inv := l.Inventory()
	if len(inv.Workloads) != items || n < items {
		t.Fatalf("%d workloads, %d objects, want %d", len(inv.Workloads), n, items)
	}
	for i, w := range inv.Workloads {
		first := 3 + i*(11+200)
		if w.Object.Name != fmt.Sprintf("p%d", i) || w.Source.Line != first {
			t.Fatalf("workload %d is %s in line %d, want line %d", i, w.Object, w.Source.Line, first)
		}
		if got := w.Line("spec", "containers", "c"); got != first+9+200 {
			t.Fatalf("container of workload %d in line %d, want %d", i, got, first+9+200)
		}
	}
}

// TestPodsOfOwners counts pods at what controls them, as the output of kubectl get has them.
func TestPodsOfOwners(t *testing.T) {
	owner := func(kind, name, uid string) string {
		return fmt.Sprintf("  ownerReferences:\n  - {apiVersion: apps/v1, kind: %s, name: %s, uid: %s, controller: true}\n", kind, name, uid)
	}
	const spec = "{containers: [{name: c, image: x}]}"
	text := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n" + owner("ReplicaSet", "web-1", "u2") + "spec: {nodeName: n1, containers: [{name: c, image: x}]}\nstatus: {phase: Running}\n---\n" +
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: web-1\n  uid: u2\n" + owner("Deployment", "web", "u1") + "spec: {template: {spec: " + spec + "}}\n---\n" +
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, uid: u1}\nspec: {replicas: 3, template: {spec: " + spec + "}}\n---\n" +
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: other-1\n" + owner("Rollout", "other", "u9") + "spec: {template: {spec: " + spec + "}}\n"
	l := New("")
	if _, err := l.Read("f", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	inv := l.Inventory()
	var got []string
	for _, w := range inv.Workloads {
		got = append(got, fmt.Sprint(w.Object, w.Pods))
	}
	want := []string{"Deployment/web [{p n1 false}]", "Rollout/other []"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r := inv.Workloads[0].Replicas; r == nil || *r != 3 {
		t.Errorf("replicas %v", r)
	}
}

// TestBooleansOfYAML11 reads what kubectl takes for booleans.
func TestBooleansOfYAML11(t *testing.T) {
	l := New("")
	_, err := l.Read("f", strings.NewReader("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  hostNetwork: yes\n  hostPID: off\n  containers: [{name: c, image: x, env: [{name: A, value: \"yes\"}], securityContext: {runAsUser: 0o17}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	spec := l.Inventory().Workloads[0].Spec
	user := int64(15)
	want := corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{
		Name: "c", Image: "x", Env: []corev1.EnvVar{{Name: "A", Value: "yes"}}, SecurityContext: &corev1.SecurityContext{RunAsUser: &user},
	}}}
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
