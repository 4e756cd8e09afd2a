package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// bind puts a RoleBinding of namespace tools.
func bind(api *apitest.Server, name, kind, role string, subjects ...rbacv1.Subject) {
	api.Put("rbac.authorization.k8s.io/rolebindings", &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}, ObjectMeta: metav1.ObjectMeta{Namespace: "tools", Name: name},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}, Subjects: subjects,
	})
}

func addRole(api *apitest.Server, name string, rules ...rbacv1.PolicyRule) {
	api.Put("rbac.authorization.k8s.io/roles", &rbacv1.Role{
		TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Namespace: "tools", Name: name}, Rules: rules,
	})
}

func policy(groups, resources, verbs string) rbacv1.PolicyRule {
	words := func(s string) []string { return strings.Split(s, ",") }
	return rbacv1.PolicyRule{APIGroups: words(groups), Resources: words(resources), Verbs: words(verbs)}
}

var (
	ana   = rbacv1.Subject{Kind: "User", Name: "ana"}
	execs = policy("", "pods/exec", "create")
)

func TestEntrants(t *testing.T) {
	const developers = "edit"
	for name, tt := range map[string]struct {
		arrange func(api *apitest.Server)
		want    []Entrant
		err     string
	}{
		"nobody": {arrange: func(*apitest.Server) {}},
		"by a role": {
			arrange: func(api *apitest.Server) {
				addRole(api, "debug", policy("", "pods", "get,list"), execs)
				bind(api, "debuggers", "Role", "debug", ana, rbacv1.Subject{Kind: "Group", Name: "dev"}, rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"})
			},
			want: []Entrant{{"User ana", "debuggers"}, {"Group dev", "debuggers"}, {"ServiceAccount tools/bot", "debuggers"}, {"ServiceAccount ci/bot", "debuggers"}},
		},
		"by a ClusterRole": {
			arrange: func(api *apitest.Server) {
				api.Put("rbac.authorization.k8s.io/clusterroles", &rbacv1.ClusterRole{
					TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}, ObjectMeta: metav1.ObjectMeta{Name: developers}, Rules: []rbacv1.PolicyRule{execs},
				})
				bind(api, "edits", "ClusterRole", developers, ana)
			},
			want: []Entrant{{"User ana", "edits"}},
		},
		"ourselves and administrators": {arrange: func(api *apitest.Server) {
			addRole(api, "kubectl-runtime", execs)
			bind(api, "us", "Role", "kubectl-runtime", rbacv1.Subject{Kind: "User", Name: apitest.User}, rbacv1.Subject{Kind: "Group", Name: apitest.Group}, rbacv1.Subject{Kind: "Group", Name: "system:masters"})
		}},
		"everybody is not us": {
			arrange: func(api *apitest.Server) {
				addRole(api, "open", execs)
				bind(api, "all", "Role", "open", rbacv1.Subject{Kind: "Group", Name: "system:authenticated"})
			},
			want: []Entrant{{"Group system:authenticated", "all"}},
		},
		"a role that isn't there": {arrange: func(api *apitest.Server) { bind(api, "x", "Role", "none", ana) }},
		"bindings that may not be read": {
			arrange: func(api *apitest.Server) { api.Forbid("list rbac.authorization.k8s.io/rolebindings") },
			err:     "listing the RoleBindings of namespace tools",
		},
		"a role that may not be read, beside one that may": {
			arrange: func(api *apitest.Server) {
				addRole(api, "debug", execs)
				api.Put("rbac.authorization.k8s.io/clusterroles", &rbacv1.ClusterRole{
					TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}, ObjectMeta: metav1.ObjectMeta{Name: developers},
				})
				bind(api, "debuggers", "Role", "debug", ana)
				bind(api, "edits", "ClusterRole", developers, ana)
				api.Forbid("get rbac.authorization.k8s.io/clusterroles")
			},
			want: []Entrant{{"User ana", "debuggers"}}, err: "reading ClusterRole edit",
		},
		"we don't know who we are": {
			arrange: func(api *apitest.Server) {
				addRole(api, "debug", execs)
				bind(api, "debuggers", "Role", "debug", rbacv1.Subject{Kind: "User", Name: apitest.User})
				api.Forbid("create authentication.k8s.io/selfsubjectreviews")
			},
			want: []Entrant{{"User " + apitest.User, "debuggers"}}, err: "asking who we are",
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			tt.arrange(api)
			got, err := Entrants(t.Context(), api.Client(), "tools")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			// What is read is what rbac.md asks for.
			for _, what := range api.Requests() {
				if !strings.HasSuffix(what, "selfsubjectreviews") && !slices.ContainsFunc(EntrantRights("tools"), func(r Right) bool { return what == r.Verb+" "+r.Group+"/"+r.Resource }) {
					t.Errorf("%s isn't among the rights", what)
				}
			}
		})
	}
}

func TestEntering(t *testing.T) {
	for name, tt := range map[string]struct {
		rule rbacv1.PolicyRule
		want bool
	}{
		"over SPDY":             {execs, true},
		"over WebSocket":        {policy("", "pods/exec", "get"), true},
		"everything":            {policy("*", "*", "*"), true},
		"all of pods":           {policy("", "pods,pods/*,pods/exec", "*"), true},
		"exec of anything":      {policy("", "*/exec", "create"), true},
		"attaching":             {policy("", "pods/attach", "create"), true},
		"an ephemeral one":      {policy("", "pods/ephemeralcontainers", "patch"), true},
		"another image":         {policy("", "pods", "patch"), true},
		"another pod":           {policy("", "pods,services", "get,update"), true},
		"another status":        {policy("", "pods/status", "patch,update"), false},
		"reading pods":          {policy("", "pods,pods/log", "get,list,watch"), false},
		"removing pods":         {policy("", "pods", "create,delete,deletecollection"), false},
		"forwarding a port":     {policy("", "pods/portforward", "create"), false},
		"the group of others":   {policy("apps", "*", "*"), false},
		"verbs that don't open": {policy("", "pods/exec", "delete,list"), false},
		"pods of certain names": {rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}, ResourceNames: []string{"db-0"}}, false},
	} {
		if got := entering(tt.rule); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
