package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster/inventory"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// TestFill fills a small cluster and checks it: what the record says must be found is what is found.
func TestFill(t *testing.T) {
	corpus, err := exhibits("../../pkg/workload/testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	s := apitest.New(t)
	var uids atomic.Int64
	c := &cluster{size: size{Nodes: 40, Deployments: 400, Pods: 700, Guilty: 100}, parallel: 4, create: func(_ context.Context, o object) error {
		o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", uids.Add(1))))
		r, err := resourceOf(o)
		s.Put(strings.TrimPrefix(r.Group+"/"+r.Resource, "/"), o)
		return err
	}}
	if err := c.fill(t.Context(), corpus); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Read(t.Context(), inventory.Clients{Kube: s.Client(), Meta: metadata.NewForConfigOrDie(s.Config())}, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from := map[string]v1alpha1.RuntimeName{}
	for i := range c.Nodes {
		from[nodeName(i)] = runtimeOf(i)
	}
	var have []string
	findings := workload.Check(inv, workload.Options{To: v1alpha1.Containerd, From: from})
	for i := range findings {
		have = append(have, said(&findings[i]))
	}
	slices.Sort(have)
	slices.Sort(c.made.Want)
	if diff := cmp.Diff(slices.Compact(c.made.Want), slices.Compact(have)); diff != "" {
		t.Errorf("findings (-want +have)\n%s", diff)
	}
	if c.made.Deployments != c.Deployments || c.made.Pods != c.Pods || c.made.Nodes != c.Nodes || c.made.Guilty != c.Guilty {
		t.Errorf("made %+v of %+v", c.made, c.size)
	}
	different := map[string]bool{}
	for _, w := range c.made.Want {
		id, _, _ := strings.Cut(w, " ")
		different[id] = true
	}
	if len(different) < 15 {
		t.Errorf("only %d rules find something", len(different))
	}
}

// TestTooSmall refuses a cluster that the guilty alone would fill.
func TestTooSmall(t *testing.T) {
	corpus, err := exhibits("../../pkg/workload/testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{size: size{Nodes: 20, Deployments: 50, Pods: 500, Guilty: 10}, parallel: 1, create: func(context.Context, object) error { return nil }}
	if err := c.fill(t.Context(), corpus); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("%v", err)
	}
}

// TestAudit tells pages of lists from everything else that may be asked for.
func TestAudit(t *testing.T) {
	line := func(user, verb, uri, object string) string {
		if object != "" {
			object = `,"objectRef":{` + object + `}`
		}
		return fmt.Sprintf(`{"kind":"Event","user":{"username":%q},"verb":%q,"requestURI":%q%s}`+"\n", user, verb, uri, object)
	}
	pods := `"resource":"pods"`
	for name, x := range map[string]struct {
		log     string
		objects int
		want    []string
	}{
		"pages": {line("check", "get", "/version", "") + line("check", "list", "/api/v1/pods?limit=500", pods) + line("check", "list", "/api/v1/pods?continue=x&limit=500", pods), 1000, nil},
		"single objects": {
			strings.Repeat(line("check", "get", "/api/v1/namespaces/a/pods/b", pods+`,"name":"b"`), 2), 1000,
			[]string{"check asked 2 times what isn't a page of a list: get /api/v1/namespaces/a/pods/b"},
		},
		"a list without an end": {line("check", "list", "/api/v1/pods", pods), 1000, []string{"check asked 1 times what isn't a page of a list: list /api/v1/pods"}},
		"too large a page":      {line("check", "list", "/api/v1/pods?limit=5000", pods), 1000, []string{"check asked 1 times what isn't a page of a list: list /api/v1/pods"}},
		"a watch":               {line("check", "watch", "/api/v1/pods?watch=1&limit=500", pods), 1000, []string{"check asked 1 times what isn't a page of a list: watch /api/v1/pods"}},
		"too many":              {strings.Repeat(line("check", "list", "/api/v1/pods?limit=500", pods), 40), 1000, []string{"check asked 40 times, which 1000 objects don't take"}},
		"somebody else's":       {line("kubectl", "get", "/api/v1/namespaces/a/pods/b", pods+`,"name":"b"`), 1, []string{"the audit log holds no request of check"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asked{runs: 1, byUser: map[string]*requests{}}
			if err := a.read(strings.NewReader(x.log)); err != nil {
				t.Fatal(err)
			}
			var have []string
			if err := a.judge("check", x.objects); err != nil {
				have = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(x.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

// TestJudge fails for what isn't found as for what is found in vain.
func TestJudge(t *testing.T) {
	for name, x := range map[string]struct {
		have []string
		want string
	}{
		"all":        {[]string{"a", "b"}, ""},
		"one missed": {[]string{"b"}, "not found: a"},
		"one more":   {[]string{"a", "b", "c"}, "found in vain: c"},
		"nothing":    {nil, "not found: a\nnot found: b"},
	} {
		t.Run(name, func(t *testing.T) {
			have := ""
			if err := judge([]string{"a", "b"}, x.have); err != nil {
				have = err.Error()
			}
			if have != x.want {
				t.Errorf("%q, want %q", have, x.want)
			}
		})
	}
}

// TestSaid names a finding by the place that it is compared by.
func TestSaid(t *testing.T) {
	for want, f := range map[string]v1alpha1.Finding{
		"W001 error in planted-1-ci":      {ID: "W001", Severity: v1alpha1.SeverityError, Object: "planted-1-ci/Deployment/agent"},
		"W001 suppressed in planted-1-ci": {ID: "W001", Severity: v1alpha1.SeverityError, Object: "planted-1-ci/Deployment/agent", Suppressed: "known"},
		"C004 warning in Node/node-00019": {ID: "C004", Severity: v1alpha1.SeverityWarning, Object: "Node/node-00019"},
		"W034 warning in the cluster":     {ID: "W034", Severity: v1alpha1.SeverityWarning},
		"W001 error in team-7":            {ID: "W001", Severity: v1alpha1.SeverityError, Object: "team-7/Deployment/app-7"},
		"W030 error in planted-163-shop":  {ID: "W030", Severity: v1alpha1.SeverityError, Object: "planted-163-shop/PodDisruptionBudget/web"},
	} {
		if have := said(&f); have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}
