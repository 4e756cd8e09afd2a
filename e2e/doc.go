// Package e2e drives the built plugin on a real kind cluster and looks at the nodes with its own eyes.
//
// It needs a cluster that is up (hack/cluster) with at least two workers whose nodes hold containerd and CRI-O, and is
// compiled only with the build tag e2e:
//
//	go test -tags e2e -count=1 -timeout 40m ./e2e                       # everything, cheap first
//	go test -tags e2e -count=1 -v -run 'TestRefusals/ControlPlane' ./e2e # one case alone
//	KUBECTL_RUNTIME_E2E_SEED=4711 KUBECTL_RUNTIME_E2E_TRIAL=12 \
//		go test -tags e2e -count=1 -v -run TestRandomFaults ./e2e           # one random trial, again
//
// KUBECTL_RUNTIME_BIN names the plugin (default: bin/kubectl-runtime of this checkout), KUBECTL_RUNTIME_E2E_KUBECONFIG
// the cluster (default: KUBECONFIG, then what hack/cluster wrote). Every test leaves the cluster as it found it; a
// test that can't says so loudly and the tests after it refuse to start on that node.
//
// The package bed reaches the cluster and its nodes, photo photographs a node. Neither knows how the product works: a
// node is looked at through docker exec, never through the plugin.
package e2e
