package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

const (
	// retryFirst and retryLast bound the pause between two tries to pay what the node owes the API server, which may be away for
	// days: that may be why the node went back alone.
	retryFirst = 5 * time.Second
	retryLast  = 10 * time.Minute
	// absence is after how long without a question the plugin is taken for gone.
	absence = time.Minute
	// desertion is how long a staged run waits for a plugin that asks every few seconds while it drains.
	desertion     = 3 * time.Minute
	requestLimit  = 10 * time.Second
	kubeletConfig = "/etc/kubernetes/kubelet.conf"
	kubeadmSocket = "kubeadm.alpha.kubernetes.io/cri-socket"
)

// restored gives back what the run has taken of the API's side, if the plugin isn't there to do it, with the kubelet's own
// credential. It returns false as long as something is owed: the record keeps that, and when it is tried next. Only the newest
// run is told of on the node: what an older one owes may be paid late.
func (a *Agent) restored(ctx context.Context, r v1alpha1.Run, p *v1alpha1.Plan, newest bool) bool {
	if none(r.Restore) {
		return true
	}
	if a.attended(r.ID, absence) || a.notYet(r.Retry.Next) {
		return false
	}
	report := a.report(r.ID)
	for _, q := range requests(r, newest) {
		if err := a.send(ctx, credential(p), q); err != nil {
			pause := a.retryLater(r)
			report(v1alpha1.Progress{Step: "give back", Detail: fmt.Sprintf("%s; trying again in %s", q.what, pause), Error: err.Error()})
			return false
		}
		report(v1alpha1.Progress{Step: "give back", Detail: q.what})
	}
	return a.acknowledge(r.ID) == nil
}

// notYet reports whether a moment of this boot is still to come.
func (a *Agent) notYet(m v1alpha1.Moment) bool {
	return m.Boot == a.Machine.Clock.Boot() && time.Duration(m.At) > a.Machine.Clock.SinceBoot()
}

// retryLater notes a failure, and returns the pause until the next try. A note that can't be written costs a try too early.
func (a *Agent) retryLater(r v1alpha1.Run) time.Duration {
	pause := min(retryFirst<<min(r.Retry.Failed, 10), retryLast)
	_, _ = a.journal().Advance(r.ID, []v1alpha1.Phase{r.Phase}, r.Phase, func(r *v1alpha1.Run) {
		r.Retry = v1alpha1.Retry{
			Failed: r.Retry.Failed + 1,
			Next:   v1alpha1.Moment{Boot: a.Machine.Clock.Boot(), At: int64(a.Machine.Clock.SinceBoot() + pause)},
		}
	})
	return pause
}

// announce says on the node what became of a run that stays open, once and as well as it can.
func (a *Agent) announce(ctx context.Context, r v1alpha1.Run, p *v1alpha1.Plan) {
	r.Restore = v1alpha1.APIRestore{}
	for _, q := range requests(r, true) {
		if err := a.send(ctx, credential(p), q); err != nil {
			a.report(r.ID)(v1alpha1.Progress{Step: "tell the API server", Detail: q.what, Error: err.Error()})
		}
	}
}

// credential is the kubeconfig of the node's kubelet.
func credential(p *v1alpha1.Plan) string {
	if p.Kubelet.Kubeconfig != "" {
		return p.Kubelet.Kubeconfig
	}
	return kubeletConfig
}

// request is something to ask of the API server.
type request struct {
	what, method, path, contentType string
	body                            any
	// done are the status codes beside 2xx that mean that there is nothing to do any more.
	done []int
}

