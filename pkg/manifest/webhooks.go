package manifest

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// webhooks takes in the webhooks of an admission configuration that a Service of the cluster serves. The two kinds have the same
// fields where it matters.
func (o *object) webhooks() error {
	var list []admissionv1.ValidatingWebhook
	if err := o.decode(&list, "webhooks"); err != nil {
		return err
	}
	o.l.inv.Webhooks = append(o.l.inv.Webhooks, workload.FromWebhooks(o.ref, stringsOf(field(field(o.node, "metadata"), "annotations")), list,
		workload.Source{File: o.at.doc.name, Line: o.at.doc.line + o.node.Line - 1})...)
	return nil
}
