package cmd

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWhere: before anything is changed the cluster is named as the kubeconfig and the flags name it.
func TestWhere(t *testing.T) {
	const config = `apiVersion: v1
kind: Config
current-context: ana@prod
clusters:
- {name: prod, cluster: {server: "https://prod.example:6443"}}
- {name: lab, cluster: {server: "https://lab.example:6443"}}
contexts:
- {name: ana@prod, context: {cluster: prod, user: ana}}
- {name: ana@lab, context: {cluster: lab, user: ana}}
users:
- {name: ana, user: {}}
`
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		context, cluster, server, want string
	}{
		"the current context": {want: "cluster prod at https://prod.example:6443, context ana@prod"},
		"--context":           {context: "ana@lab", want: "cluster lab at https://lab.example:6443, context ana@lab"},
		"--cluster":           {cluster: "lab", want: "cluster lab at https://lab.example:6443, context ana@prod"},
		"--server":            {server: "https://10.0.0.1", want: "cluster prod at https://10.0.0.1, context ana@prod"},
	} {
		t.Run(name, func(t *testing.T) {
			p := testProgram("")
			p.config.KubeConfig, p.config.Context, p.config.ClusterName, p.config.APIServer = &file, &tc.context, &tc.cluster, &tc.server
			rest, err := p.config.ToRESTConfig()
			if err != nil {
				t.Fatal(err)
			}
			if got := p.where(rest); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(empty, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testProgram("")
	p.config.KubeConfig = &empty
	server := "https://10.0.0.1"
	p.config.APIServer = &server
	rest, err := p.config.ToRESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.where(rest), "the cluster at https://10.0.0.1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
