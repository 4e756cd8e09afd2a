package converge_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// answered is a machine on which a user answers health checks.
type answered struct{ host.HTTP }

func (answered) Healthz(_ context.Context, url string) error {
	return &host.StrangerError{At: url, Who: "process 4711 of user 65534"}
}

// TestHealthOfStranger: that a user says that the kubelet is well ends no switch as done, and the error says who it was.
func TestHealthOfStranger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		m := b.Machine()
		m.HTTP = answered{m.HTTP}
		for name, err := range map[string]error{
			"at its end": converge.Serves(t.Context(), m, b.plan),
			"meanwhile":  converge.To(t.Context(), m, b.plan, b.plan.Before, b.blob, converge.Options{}),
		} {
			if stranger := new(host.StrangerError); !errors.As(err, &stranger) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
