package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// secretive is a node with a password in a file that a plan changes and in one that it only reads. It returns the true texts.
func secretive(t *testing.T) (*hosttest.Node, map[string]string) {
	t.Helper()
	n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
	texts := map[string]string{
		"/etc/crictl.yaml": "runtime-endpoint: " + refs[v1alpha1.Containerd].Endpoint + "\n# https://ana:hunter2@proxy.example\n",
		"/etc/systemd/system/containerd.service.d/proxy.conf": "[Service]\nEnvironment=\"HTTPS_PROXY=http://ana:hunter2@proxy.example:3128\"\n",
	}
	for name, text := range texts {
		n.Write(name, text)
	}
	return n, texts
}

// oracles are the digests by which a guess of a secret in these texts could be checked, in whole and as far as messages cut them.
func oracles(texts map[string]string) []string {
	var out []string
	for _, text := range texts {
		sum := sha256.Sum256([]byte(text))
		out = append(out, hex.EncodeToString(sum[:])[:8])
	}
	return out
}

// TestNoDigestLeavesTheNode: whoever reads facts, plans, records, progress and errors has contents with masked secrets in them, and must
// have nothing by which a guess of one can be checked elsewhere.
func TestNoDigestLeavesTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, texts := secretive(t)
		n.Boot()
		defer n.PowerOff(nil)
		after := strings.Replace(texts["/etc/crictl.yaml"], refs[v1alpha1.Containerd].Endpoint, refs[v1alpha1.CRIO].Endpoint, 1)
		bad := oracles(map[string]string{"a": after, "b": texts["/etc/crictl.yaml"], "c": texts["/etc/systemd/system/containerd.service.d/proxy.conf"]})
		var told []string
		tell := func(req v1alpha1.Request) v1alpha1.Response {
			t.Helper()
			resp := ask(t, n, req)
			data, err := json.Marshal(resp)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, string(data))
			for _, digest := range bad {
				if i := strings.Index(string(data), digest); i >= 0 {
					t.Errorf("the answer to %s has a digest of a secret: …%s…", req.Verb, data[max(0, i-150):min(len(data), i+70)])
				}
			}
			return resp
		}
		f := tell(v1alpha1.Request{Verb: v1alpha1.VerbGather}).Facts
		crictl, _ := f.File("/etc/crictl.yaml")
		if !strings.HasPrefix(crictl.SHA256, v1alpha1.Sealed) || strings.Contains(crictl.Content, "hunter2") {
			t.Errorf("%+v", crictl)
		}
		p := sealed(t, f, newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO))
		if resp := tell(v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p}); resp.Error != "" {
			t.Fatal(resp.Error)
		}
		until(t, n, runID, v1alpha1.PhaseStaged)
		view := tell(v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View
		for _, state := range []v1alpha1.State{view.Plan.Before, view.Plan.After} {
			for _, x := range state.Files {
				if x.Type == v1alpha1.Regular && (!strings.HasPrefix(x.SHA256, v1alpha1.Sealed) || view.Contents[x.SHA256] == "") {
					t.Errorf("%s has the digest %q and the content %q", x.Path, x.SHA256, view.Contents[x.SHA256])
				}
			}
		}
		tell(v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
		until(t, n, runID, v1alpha1.PhaseApplied)
		// Somebody writes a file of the plan: the reason says which, and not by what it could be guessed.
		n.Write("/etc/crictl.yaml", texts["/etc/crictl.yaml"]+"# mine\n")
		bad = append(bad, oracles(map[string]string{"mine": texts["/etc/crictl.yaml"] + "# mine\n"})...)
		tell(v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
		tell(v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
		until(t, n, runID, v1alpha1.PhaseStuck)
		stuck := tell(v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run
		if !strings.Contains(stuck.Reason, "runs/"+runID+"/plan.json names the content that it had") {
			t.Errorf("the reason: %s", stuck.Reason)
		}
		tell(v1alpha1.Request{Verb: v1alpha1.VerbGather})
		if all := strings.Join(told, ""); strings.Contains(all, "hunter2") {
			t.Error("the password itself leaves the node")
		}
	})
}

// sealed is a plan as a plugin makes it, which knows facts alone: its digests are those of the facts.
func sealed(t *testing.T, f *v1alpha1.Facts, p *v1alpha1.Plan) *v1alpha1.Plan {
	t.Helper()
	of := func(path, digest string) string {
		if x, ok := f.File(path); ok && digest != "" {
			return x.SHA256
		}
		return digest
	}
	for i, x := range p.ReadSet.Files {
		p.ReadSet.Files[i].SHA256 = of(x.Path, x.SHA256)
	}
	for i, x := range p.Before.Files {
		p.Before.Files[i].SHA256 = of(x.Path, x.SHA256)
	}
	p.Digest = plan.Digest(p)
	return p
}

// TestSealedPlans: the exact comparison on the node is as exact by sealed digests, and goes on when facts and plan lay in files meanwhile;
// the way back needs no key.
func TestSealedPlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, texts := secretive(t)
		n.Boot()
		defer n.PowerOff(nil)
		p := sealed(t, gathered(t, n), newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO))
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish}) // the pod that looked goes, and all of ours that nothing needs
		n.Install(agentProgram())
		if f, err := n.Machine().Files.Lstat(journal.Dir + "/key"); err != nil || f.Type != v1alpha1.Regular || f.Mode != 0o600 || f.UID != 0 {
			t.Errorf("the key: %+v, %v", f, err)
		}
		n.Write("/etc/crictl.yaml", strings.Replace(texts["/etc/crictl.yaml"], "hunter2", "hunter3", 1))
		if resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p}); resp.Code != v1alpha1.CodeStale || !strings.Contains(resp.Error, "/etc/crictl.yaml has another content") {
			t.Errorf("another password: %q (%s)", resp.Error, resp.Code)
		}
		n.Write("/etc/crictl.yaml", texts["/etc/crictl.yaml"])
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p})
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
		until(t, n, runID, v1alpha1.PhaseApplied)
		n.Remove(journal.Dir + "/key")
		until(t, n, runID, v1alpha1.PhaseRolledBack)
		if text, _ := n.Content("/etc/crictl.yaml"); text != texts["/etc/crictl.yaml"] {
			t.Errorf("it isn't as before: %q", text)
		}
	})
}

