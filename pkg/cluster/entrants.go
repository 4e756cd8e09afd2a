package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// EntrantRights are optional: with them it is looked at who else may enter our pods.
func EntrantRights(namespace string) []Right {
	return expand(
		grant{rbacv1.GroupName, "rolebindings", namespace, "list"},
		grant{rbacv1.GroupName, "roles", namespace, "get"},
		grant{rbacv1.GroupName, "clusterroles", "", "get"},
	)
}

// Entrant is somebody who may run commands in the pods of a namespace, or change their images.
type Entrant struct {
	Subject string // "User ana", "ServiceAccount ci/builder"
	Binding string // the RoleBinding that says so
}

// Entrants are those, besides ourselves and system:masters, to whom the RoleBindings of a namespace give the right to run commands in
// its pods, or to change their images. Rights that hold in all namespaces aren't looked at: who has them may enter the privileged pods of kube-system just as well.
// Nor are authorizers other than RBAC, which can't be asked about others. What could not be read is an error, beside what was found.
func Entrants(ctx context.Context, client kubernetes.Interface, namespace string) ([]Entrant, error) {
	list, err := client.RbacV1().RoleBindings(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the RoleBindings of namespace %s: %w", namespace, err)
	}
	var (
		found []Entrant
		errs  []error
		known = map[rbacv1.RoleRef]bool{}
		us    *authenticationv1.UserInfo
	)
	for _, b := range list.Items {
		lets, asked := known[b.RoleRef]
		if !asked {
			if lets, err = letsIn(ctx, client, namespace, b.RoleRef); err != nil {
				errs = append(errs, err)
			}
			known[b.RoleRef] = lets
		}
		if !lets {
			continue
		}
		if us == nil {
			if us, err = whoWeAre(ctx, client); err != nil {
				errs = append(errs, err)
			}
		}
		for _, s := range b.Subjects {
			if !isUs(s, us, namespace) {
				found = append(found, Entrant{Subject: nameSubject(s, namespace), Binding: b.Name})
			}
		}
	}
	return found, errors.Join(errs...)
}

// letsIn reports whether a role lets its subjects into pods.
func letsIn(ctx context.Context, client kubernetes.Interface, namespace string, ref rbacv1.RoleRef) (bool, error) {
	var rules []rbacv1.PolicyRule
	var err error
	if ref.Kind == "ClusterRole" {
		var role *rbacv1.ClusterRole
		if role, err = client.RbacV1().ClusterRoles().Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			rules = role.Rules
		}
	} else {
		var role *rbacv1.Role
		if role, err = client.RbacV1().Roles(namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			rules = role.Rules
		}
	}
	if apierrors.IsNotFound(err) {
		return false, nil // a binding to nothing gives nothing
	}
	if err != nil {
		return false, fmt.Errorf("reading %s %s: %w", ref.Kind, ref.Name, err)
	}
	return slices.ContainsFunc(rules, entering), nil
}

// entrances are the ways into a container that runs, by what they are of a pod, with the verbs that open them. Nearly nothing of a pod can
// be changed, but its images can: the kubelet then starts the container anew, with the privileges that it has.
var entrances = map[string][]string{
	"":     {"update", "patch"},
	"exec": {"create", "get"}, "attach": {"create", "get"}, "ephemeralcontainers": {"update", "patch"},
}

// entering reports whether a rule lets its subjects into pods. One for pods of certain names isn't about ours, whose names are random.
func entering(rule rbacv1.PolicyRule) bool {
	if len(rule.ResourceNames) > 0 || !slices.ContainsFunc(rule.APIGroups, func(g string) bool { return g == "" || g == rbacv1.APIGroupAll }) {
		return false
	}
	for sub, verbs := range entrances {
		names := []string{rbacv1.ResourceAll, "pods"}
		if sub != "" {
			names = []string{rbacv1.ResourceAll, "pods/" + sub, "*/" + sub}
		}
		resource := slices.ContainsFunc(rule.Resources, func(r string) bool { return slices.Contains(names, r) })
		verb := slices.ContainsFunc(rule.Verbs, func(v string) bool { return v == rbacv1.VerbAll || slices.Contains(verbs, v) })
		if resource && verb {
			return true
		}
	}
	return false
}

// whoWeAre asks the API server for our name and groups. One that doesn't know that question is no error, and the answer is nobody.
func whoWeAre(ctx context.Context, client kubernetes.Interface) (*authenticationv1.UserInfo, error) {
	answer, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return &authenticationv1.UserInfo{}, nil // before Kubernetes 1.28
	}
	if err != nil {
		return &authenticationv1.UserInfo{}, fmt.Errorf("asking who we are: %w", err)
	}
	return &answer.Status.UserInfo, nil
}

// isUs reports whether a subject is the operator, a group of his, or a group of administrators. Groups that everybody is in are others.
func isUs(s rbacv1.Subject, us *authenticationv1.UserInfo, namespace string) bool {
	switch s.Kind {
	case rbacv1.GroupKind:
		everybody := s.Name == "system:authenticated" || s.Name == "system:unauthenticated" || strings.HasPrefix(s.Name, "system:serviceaccounts")
		return s.Name == "system:masters" || !everybody && slices.Contains(us.Groups, s.Name)
	case rbacv1.ServiceAccountKind:
		return "system:serviceaccount:"+accountOf(s, namespace) == us.Username
	}
	return s.Name == us.Username
}

func nameSubject(s rbacv1.Subject, namespace string) string {
	if s.Kind == rbacv1.ServiceAccountKind {
		return s.Kind + " " + strings.Replace(accountOf(s, namespace), ":", "/", 1)
	}
	return s.Kind + " " + s.Name
}

// accountOf names a ServiceAccount as user names have it.
func accountOf(s rbacv1.Subject, namespace string) string {
	if s.Namespace != "" {
		namespace = s.Namespace
	}
	return namespace + ":" + s.Name
}
