// Command gendocs writes what of docs/ is made from the code: a page for each verb, the checks and the rights, and the part of
// security.md that lists what the node agent may write and run. With -check it says which of them are not what the code would
// make, and fails.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cmd"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// marker heads every page, so that nobody edits one in vain.
const marker = "<!-- Made by `make generate` from the code. Do not edit. -->\n\n"

func main() {
	onlyCheck := flag.Bool("check", false, "compare instead of writing")
	flag.Bool("write", true, "write the pages")
	dir := flag.String("dir", "docs", "where the pages go")
	flag.Parse()

	stale := 0
	for name, text := range pages() {
		path := filepath.Join(*dir, name)
		want := []byte(marker + text)
		if name == securityPage {
			var err error
			if want, err = spliced(path, text); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if *onlyCheck {
			if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
				fmt.Fprintf(os.Stderr, "%s is not what the code makes; run: make generate\n", path)
				stale++
			}
			continue
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if stale > 0 {
		os.Exit(1)
	}
}

func pages() map[string]string {
	out := map[string]string{"checks.md": checks(), "rbac.md": rights(), securityPage: agentRights()}
	root := cmd.NewCommand(cmd.Front{
		Streams: genericiooptions.NewTestIOStreamsDiscard(),
		Name:    "kubectl runtime",
		By:      "USER@HOST",
		Getenv:  func(string) string { return "" },
		Now:     time.Now,
	})
	for _, sub := range root.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "version" {
			out[sub.Name()+".md"] = verb(sub)
		}
	}
	return out
}

// securityPage is written by hand, but for what stands between these two.
const (
	securityPage = "security.md"
	partBegins   = "<!-- Made by `make generate` from the code, up to the next such line. Do not edit. -->\n"
	partEnds     = "<!-- The end of what is made from the code. -->\n"
)

// spliced is a page with the part that is made from the code replaced.
func spliced(path, text string) ([]byte, error) {
	have, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before, rest, begins := strings.Cut(string(have), partBegins)
	_, after, ends := strings.Cut(rest, partEnds)
	if !begins || !ends {
		return nil, fmt.Errorf("%s doesn't say where the part goes that is made from the code", path)
	}
	return []byte(before + partBegins + text + partEnds + after), nil
}

// agentRights lists what the node agent may write and run.
func agentRights() string {
	var b strings.Builder
	b.WriteString("\nIt writes these paths and no others, and makes the directories that are missing on the way to them. `*` stands for anything in a\n" +
		"name, `{a,b}` for one of both; one that ends in a slash is meant with everything below it. Of those that a plan may name, the ones marked as\n" +
		"links take links to the unit's own file and nothing else, the others files and nothing else. A plan that names another path, or something\n" +
		"else there, is refused by the plugin and by the agent; a link that leads out of the directory is not followed.\n" +
		"At the path of a runtime's socket the agent removes an empty directory and moves anything else that isn't a socket aside.\n\n" +
		"| path | | for |\n|---|---|---|\n")
	for _, w := range slices.Concat(v1alpha1.WritablePaths(), v1alpha1.KubeletPaths()) {
		kind := "file"
		switch {
		case w.Name == "":
			kind = "directory, the agent's own"
		case w.Link && w.Own:
			kind = "link, the agent's own"
		case w.Link:
			kind = "link"
		case w.Own:
			kind = "the agent's own"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.Pattern(), kind, w.Why)
	}
	table := func(list []v1alpha1.Right) {
		for _, r := range list {
			fmt.Fprintf(&b, "| `%s` | %s |\n", r.What, r.Why)
		}
	}
	fmt.Fprintf(&b, "\nIt runs these programs and no others, itself as a unit aside: by the path at which a unit or a process of root has them, or out of\n"+
		"`%s`. A program is run only if root alone can have written it: the file and every\n"+
		"directory on the way to it, links followed, belong to root and can be written by neither their group nor others.\n\n| program | for |\n|---|---|\n",
		strings.Join(v1alpha1.ProgramDirs(), "`, `"))
	table(v1alpha1.Programs())
	fmt.Fprintf(&b, "\nWhere no runtime is left that could release a pod's network, the network plugins that made it are run once more, out of `%s`.\n",
		strings.Join(v1alpha1.PluginDirs(), "`, `"))
	return b.String()
}

// verb renders one command as its help says it.
func verb(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s.\n\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."))
	fmt.Fprintf(&b, "    %s\n\n", c.UseLine())
	if c.Long != "" {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(c.Long))
	}
	if c.HasExample() {
		fmt.Fprintf(&b, "## Examples\n\n```\n%s\n```\n\n", strings.TrimRight(c.Example, "\n "))
	}
	fmt.Fprintf(&b, "## Options\n\n```\n%s\n```\n\n", strings.TrimRight(c.LocalFlags().FlagUsagesWrapped(110), "\n "))
	fmt.Fprintf(&b, "The flags of kubectl (`--context`, `--kubeconfig`, `-n`, …) work here too: `%s options` lists them.\n", c.Root().CommandPath())
	return b.String()
}

