//go:build linux

package host

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// criRuntime is a Runtime behind gRPC.
type criRuntime struct {
	endpoint, version string
	conn              *grpc.ClientConn
	runtime           cri.RuntimeServiceClient
	images            cri.ImageServiceClient
}

// graceAnnotation is what the kubelet writes on each container it makes.
const graceAnnotation = "io.kubernetes.pod.terminationGracePeriod"

// stopSlack is what a runtime may take beyond a container's grace.
const stopSlack = 30 * time.Second

func (r *criRuntime) Close() error { return r.conn.Close() }

func (r *criRuntime) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at %s: %w", what, r.endpoint, err)
}

func (r *criRuntime) Info(ctx context.Context) (v1alpha1.CRIInfo, error) {
	out := v1alpha1.CRIInfo{Endpoint: r.endpoint, APIVersion: r.version}
	version, err := r.runtime.Version(ctx, &cri.VersionRequest{Version: "0.1.0"})
	if err != nil {
		return out, r.wrap("asking for the version", err)
	}
	out.RuntimeName, out.RuntimeVersion = version.GetRuntimeName(), version.GetRuntimeVersion()
	st, err := r.runtime.Status(ctx, &cri.StatusRequest{Verbose: true})
	if err != nil {
		return out, r.wrap("asking for the status", err)
	}
	for _, c := range st.GetStatus().GetConditions() {
		switch c.GetType() {
		case cri.RuntimeReady:
			out.RuntimeReady = c.GetStatus()
		case cri.NetworkReady:
			out.NetworkReady = c.GetStatus()
		}
	}
	out.SandboxImage = sandboxImage(st.GetInfo())
	config, err := r.runtime.RuntimeConfig(ctx, &cri.RuntimeConfigRequest{})
	switch {
	case status.Code(err) == codes.Unimplemented:
	case err != nil:
		return out, r.wrap("asking for the configuration", err)
	case config.GetLinux() != nil:
		out.CgroupDriver = strings.ToLower(config.GetLinux().GetCgroupDriver().String())
	}
	return out, nil
}

// sandboxImage is in the verbose status of CRI-O, cri-dockerd and containerd 1.x; containerd 2.x keeps it to itself.
func sandboxImage(info map[string]string) string {
	var config struct {
		SandboxImage string `json:"sandboxImage"`
	}
	if err := json.Unmarshal([]byte(info["config"]), &config); err != nil {
		return ""
	}
	return config.SandboxImage
}

func (r *criRuntime) Sandboxes(ctx context.Context) ([]Sandbox, error) {
	pods, err := r.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, r.wrap("listing sandboxes", err)
	}
	containers, err := r.runtime.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return nil, r.wrap("listing containers", err)
	}
	of := map[string][]SandboxContainer{}
	for _, c := range containers.GetContainers() {
		of[c.GetPodSandboxId()] = append(of[c.GetPodSandboxId()], SandboxContainer{
			ID: c.GetId(), Name: c.GetMetadata().GetName(),
			Running: c.GetState() == cri.ContainerState_CONTAINER_RUNNING,
			Grace:   grace(c.GetAnnotations()[graceAnnotation]),
		})
	}
	var out []Sandbox
	for _, p := range pods.GetItems() {
		meta := p.GetMetadata()
		out = append(out, Sandbox{
			ID: p.GetId(), Namespace: meta.GetNamespace(), Name: meta.GetName(), UID: meta.GetUid(),
			Ready: p.GetState() == cri.PodSandboxState_SANDBOX_READY, Containers: of[p.GetId()],
		})
	}
	return out, nil
}

// grace reads a number of seconds; -1 says that there is none.
func grace(seconds string) time.Duration {
	n, err := strconv.ParseInt(seconds, 10, 32)
	if err != nil || n < 0 {
		return -1
	}
	return time.Duration(n) * time.Second
}

func (r *criRuntime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+stopSlack)
	defer cancel()
	// Rounded up: half a second of grace is not none.
	seconds := int64((max(grace, 0) + time.Second - 1) / time.Second)
	_, err := r.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: seconds})
	return r.wrap("stopping container "+id, forgive(err))
}

func (r *criRuntime) StopSandbox(ctx context.Context, id string) error {
	_, err := r.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
	return r.wrap("stopping sandbox "+id, forgive(err))
}

func (r *criRuntime) RemoveSandbox(ctx context.Context, id string) error {
	_, err := r.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return r.wrap("removing sandbox "+id, forgive(err))
}

// forgive drops the error about what is gone already. Not all runtimes say so by the code.
func forgive(err error) error {
	if err == nil || status.Code(err) == codes.NotFound {
		return nil
	}
	text := strings.ToLower(status.Convert(err).Message())
	for _, phrase := range []string{"no such container", "no such sandbox", "could not find container", "could not find pod"} {
		if strings.Contains(text, phrase) {
			return nil
		}
	}
	return err
}

func (r *criRuntime) Images(ctx context.Context) ([]v1alpha1.Image, error) {
	list, err := r.images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return nil, r.wrap("listing images", err)
	}
	var out []v1alpha1.Image
	for _, i := range list.GetImages() {
		out = append(out, v1alpha1.Image{
			ID: i.GetId(), Tags: i.GetRepoTags(), Digests: i.GetRepoDigests(), Bytes: int64(i.GetSize()),
		})
	}
	return out, nil
}

func (r *criRuntime) Pull(ctx context.Context, ref string, auth *v1alpha1.RegistryAuth) (string, error) {
	request := &cri.PullImageRequest{Image: &cri.ImageSpec{Image: ref}}
	if auth != nil {
		request.Auth = &cri.AuthConfig{
			Username: auth.Username, Password: auth.Password, Auth: auth.Auth,
			IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
		}
	}
	answer, err := r.images.PullImage(ctx, request)
	if err != nil {
		return "", r.wrap("pulling "+ref, err)
	}
	return answer.GetImageRef(), nil
}

func (r *criRuntime) ImageFs(ctx context.Context) (ImageStore, error) {
	var out ImageStore
	answer, err := r.images.ImageFsInfo(ctx, &cri.ImageFsInfoRequest{})
	if err != nil {
		return out, r.wrap("asking for the image store", err)
	}
	for _, fs := range answer.GetImageFilesystems() {
		if out.Path == "" {
			out.Path = fs.GetFsId().GetMountpoint()
		}
		out.Bytes += int64(fs.GetUsedBytes().GetValue())
		out.Inodes += int64(fs.GetInodesUsed().GetValue())
	}
	return out, nil
}
