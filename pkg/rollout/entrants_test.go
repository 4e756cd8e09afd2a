package rollout

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

// TestTellEntrants: who looks at nodes, or switches them, is told once who else may run commands in the host pods, and where that can't
// be found out; of kube-system only the former, which has privileged pods in any case.
func TestTellEntrants(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		bound     bool
		forbid    bool
		want      string
	}{
		"nobody":                      {namespace: "tools"},
		"somebody":                    {namespace: "tools", bound: true, want: "in namespace tools others may run commands in pods or change their images, and so become root on a node while its host pod is there: Group dev (RoleBinding debuggers); choose a namespace where only administrators may, with -n"},
		"it may not be read":          {namespace: "tools", forbid: true, want: "who may run commands in the pods of namespace tools"},
		"kube-system":                 {},
		"somebody in kube-system":     {bound: true, want: "in namespace kube-system others may run"},
		"kube-system may not be read": {forbid: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if c.bound {
				namespace := c.namespace
				if namespace == "" {
					namespace = "kube-system"
				}
				m.api.Put("rbac.authorization.k8s.io/roles", &rbacv1.Role{
					TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "debug"},
					Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}}},
				})
				m.api.Put("rbac.authorization.k8s.io/rolebindings", &rbacv1.RoleBinding{
					TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "debuggers"},
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "debug"}, Subjects: []rbacv1.Subject{{Kind: "Group", Name: "dev"}},
				})
			}
			if c.forbid {
				m.api.Forbid("list rbac.authorization.k8s.io/rolebindings")
			}
			var events []Event
			e := m.engine(Options{Namespace: c.namespace}, &events)
			if got := e.Gather(t.Context(), []string{worker}); got[0].Err != nil {
				t.Fatal(got[0].Err)
			}
			p, err := e.Prepare(t.Context(), worker, "cri-o")
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			var told []string
			for _, event := range events {
				if event.Warning && strings.Contains(event.Text, "run commands in") {
					told = append(told, event.Text)
				}
			}
			if c.want == "" && len(told) > 0 || c.want != "" && (len(told) != 1 || !strings.HasPrefix(told[0], c.want)) {
				t.Errorf("told %q", told)
			}
		})
	}
}

// TestOneImage: whatever a node reports once another runtime serves, a later pod of the command runs what the first ran: that is what
// the target took in.
func TestOneImage(t *testing.T) {
	m := newMachine(t)
	e := m.engine(Options{}, nil)
	node := m.node()
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"registry.k8s.io/pause:3.10"}}}
	first, err := e.image(t.Context(), node)
	if err != nil || first.Ref != "registry.k8s.io/pause:3.10" {
		t.Fatalf("%+v, %v", first, err)
	}
	e.keepImage(node, first)
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"registry.k8s.io/pause:3.11"}}}
	if second, err := e.image(t.Context(), node); err != nil || second != first {
		t.Errorf("%+v, %v", second, err)
	}
	other := node.DeepCopy()
	other.Name = "worker-2"
	if got, err := e.image(t.Context(), other); err != nil || got != (hostpod.Image{Ref: "registry.k8s.io/pause:3.11"}) {
		t.Errorf("another node: %+v, %v", got, err)
	}
}
