package converge_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// TestVolumesStay: what the kubelet has mounted is told and left to it.
func TestVolumesStay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web, hosttest.Pod{Namespace: "shop", Name: "db", UID: "u2", Containers: []string{"db"}, Volumes: []string{"data", "logs"}})
		defer b.PowerOff(nil)
		var told []string
		err := converge.To(t.Context(), b.Machine(), b.plan, b.plan.After, b.blob, converge.Options{Report: func(p v1alpha1.Progress) {
			if strings.Contains(p.Detail, "volumes") {
				told = append(told, p.Detail)
			}
		}})
		want := "leaving 2 volumes mounted for the kubelet: nfs4 at /var/lib/kubelet/pods/u2/volumes/kubernetes.io~nfs/data and 1 more"
		if err != nil || len(told) != 1 || told[0] != want {
			t.Errorf("told %q, %v", told, err)
		}
	})
}
