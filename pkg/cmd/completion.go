package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// addCompletion adds cobra's completion scripts, and the file that kubectl itself asks for a plugin's completion.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.AddCommand(&cobra.Command{
			Use:   "kubectl",
			Short: "Generate the file by which kubectl completes this plugin",
			Long: fmt.Sprintf(`Generate the file by which kubectl completes this plugin.

Put it on your PATH under the name that kubectl looks for:

	%[1]s completion kubectl > ~/.local/bin/%[2]s
	chmod +x ~/.local/bin/%[2]s`, root.CommandPath(), shimName(root.CommandPath())),
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "#!/usr/bin/env sh\nexec %s __complete \"$@\"\n", root.CommandPath())
				return err
			},
		})
	}
}

// shimName is the file name that kubectl looks for: "kubectl runtime" → kubectl_complete-runtime.
func shimName(name string) string {
	plugin := strings.ReplaceAll(strings.TrimPrefix(name, "kubectl "), "-", "_")
	return "kubectl_complete-" + plugin
}

// completeNodes completes names of nodes that aren't on the command line yet.
func (p *program) completeNodes(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	client, _, err := p.clients(p.ui())
	if err != nil {
		return nil, nothing
	}
	seen := map[string]bool{}
	for _, a := range args {
		seen[a] = true
	}
	list, err := client.CoreV1().Nodes().List(cmd.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, nothing
	}
	var names []cobra.Completion
	for i := range list.Items {
		n := nodeStatus(&list.Items[i], p.Now())
		if !seen[n.Metadata.Name] && strings.HasPrefix(n.Metadata.Name, prefix) {
			names = append(names, cobra.CompletionWithDesc(n.Metadata.Name, strings.TrimSpace(string(n.Runtime)+" "+n.RuntimeVersion)))
		}
	}
	return names, nothing
}

// completeSwitch completes the values of switch's flags.
func (p *program) completeSwitch(cmd *cobra.Command) {
	fixed(cmd, "to", targetNames()...)
	fixed(cmd, "dry-run", string(dryRunNone), string(dryRunClient), string(dryRunServer))
	fixed(cmd, "output", "json", "yaml")
	completeIgnore(cmd)
}

// completeCheck completes the values of check's flags.
func (p *program) completeCheck(cmd *cobra.Command) {
	fixed(cmd, "to", targetNames()...)
	fixed(cmd, "fail-on", string(v1alpha1.SeverityError), string(v1alpha1.SeverityWarning), "never")
	fixed(cmd, "output", checkFormats()...)
	completeIgnore(cmd)
}

func completeIgnore(cmd *cobra.Command) {
	var ids []string
	for _, r := range allRules() {
		ids = append(ids, r.ID+"\t"+r.Title)
	}
	fixed(cmd, "ignore", ids...)
}

// completeRollback completes the values of rollback's flags.
func (p *program) completeRollback(cmd *cobra.Command) {
	fixed(cmd, "dry-run", string(dryRunNone), string(dryRunServer))
	fixed(cmd, "output", allFormats()...)
	register(cmd, "to-run", p.completeRuns)
}

// completeRuns completes the last run of each node that is named.
func (p *program) completeRuns(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	client, _, err := p.clients(p.ui())
	if err != nil {
		return nil, nothing
	}
	if len(args) == 0 {
		return nil, nothing
	}
	nodes, err := (&targets{names: args}).find(cmd.Context(), client, p.Now())
	if err != nil {
		return nil, nothing
	}
	var ids []cobra.Completion
	for _, n := range nodes {
		if n.LastRun != nil && strings.HasPrefix(n.LastRun.Run, prefix) {
			ids = append(ids, cobra.CompletionWithDesc(n.LastRun.Run, fmt.Sprintf("%s to %s", n.LastRun.From, n.LastRun.To)))
		}
	}
	return ids, nothing
}

func fixed(cmd *cobra.Command, flag string, values ...string) {
	register(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// register can only fail for a flag that isn't there, or twice: both would show in the first test.
func register(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}
