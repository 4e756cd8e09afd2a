//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type linuxCRI struct{}

// The two versions of CRI that kubelets have spoken. Their messages are the same on the wire; only the services' names
// differ.
const (
	criV1       = "v1"
	criV1alpha2 = "v1alpha2"
)

const (
	dialTimeout = 10 * time.Second
	// A store with thousands of images lists more than gRPC's default of 4 MiB.
	maxMessage = 64 << 20
)

func (c linuxCRI) Dial(ctx context.Context, endpoint, apiVersion string) (Runtime, error) {
	socket, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	if path.Base(socket) == "docker.sock" {
		return dialDocker(ctx, socket)
	}
	r, err := dialCRI(ctx, endpoint, socket, apiVersion)
	if err == nil {
		return r, nil
	}
	if apiVersion == "" && status.Code(errors.Unwrap(err)) == codes.Unimplemented && path.Base(socket) == "containerd.sock" {
		return dialContainerdOnly(ctx, endpoint, socket)
	}
	if path.Base(socket) == "dockershim.sock" {
		// The kubelet itself serves this socket, so it is gone whenever the kubelet is down; what the pods run on isn't.
		if docker, errDocker := dialDocker(ctx, dockerSocket); errDocker == nil {
			return docker, nil
		}
	}
	return nil, err
}

// socketPath is the file of a unix endpoint; without a scheme it is the file itself, as kubelets read it.
func socketPath(endpoint string) (string, error) {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if !ok {
		scheme, rest = "unix", endpoint
	}
	if scheme != "unix" || !path.IsAbs(rest) {
		return "", fmt.Errorf("endpoint %q: only unix sockets with an absolute path are supported", endpoint)
	}
	return rest, nil
}

func dialCRI(ctx context.Context, endpoint, socket, apiVersion string) (*criRuntime, error) {
	versions := []string{criV1, criV1alpha2}
	if apiVersion != "" {
		versions = []string{apiVersion}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var last error
	for _, version := range versions {
		r, err := dialVersion(ctx, endpoint, socket, version)
		if err == nil {
			return r, nil
		}
		last = err
		if status.Code(errors.Unwrap(err)) != codes.Unimplemented {
			break
		}
	}
	return nil, last
}

func dialVersion(ctx context.Context, endpoint, socket, version string) (*criRuntime, error) {
	if version != criV1 && version != criV1alpha2 {
		return nil, fmt.Errorf("dialing %s: unknown CRI version %q", endpoint, version)
	}
	conn, err := dialUnix(socket, grpc.WithUnaryInterceptor(speak(version)))
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", endpoint, err)
	}
	r := &criRuntime{
		endpoint: endpoint, version: version, conn: conn,
		runtime: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn),
	}
	if _, err := r.runtime.Version(ctx, &cri.VersionRequest{Version: "0.1.0"}); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dialing %s: %w", endpoint, err)
	}
	return r, nil
}

func dialUnix(socket string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+socket, append(options,
		grpc.WithContextDialer(dialRoot),
		grpc.WithAuthority("localhost"), // as gRPC says it of a Unix socket
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), // an agent's environment may name one
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))...)
}

// speak sends every call to the service of that version.
func speak(version string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if rest, ok := strings.CutPrefix(method, "/runtime.v1."); ok {
			method = "/runtime." + version + "." + rest
		}
		return next(ctx, method, req, reply, conn, opts...)
	}
}
