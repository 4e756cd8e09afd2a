package workload

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// FromWebhooks returns what rules need of the webhooks of one configuration, of those that a Service of the cluster serves.
// Mutating webhooks have the same fields where it matters: they are given as validating ones.
func FromWebhooks(o Object, annotations map[string]string, list []admissionv1.ValidatingWebhook, source Source) []Webhook {
	var out []Webhook
	for _, w := range list {
		service := w.ClientConfig.Service
		if service == nil {
			continue
		}
		out = append(out, Webhook{
			Object: o, Annotations: annotations, Name: w.Name, Service: Key{Namespace: service.Namespace, Name: service.Name},
			Fails: w.FailurePolicy == nil || *w.FailurePolicy == admissionv1.Fail, Pods: slices.ContainsFunc(w.Rules, judgesPods), Source: source,
		})
	}
	return out
}

// judgesPods reports whether a rule calls the webhook when a pod is created.
func judgesPods(r admissionv1.RuleWithOperations) bool {
	has := func(list []string, names ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(names, s) })
	}
	creates := slices.Contains(r.Operations, admissionv1.Create) || slices.Contains(r.Operations, admissionv1.OperationAll)
	return creates && has(r.APIGroups, "", "*") && has(r.Resources, "pods", "*", "*/*")
}
