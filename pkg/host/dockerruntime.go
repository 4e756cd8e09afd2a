//go:build linux

package host

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// dockerRuntime is a Runtime, and a Loader, behind Docker's own API.
type dockerRuntime struct {
	endpoint string
	client   *dockerClient
}

var _ Loader = (*dockerRuntime)(nil)

func dialDocker(ctx context.Context, socket string) (*dockerRuntime, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	r := &dockerRuntime{endpoint: "unix://" + socket, client: newDockerClient(socket)}
	body, err := r.client.send(ctx, http.MethodGet, "/_ping", nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", r.endpoint, err)
	}
	return r, body.Close()
}

func (r *dockerRuntime) Close() error { return nil }

// Info answers as cri-dockerd would. Docker itself knows of no CNI, so nothing is said of the network.
func (r *dockerRuntime) Info(ctx context.Context) (v1alpha1.CRIInfo, error) {
	out := v1alpha1.CRIInfo{Endpoint: r.endpoint, RuntimeName: "docker"}
	var info struct {
		ServerVersion string `json:"ServerVersion"`
		CgroupDriver  string `json:"CgroupDriver"`
	}
	if err := r.client.get(ctx, "/info", nil, &info); err != nil {
		return out, err
	}
	out.RuntimeVersion, out.CgroupDriver, out.RuntimeReady = info.ServerVersion, info.CgroupDriver, true
	return out, nil
}

func (r *dockerRuntime) Sandboxes(ctx context.Context) ([]Sandbox, error) {
	all, err := r.client.containers(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string][]SandboxContainer{}
	for _, c := range all {
		if c.Labels[dockerTypeLabel] != "container" {
			continue
		}
		pod := c.Labels[dockerSandboxLabel]
		of[pod] = append(of[pod], SandboxContainer{
			ID: c.ID, Name: c.Labels["io.kubernetes.container.name"], Running: c.State == "running",
			Grace: grace(c.Labels["annotation."+graceAnnotation]),
		})
	}
	var out []Sandbox
	for _, c := range all {
		if c.Labels[dockerTypeLabel] != dockerSandboxType {
			continue
		}
		out = append(out, Sandbox{
			ID: c.ID, Ready: c.State == "running", Containers: of[c.ID], Namespace: c.Labels["io.kubernetes.pod.namespace"],
			Name: c.Labels["io.kubernetes.pod.name"], UID: c.Labels["io.kubernetes.pod.uid"],
		})
	}
	return out, nil
}

func (r *dockerRuntime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	return r.client.stop(ctx, id, grace)
}

// StopSandbox kills what is left of the pod, as CRI's StopPodSandbox does.
func (r *dockerRuntime) StopSandbox(ctx context.Context, id string) error {
	return r.members(ctx, id, func(c string) error { return r.client.stop(ctx, c, 0) })
}

func (r *dockerRuntime) RemoveSandbox(ctx context.Context, id string) error {
	return r.members(ctx, id, func(c string) error { return r.client.remove(ctx, c) })
}

// members does something to each container of a pod, to the sandbox last.
func (r *dockerRuntime) members(ctx context.Context, sandbox string, do func(id string) error) error {
	all, err := r.client.containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Labels[dockerSandboxLabel] != sandbox || c.ID == sandbox {
			continue
		}
		if err := do(c.ID); err != nil {
			return err
		}
	}
	return do(sandbox)
}

func (r *dockerRuntime) Images(ctx context.Context) ([]v1alpha1.Image, error) {
	var list []struct {
		ID          string   `json:"Id"`
		RepoTags    []string `json:"RepoTags"`
		RepoDigests []string `json:"RepoDigests"`
		Size        int64    `json:"Size"`
	}
	if err := r.client.get(ctx, "/images/json", nil, &list); err != nil {
		return nil, err
	}
	var out []v1alpha1.Image
	for _, i := range list {
		out = append(out, v1alpha1.Image{ID: i.ID, Tags: named(i.RepoTags), Digests: named(i.RepoDigests), Bytes: i.Size})
	}
	return out, nil
}

// named leaves out the places that docker keeps for images without a name.
func named(refs []string) []string {
	var out []string
	for _, ref := range refs {
		if !strings.HasPrefix(ref, "<none>") {
			out = append(out, ref)
		}
	}
	return out
}

func (r *dockerRuntime) Pull(ctx context.Context, ref string, auth *v1alpha1.RegistryAuth) (string, error) {
	name, err := imageref.Parse(ref)
	if err != nil {
		return "", err
	}
	query := url.Values{"fromImage": {name.Repository()}, "tag": {name.Tag}}
	if name.Digest != "" {
		query.Set("tag", name.Digest)
	}
	header := http.Header{}
	if auth != nil {
		header.Set("X-Registry-Auth", dockerAuth(*auth, name.Host))
	}
	if err := r.client.stream(ctx, "/images/create", query, header, nil); err != nil {
		return "", fmt.Errorf("pulling %s at %s: %w", ref, r.endpoint, err)
	}
	var image struct {
		ID string `json:"Id"`
	}
	if err := r.client.get(ctx, "/images/"+name.String()+"/json", nil, &image); err != nil {
		return "", err
	}
	return image.ID, nil
}

// dockerAuth is docker's header for one credential. It doesn't read the combined form, so that is taken apart.
func dockerAuth(auth v1alpha1.RegistryAuth, host string) string {
	if auth.Username == "" && auth.Auth != "" {
		if plain, err := base64.StdEncoding.DecodeString(auth.Auth); err == nil {
			auth.Username, auth.Password, _ = strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		}
	}
	text, _ := json.Marshal(map[string]string{ // a map of strings always encodes
		"username": auth.Username, "password": auth.Password, "serveraddress": host,
		"identitytoken": auth.IdentityToken, "registrytoken": auth.RegistryToken,
	})
	return base64.URLEncoding.EncodeToString(text)
}

func (r *dockerRuntime) ImageFs(ctx context.Context) (ImageStore, error) {
	var info struct {
		DockerRootDir string `json:"DockerRootDir"`
	}
	if err := r.client.get(ctx, "/info", nil, &info); err != nil {
		return ImageStore{}, err
	}
	var usage struct {
		LayersSize int64 `json:"LayersSize"`
	}
	if err := r.client.get(ctx, "/system/df", url.Values{"type": {"image"}}, &usage); err != nil {
		return ImageStore{Path: info.DockerRootDir}, err
	}
	return ImageStore{Path: info.DockerRootDir, Bytes: usage.LayersSize}, nil
}

func (r *dockerRuntime) Load(ctx context.Context, archive io.Reader) error {
	if err := r.client.load(ctx, archive); err != nil {
		return fmt.Errorf("loading an image at %s: %w", r.endpoint, err)
	}
	return nil
}
