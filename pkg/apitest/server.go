// Package apitest is a small API server for tests. It speaks HTTP with real clients and keeps to the real one's rules
// where this project relies on them: resource versions and conflicts, preconditions, field selectors, watches that
// start anywhere, dry runs that keep nothing. What it doesn't know it refuses, and fails the test.
//
// It imports nothing of this project.
package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Server is an API server.
type Server struct {
	t    testing.TB
	http *httptest.Server

	mu      sync.Mutex
	changed *sync.Cond
	objects map[ref]*unstructured.Unstructured
	log     []change
	version int
	closed  bool
	seen    []string
	before  []func(verb string, r *http.Request) error
	admit   []func(pod *unstructured.Unstructured)
	deleted []func(x *unstructured.Unstructured) bool
	denied  map[string]bool
	// forbidden requests are refused; custom names the kinds of tests' own resources; pageSize bounds pages.
	forbidden map[string]bool
	custom    map[string]string
	pageSize  int
}

// Who the test's client is.
const (
	User  = "operator"
	Group = "operators"
)

// ref names an object: its resource with group and version, namespace and name.
type ref struct{ resource, namespace, name string }

type change struct {
	version int
	kind    string // ADDED, MODIFIED, DELETED
	ref     ref
	object  *unstructured.Unstructured
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, objects: map[ref]*unstructured.Unstructured{}, denied: map[string]bool{}, forbidden: map[string]bool{}, custom: map[string]string{}, version: 1}
	s.changed = sync.NewCond(&s.mu)
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.mu.Lock()
		s.closed = true
		s.changed.Broadcast()
		s.mu.Unlock()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Config connects to the server, without a rate limit.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: s.http.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
}

// Client is a client of the server.
func (s *Server) Client() kubernetes.Interface { return kubernetes.NewForConfigOrDie(s.Config()) }

// Before calls f before each request is served. An error of f is a failure of the server (500).
func (s *Server) Before(f func(verb string, r *http.Request) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = append(s.before, f)
}

// Admit calls f with every pod that is created, dry runs included: a mutating webhook.
func (s *Server) Admit(f func(pod *unstructured.Unstructured)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admit = append(s.admit, f)
}

// OnDelete calls f, with the server locked, for every object that is to be deleted; false keeps it terminating.
func (s *Server) OnDelete(f func(x *unstructured.Unstructured) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = append(s.deleted, f)
}

// Deny makes access reviews of "verb resource" say no.
func (s *Server) Deny(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[what] = true
}

// Forbid refuses requests of "verb resource".
func (s *Server) Forbid(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden[what] = true
}

// Custom makes the server know a kind of a custom resource, such as Custom("argoproj.io/v1alpha1/rollouts", "Rollout").
func (s *Server) Custom(resource, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.custom[resource] = kind
}

// PageSize makes pages smaller than clients ask for.
func (s *Server) PageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pageSize = n
}

// Requests are all requests so far, as "verb resource".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Put stores a typed object, new or not, under its resource ("pods", "coordination.k8s.io/leases").
func (s *Server) Put(resource string, object runtime.Object) {
	s.t.Helper()
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		s.t.Fatal(err)
	}
	x := &unstructured.Unstructured{Object: m}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := ref{resource, x.GetNamespace(), x.GetName()}
	if old, ok := s.objects[r]; ok {
		x.SetUID(old.GetUID())
		s.store("MODIFIED", r, x)
		return
	}
	s.fill(r, x)
	s.store("ADDED", r, x)
}

// Get reads a typed object; false when there is none.
func (s *Server) Get(resource, namespace, name string, into runtime.Object) bool {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.objects[ref{resource, namespace, name}]
	if !ok {
		return false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(x.Object, into); err != nil {
		s.t.Fatal(err)
	}
	return true
}

// Delete removes an object at once.
func (s *Server) Delete(resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := ref{resource, namespace, name}
	if x, ok := s.objects[r]; ok {
		s.store("DELETED", r, x)
	}
}

// Names are the names of a resource's objects, as namespace/name.
func (s *Server) Names(resource string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for r := range s.objects {
		if r.resource == resource {
			out = append(out, strings.TrimPrefix(r.namespace+"/"+r.name, "/"))
		}
	}
	slices.Sort(out)
	return out
}

// fill gives a new object what a server gives it.
func (s *Server) fill(r ref, x *unstructured.Unstructured) {
	if x.GetUID() == "" {
		s.version++
		x.SetUID(types.UID(fmt.Sprintf("uid-%s-%d", r.name, s.version)))
	}
	if created := x.GetCreationTimestamp(); created.IsZero() {
		x.SetCreationTimestamp(metav1.Now())
	}
}

// store makes a change and tells the watches. The caller holds the lock.
func (s *Server) store(kind string, r ref, x *unstructured.Unstructured) {
	s.version++
	x = x.DeepCopy()
	x.SetResourceVersion(strconv.Itoa(s.version))
	if kind == "DELETED" {
		delete(s.objects, r)
	} else {
		s.objects[r] = x
	}
	s.log = append(s.log, change{s.version, kind, r, x})
	s.changed.Broadcast()
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	q, ok := parse(r)
	if !ok {
		s.unknown(w, r)
		return
	}
	s.mu.Lock()
	s.seen = append(s.seen, q.verb+" "+q.what())
	before := slices.Clone(s.before)
	s.mu.Unlock()
	for _, f := range before {
		if err := f(q.verb+" "+q.what(), r); err != nil {
			fail(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error())
			return
		}
	}
	if q.verb == "watch" {
		s.watch(w, r, q)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer(w, r, q)
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.t.Errorf("the test's API server doesn't know %s %s", r.Method, r.URL)
	fail(w, http.StatusNotImplemented, metav1.StatusReasonUnknown, "not known to the test's server")
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	reply(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func reply(w http.ResponseWriter, code int, x any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(x)
}
