package host

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// criServer is a runtime of the other side of CRI. What it doesn't implement answers Unimplemented, as it should.
type criServer struct {
	cri.UnimplementedRuntimeServiceServer
	cri.UnimplementedImageServiceServer
	stopped []string
	pulled  []*cri.PullImageRequest
}

func (s *criServer) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "cri-o", RuntimeVersion: "1.34.0"}, nil
}

func (s *criServer) Status(_ context.Context, r *cri.StatusRequest) (*cri.StatusResponse, error) {
	answer := &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: cri.RuntimeReady, Status: true}, {Type: cri.NetworkReady}, {Type: "ContainerdHasNoDeprecationWarnings"},
	}}}
	if r.GetVerbose() {
		answer.Info = map[string]string{"config": `{"sandboxImage":"registry.k8s.io/pause:3.10"}`}
	}
	return answer, nil
}

func (s *criServer) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	return &cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{
		{Id: "p1", Metadata: &cri.PodSandboxMetadata{Namespace: "ns", Name: "a", Uid: "u1"}},
		{Id: "p2", Metadata: &cri.PodSandboxMetadata{Namespace: "ns", Name: "b", Uid: "u2"}, State: cri.PodSandboxState_SANDBOX_NOTREADY},
	}}, nil
}

func (s *criServer) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	return &cri.ListContainersResponse{Containers: []*cri.Container{
		{
			Id: "c1", PodSandboxId: "p1", Metadata: &cri.ContainerMetadata{Name: "main"}, State: cri.ContainerState_CONTAINER_RUNNING,
			Annotations: map[string]string{"io.kubernetes.pod.terminationGracePeriod": "7"},
		},
		{Id: "c2", PodSandboxId: "p1", Metadata: &cri.ContainerMetadata{Name: "init"}, State: cri.ContainerState_CONTAINER_EXITED},
	}}, nil
}

func (s *criServer) StopContainer(_ context.Context, r *cri.StopContainerRequest) (*cri.StopContainerResponse, error) {
	if r.GetContainerId() == "gone" {
		return nil, status.Error(codes.NotFound, "no such thing")
	}
	if r.GetContainerId() == "odd" {
		return nil, status.Error(codes.Unknown, "No such container: odd")
	}
	if r.GetContainerId() == "stuck" {
		return nil, status.Error(codes.Unknown, "device busy")
	}
	s.stopped = append(s.stopped, r.GetContainerId()+" "+time.Duration(r.GetTimeout()*int64(time.Second)).String())
	return &cri.StopContainerResponse{}, nil
}

func (s *criServer) ListImages(context.Context, *cri.ListImagesRequest) (*cri.ListImagesResponse, error) {
	return &cri.ListImagesResponse{Images: []*cri.Image{{Id: "i1", RepoTags: []string{"a:1"}, RepoDigests: []string{"a@sha256:1"}, Size: 5}}}, nil
}

func (s *criServer) PullImage(_ context.Context, r *cri.PullImageRequest) (*cri.PullImageResponse, error) {
	s.pulled = append(s.pulled, r)
	return &cri.PullImageResponse{ImageRef: "i1"}, nil
}

func (s *criServer) ImageFsInfo(context.Context, *cri.ImageFsInfoRequest) (*cri.ImageFsInfoResponse, error) {
	return &cri.ImageFsInfoResponse{ImageFilesystems: []*cri.FilesystemUsage{
		{FsId: &cri.FilesystemIdentifier{Mountpoint: "/store"}, UsedBytes: &cri.UInt64Value{Value: 9}, InodesUsed: &cri.UInt64Value{Value: 4}},
	}}, nil
}