// TestFactsWithoutKey: a node where no key can be made is looked at all the same, and no digest leaves it.
func TestFactsWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := secretive(t)
		n.Boot()
		defer n.PowerOff(nil)
		n.Fault(func(act string) error {
			if strings.Contains(act, journal.Dir+"/key") {
				return errors.New("no space left on device")
			}
			return nil
		})
		f := gathered(t, n)
		for _, x := range f.Files {
			if x.SHA256 != "" {
				t.Errorf("%s has the digest %s", x.Path, x.SHA256)
			}
		}
		if all := strings.Join(f.Problems, "\n"); !strings.Contains(all, "digests of files: making the key that digests are sealed with") {
			t.Errorf("problems: %s", all)
		}
	})
}

// TestAnnotationHasOneLine: what a daemon said stands behind a reason's first line, and everybody who may read nodes reads annotations.
func TestAnnotationHasOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		crio := hosttest.CRIO("1.34.1")
		crio.Check = func([]string, func(string) (string, bool)) error { return errors.New("can't start:\nline 3: s3cr3t") }
		n.Install(crio)
		var asked []string
		n.API = func(_, _, _ string, body []byte) (int, []byte) {
			asked = append(asked, string(body))
			return 200, []byte("{}")
		}
		n.Boot()
		defer n.PowerOff(nil)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), By: "ana@laptop"})
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute, Restore: v1alpha1.APIRestore{Uncordon: true}})
		if r := until(t, n, runID, v1alpha1.PhaseRolledBack); !strings.Contains(r.Reason, "\n") {
			t.Fatalf("the reason has one line: %q", r.Reason)
		}
		time.Sleep(5 * time.Minute)
		if all := strings.Join(asked, "\n"); !strings.Contains(all, "last-run") || strings.Contains(all, "s3cr3t") {
			t.Errorf("the node tells: %s", all)
		}
	})
}
