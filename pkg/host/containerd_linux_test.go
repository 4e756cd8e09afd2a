package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// number and sub add fields to a message; the product only sends texts.
func (m message) withNumber(field protowire.Number, value uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), value)
}

func (m message) withSub(field protowire.Number, value message) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), value)
}

// containerdServer answers containerd's services from maps.
type containerdServer struct {
	images map[string]message // target descriptors
	blobs  map[string][]byte
	labels map[string]message // of blobs
	view   message            // the mount of a view
	server message            // what introspection says of the daemon
}

func (s *containerdServer) answer(method, namespace string, q message) (message, error) {
	switch method {
	case "/containerd.services.namespaces.v1.Namespaces/List":
		return message(nil).withSub(1, message(nil).text(1, "k8s.io")).withSub(1, message(nil).text(1, "build")), nil
	case "/containerd.services.containers.v1.Containers/List":
		if namespace != "build" {
			return nil, status.Error(codes.Internal, namespace+" was asked for")
		}
		labels := message(nil).text(1, "nerdctl/name").text(2, "builder")
		return message(nil).withSub(1, message(nil).text(1, "b1").withSub(2, labels).text(3, "golang")).withSub(1, message(nil).text(1, "b2")), nil
	case "/containerd.services.tasks.v1.Tasks/List":
		return message(nil).withSub(1, message(nil).text(2, "b1").withNumber(4, 2)).withSub(1, message(nil).text(2, "b2").withNumber(4, 3)), nil
	case "/containerd.services.introspection.v1.Introspection/Server":
		if s.server != nil {
			return s.server, nil
		}
	case "/containerd.services.images.v1.Images/Get":
		if target, ok := s.images[q.string(1)]; ok {
			return message(nil).withSub(1, message(nil).text(1, q.string(1)).withSub(3, target)), nil
		}
		return nil, status.Error(codes.NotFound, "not found")
	case "/containerd.services.content.v1.Content/Info":
		data, ok := s.blobs[q.string(1)]
		if !ok {
			return nil, status.Error(codes.NotFound, "not found")
		}
		info := message(nil).text(1, q.string(1)).withNumber(2, uint64(len(data)))
		if l := s.labels[q.string(1)]; l != nil {
			info = info.withSub(5, l)
		}
		return message(nil).withSub(1, info), nil
	case "/containerd.services.snapshots.v1.Snapshots/View":
		return message(nil).withSub(1, s.view), nil
	case "/containerd.services.snapshots.v1.Snapshots/Remove":
		return nil, nil
	}
	return nil, status.Error(codes.Unimplemented, method)
}

func (s *containerdServer) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	md, _ := metadata.FromIncomingContext(stream.Context())
	var q []byte
	if err := stream.RecvMsg(&q); err != nil {
		return err
	}
	if method == "/containerd.services.content.v1.Content/Read" {
		data, ok := s.blobs[message(q).string(1)]
		if !ok {
			return status.Error(codes.NotFound, "not found")
		}
		for len(data) > 0 {
			n := min(len(data), 7)
			chunk := []byte(message(nil).withSub(2, data[:n]))
			if err := stream.SendMsg(&chunk); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
	out, err := s.answer(method, strings.Join(md.Get("containerd-namespace"), ""), q)
	if err != nil {
		return err
	}
	raw := []byte(out)
	return stream.SendMsg(&raw)
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
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(s.handle))
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
	s.images[name] = message(nil).text(1, ociIndex).text(2, digest).withNumber(3, uint64(len(index)))
	return digest
}

func newContainerd() *containerdServer {
	return &containerdServer{images: map[string]message{}, blobs: map[string][]byte{}, labels: map[string]message{}}
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
			s.labels[digest] = message(nil).text(1, "containerd.io/gc.ref.snapshot.overlayfs").text(2, chainID(ids))
		}
	}
	s.view = message(nil).text(1, "overlay").text(2, "overlay").text(4, "index=off").text(4, "lowerdir="+top+":"+base)
	image, err := stores.Image(t.Context(), v1alpha1.Containerd, "a:1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	checkBlobs(t, image)
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

func TestMessageRefusesGarbage(t *testing.T) {
	for _, m := range []message{{0xff}, {0x0a, 0x05, 'x'}, {0x08}, {0x0b}} {
		if err := m.fields(func(protowire.Number, []byte, uint64) {}); err == nil {
			t.Errorf("% x was read", []byte(m))
		}
		_ = m.string(1) // and never panics
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(message(nil).text(1, "a").withSub(2, message(nil).withNumber(3, 4))))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, m := range message(data).all(1) {
			_, _ = m.string(2), m.number(3)
		}
	})
}
