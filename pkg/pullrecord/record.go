// Package pullrecord knows the records by which kubelets remember which credentials an image was pulled with, and keeps them true when
// images change their runtime.
//
// A kubelet that verifies pulls (feature gate KubeletEnsureSecretPulledImages: alpha in 1.33, on since 1.35) takes an image that it has no
// record of for one that the node's operator has put there: under the default policy (NeverVerifyPreloadedImages) every pod may use it. It
// looks a record up by the ID that the runtime's ImageStatus answers (Kubernetes' pkg/kubelet/kuberuntime, GetImageRef, and
// pkg/kubelet/images/pullmanager, MustAttemptImagePull), and the same image has another ID in another runtime: "sha256:" and the digest of its
// configuration in containerd, that digest alone in CRI-O, the digest of its manifest in a Docker that keeps images in containerd. So whoever
// copies a private image to another runtime gives it to every pod of the node, unless the record is there under the new ID, too.
//
// Kubelets since 1.34 keep the records in memory as well (NewCachedPullRecordsAccessor): they are written while no kubelet runs. A kubelet
// removes the records of IDs that its runtime doesn't have whenever it frees disk space (PruneUnknownRecords), so what leads back must keep
// those of the source.
//
// The package is pure.
package pullrecord

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

const (
	// Root is the kubelet's root directory that the agent may write its records in.
	Root = "/var/lib/kubelet"
	// Newest is the newest minor of the kubelets whose records are known: the format and its use are the same from 1.33 up to it, but for
	// the version that the documents name.
	Newest = 37

	pulled  = "pulled"
	pulling = "pulling"

	pulledKind = "ImagePulledRecord"
	intentKind = "ImagePullIntent"
)

// Dir is where a kubelet keeps what it knows of pulls, in Pulled and Pulling: one file each.
func Dir() string { return path.Join(Root, "image_manager") }

// Dirs are the directories with the records of pulls that ended, and of those that began.
func Dirs() []string { return []string{path.Join(Dir(), pulled), path.Join(Dir(), pulling)} }

var fileName = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

// IsFile reports whether a base name is one that the kubelet reads.
func IsFile(base string) bool { return fileName.MatchString(base) }

// PathOf is where the record of an image stands, by the ID that its runtime gives it.
func PathOf(id string) string { return path.Join(Dir(), pulled, base(id)) }

// intentPath is where it stands that a pull of an image has begun, by the image's name.
func intentPath(name string) string { return path.Join(Dir(), pulling, base(name)) }

func base(of string) string { return fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(of))) }

// rename returns a record as that of another ID. What is not known in it stays.
func rename(data []byte, from, to string) ([]byte, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(data, &record); err != nil {
		return nil, err
	}
	var kind, id string
	if err := errors.Join(json.Unmarshal(record["kind"], &kind), json.Unmarshal(record["imageRef"], &id)); err != nil {
		return nil, err
	}
	if kind != pulledKind || id != from {
		return nil, fmt.Errorf("it is the %s of %s", kind, id)
	}
	ref, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	record["imageRef"] = ref
	return json.Marshal(record)
}

// document is what a kubelet reads in a file, as far as this package writes one itself. A record that maps no name to credentials says that
// the image was pulled, and that nobody has shown yet that they may use it.
type document struct {
	Kind            string     `json:"kind"`
	APIVersion      string     `json:"apiVersion"`
	LastUpdatedTime *time.Time `json:"lastUpdatedTime,omitempty"`
	ImageRef        string     `json:"imageRef,omitempty"`
	Image           string     `json:"image,omitempty"`
}

// apiVersion is the version of documents that a kubelet reads: 1.35 began to write v1beta1, and reads v1alpha1 too.
func apiVersion(kubelet string) string {
	v, err := version.ParseGeneric(kubelet)
	if err == nil && v.Major() == 1 && v.Minor() < 35 {
		return "kubelet.config.k8s.io/v1alpha1"
	}
	return "kubelet.config.k8s.io/v1beta1"
}