// requests are what the run's end leaves to do: each may be repeated. The newest one is the node's last run.
func requests(r v1alpha1.Run, newest bool) []request {
	annotations := map[string]string{}
	if newest {
		// Whoever may read nodes reads it: a line is enough to say what happened, the record has the rest.
		last := v1alpha1.LastRun{Run: r.ID, From: r.From, To: r.To, Phase: r.Phase, When: r.Changed, By: r.By, Reason: v1alpha1.FirstLine(redact.Text(r.Reason))}
		text, err := json.Marshal(last)
		if err != nil {
			text = nil // it has no value that could fail
		}
		annotations[v1alpha1.LastRunAnnotation] = string(text)
	}
	if r.Restore.KubeadmSocket != "" && r.Phase != v1alpha1.PhaseConfirmed {
		annotations[kubeadmSocket] = r.Restore.KubeadmSocket
	}
	node := map[string]any{"metadata": map[string]any{"annotations": annotations}}
	what := "annotate the node"
	if r.Restore.Uncordon {
		node["spec"] = map[string]any{"unschedulable": nil}
		what = "uncordon the node"
	}
	out := []request{{
		what: what, method: http.MethodPatch, path: "/api/v1/nodes/" + url.PathEscape(r.Node),
		contentType: "application/merge-patch+json", body: node,
		done: []int{http.StatusNotFound}, // nobody is left to owe it to
	}}
	for _, p := range r.Restore.Pods {
		out = append(out, deletion(p, 0))
	}
	return out
}

// deletion ends a pod after so many seconds; none takes it out of the API at once.
func deletion(p v1alpha1.PodRef, grace int) request {
	return request{
		what: "delete the pod " + p.Namespace + "/" + p.Name, method: http.MethodDelete,
		path:        "/api/v1/namespaces/" + url.PathEscape(p.Namespace) + "/pods/" + url.PathEscape(p.Name),
		contentType: "application/json",
		body: map[string]any{
			"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace,
			"preconditions": map[string]any{"uid": p.UID},
		},
		done: []int{http.StatusNotFound, http.StatusConflict}, // gone, or another pod of that name
	}
}

func (a *Agent) send(ctx context.Context, kubeconfig string, q request) error {
	body, err := json.Marshal(q.body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	status, answer, err := a.Machine.HTTP.Do(ctx, kubeconfig, q.method, q.path, q.contentType, body)
	if err != nil {
		return err
	}
	if status/100 == 2 {
		return nil
	}
	for _, d := range q.done {
		if status == d {
			return nil
		}
	}
	return fmt.Errorf("the API server answered %d: %.200s", status, answer)
}

func watchedPath(run string) string { return path.Join(journal.Dir, "runs", run, "watched") }

// attend notes that the plugin has asked for the run.
func (a *Agent) attend(run string) {
	line := fmt.Sprintf("%s %d\n", a.Machine.Clock.Boot(), a.Machine.Clock.SinceBoot())
	_ = a.Machine.Files.Append(watchedPath(run), []byte(line)) // best effort: without it the node gives back itself
}

// silence is how long the plugin hasn't asked for the run; heard is false when it never has.
func (a *Agent) silence(run string) (d time.Duration, heard bool) {
	data, err := a.Machine.Files.Read(watchedPath(run), fileLimit)
	if err != nil {
		return 0, false
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	boot, at, _ := strings.Cut(lines[len(lines)-1], " ")
	nanoseconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 0, false // a crash cut it
	}
	return a.since(v1alpha1.Moment{Boot: boot, At: nanoseconds}), true
}

// since is the time that has passed; a moment of an earlier boot is as old as this one at least.
func (a *Agent) since(m v1alpha1.Moment) time.Duration {
	now := a.Machine.Clock.SinceBoot()
	if m.Boot != a.Machine.Clock.Boot() {
		return now
	}
	return now - time.Duration(m.At)
}

// deserted reports whether a plugin was there and hasn't asked for long.
func (a *Agent) deserted(run string) bool {
	d, heard := a.silence(run)
	return heard && d >= desertion
}

// attended reports whether the plugin has asked for the run within the last while.
func (a *Agent) attended(run string, within time.Duration) bool {
	d, heard := a.silence(run)
	return heard && d < within
}
