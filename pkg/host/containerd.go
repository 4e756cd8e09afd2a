//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// containerdClient asks containerd's own services for what CRI doesn't have.
type containerdClient struct{ conn *grpc.ClientConn }

func dialContainerd(socket string) (containerdClient, error) {
	conn, err := dialUnix(socket)
	return containerdClient{conn}, err
}

// inNamespace says of which of containerd's namespaces a call is.
func inNamespace(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
}

const kubernetesNamespace = "k8s.io"

// foreignContainerd lists the containers of all namespaces but Kubernetes's own.
func (s linuxStores) foreignContainerd(ctx context.Context) ([]v1alpha1.Container, error) {
	c, err := dialContainerd(s.containerdSocket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	namespaces, err := namespacesapi.NewNamespacesClient(c.conn).List(ctx, &namespacesapi.ListNamespacesRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking containerd for its namespaces: %w", err)
	}
	var out []v1alpha1.Container
	for _, ns := range namespaces.GetNamespaces() {
		name := ns.GetName()
		if name == kubernetesNamespace || name == "moby" && s.dockerRuns() {
			continue // Docker itself tells which of its containers are pods
		}
		list, err := containersapi.NewContainersClient(c.conn).List(inNamespace(ctx, name), &containersapi.ListContainersRequest{})
		if err != nil {
			return nil, fmt.Errorf("asking containerd for the containers in %s: %w", name, err)
		}
		if len(list.GetContainers()) == 0 {
			continue
		}
		running, err := c.running(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, x := range list.GetContainers() {
			labels := x.GetLabels()
			out = append(out, v1alpha1.Container{
				ID: x.GetID(), Name: labels["nerdctl/name"], Image: x.GetImage(), Scope: name, Running: running[x.GetID()],
				Labels: telling(func(name string) string { return labels[name] }),
			})
		}
	}
	return out, nil
}

// running are the containers that have a running task.
func (c containerdClient) running(ctx context.Context, namespace string) (map[string]bool, error) {
	tasks, err := tasksapi.NewTasksClient(c.conn).List(inNamespace(ctx, namespace), &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking containerd what runs in %s: %w", namespace, err)
	}
	out := map[string]bool{}
	for _, t := range tasks.GetTasks() {
		id := t.GetID()
		if id == "" {
			id = t.GetContainerID()
		}
		if st := t.GetStatus(); st == task.Status_RUNNING || st == task.Status_PAUSED {
			out[id] = true
		}
	}
	return out, nil
}

func (s linuxStores) dockerRuns() bool {
	list, err := s.procs.Find("dockerd")
	return err == nil && len(list) > 0
}

func (s linuxStores) imageContainerd(ctx context.Context, ref imageref.Ref) (*StoredImage, error) {
	c, err := dialContainerd(s.containerdSocket)
	if err != nil {
		return nil, err
	}
	image, err := c.image(ctx, kubernetesNamespace, ref)
	if err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	image.Close = c.conn.Close
	return image, nil
}

func (c containerdClient) image(ctx context.Context, namespace string, ref imageref.Ref) (*StoredImage, error) {
	answer, err := imagesapi.NewImagesClient(c.conn).Get(inNamespace(ctx, namespace), &imagesapi.GetImageRequest{Name: ref.String()})
	if status.Code(err) == codes.NotFound {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("asking containerd for the image: %w", err)
	}
	target := answer.GetImage().GetTarget()
	root := descriptor{MediaType: target.GetMediaType(), Digest: target.GetDigest(), Size: target.GetSize()}
	if !strings.HasPrefix(root.Digest, "sha256:") {
		return nil, fmt.Errorf("unexpected target %q", root.Digest)
	}
	stored := containerdContent{c, namespace}
	image, err := collect(ctx, stored, root)
	var missing *missingError
	if errors.As(err, &missing) {
		// Layers are often discarded once they are unpacked (discard_unpacked_layers).
		rebuilt, errRebuild := c.rebuild(ctx, stored, root)
		if errRebuild != nil {
			return nil, fmt.Errorf("%w, and they can't be made anew: %w", err, errRebuild)
		}
		return rebuilt, nil
	}
	return image, err
}

// containerdContent is the content store of one namespace.
type containerdContent struct {
	client    containerdClient
	namespace string
}

func (c containerdContent) api() contentapi.ContentClient {
	return contentapi.NewContentClient(c.client.conn)
}

func (c containerdContent) stat(ctx context.Context, digest string) (int64, bool, error) {
	answer, err := c.api().Info(inNamespace(ctx, c.namespace), &contentapi.InfoRequest{Digest: digest})
	if status.Code(err) == codes.NotFound {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("asking containerd for %s: %w", digest, err)
	}
	return answer.GetInfo().GetSize(), true, nil
}

func (c containerdContent) open(ctx context.Context, digest string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(inNamespace(ctx, c.namespace))
	stream, err := c.api().Read(ctx, &contentapi.ReadContentRequest{Digest: digest})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading %s from containerd: %w", digest, err)
	}
	return &contentStream{stream: stream, cancel: cancel}, nil
}

// contentStream reads the chunks of a blob.
type contentStream struct {
	stream contentapi.Content_ReadClient
	cancel context.CancelFunc
	rest   []byte
}

func (r *contentStream) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		chunk, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.rest = chunk.GetData()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *contentStream) Close() error {
	r.cancel()
	return nil
}
