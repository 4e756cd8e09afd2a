package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the program prints into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kubectl-runtime": main,
		// Linked under another name, the plugin goes by that name.
		"kubectl-node_runtime": main,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "kubeconfig"))
			env.Setenv("USER", "ana")
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("LC_ALL", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"api":       startAPI,
			"cluster":   startCluster(t),
			"facts":     writeFacts,
			"requests":  wantRequests,
			"code":      runCode,
			"interrupt": runInterrupted,
		},
	})
}

// runCode runs a program that must end with the given exit code: code N PROGRAM ARGS...
func runCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func TestDisplayName(t *testing.T) {
	for argv0, want := range map[string]string{
		"kubectl-runtime":                "kubectl runtime",
		"/usr/bin/kubectl-runtime":       "kubectl runtime",
		"kubectl-runtime.exe":            "kubectl runtime",
		"/krew/bin/kubectl-node_runtime": "kubectl node-runtime",
		"/tmp/try":                       "try",
	} {
		if got := displayName(argv0); got != want {
			t.Errorf("displayName(%q) = %q, want %q", argv0, got, want)
		}
	}
}

// TestHelpIsFast keeps the start-up from growing: kubectl runs the plugin for each completion of a word.
func TestHelpIsFast(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "kubectl-runtime")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 5 {
		best = min(best, timeHelp(t, link))
	}
	if best > 300*time.Millisecond {
		t.Errorf("--help took %s at best", best)
	}
	t.Logf("--help took %s at best", best)
}
