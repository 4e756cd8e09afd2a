package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// containerdServer answers containerd's services from maps, and knows no others.
type containerdServer struct {
	images map[string]*types.Descriptor
	blobs  map[string][]byte
	labels map[string]map[string]string // of blobs
	view   *types.Mount                 // the mount of a view
	views  []string                     // the keys of those that nobody has removed
	server *introspectionapi.ServerResponse
}

func (s *containerdServer) register(at *grpc.Server) {
	namespacesapi.RegisterNamespacesServer(at, namespacesServer{})
	containersapi.RegisterContainersServer(at, containersServer{})
	tasksapi.RegisterTasksServer(at, tasksServer{})
	imagesapi.RegisterImagesServer(at, imagesServer{s: s})
	contentapi.RegisterContentServer(at, contentServer{s: s})
	snapshotsapi.RegisterSnapshotsServer(at, snapshotsServer{s: s})
	if s.server != nil {
		introspectionapi.RegisterIntrospectionServer(at, introspectionServer{s: s})
	}
}

// namespaceOf is the namespace that a call is of.
func namespaceOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get("containerd-namespace"), "")
}

type namespacesServer struct {
	namespacesapi.UnimplementedNamespacesServer
}

func (namespacesServer) List(context.Context, *namespacesapi.ListNamespacesRequest) (*namespacesapi.ListNamespacesResponse, error) {
	return &namespacesapi.ListNamespacesResponse{Namespaces: []*namespacesapi.Namespace{{Name: "k8s.io"}, {Name: "build"}}}, nil
}

type containersServer struct {
	containersapi.UnimplementedContainersServer
}

func (containersServer) List(ctx context.Context, _ *containersapi.ListContainersRequest) (*containersapi.ListContainersResponse, error) {
	if ns := namespaceOf(ctx); ns != "build" {
		return nil, status.Error(codes.Internal, ns+" was asked for")
	}
	return &containersapi.ListContainersResponse{Containers: []*containersapi.Container{
		{ID: "b1", Labels: map[string]string{"nerdctl/name": "builder"}, Image: "golang"}, {ID: "b2"},
	}}, nil
}

type tasksServer struct {
	tasksapi.UnimplementedTasksServer
}

func (tasksServer) List(context.Context, *tasksapi.ListTasksRequest) (*tasksapi.ListTasksResponse, error) {
	return &tasksapi.ListTasksResponse{Tasks: []*task.Process{{ID: "b1", Status: task.Status_RUNNING}, {ID: "b2", Status: task.Status_STOPPED}}}, nil
}

type imagesServer struct {
	imagesapi.UnimplementedImagesServer
	s *containerdServer
}

