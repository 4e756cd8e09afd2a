package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// api is an API server that knows the nodes of one script and nothing else. A request for anything else fails the test.
type api struct {
	nodes []corev1.Node
	// events come in a watch, in their order; then the watch stays open.
	events []watchEvent
	// deny holds "verb:resource" pairs that are forbidden.
	deny []string
	// hang lets the list of nodes wait for ever, and is closed when it does.
	hang     chan struct{}
	pageSize int

	mu       sync.Mutex
	requests []string
	unknown  []string
}

type watchEvent struct {
	Type   string      `json:"type"`
	Object corev1.Node `json:"object"`
}

// startAPI starts the API server of a script: api nodes.yaml [watch=events.yaml] [page=N] [hang] [deny=verb:resource]...
// It writes the kubeconfig. In the files, AGO(3h) stands for the time three hours ago.
func startAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: api nodes.yaml [watch=FILE] [page=N] [hang] [deny=verb:resource]...")
	}
	a := &api{}
	load(ts, args[0], &a.nodes)
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "watch":
			load(ts, value, &a.events)
		case "deny":
			a.deny = append(a.deny, value)
		case "hang":
			a.hang = make(chan struct{})
		case "page":
			_, err := fmt.Sscan(value, &a.pageSize)
			ts.Check(err)
		default:
			ts.Fatalf("unknown option %q", arg)
		}
	}
	server := httptest.NewServer(a)
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
		if len(a.unknown) > 0 {
			ts.Fatalf("requests that no script expects:\n%s", strings.Join(a.unknown, "\n"))
		}
	})
	ts.Setenv("API", server.URL)
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test, namespace: elsewhere}}]
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {token: none}}]
`, server.URL)
	ts.Check(os.WriteFile(ts.Getenv("KUBECONFIG"), []byte(config), 0o600))
	current.Store(ts.Getenv("KUBECONFIG"), a)
}

// current finds a script's server by its kubeconfig.
var current sync.Map

var agoPattern = regexp.MustCompile(`AGO\(([^)]*)\)`)

func load(ts *testscript.TestScript, name string, into any) {
	text := agoPattern.ReplaceAllStringFunc(ts.ReadFile(name), func(m string) string {
		d, err := time.ParseDuration(agoPattern.FindStringSubmatch(m)[1])
		ts.Check(err)
		return time.Now().Add(-d).UTC().Format(time.RFC3339)
	})
	ts.Check(yaml.UnmarshalStrict([]byte(text), into))
}

// wantRequests compares the requests so far with a file of lines "VERB path?query": requests want.txt
func wantRequests(ts *testscript.TestScript, neg bool, args []string) {
	value, ok := current.Load(ts.Getenv("KUBECONFIG"))
	if !ok || neg || len(args) != 1 {
		ts.Fatalf("usage: requests FILE, behind api")
	}
	a := value.(*api)
	a.mu.Lock()
	defer a.mu.Unlock()
	got := strings.Join(a.requests, "\n") + "\n"
	if want := ts.ReadFile(args[0]); got != want {
		ts.Fatalf("requests:\n%swant:\n%s", got, want)
	}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	line := r.Method + " " + r.URL.Path
	if r.URL.RawQuery != "" {
		line += "?" + r.URL.RawQuery
	}
	a.requests = append(a.requests, line)
	a.mu.Unlock()

	name, single := strings.CutPrefix(r.URL.Path, "/api/v1/nodes/")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/nodes" && r.URL.Query().Get("watch") != "":
		a.watch(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/nodes":
		a.list(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		a.review(w, r)
	case r.Method == http.MethodGet && single:
		a.get(w, name)
	default:
		a.mu.Lock()
		a.unknown = append(a.unknown, line)
		a.mu.Unlock()
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	}
}

func (a *api) forbidden(w http.ResponseWriter, verb string) bool {
	if !slices.Contains(a.deny, verb+":nodes") {
		return false
	}
	fail(w, http.StatusForbidden, metav1.StatusReasonForbidden,
		fmt.Sprintf(`nodes is forbidden: User "ana" cannot %s resource "nodes" in API group "" at the cluster scope`, verb))
	return true
}

// review answers what the script allows.
func (a *api) review(w http.ResponseWriter, r *http.Request) {
	var ask authorizationv1.SelfSubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Spec.ResourceAttributes == nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprintf("not a review: %v", err))
		return
	}
	on := ask.Spec.ResourceAttributes
	what := on.Verb + ":" + on.Resource
	if on.Subresource != "" {
		what += "/" + on.Subresource
	}
	ask.Status.Allowed = !slices.Contains(a.deny, what)
	answer(w, http.StatusCreated, ask)
}

func (a *api) get(w http.ResponseWriter, name string) {
	if a.forbidden(w, "get") {
		return
	}
	for _, n := range a.nodes {
		if n.Name == name {
			n.APIVersion, n.Kind = "v1", "Node"
			answer(w, http.StatusOK, n)
			return
		}
	}
	fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("nodes %q not found", name))
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	if a.forbidden(w, "list") {
		return
	}
	if a.hang != nil {
		close(a.hang)
		<-r.Context().Done()
		return
	}
	q := r.URL.Query()
	byLabel, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	byField, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	for _, req := range byField.Requirements() {
		if req.Field != "metadata.name" && req.Field != "spec.unschedulable" {
			fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprintf("field label not supported: %s", req.Field))
			return
		}
	}
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
	list.ResourceVersion = "100"
	for _, n := range a.nodes {
		set := fields.Set{"metadata.name": n.Name, "spec.unschedulable": fmt.Sprint(n.Spec.Unschedulable)}
		if byLabel.Matches(labels.Set(n.Labels)) && byField.Matches(set) {
			list.Items = append(list.Items, n)
		}
	}
	if a.pageSize > 0 {
		page(&list, q.Get("continue"), a.pageSize)
	}
	answer(w, http.StatusOK, list)
}

func page(list *corev1.NodeList, token string, size int) {
	start := 0
	if token != "" {
		fmt.Sscan(token, &start)
	}
	rest := list.Items[start:]
	if len(rest) > size {
		rest = rest[:size]
		list.Continue = fmt.Sprint(start + size)
	}
	list.Items = rest
}

// watch sends the script's events and then stays open, as a watch does.
func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	if a.forbidden(w, "watch") {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	for i, e := range a.events {
		e.Object.APIVersion, e.Object.Kind = "v1", "Node"
		e.Object.ResourceVersion = fmt.Sprint(101 + i)
		_ = json.NewEncoder(w).Encode(e)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func timeHelp(t *testing.T, program string) time.Duration {
	t.Helper()
	cmd := exec.Command(program, "--help")
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("--help: %v\n%s", err, out)
	}
	return time.Since(start)
}
