package agent_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// TestNothingSecretIsSaid: what a daemon says as it fails goes into the run's record, to the operator and, from a node that ends
// alone, into an annotation of the node. None of it holds what looks like a secret, or one that the node's own files hold.
func TestNothingSecretIsSaid(t *testing.T) {
	const complaint = "registries.conf: line 3: HTTPS_PROXY=http://ana:hunter2@proxy.example:3128: Authorization: Bearer s3cr3t-t0ken; " +
		"tried with correct-horse and pull-me-1\nsecond line"
	secrets := []string{"hunter2", "s3cr3t", "correct-horse", "pull-me-1"}
	leaks := func(t *testing.T, where, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q", where, text)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Write("/etc/crictl.yaml", "runtime-endpoint: "+refs[v1alpha1.Containerd].Endpoint+"\n# password: correct-horse\n")
		crio := hosttest.CRIO("1.34.1")
		crio.Check = func([]string, func(string) (string, bool)) error { return errors.New(complaint) }
		n.Install(crio)
		var asked []string
		n.API = func(_, _, _ string, body []byte) (int, []byte) {
			asked = append(asked, string(body))
			return 200, []byte("{}")
		}
		n.Boot()
		defer n.PowerOff(nil)
		plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		images := []v1alpha1.WantedImage{{Ref: "r.example/a", Auths: []v1alpha1.RegistryAuth{{Username: "ana", Password: "pull-me-1"}}}}
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, Images: images, By: "ana@laptop"})
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute, Restore: v1alpha1.APIRestore{Uncordon: true}})
		r := until(t, n, runID, v1alpha1.PhaseRolledBack)
		if !strings.Contains(r.Reason, "registries.conf: line 3") {
			t.Fatalf("the reason isn't what the daemon said: %q", r.Reason)
		}
		secrets = secrets[:3] // the credential of a pull is known to the unit that pulls alone
		leaks(t, "the reason", r.Reason)
		for _, line := range must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Progress {
			leaks(t, "the progress", line.Detail+line.Error)
		}
		for name, f := range n.Snapshot("/var/lib/kubectl-runtime/runs/" + runID) {
			if strings.HasSuffix(name, "run.json") || strings.Contains(name, "progress") {
				leaks(t, name, f.Content)
			}
		}
		time.Sleep(5 * time.Minute)
		if len(asked) == 0 {
			t.Fatal("the node told the API server nothing")
		}
		for _, body := range asked {
			leaks(t, "the annotation", body)
			var patch struct {
				Metadata struct{ Annotations map[string]string }
			}
			if err := json.Unmarshal([]byte(body), &patch); err != nil {
				t.Fatal(err)
			}
			var last v1alpha1.LastRun
			if err := json.Unmarshal([]byte(patch.Metadata.Annotations[v1alpha1.LastRunAnnotation]), &last); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(last.Reason, "\n") || last.Reason == "" {
				t.Errorf("the annotation's reason is more than a line: %q", last.Reason)
			}
		}
	})
}

// TestStagingSaysNothingSecret: the unit that pulls knows the credentials, and says none of them.
func TestStagingSaysNothingSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		n.Fault(func(act string) error {
			if strings.HasSuffix(act, "/config") {
				return errors.New("r.example said: no such user ana with pull-me-1")
			}
			return nil
		})
		images := []v1alpha1.WantedImage{{Ref: "r.example/a", Auths: []v1alpha1.RegistryAuth{{Username: "ana", Password: "pull-me-1"}}}}
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, Images: images, By: "ana@laptop"})
		r := until(t, n, runID, v1alpha1.PhaseRemoved)
		if !strings.Contains(r.Reason, "no such user ana with *********") {
			t.Errorf("the reason: %q", r.Reason)
		}
	})
}
