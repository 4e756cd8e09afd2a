package facts_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// answered is a machine on which a user answers health checks.
type answered struct{ host.HTTP }

func (answered) Healthz(_ context.Context, url string) error {
	return &host.StrangerError{At: url, Who: "process 4711 of user 65534"}
}

// TestHealthOfStranger: a health check that a user answers is no word of the kubelet's, and that is said.
func TestHealthOfStranger(t *testing.T) {
	m := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build().Machine()
	m.HTTP = answered{m.HTTP}
	f, err := facts.Gather(t.Context(), m, "node1")
	if err != nil {
		t.Fatal(err)
	}
	said := slices.ContainsFunc(f.Problems, func(p string) bool {
		return strings.HasPrefix(p, "the kubelet's health: ") && strings.Contains(p, "process 4711 of user 65534")
	})
	if f.Kubelet.Healthy || !said {
		t.Errorf("healthy %v, problems %q", f.Kubelet.Healthy, f.Problems)
	}
}
