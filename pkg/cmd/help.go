package cmd

import (
	"strings"

	"github.com/spf13/cobra"
)

// usageTemplate is kubectl's order: examples, commands, options, usage. The flags that every command takes have a page
// of their own: there are twenty of them.
const usageTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{if .HasAvailableSubCommands}}Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}{{if and .HasParent .HasAvailableLocalFlags}}Options:
{{.LocalFlags.FlagUsagesWrapped 112 | trimTrailingWhitespaces}}

{{end}}Usage:
  {{.UseLine}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND --help{{end}}

Use "{{.Root.CommandPath}} options" for the flags that every command takes.
`

const helpTemplate = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// optionsTemplate is the page of the flags that every command takes.
const optionsTemplate = `These flags can be given to every command:

{{.InheritedFlags.FlagUsagesWrapped 112 | trimTrailingWhitespaces}}
`

func addHelp(root *cobra.Command) {
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	options := &cobra.Command{
		Use:    "options",
		Short:  "Print the flags that every command takes",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.Root().OutOrStdout())
			return cmd.Usage()
		},
	}
	options.SetUsageTemplate(optionsTemplate)
	options.SetHelpTemplate("{{.UsageString}}")
	root.AddCommand(options)
}

// text prepares a help text. It is written for "kubectl runtime", and the plugin may be installed by another name.
func (p *program) text(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "kubectl runtime", p.Name)
}

// examples is text, indented.
func (p *program) examples(s string) string {
	lines := strings.Split(p.text(s), "\n")
	for i := range lines {
		if lines[i] != "" {
			lines[i] = "  " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}
