package cluster

import (
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// documented are the rights that the roles of a section of docs/rbac.md give.
func documented(t *testing.T, titles ...string) []Right {
	t.Helper()
	page, err := os.ReadFile("../../docs/rbac.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []Right
	for _, title := range titles {
		_, section, found := strings.Cut(string(page), "\n## "+title+"\n")
		_, block, opened := strings.Cut(section, "```yaml\n")
		block, _, closed := strings.Cut(block, "```")
		if !found || !opened || !closed {
			t.Fatalf("docs/rbac.md has no roles under %q", title)
		}
		for doc := range strings.SplitSeq(block, "---\n") {
			var role rbacv1.Role // a ClusterRole has the same rules, and no namespace
			if err := yaml.UnmarshalStrict([]byte(doc), &role); err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				for _, verb := range rule.Verbs {
					out = append(out, Right{Verb: verb, Group: rule.APIGroups[0], Resource: rule.Resources[0], Namespace: role.Namespace})
				}
			}
		}
	}
	return out
}

// TestDocumentedRights: whoever has the roles of docs/rbac.md passes the review of the verb that they stand under, however it drains.
func TestDocumentedRights(t *testing.T) {
	for name, c := range map[string]struct {
		wanted []Right
		titles []string
	}{
		"evicting":            {SwitchRights("kube-system", DrainOptions{}), []string{"switch, rollback"}},
		"--disable-eviction":  {SwitchRights("kube-system", DrainOptions{DisableEviction: true}), []string{"switch, rollback", "switch, rollback with --disable-eviction"}},
		"looking on the node": {GatherRights("kube-system"), []string{"status --deep, check NODE, switch --dry-run=server"}},
	} {
		given := documented(t, c.titles...)
		for _, r := range c.wanted {
			if !slices.Contains(given, r) {
				t.Errorf("%s: %s isn't documented under %q", name, r, c.titles)
			}
		}
	}
}
