package facts_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// daemons are the names under which this test's own program is started as something else.
var daemons = []string{"containerd", "crio", "dockerd", "cri-dockerd", "kubelet"}

// TestMain makes this program such a daemon where it is called like one: it waits, or tells its version and leaves a mark of who
// made it run.
func TestMain(m *testing.M) {
	if !slices.Contains(daemons, filepath.Base(os.Args[0])) {
		os.Exit(m.Run())
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		dir := filepath.Dir(os.Args[0])
		mark := filepath.Join(filepath.Dir(dir), "marks", filepath.Base(os.Args[0]))
		_ = os.WriteFile(mark, fmt.Appendf(nil, "%d", os.Geteuid()), 0o644)
		fmt.Println("version 9.9.9")
		return
	}
	if len(os.Args) == 1 {
		time.Sleep(time.Minute)
	}
}

// below shows only the processes whose program lies below a directory: this machine may run other daemons.
type below struct {
	host.Procs
	dir string
}

func (b below) Find(names ...string) ([]v1alpha1.Process, error) {
	list, err := b.Procs.Find(names...)
	return slices.DeleteFunc(list, func(p v1alpha1.Process) bool { return !strings.HasPrefix(p.Exe, b.dir) }), err
}

// strangers starts each of the daemons out of a directory of that mode, as that user, and returns the directory and where
// marks are left.
func strangers(t *testing.T, uid uint32, mode os.FileMode) (dir, marks string) {
	t.Helper()
	top, err := os.MkdirTemp("/run", "strangers")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	dir, marks = filepath.Join(top, "bin"), filepath.Join(top, "marks")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(marks, 0o755), os.Chmod(top, 0o755), os.Chmod(marks, 0o777)); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range daemons {
		to := filepath.Join(dir, name)
		copyFile(t, self, to)
		cmd := exec.Command(to)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)); err == nil && exe == to {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%s doesn't run", to)
			}
		}
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir, marks
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersAreNotRun: Gather is root. What another user calls containerd or kubelet, and what others may write, it doesn't
// run; what is root's alone it does.
func TestStrangersAreNotRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	for _, c := range []struct {
		name  string
		uid   uint32
		mode  os.FileMode
		runs  bool
		found bool
	}{
		{"another user's", 65534, 0o755, false, false},
		{"root's, where others may write", 0, 0o777, false, true},
		{"root's, where its group may write", 0, 0o775, false, true},
		{"root's own", 0, 0o755, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, marks := strangers(t, c.uid, c.mode)
			linux, err := host.Linux(nil)
			if err != nil {
				t.Fatal(err)
			}
			n := hosttest.New()
			n.Boot()
			m := n.Machine()
			m.Procs, m.Commands = below{linux.Procs, dir}, linux.Commands
			f, err := facts.Gather(t.Context(), m, "node")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range daemons {
				mark, err := os.ReadFile(filepath.Join(marks, name))
				if ran := err == nil; ran != c.runs {
					t.Errorf("%s was run: %v (by user %s)", name, ran, mark)
				}
				told := slices.ContainsFunc(f.Problems, func(p string) bool {
					return strings.Contains(p, filepath.Join(dir, name)+" was not run: "+dir+" may be written by others than root")
				})
				if told != (c.found && !c.runs) {
					t.Errorf("%s is told as a problem: %v in %q", name, told, f.Problems)
				}
			}
			if found := f.Kubelet.PID != 0; found != c.found {
				t.Errorf("the kubelet is found: %v", found)
			}
			for _, r := range f.Runtimes {
				if found := len(r.Processes) > 0; found != c.found {
					t.Errorf("%s is found: %v", r.Name, found)
				}
			}
		})
	}
}
