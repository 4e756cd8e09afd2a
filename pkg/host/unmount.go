//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Unmount recognises mounts by the part of their path that the runtime chose itself, so that a store or state directory
// that an operator moved is found as well.
func (p linuxPods) Unmount(_ context.Context, runtime v1alpha1.RuntimeName) error {
	mounts, err := p.mounts.points()
	if err != nil {
		return err
	}
	var errs []error
	// Later mounts may stand on earlier ones.
	for _, point := range slices.Backward(mounts) {
		if podMount(runtime, point) {
			errs = append(errs, p.mounts.unmount(point))
		}
	}
	var namespaces []string
	switch runtime {
	case v1alpha1.CRIO:
		namespaces = []string{"/run/ipcns", "/run/utsns", "/run/userns", "/run/pidns", "/run/netns"}
	case v1alpha1.Docker:
		namespaces = []string{"/run/docker/netns"}
	}
	for _, dir := range namespaces {
		errs = append(errs, removeNamespaces(p.procs, dir))
	}
	for _, point := range mounts {
		// A store that is shut down in order unmounts its own directory, which it has mounted over itself.
		if runtime == v1alpha1.CRIO && crioHome.MatchString(point) {
			errs = append(errs, p.mounts.unmountIdle(point))
		}
	}
	return errors.Join(errs...)
}

func podMount(runtime v1alpha1.RuntimeName, point string) bool {
	switch runtime {
	case v1alpha1.Containerd:
		return containerdMount.MatchString(point)
	case v1alpha1.CRIO:
		return crioMount(point)
	case v1alpha1.Docker:
		return dockerMount(point)
	}
	return false
}

var (
	containerdMount = regexp.MustCompile(`/io\.containerd\.runtime\.v[12]\.(?:task|linux)/k8s\.io/[^/]+/rootfs$|/io\.containerd\.grpc\.v1\.cri/(?:sandboxes|containers)/[^/]+/`)
	crioHome        = regexp.MustCompile(`/containers/storage/overlay$`)
	crioRootfs      = regexp.MustCompile(`^(.*)/([a-z0-9]+)/([0-9a-f]{64})/merged$`)
	crioShm         = regexp.MustCompile(`^.*/[a-z0-9]+-containers/([0-9a-f]{64})/userdata/.+$`)
	dockerRootfs    = regexp.MustCompile(`^(.*)/([a-z0-9]+)/([0-9a-z]{25,64})/merged$`)
	dockerShm       = regexp.MustCompile(`^(.*)/containers/([0-9a-f]{64})/mounts/shm$`)
)

// crioMount: podman keeps its containers in the same store. What is mounted for one of them is left alone.
func crioMount(point string) bool {
	if m := crioShm.FindStringSubmatch(point); m != nil {
		return strings.Contains(point, "/containers/storage/") && !slices.Contains(podmanIDs(storeOf(point)), m[1])
	}
	m := crioRootfs.FindStringSubmatch(point)
	if m == nil {
		return false
	}
	if _, err := os.Stat(filepath.Join(m[1], m[2]+"-containers")); err != nil {
		return false // not a store of containers/storage
	}
	return !slices.Contains(podmanIDs(m[1]), m[3])
}

// storeOf is the graph root that belongs to a mount in a run root; both are named alike.
func storeOf(point string) string {
	if strings.HasPrefix(point, "/run/") {
		return crioStore
	}
	root, _, _ := strings.Cut(point, "/overlay-containers/")
	return root
}

// podmanIDs are the containers in the store that CRI-O didn't make, and their layers.
func podmanIDs(store string) []string {
	var out []string
	for _, c := range storageContainers(store) {
		if !c.ofPod() {
			out = append(out, c.ID, c.LayerID)
		}
	}
	return out
}

// storageContainer is a line of containers/storage's list; Metadata is what its maker wrote down.
type storageContainer struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	ImageID  string   `json:"image"`
	LayerID  string   `json:"layer"`
	Metadata string   `json:"metadata"`
}

// ofPod: CRI-O notes the pod of each of its containers.
func (c storageContainer) ofPod() bool {
	var meta struct {
		PodID   string `json:"pod-id"`
		PodName string `json:"pod-name"`
	}
	return json.Unmarshal([]byte(c.Metadata), &meta) == nil && (meta.PodID != "" || meta.PodName != "")
}

func storageContainers(store string) []storageContainer {
	var out []storageContainer
	for _, name := range []string{"containers.json", "volatile-containers.json"} {
		data, err := readFile(filepath.Join(store, "overlay-containers", name))
		if err != nil {
			continue
		}
		var list []storageContainer
		if json.Unmarshal(data, &list) == nil {
			out = append(out, list...)
		}
	}
	return out
}

// dockerMount: containers that people started with docker run are left alone.
func dockerMount(point string) bool {
	if m := dockerShm.FindStringSubmatch(point); m != nil {
		return dockerPod(m[1], m[2])
	}
	m := dockerRootfs.FindStringSubmatch(point)
	if m == nil {
		return false
	}
	owners := filepath.Join(m[1], "image", m[2], "layerdb", "mounts")
	ids, err := list(owners)
	if err != nil {
		return false
	}
	for _, owner := range ids {
		id, err := readFile(filepath.Join(owners, owner, "mount-id"))
		if err == nil && strings.TrimSpace(string(id)) == m[3] {
			return dockerPod(m[1], owner)
		}
	}
	return false
}

func dockerPod(root, id string) bool {
	data, err := readFile(filepath.Join(root, "containers", id, "config.v2.json"))
	if err != nil {
		return false
	}
	var container struct {
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"Config"`
	}
	return json.Unmarshal(data, &container) == nil && container.Config.Labels[dockerTypeLabel] != ""
}