// serveCRI serves it on a socket as the service of that version.
func serveCRI(t *testing.T, s *criServer, version string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cri") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	runtimes, images := cri.RuntimeService_ServiceDesc, cri.ImageService_ServiceDesc
	runtimes.ServiceName, images.ServiceName = "runtime."+version+".RuntimeService", "runtime."+version+".ImageService"
	server.RegisterService(&runtimes, s)
	server.RegisterService(&images, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return "unix://" + socket
}

func TestCRI(t *testing.T) {
	for _, c := range []struct{ served, asked string }{{"v1", ""}, {"v1", "v1"}, {"v1alpha2", ""}, {"v1alpha2", "v1alpha2"}} {
		t.Run(c.served+" asked "+c.asked, func(t *testing.T) {
			s := &criServer{}
			endpoint := serveCRI(t, s, c.served)
			r, err := linuxCRI{}.Dial(t.Context(), endpoint, c.asked)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			info, err := r.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := v1alpha1.CRIInfo{
				Endpoint: endpoint, APIVersion: c.served, RuntimeName: "cri-o", RuntimeVersion: "1.34.0", RuntimeReady: true,
				SandboxImage: "registry.k8s.io/pause:3.10",
			}
			if diff := cmp.Diff(want, info); diff != "" {
				t.Error(diff)
			}
			pods, err := r.Sandboxes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantPods := []Sandbox{
				{ID: "p1", Namespace: "ns", Name: "a", UID: "u1", Ready: true, Containers: []SandboxContainer{
					{ID: "c1", Name: "main", Running: true, Grace: 7 * time.Second}, {ID: "c2", Name: "init", Grace: -1},
				}},
				{ID: "p2", Namespace: "ns", Name: "b", UID: "u2"},
			}
			if diff := cmp.Diff(wantPods, pods); diff != "" {
				t.Error(diff)
			}
			if store, err := r.ImageFs(t.Context()); err != nil || store != (ImageStore{Path: "/store", Bytes: 9, Inodes: 4}) {
				t.Errorf("%+v %v", store, err)
			}
		})
	}
}

func TestCRIStop(t *testing.T) {
	s := &criServer{}
	r, err := linuxCRI{}.Dial(t.Context(), serveCRI(t, s, "v1"), "v1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, id := range []string{"c1", "gone", "odd"} {
		if err := r.StopContainer(t.Context(), id, 1500*time.Millisecond); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := r.StopContainer(t.Context(), "stuck", 0); err == nil {
		t.Error("a failure was taken for success")
	}
	if diff := cmp.Diff([]string{"c1 2s"}, s.stopped); diff != "" {
		t.Error(diff)
	}
	if err := r.StopSandbox(t.Context(), "p1"); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown call: %v", err)
	}
}

func TestCRIPull(t *testing.T) {
	s := &criServer{}
	r, err := linuxCRI{}.Dial(t.Context(), serveCRI(t, s, "v1"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, auth := range []*v1alpha1.RegistryAuth{nil, {Username: "u", Password: "p", Auth: "a", IdentityToken: "i", RegistryToken: "r"}} {
		if id, err := r.Pull(t.Context(), "a:1", auth); err != nil || id != "i1" {
			t.Errorf("%s %v", id, err)
		}
	}
	if s.pulled[0].GetAuth() != nil {
		t.Error("an anonymous pull had a credential")
	}
	a := s.pulled[1].GetAuth()
	if got := a.GetUsername() + a.GetPassword() + a.GetAuth() + a.GetIdentityToken() + a.GetRegistryToken(); got != "upair" {
		t.Errorf("got %q", got)
	}
}

func TestDialRefuses(t *testing.T) {
	served := serveCRI(t, &criServer{}, "v1")
	for _, c := range []struct{ endpoint, version string }{
		{"tcp://127.0.0.1:1", ""},
		{"unix://relative.sock", ""},
		{"unix:///nowhere/cri.sock", ""},
		{served, "v1alpha2"},
		{served, "v2"},
		{"unix:///nowhere/docker.sock", ""},
	} {
		start := time.Now()
		if _, err := (linuxCRI{}).Dial(t.Context(), c.endpoint, c.version); err == nil {
			t.Errorf("%s %s answered", c.endpoint, c.version)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: a dead endpoint took %v", c.endpoint, took)
		}
	}
}

// silent accepts and never answers.
func TestDialSilent(t *testing.T) {
	dir, err := os.MkdirTemp("", "cri")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := (linuxCRI{}).Dial(ctx, "unix://"+l.Addr().String(), "v1"); err == nil {
		t.Error("a silent endpoint answered")
	}
}
