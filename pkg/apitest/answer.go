package apitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// request is what a URL asks for.
type request struct {
	verb        string // get list watch create update patch delete
	resource    string // "pods", "apps/daemonsets"
	apiVersion  string
	namespace   string
	name        string
	subresource string
}

func (q request) what() string {
	if q.subresource != "" {
		return q.resource + "/" + q.subresource
	}
	return q.resource
}

func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var q request
	switch {
	case len(parts) == 1 && parts[0] == "version":
		return request{verb: "get", resource: "version"}, r.Method == http.MethodGet
	case len(parts) == 2 && parts[0] == "api":
		return request{verb: "get", resource: "discovery", apiVersion: parts[1]}, r.Method == http.MethodGet
	case len(parts) == 3 && parts[0] == "apis":
		return request{verb: "get", resource: "discovery", apiVersion: parts[1] + "/" + parts[2]}, r.Method == http.MethodGet
	case len(parts) > 2 && parts[0] == "api":
		q.apiVersion, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		q.apiVersion, q.resource, parts = parts[1]+"/"+parts[2], parts[1]+"/", parts[3:]
	default:
		return q, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		q.namespace, parts = parts[1], parts[2:]
	}
	q.resource += parts[0]
	if len(parts) > 1 {
		q.name = parts[1]
	}
	if len(parts) > 2 {
		q.subresource = parts[2]
	}
	switch r.Method {
	case http.MethodGet:
		q.verb = "get"
		if q.name == "" {
			q.verb = "list"
			if r.URL.Query().Get("watch") != "" {
				q.verb = "watch"
			}
		}
	case http.MethodPost:
		q.verb = "create"
	case http.MethodPut:
		q.verb = "update"
	case http.MethodPatch:
		q.verb = "patch"
	case http.MethodDelete:
		q.verb = "delete"
	default:
		return q, false
	}
	return q, len(parts) <= 3
}

// answer serves everything but watches. The caller holds the lock.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, q request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	at := ref{q.resource, q.namespace, q.name}
	x := s.objects[at]
	if x == nil && q.name != "" && q.verb != "create" {
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", q.resource, q.name))
		return
	}
	switch {
	case s.forbidden[q.verb+" "+q.what()]:
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("%s is forbidden: the test's user can't %s it", q.what(), q.verb))
	case q.resource == "version":
		reply(w, http.StatusOK, map[string]string{"gitVersion": "v1.34.4"})
	case q.resource == "discovery":
		s.discover(w, q)
	case q.verb == "create" && q.resource == "authorization.k8s.io/selfsubjectaccessreviews":
		s.review(w, body)
	case q.verb == "create" && q.resource == "authentication.k8s.io/selfsubjectreviews":
		reply(w, http.StatusCreated, map[string]any{"apiVersion": q.apiVersion, "kind": "SelfSubjectReview", "status": map[string]any{
			"userInfo": map[string]any{"username": User, "groups": []string{Group, "system:authenticated"}},
		}})
	case q.verb == "create" && q.what() == "pods/eviction":
		s.evict(w, at)
	case q.subresource != "":
		s.unknown(w, r)
	case q.verb == "get" && strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata;"):
		reply(w, http.StatusOK, map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": x.Object["metadata"]})
	case q.verb == "get":
		reply(w, http.StatusOK, x)
	case q.verb == "list":
		s.list(w, r, q)
	case q.verb == "create":
		s.create(w, r, q, body)
	case q.verb == "update":
		s.update(w, at, x, body)
	case q.verb == "patch" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/merge-patch+json"):
		s.patch(w, at, x, body)
	case q.verb == "delete":
		s.delete(w, at, x, body)
	default:
		s.unknown(w, r)
	}
}