func checks() string {
	var b strings.Builder
	b.WriteString("# Checks\n\nRules that `check` applies, and `switch` before it touches a node. An *error* stops the switch, unless the rule isn't firm and\n" +
		"`--ignore ID` names it; a *fixable* finding is repaired by the plan; a *warning* is shown. W… are about workloads and C… about the\n" +
		"cluster: their findings can also be ignored for good, by an annotation of the object or its pod template that says why:\n" +
		"`" + workload.IgnoreAnnotation + ": \"W002,W007: goes away in May\"`.\n")
	for _, r := range check.List() {
		rule(&b, r.ID, r.Title, r.Doc)
	}
	for _, r := range workload.Rules() {
		rule(&b, r.ID, r.Title, "*"+gravest(r.Severity)+"* — "+r.Doc)
	}
	return b.String()
}

// gravest says which severity the findings of a rule have at most; the rule's text says when they have less.
func gravest(s v1alpha1.Severity) string {
	if s == v1alpha1.SeverityWarning {
		return "Warning"
	}
	return "At most: " + string(s)
}

// rule writes a rule. It is found by its ID alone, whatever its title becomes.
func rule(b *strings.Builder, id, title, doc string) {
	fmt.Fprintf(b, "\n<a id=%q></a>\n\n## %s — %s\n\n%s\n", strings.ToLower(id), id, title, strings.TrimSpace(doc))
}

func rights() string {
	var b strings.Builder
	section := func(title, why string, rights []cluster.Right) {
		denied := cluster.DeniedError{Missing: rights}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```yaml\n%s```\n", title, why, denied.YAML())
	}
	b.WriteString("# Rights\n\nEvery verb asks the API server for the rights it needs before it begins, and prints what is missing as below. Whoever may create\n" +
		"privileged pods is root on the nodes; see [security.md](security.md).\n")
	section("status", "`kubectl runtime status` reads nodes and nothing else: `get`, `list` and, with `-w`, `watch` on `nodes`.",
		[]cluster.Right{{Verb: "get", Resource: "nodes"}, {Verb: "list", Resource: "nodes"}, {Verb: "watch", Resource: "nodes"}})
	section("check", "Nothing is asked for before: what may not be read is said, and the rest is checked. With `-n` the rights on what namespaces hold are needed\n"+
		"in that one. Owners of custom kinds are listed too, where `list` on them is allowed; without it pods are reported under the name that\n"+
		"their reference has. So are Machines of the Cluster API where nodes were made from them (`machines.cluster.x-k8s.io`): those that are paused\n"+
		"aren't reported. With `NODE` or `--nodes` come the rights below.", cluster.CheckRights(""))
	section("status --deep, check NODE, switch --dry-run=server", "Looking on a node needs a pod there.", cluster.GatherRights("kube-system"))
	section("switch, rollback", "With `-n` the rights on pods are needed in that namespace.", cluster.SwitchRights("kube-system", cluster.DrainOptions{}))
	section("switch, rollback with --disable-eviction", "Pods are deleted instead of evicted: add this rule to the ClusterRole above, in the place of the one for `pods/eviction`.",
		without(cluster.SwitchRights("kube-system", cluster.DrainOptions{DisableEviction: true}), cluster.SwitchRights("kube-system", cluster.DrainOptions{})))
	section("Optional: what pods refer to", "A switch judges the pods of its node as `check` does. With these it looks into their ConfigMaps and volumes too, and sees which\n"+
		"findings their owners' annotations ignore. Without them it says what it could not read. The status of cluster-autoscaler is among the\n"+
		"ConfigMaps, and `list` on `machines.cluster.x-k8s.io` tells which Machines are paused.", cluster.JudgeRights())
	section("Optional: pull secrets", "With these, images are pulled with their pods' own credentials before the switch. Without them they are pulled as the node can,\n"+
		"or carried over from the old runtime's store.", cluster.SecretRights())
	section("Optional: who may enter the pods", "With these the plugin warns of others who may run commands in the pods of its namespace, or change their images; see [security.md](security.md#the-namespace).\n"+
		"Without them it says that it could not look, but in `kube-system`. With `-n` the Role is needed in that namespace.", cluster.EntrantRights("kube-system"))
	section("Optional: an image of kube-system", "Where a node reports no pause image, the pod there runs an image of a static pod, or of a privileged container of a DaemonSet, of `kube-system`. With `-n` this right is\n"+
		"needed for that; without it `--image` is.", []cluster.Right{{Verb: "list", Resource: "pods", Namespace: "kube-system"}})
	return b.String()
}

// without leaves out rights that are others' too.
func without(rights, others []cluster.Right) []cluster.Right {
	return slices.DeleteFunc(rights, func(r cluster.Right) bool { return slices.Contains(others, r) })
}
