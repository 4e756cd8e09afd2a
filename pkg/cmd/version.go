package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// stamped is the version of a release: hack/make/dist has the linker write it here. Other builds go by their build info.
var stamped string

func (p *program) newVersion() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin and of the agents it carries",
		Long: p.text(`
			Prints the version of the plugin, the commit it was built from, and the digests of the agents that it carries
			for nodes. No cluster is asked.`),
		Example: p.examples(`
			# The version
			kubectl runtime version

			# As a document
			kubectl runtime version -o json`),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, err := thisVersion()
			if err != nil {
				return err
			}
			return printVersion(p.ui(), p.Name, format, v)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "json or yaml")
	return cmd
}

// built is the version of this program; empty where the build doesn't know it.
func built() string {
	if stamped != "" {
		return stamped
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

func thisVersion() (ui.Version, error) {
	v := ui.Version{Version: cmp.Or(built(), "unknown"), GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.CommitTime = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		agent, err := agentbin.Open(arch)
		switch {
		case errors.Is(err, agentbin.ErrMissing):
			v.Agents = append(v.Agents, ui.AgentVersion{Platform: "linux/" + arch})
		case err != nil:
			return v, err
		default:
			v.Agents = append(v.Agents, ui.AgentVersion{Platform: "linux/" + arch, SHA256: agent.SHA256})
		}
	}
	return v, nil
}

func printVersion(u *ui.UI, name, format string, v ui.Version) error {
	switch format {
	case "":
		u.Version(name, v)
		return nil
	case "json":
		return writeJSON(u.Documents(), v)
	case "yaml":
		data, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = u.Documents().Write(data)
		return err
	}
	return fmt.Errorf("-o %s: use json or yaml", format)
}
