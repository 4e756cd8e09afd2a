package apitest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

func (s *Server) list(w http.ResponseWriter, r *http.Request, q request) {
	kind, known := listKinds[q.resource]
	if custom, ok := s.custom[q.apiVersion+"/"+q.resource[strings.LastIndex(q.resource, "/")+1:]]; ok {
		kind, known = custom+"List", true
	}
	if !known {
		s.unknown(w, r)
		return
	}
	var found []ref
	for at, x := range s.objects {
		if at.resource == q.resource && (q.namespace == "" || q.namespace == at.namespace) && s.selects(r, x) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	found, next := s.page(r, found)
	// Who accepts metadata alone gets no more.
	only := strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList")
	apiVersion := q.apiVersion
	if only {
		apiVersion, kind = "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	items := []any{}
	for _, at := range found {
		x := s.objects[at].Object
		if only {
			x = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": x["metadata"]}
		}
		items = append(items, x)
	}
	reply(w, http.StatusOK, map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version), "continue": next}, "items": items,
	})
}

// page cuts a list into the pages that the client asks for, or into smaller ones where the test wants that.
func (s *Server) page(r *http.Request, found []ref) ([]ref, string) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if s.pageSize > 0 && limit > s.pageSize {
		limit = s.pageSize
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	found = found[min(from, len(found)):]
	if limit == 0 || len(found) <= limit {
		return found, ""
	}
	return found[:limit], strconv.Itoa(from + limit)
}

// discover tells which resources a version of a group has: evictions, and what tests said of their own kinds.
func (s *Server) discover(w http.ResponseWriter, q request) {
	list := metav1.APIResourceList{GroupVersion: q.apiVersion}
	if q.apiVersion == "v1" {
		list.APIResources = []metav1.APIResource{{Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1"}}
	}
	for what, kind := range s.custom {
		if name, ok := strings.CutPrefix(what, q.apiVersion+"/"); ok {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name, Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get", "list"}})
		}
	}
	if len(list.APIResources) == 0 {
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	reply(w, http.StatusOK, list)
}

// listKinds are the kinds of lists; clients decode nothing else.
var listKinds = map[string]string{
	"nodes": "NodeList", "pods": "PodList", "events": "EventList", "coordination.k8s.io/leases": "LeaseList",
	"configmaps": "ConfigMapList", "services": "ServiceList", "podtemplates": "PodTemplateList", "replicationcontrollers": "ReplicationControllerList",
	"persistentvolumes": "PersistentVolumeList", "persistentvolumeclaims": "PersistentVolumeClaimList",
	"apps/deployments": "DeploymentList", "apps/replicasets": "ReplicaSetList", "apps/statefulsets": "StatefulSetList", "apps/daemonsets": "DaemonSetList",
	"batch/jobs": "JobList", "batch/cronjobs": "CronJobList", "policy/poddisruptionbudgets": "PodDisruptionBudgetList",
	"node.k8s.io/runtimeclasses":                                   "RuntimeClassList",
	"rbac.authorization.k8s.io/rolebindings":                       "RoleBindingList",
	"admissionregistration.k8s.io/validatingwebhookconfigurations": "ValidatingWebhookConfigurationList",
	"admissionregistration.k8s.io/mutatingwebhookconfigurations":   "MutatingWebhookConfigurationList",
}

// fieldsOf are the fields that this server selects by.
func fieldsOf(x *unstructured.Unstructured) fields.Set {
	set := fields.Set{"metadata.name": x.GetName(), "metadata.namespace": x.GetNamespace()}
	for name, path := range map[string][]string{
		"spec.nodeName": {"spec", "nodeName"}, "involvedObject.uid": {"involvedObject", "uid"}, "type": {"type"},
	} {
		set[name], _, _ = unstructured.NestedString(x.Object, path...)
	}
	return set
}

func (s *Server) selects(r *http.Request, x *unstructured.Unstructured) bool {
	byField, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		s.t.Errorf("field selector: %v", err)
		return false
	}
	set := fieldsOf(x)
	for _, need := range byField.Requirements() {
		if _, ok := set[need.Field]; !ok {
			s.t.Errorf("the test's API server doesn't select by %s", need.Field)
		}
	}
	byLabel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		s.t.Errorf("label selector: %v", err)
		return false
	}
	return byField.Matches(set) && byLabel.Matches(labels.Set(x.GetLabels()))
}
