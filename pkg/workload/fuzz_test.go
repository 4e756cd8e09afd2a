package workload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// slow is far more than any input of a fuzz engine should take, on a machine that does other things besides.
const slow = 20 * time.Second

func FuzzScript(f *testing.F) {
	for _, s := range []string{"docker ps", "if docker info; then", "a <<EOF\ndocker\nEOF", `sh -c "sh -c 'docker ps'"`, "eval eval docker", "chroot /h <<X\ndocker ps\nX", "((((docker"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		s := shell.NewParser().Script(text)
		for _, k := range s.Calls {
			if len(k.Argv) == 0 {
				t.Fatalf("a command without words in %q", text)
			}
			needs(k.Argv)
			shell.Idle(k.Argv)
		}
		if took := time.Since(start); took > slow {
			t.Fatalf("%d bytes took %s", len(text), took)
		}
	})
}

func FuzzAgent(f *testing.F) {
	for _, e := range entries(f) {
		for _, m := range e.inv.ConfigMaps {
			for key, body := range m {
				f.Add(key, body)
			}
		}
	}
	f.Add("a.yaml", "a: &a [docker, *a]\nb: *a")
	f.Fuzz(func(t *testing.T, key, body string) {
		start := time.Now()
		n := &text{body: body}
		for _, a := range n.agent(key) {
			if a.what == "" || a.line < 0 {
				t.Fatalf("%+v", a)
			}
		}
		if took := time.Since(start); took > slow {
			t.Fatalf("%d bytes took %s", len(body), took)
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, p := range places() {
		f.Add(p.path)
	}
	f.Add(`\\.\pipe\docker_engine`)
	f.Add("/var/run/../run/docker.sock//")
	k := newKnown()
	f.Fuzz(func(t *testing.T, p string) {
		c := clean(p)
		if c == "" || c[0] != '/' || clean(c) != c {
			t.Fatalf("clean(%q) = %q, clean of that %q", p, c, clean(c))
		}
		a, okA := k.classify(p)
		b, okB := k.classify(c + "/")
		if a != b || okA != okB {
			t.Fatalf("%q and %q are not the same place", p, c+"/")
		}
	})
}

// FuzzCheck judges any pod, twice with the same answer, and finds nothing in it for the runtime that it moves to.
func FuzzCheck(f *testing.F) {
	for _, e := range entries(f) {
		for i := range e.inv.Workloads {
			body, err := yaml.Marshal(e.inv.Workloads[i].Spec)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body, "docker ps\nunix:///var/run/docker.sock")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, script string) {
		var spec corev1.PodSpec
		if yaml.Unmarshal(body, &spec) != nil {
			return
		}
		inv := &Inventory{Workloads: []Workload{{Object: Object{"v1", "Pod", "ns", "pod"}, Spec: spec}}, ConfigMaps: map[Key]map[string]string{}}
		for _, v := range spec.Volumes {
			if v.ConfigMap != nil {
				inv.ConfigMaps[Key{Namespace: "ns", Name: v.ConfigMap.Name}] = map[string]string{"a.sh": script, "b.yaml": script, "c.py": script}
			}
		}
		first := Check(inv, Options{To: v1alpha1.CRIO})
		if diff := cmp.Diff(first, Check(inv, Options{To: v1alpha1.CRIO})); diff != "" {
			t.Fatal(diff)
		}
		for _, x := range Check(inv, Options{To: v1alpha1.Docker}) {
			switch x.ID {
			case "W001", "W009", "W010", "W012", "W013", "W014", "W015":
				t.Fatalf("%s for a move to Docker: %+v", x.ID, x)
			}
		}
	})
}
