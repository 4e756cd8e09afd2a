package cluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// Right is one thing that somebody may be allowed to do. An empty Namespace means everywhere.
type Right struct {
	Verb      string
	Group     string
	Resource  string // with its subresource: pods/exec
	Namespace string
}

// GatherRights are what looking at nodes needs; namespace is where our pods live.
func GatherRights(namespace string) []Right {
	return expand(
		grant{"", "nodes", "", "get list"},
		grant{"", "pods", namespace, "create get list watch delete"},
		// WebSocket and SPDY are authorised as different verbs.
		grant{"", "pods/exec", namespace, "create get"},
		grant{"", "events", namespace, "list"},
	)
}

// SwitchRights are what a switch needs on top of GatherRights.
func SwitchRights(namespace string, o DrainOptions) []Right {
	rights := append(GatherRights(namespace), expand(
		grant{"", "nodes", "", "watch patch"},
		grant{"", "pods", "", "list watch"},
		grant{"apps", "daemonsets", "", "get"},
		grant{"coordination.k8s.io", "leases", LockNamespace, "get create update delete"},
		grant{"coordination.k8s.io", "leases", "kube-node-lease", "list watch"},
		grant{"", "events", metav1.NamespaceDefault, "create"},
	)...)
	if o.DisableEviction {
		return append(rights, expand(grant{"", "pods", "", "delete"})...)
	}
	return append(rights, expand(grant{"", "pods/eviction", "", "create"})...)
}

// SecretRights are optional: with them images are pulled before the switch with the credentials of their pods.
func SecretRights() []Right {
	return expand(grant{"", "secrets", "", "get"}, grant{"", "serviceaccounts", "", "get"})
}

type grant struct{ group, resource, namespace, verbs string }

func expand(grants ...grant) []Right {
	var out []Right
	for _, g := range grants {
		for _, verb := range strings.Fields(g.verbs) {
			out = append(out, Right{Verb: verb, Group: g.group, Resource: g.resource, Namespace: g.namespace})
		}
	}
	return out
}

// DeniedError names the rights that are missing.
type DeniedError struct{ Missing []Right }

// Error implements error.
func (e *DeniedError) Error() string {
	var parts []string
	for _, r := range e.Missing {
		what := r.Verb + " " + r.Resource
		if r.Group != "" {
			what += "." + r.Group
		}
		if r.Namespace != "" {
			what += " in " + r.Namespace
		}
		parts = append(parts, what)
	}
	return "not allowed: " + strings.Join(parts, ", ")
}

// YAML is what an administrator would apply to grant them.
func (e *DeniedError) YAML() string {
	byNamespace := map[string][]Right{}
	for _, r := range e.Missing {
		byNamespace[r.Namespace] = append(byNamespace[r.Namespace], r)
	}
	var docs []string
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		meta := metav1.ObjectMeta{Name: manager, Namespace: namespace}
		var role any = &rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"}, ObjectMeta: meta, Rules: rules(byNamespace[namespace])}
		if namespace == "" {
			role = &rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"}, ObjectMeta: meta, Rules: rules(byNamespace[namespace])}
		}
		b, err := yaml.Marshal(role)
		if err != nil {
			continue // a role always marshals: it is plain data
		}
		docs = append(docs, string(b))
	}
	return strings.Join(docs, "---\n")
}

// rules groups rights of one resource into one rule.
func rules(rights []Right) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range rights {
		i := slices.IndexFunc(out, func(p rbacv1.PolicyRule) bool { return p.APIGroups[0] == r.Group && p.Resources[0] == r.Resource })
		if i < 0 {
			out = append(out, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}})
			i = len(out) - 1
		}
		out[i].Verbs = append(out[i].Verbs, r.Verb)
	}
	slices.SortFunc(out, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(strings.Compare(a.APIGroups[0], b.APIGroups[0]), strings.Compare(a.Resources[0], b.Resources[0]))
	})
	return out
}

// Review asks the API server about every right; what is missing is a *DeniedError.
func Review(ctx context.Context, client kubernetes.Interface, rights []Right) error {
	var (
		mu      sync.Mutex
		missing []Right
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, r := range rights {
		group.Go(func() error {
			ok, err := allowed(ctx, client, r)
			if err != nil {
				return fmt.Errorf("asking whether we may %s %s: %w", r.Verb, r.Resource, err)
			}
			if !ok {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, r)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	slices.SortFunc(missing, func(a, b Right) int { return cmp.Compare(slices.Index(rights, a), slices.Index(rights, b)) })
	return &DeniedError{Missing: missing}
}

func allowed(ctx context.Context, client kubernetes.Interface, r Right) (bool, error) {
	resource, sub, _ := strings.Cut(r.Resource, "/")
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.Namespace, Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// CheckRights are what looking at workloads needs; an empty namespace is all of them. None is asked for before: what is missing is
// told, and the rest is looked at.
func CheckRights(namespace string) []Right {
	return expand(
		grant{"", "nodes", "", "list"},
		grant{"", "pods", namespace, "list"},
		grant{"", "podtemplates", namespace, "list"},
		grant{"", "replicationcontrollers", namespace, "list"},
		grant{"", "configmaps", namespace, "list"},
		grant{"", "persistentvolumeclaims", namespace, "list"},
		grant{"", "persistentvolumes", "", "list"},
		grant{"", "services", "", "list"},
		grant{"apps", "deployments", namespace, "list"},
		grant{"apps", "replicasets", namespace, "list"},
		grant{"apps", "statefulsets", namespace, "list"},
		grant{"apps", "daemonsets", namespace, "list"},
		grant{"batch", "jobs", namespace, "list"},
		grant{"batch", "cronjobs", namespace, "list"},
		grant{"policy", "poddisruptionbudgets", namespace, "list"},
		grant{"node.k8s.io", "runtimeclasses", "", "list"},
		grant{"admissionregistration.k8s.io", "validatingwebhookconfigurations", "", "list"},
		grant{"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", "list"},
	)
}

// JudgeRights are optional: with them a switch looks into what the pods of its node refer to, and into the annotations of their
// owners that suppress findings.
func JudgeRights() []Right {
	return expand(
		grant{"", "configmaps", "", "list"},
		grant{"", "persistentvolumeclaims", "", "list"},
		grant{"", "persistentvolumes", "", "list"},
		grant{"", "services", "", "list"},
		grant{"policy", "poddisruptionbudgets", "", "list"},
		grant{"node.k8s.io", "runtimeclasses", "", "list"},
		grant{"apps", "deployments", "", "get"},
		grant{"apps", "statefulsets", "", "get"},
		grant{"batch", "jobs", "", "get"},
	)
}
