package rollout

import (
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Until package plan has its own again.
func pendingInverse(v1alpha1.RunView, *v1alpha1.Facts, string) (*v1alpha1.Plan, error) {
	return nil, errors.New("not implemented")
}

func pendingCompose([]v1alpha1.RunView) (v1alpha1.RunView, error) {
	return v1alpha1.RunView{}, errors.New("not implemented")
}
