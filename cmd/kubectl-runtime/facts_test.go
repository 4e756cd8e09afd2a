package main

import (
	"context"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// writeFacts writes what status --deep -o yaml would print of a machine in memory: facts FILE NODE RUNTIME
func writeFacts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: facts FILE NODE RUNTIME")
	}
	node := layout.Node{
		Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.RuntimeName(args[2]),
		Also: []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO},
	}
	f, err := facts.Gather(context.Background(), node.Build().Machine(), args[1])
	ts.Check(err)
	f.Taken = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	data, err := yaml.Marshal(v1alpha1.NodeStatus{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindNodeStatus, Metadata: v1alpha1.ObjectName{Name: args[1]},
		State: v1alpha1.StateSettled, Facts: f, KubeadmSocket: "unix:///run/containerd/containerd.sock",
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}
