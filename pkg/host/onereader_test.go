package host

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// opened are the functions that open what they shouldn't without a word, and where they may all the same.
var opened = map[string]map[string]string{
	"os.ReadFile": {"uninterruptible.go": "the state of a thread, which the kernel says at once, of thousands of threads"},
	"os.ReadDir":  {},
	"os.Open": {
		"clients.go":  "what a process has open and its environment, of which only its beginning is read; see purse.go",
		"clear.go":    "a store's directory, to have its file system written out",
		"tcppeers.go": "the kernel's table of sockets, which is read as a stream for as long as ctx lasts",
		"storage.go":  "the record of a layer in root's own store, which is read as a stream",
	},
	"os.OpenFile": {
		"read.go":     "the reader itself",
		"layertar.go": "a file of a layer in root's own store, which is read as a stream and whose type was looked at",
	},
}

// TestOneReader: whatever this package reads of a path, it reads by read.go, which waits for nothing and nobody.
func TestOneReader(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	used := map[string]bool{}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := call.X.(*ast.Ident)
			if !ok {
				return true
			}
			what := x.Name + "." + call.Sel.Name
			but, watched := opened[what]
			if watched && but[name] == "" {
				t.Errorf("%s: %s instead of what read.go has", set.Position(call.Pos()), what)
			}
			used[what+" "+name] = used[what+" "+name] || watched
			return true
		})
	}
	for what, but := range opened {
		for name := range but {
			if !used[what+" "+name] {
				t.Errorf("%s is no longer used in %s", what, name)
			}
		}
	}
}
