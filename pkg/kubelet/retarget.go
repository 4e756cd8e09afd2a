package kubelet

import (
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Retarget returns what the files that tell the kubelet, kubeadm and crictl their endpoint become when the node moves
// from one runtime to the other: one FileState for each file that changes, sorted by path. A finding of severity error
// means that the files are no plan.
func Retarget(f *v1alpha1.Facts, v View, from, to v1alpha1.RuntimeRef) ([]v1alpha1.FileState, []v1alpha1.Finding, error) {
	return nil, nil, errors.New("not implemented")
}