func (s *Server) review(w http.ResponseWriter, body []byte) {
	var x unstructured.Unstructured
	if err := json.Unmarshal(body, &x.Object); err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	field := func(name string) string {
		v, _, _ := unstructured.NestedString(x.Object, "spec", "resourceAttributes", name)
		return v
	}
	what := field("verb") + " " + field("resource")
	if sub := field("subresource"); sub != "" {
		what += "/" + sub
	}
	x.Object["status"] = map[string]any{"allowed": !s.denied[what]}
	reply(w, http.StatusCreated, &x)
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, q request, body []byte) {
	x := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &x.Object); err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	at := ref{q.resource, q.namespace, x.GetName()}
	if _, exists := s.objects[at]; exists {
		fail(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, fmt.Sprintf("%s %q already exists", q.resource, at.name))
		return
	}
	x.SetNamespace(q.namespace)
	x.Object["apiVersion"] = q.apiVersion
	s.fill(at, x)
	if q.resource == "pods" {
		for _, f := range s.admit {
			f(x)
		}
	}
	if slices.Contains(r.URL.Query()["dryRun"], metav1.DryRunAll) {
		reply(w, http.StatusCreated, x)
		return
	}
	s.store("ADDED", at, x)
	reply(w, http.StatusCreated, s.objects[at])
}

func (s *Server) update(w http.ResponseWriter, at ref, old *unstructured.Unstructured, body []byte) {
	x := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &x.Object); err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	if v := x.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
		fail(w, http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")
		return
	}
	s.store("MODIFIED", at, x)
	reply(w, http.StatusOK, s.objects[at])
}

func (s *Server) patch(w http.ResponseWriter, at ref, old *unstructured.Unstructured, body []byte) {
	was, err := json.Marshal(old.Object)
	if err == nil {
		was, err = jsonpatch.MergePatch(was, body)
	}
	x := &unstructured.Unstructured{}
	if err == nil {
		err = json.Unmarshal(was, &x.Object)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.store("MODIFIED", at, x)
	reply(w, http.StatusOK, s.objects[at])
}

func (s *Server) delete(w http.ResponseWriter, at ref, x *unstructured.Unstructured, body []byte) {
	var o metav1.DeleteOptions
	if len(body) > 0 {
		if err := json.Unmarshal(body, &o); err != nil {
			fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
			return
		}
	}
	if p := o.Preconditions; p != nil && (p.UID != nil && *p.UID != x.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != x.GetResourceVersion()) {
		fail(w, http.StatusConflict, metav1.StatusReasonConflict, "a precondition failed")
		return
	}
	s.end(at, x)
	reply(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
}

// end deletes an object, or marks it as terminating where somebody wants it kept for now.
func (s *Server) end(at ref, x *unstructured.Unstructured) {
	for _, f := range s.deleted {
		if !f(x) {
			x = x.DeepCopy()
			now := metav1.Now()
			x.SetDeletionTimestamp(&now)
			s.store("MODIFIED", at, x)
			return
		}
	}
	s.store("DELETED", at, x)
}

// evict is the eviction of a pod: deletion, unless its annotation "test/held" says that a budget forbids it.
func (s *Server) evict(w http.ResponseWriter, at ref) {
	x := s.objects[at]
	if x == nil {
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "pod not found")
		return
	}
	if why := x.GetAnnotations()["test/held"]; why != "" {
		reply(w, http.StatusTooManyRequests, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusTooManyRequests,
			Reason: metav1.StatusReasonTooManyRequests, Message: "Cannot evict pod as it would violate the pod's disruption budget.",
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "DisruptionBudget", Message: why}}},
		})
		return
	}
	s.end(at, x)
	reply(w, http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
}

// watch streams changes from a version on, until the client or the test ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, q request) {
	from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		s.t.Errorf("watch of %s from version %q", q.resource, r.URL.Query().Get("resourceVersion"))
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "no resource version")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flusher, _ := w.(http.Flusher)
	flusher.Flush()
	go func() {
		<-r.Context().Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	}()
	encoder := json.NewEncoder(w)
	next := 0
	for {
		s.mu.Lock()
		for next == len(s.log) && !s.closed && r.Context().Err() == nil {
			s.changed.Wait()
		}
		fresh := slices.Clone(s.log[next:])
		next = len(s.log)
		closed := s.closed
		s.mu.Unlock()
		if closed || r.Context().Err() != nil {
			return
		}
		for _, c := range fresh {
			if c.version <= from || c.ref.resource != q.resource || q.namespace != "" && q.namespace != c.ref.namespace || !s.selects(r, c.object) {
				continue
			}
			if encoder.Encode(map[string]any{"type": c.kind, "object": c.object.Object}) != nil {
				return
			}
		}
		flusher.Flush()
	}
}
