//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// containerdClient speaks the few calls of containerd's own services that CRI doesn't have. Their messages are small enough
// to be written field by field; the generated code would bring a second RPC library with it. Field numbers are those of
// github.com/containerd/containerd/api, the same since 1.0.
type containerdClient struct{ conn *grpc.ClientConn }

func dialContainerd(socket string) (containerdClient, error) {
	conn, err := dialUnix(socket)
	return containerdClient{conn}, err
}

// rawCodec sends and receives messages that are encoded already.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	if b, ok := v.(*[]byte); ok {
		return *b, nil
	}
	return nil, errors.New("not an encoded message")
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errors.New("not an encoded message")
	}
	*b = slices.Clone(data)
	return nil
}

func (c containerdClient) call(ctx context.Context, namespace, method string, request message) (message, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	in, out := []byte(request), []byte(nil)
	if err := c.conn.Invoke(ctx, "/containerd.services."+method, &in, &out, grpc.ForceCodec(rawCodec{})); err != nil {
		return nil, fmt.Errorf("asking containerd: %w", err)
	}
	return message(out), nil
}

// message is an encoded protobuf message.
type message []byte

func (m message) text(field protowire.Number, value string) message {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), value)
}

// fields calls each with the length-delimited and the numeric fields, in order.
func (m message) fields(each func(field protowire.Number, value []byte, number uint64)) error {
	for b := []byte(m); len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		switch kind {
		case protowire.BytesType:
			value, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(field, value, 0)
			b = b[n:]
		case protowire.VarintType:
			value, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(field, nil, value)
			b = b[n:]
		default:
			n := protowire.ConsumeFieldValue(field, kind, b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
		}
	}
	return nil
}

// all are the values of a repeated field.
func (m message) all(want protowire.Number) []message {
	var out []message
	_ = m.fields(func(field protowire.Number, value []byte, _ uint64) {
		if field == want && value != nil {
			out = append(out, value)
		}
	})
	return out
}

func (m message) sub(want protowire.Number) message {
	if list := m.all(want); len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

func (m message) string(want protowire.Number) string { return string(m.sub(want)) }

func (m message) number(want protowire.Number) uint64 {
	var out uint64
	_ = m.fields(func(field protowire.Number, _ []byte, number uint64) {
		if field == want {
			out = number
		}
	})
	return out
}

const kubernetesNamespace = "k8s.io"

// foreignContainerd lists the containers of all namespaces but Kubernetes's own.
func (s linuxStores) foreignContainerd(ctx context.Context) ([]v1alpha1.Container, error) {
	c, err := dialContainerd(s.containerdSocket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	namespaces, err := c.call(ctx, kubernetesNamespace, "namespaces.v1.Namespaces/List", nil)
	if err != nil {
		return nil, err
	}
	var out []v1alpha1.Container
	for _, ns := range namespaces.all(1) {
		name := ns.string(1)
		if name == kubernetesNamespace || name == "moby" && dockerRuns() {
			continue // Docker itself tells which of its containers are pods
		}
		list, err := c.call(ctx, name, "containers.v1.Containers/List", nil)
		if err != nil {
			return nil, err
		}
		containers := list.all(1)
		if len(containers) == 0 {
			continue
		}
		running, err := c.running(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, x := range containers {
			labels := x.all(2)
			out = append(out, v1alpha1.Container{
				ID: x.string(1), Name: label(labels, "nerdctl/name"), Image: x.string(3), Scope: name, Running: running[x.string(1)],
				Labels: telling(func(name string) string { return label(labels, name) }),
			})
		}
	}
	return out, nil
}

// running are the containers that have a running task.
func (c containerdClient) running(ctx context.Context, namespace string) (map[string]bool, error) {
	const statusRunning, statusPaused = 2, 4
	tasks, err := c.call(ctx, namespace, "tasks.v1.Tasks/List", nil)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, t := range tasks.all(1) {
		id := t.string(2)
		if id == "" {
			id = t.string(1)
		}
		if st := t.number(4); st == statusRunning || st == statusPaused {
			out[id] = true
		}
	}
	return out, nil
}

// label finds a value among the entries of a map.
func label(entries []message, key string) string {
	for _, e := range entries {
		if e.string(1) == key {
			return e.string(2)
		}
	}
	return ""
}

func dockerRuns() bool {
	list, err := linuxProcs{root: "/proc"}.Find("dockerd")
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
	answer, err := c.call(ctx, namespace, "images.v1.Images/Get", message(nil).text(1, ref.String()))
	if status.Code(errors.Unwrap(err)) == codes.NotFound {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	target := answer.sub(1).sub(3)
	root := descriptor{MediaType: target.string(1), Digest: target.string(2), Size: int64(target.number(3))}
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

func (c containerdContent) stat(ctx context.Context, digest string) (int64, bool, error) {
	answer, err := c.client.call(ctx, c.namespace, "content.v1.Content/Info", message(nil).text(1, digest))
	if status.Code(errors.Unwrap(err)) == codes.NotFound {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return int64(answer.sub(1).number(2)), true, nil
}

func (c containerdContent) open(ctx context.Context, digest string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "containerd-namespace", c.namespace))
	stream, err := c.client.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/containerd.services.content.v1.Content/Read", grpc.ForceCodec(rawCodec{}))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading %s from containerd: %w", digest, err)
	}
	request := []byte(message(nil).text(1, digest))
	if err := errors.Join(stream.SendMsg(&request), stream.CloseSend()); err != nil {
		cancel()
		return nil, fmt.Errorf("reading %s from containerd: %w", digest, err)
	}
	return &contentStream{stream: stream, cancel: cancel}, nil
}

// contentStream reads the chunks of a blob.
type contentStream struct {
	stream grpc.ClientStream
	cancel context.CancelFunc
	rest   []byte
}

func (r *contentStream) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		var chunk []byte
		if err := r.stream.RecvMsg(&chunk); err != nil {
			return 0, err
		}
		r.rest = message(chunk).sub(2)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *contentStream) Close() error {
	r.cancel()
	return nil
}
