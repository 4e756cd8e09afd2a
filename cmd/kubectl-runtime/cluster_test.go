package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// startCluster starts an API server that holds objects: cluster objects.yaml [forbid=verb:resource]... [deny=verb:resource]... [custom=group/version/resource:Kind]...
// The objects are a list; each names its resource by the key "resource", as apitest does. It writes the kubeconfig.
func startCluster(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 1 {
			ts.Fatalf("usage: cluster objects.yaml [forbid=verb:resource]...")
		}
		s := apitest.New(t)
		for _, arg := range args[1:] {
			key, value, _ := strings.Cut(arg, "=")
			what, more, _ := strings.Cut(value, ":")
			switch key {
			case "forbid":
				s.Forbid(what + " " + more)
			case "deny":
				s.Deny(what + " " + more)
			case "custom":
				s.Custom(what, more)
			default:
				ts.Fatalf("unknown option %q", arg)
			}
		}
		var objects []struct {
			Resource string         `json:"resource"`
			Object   map[string]any `json:"object"`
		}
		ts.Check(yaml.UnmarshalStrict([]byte(ts.ReadFile(args[0])), &objects))
		for _, o := range objects {
			s.Put(o.Resource, &unstructured.Unstructured{Object: o.Object})
		}
		config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test, namespace: elsewhere}}]
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {token: none}}]
`, s.Config().Host)
		ts.Check(os.WriteFile(ts.Getenv("KUBECONFIG"), []byte(config), 0o600))
	}
}
