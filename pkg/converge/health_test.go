package converge_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// answered is a machine on which a user answers health checks.
type answered struct{ host.HTTP }

func (answered) Healthz(_ context.Context, url string) error {
	return &host.StrangerError{At: url, Who: "process 4711 of user 65534"}
}

// unconnected is a machine on which nobody is connected to a runtime.
type unconnected struct{ host.Clients }

func (unconnected) Unix(context.Context, []string) ([]v1alpha1.Client, error) { return nil, nil }

// TestHealthOfStranger: that a user says that the kubelet is well ends no switch as done, and the error says who it was. A kubelet that
// runs on and uses its runtime proves itself without being asked, which is told.
func TestHealthOfStranger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		if err := b.to(t, b.plan.After); err != nil {
			t.Fatal(err)
		}
		m := b.Machine()
		m.HTTP = answered{m.HTTP}
		warned := ""
		report := func(p v1alpha1.Progress) {
			if p.Step == "warning" {
				warned += p.Detail
			}
		}
		if err := converge.Serves(t.Context(), m, b.plan); err != nil {
			t.Errorf("a kubelet that runs and is connected: %v", err)
		}
		err := converge.To(t.Context(), m, b.plan, b.plan.Before, b.blob, converge.Options{Report: report})
		if err != nil || !strings.Contains(warned, "could not be asked") || !strings.Contains(warned, "process 4711 of user 65534") {
			t.Errorf("%v; warned of %q", err, warned)
		}
		m.Clients = unconnected{m.Clients}
		for name, err := range map[string]error{
			"meanwhile":  converge.To(t.Context(), m, b.plan, b.plan.After, b.blob, converge.Options{}),
			"at its end": converge.Serves(t.Context(), m, b.plan),
		} {
			if stranger := new(host.StrangerError); !errors.As(err, &stranger) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestHealthAlone: that nothing but the health check fails is an error of its own kind, and to wait again stops nothing.
func TestHealthAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBed(web)
		defer b.PowerOff(nil)
		b.plan.Kubelet.Healthz = "http://127.0.0.1:10299/healthz"
		alone := new(converge.HealthError)
		if err := b.to(t, b.plan.After); !errors.As(err, &alone) || alone.Runtime != b.plan.After.Runtime.Name {
			t.Fatalf("%v", err)
		}
		b.Fault(func(act string) error { t.Errorf("waiting does %q", act); return nil })
		if err := converge.Await(t.Context(), b.Machine(), b.plan, b.plan.After, converge.Options{}); !errors.As(err, &alone) {
			t.Errorf("%v", err)
		}
		b.Fault(nil)
		b.Stop(b.plan.After.Runtime.Units...)
		err := converge.Await(t.Context(), b.Machine(), b.plan, b.plan.After, converge.Options{})
		if err == nil || errors.As(err, &alone) {
			t.Errorf("without a runtime: %v", err)
		}
	})
}

// recorded is a machine that notes where listeners are ended.
type recorded struct {
	host.Procs
	at map[string]bool
}

func (r recorded) EndListeners(_ context.Context, at netip.AddrPort) ([]host.Listener, error) {
	r.at[at.String()] = true
	return nil, nil
}

// TestKubeletAddresses: way is made where this node's kubelet listens, and nowhere else.
func TestKubeletAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		listens []string
		want    map[string]bool
	}{
		"by itself": {nil, map[string]bool{"127.0.0.1:10248": true, "0.0.0.0:10250": true}},
		"as told":   {[]string{"10.0.0.1:10260"}, map[string]bool{"127.0.0.1:10248": true, "10.0.0.1:10260": true}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBed(web)
				defer b.PowerOff(nil)
				b.plan.Kubelet.Listens = c.listens
				m, at := b.Machine(), map[string]bool{}
				m.Procs = recorded{m.Procs, at}
				if err := converge.To(t.Context(), m, b.plan, b.plan.After, b.blob, converge.Options{}); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, at); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
