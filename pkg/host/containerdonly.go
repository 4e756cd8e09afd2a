//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// containerdOnly is a containerd whose CRI plugin is off, as Docker's packages set it up: it can take images in, and
// nothing else that a Runtime does.
type containerdOnly struct {
	endpoint, socket string
	client           containerdClient
}

var (
	_ Loader = (*containerdOnly)(nil)
	_ Loader = (*criRuntime)(nil)
)

// errNoCRI says what is missing.
var errNoCRI = errors.New("containerd runs without its CRI plugin")

func dialContainerdOnly(ctx context.Context, endpoint, socket string) (*containerdOnly, error) {
	client, err := dialContainerd(socket)
	if err != nil {
		return nil, err
	}
	if _, err := namespacesapi.NewNamespacesClient(client.conn).List(ctx, &namespacesapi.ListNamespacesRequest{}); err != nil {
		return nil, errors.Join(fmt.Errorf("asking containerd for its namespaces: %w", err), client.conn.Close())
	}
	return &containerdOnly{endpoint: endpoint, socket: socket, client: client}, nil
}

func (r *containerdOnly) Close() error { return r.client.conn.Close() }

// Info leaves APIVersion empty: nothing speaks CRI here.
func (r *containerdOnly) Info(ctx context.Context) (v1alpha1.CRIInfo, error) {
	answer, err := versionapi.NewVersionClient(r.client.conn).Version(ctx, &emptypb.Empty{})
	if err != nil {
		return v1alpha1.CRIInfo{}, fmt.Errorf("asking containerd for its version: %w", err)
	}
	return v1alpha1.CRIInfo{Endpoint: r.endpoint, RuntimeName: "containerd", RuntimeVersion: answer.GetVersion(), RuntimeReady: true}, nil
}

func (r *containerdOnly) Sandboxes(context.Context) ([]Sandbox, error) { return nil, errNoCRI }

func (r *containerdOnly) StopContainer(context.Context, string, time.Duration) error { return errNoCRI }

func (r *containerdOnly) StopSandbox(context.Context, string) error { return errNoCRI }

func (r *containerdOnly) RemoveSandbox(context.Context, string) error { return errNoCRI }

// Images are the names in Kubernetes's namespace; their sizes aren't known without reading each.
func (r *containerdOnly) Images(ctx context.Context) ([]v1alpha1.Image, error) {
	answer, err := imagesapi.NewImagesClient(r.client.conn).List(inNamespace(ctx, kubernetesNamespace), &imagesapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking containerd for its images: %w", err)
	}
	var out []v1alpha1.Image
	for _, i := range answer.GetImages() {
		out = append(out, v1alpha1.Image{ID: i.GetTarget().GetDigest(), Tags: []string{i.GetName()}})
	}
	return out, nil
}

func (r *containerdOnly) Pull(_ context.Context, ref string, _ *v1alpha1.RegistryAuth) (string, error) {
	return "", fmt.Errorf("pulling %s: %w", ref, errNoCRI)
}

func (r *containerdOnly) ImageFs(context.Context) (ImageStore, error) { return ImageStore{}, errNoCRI }

func (r *containerdOnly) Load(ctx context.Context, archive io.Reader) error {
	return importContainerd(ctx, r.socket, archive)
}

// Load is for a containerd that serves already, whose registry configuration nobody may touch for that.
func (r *criRuntime) Load(ctx context.Context, archive io.Reader) error {
	info, err := r.Info(ctx)
	if err != nil {
		return err
	}
	if info.RuntimeName != "containerd" {
		return fmt.Errorf("%s takes images from registries only", info.RuntimeName)
	}
	socket, err := socketPath(r.endpoint)
	if err != nil {
		return err
	}
	return importContainerd(ctx, socket, archive)
}

// importContainerd uses the client that comes with every containerd: unpacking is its trade.
func importContainerd(ctx context.Context, socket string, archive io.Reader) error {
	argv := []string{"ctr", "--address", socket, "--namespace", kubernetesNamespace, "images", "import", "-"}
	if _, err := runWith(ctx, argv, nil, archive); err != nil {
		return fmt.Errorf("importing an image into containerd: %w", err)
	}
	return nil
}
