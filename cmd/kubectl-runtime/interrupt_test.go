package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// runInterrupted runs a program, interrupts it when it has printed some lines on stdout, or with "hang" when the API
// server lets it wait, and wants an exit code: interrupt CODE LINES PROGRAM ARGS...
func runInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt code lines program args...")
	}
	var reached <-chan struct{}
	out := &countingBuffer{reached: make(chan struct{})}
	if args[1] == "hang" {
		value, _ := current.Load(ts.Getenv("KUBECONFIG"))
		reached = value.(*api).hang
	} else {
		var err error
		out.want, err = strconv.Atoi(args[1])
		ts.Check(err)
		reached = out.reached
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.CommandContext(ctx, path, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"KUBECONFIG", "HOME", "PATH", "LANG", "LC_ALL", "USER"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	ts.Check(cmd.Start())
	select {
	case <-reached:
	case <-ctx.Done():
	}
	// A line too many would come right behind the last one.
	time.Sleep(100 * time.Millisecond)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	_, err = ts.Stdout().Write(out.buf.Bytes())
	ts.Check(err)
	_, err = ts.Stderr().Write(stderr.Bytes())
	ts.Check(err)
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s\nstdout:\n%s\nstderr:\n%s", got, args[0], out.buf.String(), stderr.String())
	}
}

// countingBuffer says when it holds so many lines.
type countingBuffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	want    int
	once    sync.Once
	reached chan struct{}
}

func (b *countingBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buf.Write(p)
	if b.want > 0 && strings.Count(b.buf.String(), "\n") >= b.want {
		b.once.Do(func() { close(b.reached) })
	}
	return n, err
}
