// Package cmd is the command line: one file a verb, each Flags → Options → Run. It validates what was typed, asks
// rollout to act and ui to show, and decides nothing itself.
package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// Front is what the program stands on: everything that it would otherwise take from its process.
type Front struct {
	Streams genericiooptions.IOStreams
	// Name is how people call it: "kubectl runtime".
	Name string
	// By is who calls it, as user@host.
	By     string
	Getenv func(string) string
	Now    func() time.Time
	// Abort is closed by the second interrupt; the first ends the context. Nil: never.
	Abort <-chan struct{}
}

// program is what the verbs share: the front, and the flags of the root.
type program struct {
	Front
	config *genericclioptions.ConfigFlags
	color  ui.Color
}

// hostNamespace is where the pods on the nodes live when -n doesn't say otherwise: the context's namespace is where
// people's own work is, and often forbids privileged pods.
const hostNamespace = "kube-system"

// NewCommand returns the whole command tree.
func NewCommand(front Front) *cobra.Command {
	return newProgram(front).command()
}

func newProgram(front Front) *program {
	return &program{Front: front, config: genericclioptions.NewConfigFlags(true), color: ui.ColorAuto}
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		// Cobra takes the first word for the program's name in completion scripts, the annotation for everything else.
		Use:           strings.ReplaceAll(strings.ReplaceAll(p.Name, "-", "_"), " ", "-"),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: p.Name},
		Short:         "Move nodes between container runtimes",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Long: p.text(`
			Moves Kubernetes nodes between container runtimes (Docker Engine, containerd, CRI-O), through the API server
			alone. Each node's switch is one transaction: everything on the node is as wanted, or as it was before.

			A switch waits for the proof that the node works, and a node that doesn't get it in time rolls itself back.

			Exit codes: 0 done or nothing to do; 1 error, no node was changed; 2 check found errors, or a dry run with
			--detailed-exitcode changes; 3 a node failed and was rolled back cleanly; 4 a node is stuck and needs a person; 130 interrupted.

			Flags of kubectl, such as --context, stand behind the plugin's name: kubectl refuses them before it.`),
	}
	root.SetIn(p.Streams.In)
	root.SetOut(ui.Printable(p.Streams.Out))
	root.SetErr(ui.Printable(p.Streams.ErrOut))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nsee '%s --help' for usage", err, cmd.CommandPath())
	})

	p.config.AddFlags(root.PersistentFlags())
	root.PersistentFlags().Lookup("namespace").Usage = "Namespace of the pods that are put on nodes (default " + hostNamespace + ")"
	// The default is a path of this machine, which doesn't belong into documentation.
	root.PersistentFlags().Lookup("cache-dir").DefValue = "$HOME/.kube/cache"
	root.PersistentFlags().Var(&p.color, "color", `When to colour: "auto" (on a terminal, unless NO_COLOR is set), "always" or "never"`)

	root.AddCommand(p.newStatus(), p.newCheck(), p.newSwitch(), p.newRollback(), p.newVersion())
	addHelp(root)
	addCompletion(root)
	return root
}

// ui returns the streams' other end, as the flags want it.
func (p *program) ui() *ui.UI {
	return ui.New(p.Streams, ui.Options{Color: p.color, Getenv: p.Getenv, Now: p.Now})
}

// clients returns how to reach the API server. What the server warns of goes to the UI.
func (p *program) clients(u *ui.UI) (kubernetes.Interface, *rest.Config, error) {
	config, err := p.config.ToRESTConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// Nodes carry their image lists: protobuf makes thousands of them a tenth of the work.
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/json"
	config.QPS, config.Burst = 50, 100
	config.WarningHandler = rest.NewWarningWriter(u.Err(), rest.WarningWriterOptions{Deduplicate: true})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return client, config, nil
}

// where names the cluster that nodes are of, as a kubeconfig names it: nodes of one name are in many.
func (p *program) where(config *rest.Config) string {
	raw, err := p.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return "the cluster at " + config.Host
	}
	name := raw.CurrentContext
	if p.config.Context != nil && *p.config.Context != "" {
		name = *p.config.Context
	}
	cluster := ""
	if context := raw.Contexts[name]; context != nil {
		cluster = context.Cluster
	}
	if p.config.ClusterName != nil && *p.config.ClusterName != "" {
		cluster = *p.config.ClusterName
	}
	if name == "" || cluster == "" {
		return "the cluster at " + config.Host
	}
	return fmt.Sprintf("cluster %s at %s, context %s", cluster, config.Host, name)
}

// namespace is where the pods on the nodes go.
func (p *program) namespace() string {
	if ns := p.config.Namespace; ns != nil && *ns != "" {
		return *ns
	}
	return hostNamespace
}