func (f imagesServer) Get(ctx context.Context, q *imagesapi.GetImageRequest) (*imagesapi.GetImageResponse, error) {
	target, ok := f.s.images[q.GetName()]
	if !ok || namespaceOf(ctx) != kubernetesNamespace {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &imagesapi.GetImageResponse{Image: &imagesapi.Image{Name: q.GetName(), Target: target}}, nil
}

type contentServer struct {
	contentapi.UnimplementedContentServer
	s *containerdServer
}

func (f contentServer) Info(ctx context.Context, q *contentapi.InfoRequest) (*contentapi.InfoResponse, error) {
	data, ok := f.s.blobs[q.GetDigest()]
	if !ok || namespaceOf(ctx) != kubernetesNamespace {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &contentapi.InfoResponse{Info: &contentapi.Info{Digest: q.GetDigest(), Size: int64(len(data)), Labels: f.s.labels[q.GetDigest()]}}, nil
}

func (f contentServer) Read(q *contentapi.ReadContentRequest, stream contentapi.Content_ReadServer) error {
	data, ok := f.s.blobs[q.GetDigest()]
	if !ok || namespaceOf(stream.Context()) != kubernetesNamespace {
		return status.Error(codes.NotFound, "not found")
	}
	for len(data) > 0 {
		n := min(len(data), 7)
		if err := stream.Send(&contentapi.ReadContentResponse{Data: data[:n]}); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

type snapshotsServer struct {
	snapshotsapi.UnimplementedSnapshotsServer
	s *containerdServer
}

func (f snapshotsServer) View(_ context.Context, q *snapshotsapi.ViewSnapshotRequest) (*snapshotsapi.ViewSnapshotResponse, error) {
	f.s.views = append(f.s.views, q.GetKey())
	return &snapshotsapi.ViewSnapshotResponse{Mounts: []*types.Mount{f.s.view}}, nil
}

func (f snapshotsServer) Remove(_ context.Context, q *snapshotsapi.RemoveSnapshotRequest) (*emptypb.Empty, error) {
	f.s.views = slices.DeleteFunc(f.s.views, func(key string) bool { return key == q.GetKey() })
	return &emptypb.Empty{}, nil
}

type introspectionServer struct {
	introspectionapi.UnimplementedIntrospectionServer
	s *containerdServer
}

func (f introspectionServer) Server(context.Context, *emptypb.Empty) (*introspectionapi.ServerResponse, error) {
	return f.s.server, nil
}

func (s *containerdServer) add(data string) string {
	digest := digestOf([]byte(data))
	s.blobs[digest] = []byte(data)
	return digest
}

func (s *containerdServer) serve(t *testing.T) linuxStores {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "containerd.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	s.register(server)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return linuxStores{containerdSocket: socket}
}

// image stores an index of two platforms of which only the second is there, and returns the index's digest.
func (s *containerdServer) image(name string, diffIDs []string, layers ...string) string {
	config := s.add(fmt.Sprintf(`{"rootfs":{"type":"layers","diff_ids":["%s"]},"config":{"Cmd":["x"]}}`, strings.Join(diffIDs, `","`)))
	var list []string
	for _, l := range layers {
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, ociLayer, s.add(l), len(l)))
	}
	manifest := fmt.Sprintf(`{"config":{"mediaType":%q,"digest":%q},"layers":[%s]}`, ociConfig, config, strings.Join(list, ","))
	index := fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":%q},{"mediaType":%q,"digest":%q}]}`,
		ociManifest, digestOf([]byte("another platform")), ociManifest, s.add(manifest))
	digest := s.add(index)
	s.images[name] = &types.Descriptor{MediaType: ociIndex, Digest: digest, Size: int64(len(index))}
	return digest
}

func newContainerd() *containerdServer {
	return &containerdServer{images: map[string]*types.Descriptor{}, blobs: map[string][]byte{}, labels: map[string]map[string]string{}}
}

func TestContainerdImage(t *testing.T) {
	s := newContainerd()
	root := s.image("docker.io/library/a:1", []string{"sha256:1", "sha256:2"}, "layer one", "layer two, longer")
	image, err := s.serve(t).Image(t.Context(), v1alpha1.Containerd, "a:1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if image.Digest != root || image.MediaType != ociIndex || len(image.Blobs) != 5 {
		t.Errorf("%s %s, %d blobs", image.Digest, image.MediaType, len(image.Blobs))
	}
	checkBlobs(t, image)
	if _, err := s.serve(t).Image(t.Context(), v1alpha1.Containerd, "b:1", ""); !errors.Is(err, ErrNotExist) {
		t.Errorf("an unknown image: %v", err)
	}
}

// What discard_unpacked_layers leaves is made anew from the directories.
func TestContainerdImageRebuilt(t *testing.T) {
	s := newContainerd()
	ids := []string{digestOf([]byte("one")), digestOf([]byte("two"))}
	s.image("docker.io/library/a:1", ids, "one", "two")
	for _, id := range ids {
		delete(s.blobs, id)
	}
	stores := s.serve(t)
	_, err := stores.Image(t.Context(), v1alpha1.Containerd, "a:1", "")
	if err == nil || !strings.Contains(err.Error(), "discard_unpacked_layers") || !strings.Contains(err.Error(), "a:1") {
		t.Errorf("not unpacked either: %v", err)
	}
	base, top := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(base+"/etc", []byte("1"), 0o600), os.WriteFile(top+"/app", []byte("2"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for digest, data := range s.blobs {
		if strings.Contains(string(data), "diff_ids") {
			s.labels[digest] = map[string]string{"containerd.io/gc.ref.snapshot.overlayfs": chainID(ids)}
		}
	}
	s.view = &types.Mount{Type: "overlay", Source: "overlay", Options: []string{"index=off", "lowerdir=" + top + ":" + base}}
	image, err := stores.Image(t.Context(), v1alpha1.Containerd, "a:1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	checkBlobs(t, image)
	if len(s.views) > 0 {
		t.Errorf("left behind: %q", s.views)
	}
	if len(image.Blobs) != 4 {
		t.Errorf("%d blobs", len(image.Blobs))
	}
	for _, b := range image.Blobs {
		if b.MediaType == ociConfig {
			in, _ := b.Open(context.Background())
			defer in.Close()
			text := make([]byte, b.Size)
			_, _ = in.Read(text)
			if strings.Contains(string(text), ids[0]) || !strings.Contains(string(text), `"Cmd":["x"]`) {
				t.Errorf("configuration is %s", text)
			}
		}
	}
}

func TestContainerdForeign(t *testing.T) {
	got, err := newContainerd().serve(t).Foreign(t.Context(), v1alpha1.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.Container{{ID: "b1", Name: "builder", Image: "golang", Scope: "build", Running: true}, {ID: "b2", Scope: "build"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
