package cmd

import (
	"context"
	"errors"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

func (p *program) statusDeep(ctx context.Context, u *ui.UI, client kubernetes.Interface, config *rest.Config, o *statusOptions, nodes []v1alpha1.NodeStatus) error {
	return errors.New("not implemented")
}
