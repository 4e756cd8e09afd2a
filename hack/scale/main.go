// Command scale measures check and status beside kubectl on a cluster as large as they get: an API server and an etcd of the test
// bed, without a kubelet, filled with nodes, workloads and their pods, some of them guilty of depending on a runtime. It fails when
// the guilty aren't found, when anybody else is, and when something is asked for object by object; times and memory it prints.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// size says how large a cluster is filled.
type size struct {
	// Nodes and Deployments are as many as they say, and so are Pods, which are those of Deployments; some more belong to other kinds.
	Nodes, Deployments, Pods int
	// Guilty is how many Deployments a check must find something about.
	Guilty int
}

// options are what the command line says.
type options struct {
	size
	etcd, apiserver, kubectl, plugin, corpus string
	rounds                                   int
	keep                                     bool
	// fill is the kubeconfig of a server that is to be filled and nothing else; record is where it is written what that made.
	fill, record string
}

func main() {
	var o options
	flag.IntVar(&o.Nodes, "nodes", 200, "nodes")
	flag.IntVar(&o.Deployments, "deployments", 800, "Deployments, the guilty ones among them")
	flag.IntVar(&o.Pods, "pods", 4000, "pods of Deployments")
	flag.IntVar(&o.Guilty, "guilty", 200, "Deployments that depend on Docker")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each command is timed")
	flag.BoolVar(&o.keep, "keep", false, "leave the servers up until an interrupt")
	flag.StringVar(&o.etcd, "etcd", "", "the etcd program")
	flag.StringVar(&o.apiserver, "kube-apiserver", "", "the kube-apiserver program")
	flag.StringVar(&o.kubectl, "kubectl", "", "the kubectl program")
	flag.StringVar(&o.plugin, "plugin", "bin/kubectl-runtime", "the plugin")
	flag.StringVar(&o.corpus, "corpus", "pkg/workload/testdata/corpus", "manifests of which it is known what must be found in them")
	flag.StringVar(&o.fill, "fill", "", "only fill the API server of this kubeconfig, and write to -record what was made")
	flag.StringVar(&o.record, "record", "", "see -fill")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	run := measured
	if o.fill != "" {
		run = filled
	}
	err := run(ctx, &o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// measured starts the servers, fills them and measures.
func measured(ctx context.Context, o *options) (err error) {
	dir, err := os.MkdirTemp("", "kubectl-runtime-scale-")
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	s, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer s.stop()

	o.record = filepath.Join(dir, "record.json")
	began := time.Now()
	if err := fillApart(ctx, o, s); err != nil {
		return fmt.Errorf("filling the cluster: %w", err)
	}
	r, err := readRecord(o.record)
	if err != nil {
		return err
	}
	fmt.Printf("%d objects in %s: %d nodes, %d Deployments (%d guilty), %d pods\n",
		r.Objects, time.Since(began).Round(time.Second), r.Nodes, r.Deployments, r.Guilty, r.Pods)
	if err := s.again(ctx, o); err != nil {
		return err
	}
	err = measure(ctx, o, s, r)
	if o.keep {
		fmt.Printf("export KUBECONFIG=%s\nThe servers stay up until an interrupt.\n", s.kubeconfig("fill"))
		<-ctx.Done()
	}
	return err
}

// fillApart fills the cluster from a process of its own. The kernel counts to the peak memory of a process the memory that its
// parent had when it started it: whoever measures stays small.
func fillApart(ctx context.Context, o *options, s *servers) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-fill", s.kubeconfig("fill"), "-record", o.record, "-corpus", o.corpus,
		fmt.Sprint("-nodes=", o.Nodes), fmt.Sprint("-deployments=", o.Deployments), fmt.Sprint("-pods=", o.Pods), fmt.Sprint("-guilty=", o.Guilty))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
