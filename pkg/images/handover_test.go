package images

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// dockers is the containerd that runs for Docker, without CRI: it lists images and nothing else.
type dockers struct {
	host.CRI
	held map[string]bool
}

type daemon struct {
	host.Runtime
	held map[string]bool
}

func (d dockers) Dial(ctx context.Context, endpoint, version string) (host.Runtime, error) {
	if endpoint == running {
		return daemon{held: d.held}, nil
	}
	return d.CRI.Dial(ctx, endpoint, version)
}

func (daemon) Close() error { return nil }

func (daemon) Info(context.Context) (v1alpha1.CRIInfo, error) { return v1alpha1.CRIInfo{}, nil }

func (d daemon) Images(context.Context) ([]v1alpha1.Image, error) {
	var out []v1alpha1.Image
	for ref := range d.held {
		out = append(out, v1alpha1.Image{Tags: []string{ref}})
	}
	return out, nil
}

// A containerd that runs for Docker has its store open: the instance fills one of its own, and each image goes over.
func TestStageHandsOver(t *testing.T) {
	tests := map[string]struct {
		refuses string // by ctr
		want    []string
		err     string
	}{
		"all":       {want: []string{local, pause}},
		"not taken": {refuses: "import", err: "handing " + pause + " over to containerd: no space"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			held, exported := map[string]bool{}, ""
			n := b.node
			n.Install(hosttest.Program{Path: "/usr/bin/ctr", Output: func(argv, _ []string) (string, error) {
				if argv[1] == tt.refuses {
					return "", errors.New("no space")
				}
				if argv[1] == "export" {
					exported = argv[3]
				} else {
					held[exported] = true
				}
				return "", nil
			}})
			n.Pull = func(endpoint, ref string, _ *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
				if endpoint != "unix://"+dir+"/containerd.sock" {
					return v1alpha1.Image{}, fmt.Errorf("pulled at %s", endpoint)
				}
				return v1alpha1.Image{ID: ref, Tags: []string{ref}}, nil
			}
			b.plan.From, b.plan.To = v1alpha1.RuntimeRef{Name: v1alpha1.Docker, Endpoint: "unix:///var/run/cri-dockerd.sock"}, b.plan.From
			b.plan.Staging = v1alpha1.Staging{
				Needed: true, Argv: []string{"/usr/bin/containerd", "--config={dir}/config.toml"}, Endpoint: "unix://{dir}/containerd.sock",
				Files:    []v1alpha1.StagedFile{{Path: "config.toml", Content: []v1alpha1.Segment{{Text: "[grpc]\naddress = \"{dir}/containerd.sock\"\n"}}}},
				Handover: [][]string{{"/usr/bin/ctr", "export", "{dir}/handover.tar", "{ref}"}, {"/usr/bin/ctr", "import", "{dir}/handover.tar"}},
				Pinned:   []string{pause},
			}
			// What Docker's containerd has already isn't brought again.
			held["reg.example/there:1"] = true
			m := n.Machine()
			m.CRI = dockers{CRI: m.CRI, held: held}
			_, err := Stage(t.Context(), m, b.plan, []v1alpha1.WantedImage{{Ref: local, Required: true}, {Ref: "reg.example/there:1", Required: true}}, dir, func(v1alpha1.Progress) {})
			b.nothingLeft(t)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			delete(held, "reg.example/there:1")
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(held))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// silent is a runtime that answers without speaking CRI.
type silent struct {
	host.CRI
	host.Runtime
}

func (s silent) Dial(context.Context, string, string) (host.Runtime, error) { return s, nil }

func (silent) Close() error { return nil }

func (silent) Info(context.Context) (v1alpha1.CRIInfo, error) {
	return v1alpha1.CRIInfo{RuntimeName: "containerd", RuntimeReady: true}, nil
}

// A staged containerd whose CRI plugin is off will never serve: nobody waits for it.
func TestStageWithoutCRI(t *testing.T) {
	b := newBench(t)
	b.plan.To.Name = v1alpha1.Containerd
	b.plan.Staging.Handover = [][]string{{"/usr/bin/ctr"}}
	m := b.node.Machine()
	m.CRI = silent{}
	began := m.Clock.SinceBoot()
	_, err := Stage(t.Context(), m, b.plan, nil, dir, func(v1alpha1.Progress) {})
	if !errors.Is(err, errNoCRI) {
		t.Errorf("error %v", err)
	}
	if took := m.Clock.SinceBoot() - began; took > startTimeout/2 {
		t.Errorf("it took %s", took)
	}
	b.nothingLeft(t)
}
