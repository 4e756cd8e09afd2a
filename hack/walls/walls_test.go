// Package walls holds the imports between the rooms to what the package map in CONTRIBUTING.md says.
package walls

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kubectl-runtime/kubectl-runtime/"

// rooms names the packages of each side, relative to the module; a package below one belongs to it.
var (
	pure    = []string{"pkg/apis", "pkg/edit", "pkg/redact", "pkg/kubelet", "pkg/runtimes", "pkg/plan", "pkg/check", "pkg/report", "pkg/pullrecord", "pkg/saved", "pkg/shell"}
	objects = []string{"pkg/workload", "pkg/manifest"}
	onNode  = []string{"cmd/runtime-agent", "pkg/agent", "pkg/converge", "pkg/images", "pkg/facts", "pkg/journal", "pkg/host"}
	apiSide = []string{"k8s.io/client-go", "k8s.io/kubectl", "k8s.io/cli-runtime", "github.com/spf13/cobra"}
)

// walls lists what may not reach what, over any number of imports.
var walls = []struct {
	why      string
	from, to []string
	// but are packages on the way that may reach it: what stands behind them is theirs to answer for.
	but []string
}{
	{
		why: "pure packages reach no API server and run no program", from: pure,
		to: append([]string{"os/exec", "net/http", "google.golang.org/grpc"}, apiSide...),
		// Reading versions and YAML links parts of the standard library that mention the network; they take no part in it.
		but: []string{"k8s.io/apimachinery/pkg/util/version"},
	},
	{
		why: "what judges objects reaches no API server and runs no program", from: objects,
		to: append([]string{"os/exec", "net/http", "google.golang.org/grpc"}, apiSide...),
		// The types of the API link a client's vocabulary; they take no part in it.
		but: []string{"k8s.io/api", "k8s.io/apimachinery"},
	},
	{why: "what judges objects knows nobody who acts", from: objects, to: []string{
		module + "pkg/cmd", module + "pkg/ui", module + "pkg/rollout", module + "pkg/cluster", module + "pkg/hostpod",
		module + "pkg/plan", module + "pkg/check", module + "pkg/facts", module + "pkg/host",
	}},
	{why: "root on the node stays small", from: onNode, to: apiSide},
	{
		why: "the node's side doesn't know the operator's", from: onNode,
		to: []string{module + "pkg/cmd", module + "pkg/ui", module + "pkg/rollout", module + "pkg/cluster", module + "pkg/hostpod", module + "pkg/plan", module + "pkg/check"},
	},
	{
		why: "the operator's side doesn't act on machines", from: []string{"cmd/kubectl-runtime", "pkg/cmd", "pkg/ui", "pkg/rollout", "pkg/cluster", "pkg/hostpod"},
		to: []string{module + "pkg/host", module + "pkg/converge", module + "pkg/journal", module + "pkg/agent", module + "pkg/images", module + "pkg/facts"},
	},
	{why: "cluster and hostpod don't know each other", from: []string{"pkg/cluster"}, to: []string{module + "pkg/hostpod"}},
	{why: "cluster and hostpod don't know each other", from: []string{"pkg/hostpod"}, to: []string{module + "pkg/cluster"}},
	{why: "types know nobody", from: []string{"pkg/apis"}, to: []string{module + "pkg/edit", module + "pkg/kubelet", module + "pkg/runtimes", module + "pkg/plan", module + "pkg/check", "k8s.io"}},
	{why: "until waits for anybody", from: []string{"pkg/until"}, to: []string{module + "pkg"}},
	{why: "what is for tests stays with them", from: []string{"cmd", "pkg"}, to: []string{module + "pkg/apitest", module + "pkg/host/hosttest"}},
	{why: "shell reads scripts for anybody", from: []string{"pkg/shell"}, to: []string{
		module + "pkg/edit", module + "pkg/kubelet", module + "pkg/runtimes", module + "pkg/plan", module + "pkg/check", module + "pkg/workload",
		module + "pkg/host", module + "pkg/facts",
	}},
	{why: "imports point down", from: []string{"pkg/edit"}, to: []string{module + "pkg/kubelet", module + "pkg/runtimes", module + "pkg/plan", module + "pkg/check"}},
	{why: "imports point down", from: []string{"pkg/kubelet"}, to: []string{module + "pkg/runtimes", module + "pkg/plan", module + "pkg/check"}},
	{why: "imports point down", from: []string{"pkg/host"}, to: []string{module + "pkg/journal", module + "pkg/converge", module + "pkg/agent", module + "pkg/facts", module + "pkg/images"}},
}

// directly lists standard packages that a room may not import itself, though libraries below it may.
var directly = []struct {
	why      string
	from, to []string
}{
	{"pure packages touch no machine", append(slices.Clone(pure), objects...), []string{"os", "os/exec", "net", "net/http", "syscall", "golang.org/x/sys/unix"}},
	{"only host touches the machine", []string{"pkg/agent", "pkg/converge", "pkg/facts", "pkg/journal"}, []string{"os", "os/exec", "syscall", "golang.org/x/sys/unix"}},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestWalls(t *testing.T) {
	deps := load(t)
	for _, w := range walls {
		for path := range deps {
			if !in(path, w.from) {
				continue
			}
			if way := reach(deps, path, w.to, w.but); way != nil {
				t.Errorf("%s: %s", w.why, strings.Join(way, "\n    → "))
			}
		}
	}
	for _, d := range directly {
		for path, imports := range deps {
			if !in(path, d.from) {
				continue
			}
			for _, to := range d.to {
				if slices.Contains(imports, to) {
					t.Errorf("%s: %s imports %s", d.why, path, to)
				}
			}
		}
	}
}

// TestRoomsExist keeps the table above from guarding rooms that were renamed.
func TestRoomsExist(t *testing.T) {
	deps := load(t)
	for _, room := range slices.Concat(pure, objects, onNode) {
		if !slices.ContainsFunc(keys(deps), func(p string) bool { return in(p, []string{room}) }) {
			t.Errorf("no package in %s", room)
		}
	}
}

func keys(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// load asks the go command for all packages below the two programs and what each imports, tests left out.
func load(t *testing.T) map[string][]string {
	t.Helper()
	touch(t)
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./cmd/...", "./pkg/...")
	cmd.Dir = "../.."
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return deps
		} else if err != nil {
			t.Fatal(err)
		}
		deps[p.ImportPath] = p.Imports
	}
}

// touch opens every source file: the go command keeps a test's result until a file that the test itself opened changes.
func touch(t *testing.T) {
	t.Helper()
	for _, root := range []string{"../../cmd", "../../pkg"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// in reports whether path is one of rooms or below one; test-only packages are left out.
func in(path string, rooms []string) bool {
	rel, ours := strings.CutPrefix(path, module)
	if !ours || strings.Contains(rel, "/hosttest") || strings.Contains(rel, "/testdata/") {
		return false
	}
	return slices.ContainsFunc(rooms, func(r string) bool { return rel == r || strings.HasPrefix(rel, r+"/") })
}

// reach returns the shortest way from one package to any of to, or nil.
func reach(deps map[string][]string, from string, to, but []string) []string {
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		way := queue[0]
		last := way[len(way)-1]
		for _, next := range deps[last] {
			if seen[next] || match(next, but) {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(way), next)
			if match(next, to) {
				return longer
			}
			queue = append(queue, longer)
		}
	}
	return nil
}

func match(path string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return path == l || strings.HasPrefix(path, l+"/") })
}
