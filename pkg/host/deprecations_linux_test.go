package host

import (
	"testing"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestDeprecations(t *testing.T) {
	s := newContainerd()
	s.server = &introspectionapi.ServerResponse{UUID: "0c2c6c2e", Deprecations: []*introspectionapi.DeprecationWarning{
		{ID: "io.containerd.deprecation/cgroup-v1", Message: "cgroup v1 will go", LastOccurrence: timestamppb.New(time.Date(2025, 11, 23, 4, 0, 0, 5, time.UTC))},
		{ID: "io.containerd.deprecation/cri-registry-mirrors", Message: "so will `mirrors`"},
	}}
	got, err := s.serve(t).Deprecations(t.Context(), v1alpha1.Containerd)
	want := []v1alpha1.Deprecation{
		{ID: "io.containerd.deprecation/cgroup-v1", Message: "cgroup v1 will go", Last: time.Date(2025, 11, 23, 4, 0, 0, 0, time.UTC)},
		{ID: "io.containerd.deprecation/cri-registry-mirrors", Message: "so will `mirrors`"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// An older release says nothing of the kind, and one that doesn't know the service neither.
	s.server = &introspectionapi.ServerResponse{UUID: "0c2c6c2e"}
	if got, err := s.serve(t).Deprecations(t.Context(), v1alpha1.Containerd); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := newContainerd().serve(t).Deprecations(t.Context(), v1alpha1.Containerd); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := (linuxStores{containerdSocket: "/nowhere.sock"}).Deprecations(t.Context(), v1alpha1.Docker); got != nil || err != nil {
		t.Errorf("Docker: %v, %v", got, err)
	}
	if _, err := (linuxStores{containerdSocket: "/nowhere.sock"}).Deprecations(t.Context(), v1alpha1.Containerd); err == nil {
		t.Error("nobody answered, and that is no error")
	}
}
