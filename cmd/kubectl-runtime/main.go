// Command kubectl-runtime is the kubectl plugin: kubectl runtime.
package main

import (
	"context"
	"flag"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	// Kubeconfigs name the ways to log in at clouds.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/klog/v2"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cmd"
)

func main() { os.Exit(run()) }

func run() int {
	quiet()
	ctx, abort, stop := signals()
	defer stop()
	return cmd.Run(ctx, cmd.Front{
		Streams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Name:    displayName(os.Args[0]),
		By:      by(),
		Getenv:  os.Getenv,
		Now:     time.Now,
		Abort:   abort,
	}, os.Args[1:])
}

// interrupted is the exit code of a program that a second interrupt ended.
const interrupted = 130

// patience is how long a second interrupt waits for the program to say where things stand.
const patience = 2 * time.Second

// signals makes the first interrupt end the context, so that a safe point is reached, and the second one close abort
// and end the process soon after, whatever it does.
func signals() (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	abort := make(chan struct{})
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ch
		cancel()
		<-ch
		close(abort)
		select {
		case <-ch:
		case <-time.After(patience):
		}
		os.Exit(interrupted)
	}()
	return ctx, abort, func() { signal.Stop(ch); cancel() }
}

// quiet keeps the libraries' own log lines off the terminal: what matters comes back as an error.
func quiet() {
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	_ = flags.Set("logtostderr", "false")
	_ = flags.Set("alsologtostderr", "false")
	_ = flags.Set("stderrthreshold", "FATAL")
	klog.SetOutput(io.Discard)
}

// displayName is how people call a program of this file name: kubectl-runtime is "kubectl runtime", and kubectl turns
// underscores of a plugin's file name into dashes.
func displayName(argv0 string) string {
	base := strings.TrimSuffix(filepath.Base(argv0), ".exe")
	if plugin, ok := strings.CutPrefix(base, "kubectl-"); ok {
		return "kubectl " + strings.ReplaceAll(strings.ReplaceAll(plugin, "-", " "), "_", "-")
	}
	return base
}

// by says who calls, for the node's journal and other people; it proves nothing.
func by() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}
