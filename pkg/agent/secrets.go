package agent

import (
	"sync"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

// secrets are what this process knows that nobody may read in a reason, a line of progress or an error: daemons and registries
// say what they were given when they fail.
type secrets struct {
	mu sync.Mutex
	// ofRun are those of a run's files, by run, read when they are needed first.
	ofRun map[string]*redact.Known
	// given are the credentials that came with the request.
	given []v1alpha1.RegistryAuth
}

// learn takes in the credentials of images.
func (a *Agent) learn(images []v1alpha1.WantedImage) {
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	for _, i := range images {
		a.secrets.given = append(a.secrets.given, i.Auths...)
	}
	a.secrets.ofRun = nil
}

// hide masks the secrets of a run in a text, and what looks like one.
func (a *Agent) hide(run, text string) string {
	if text == "" {
		return ""
	}
	return a.known(run).Text(text)
}

func (a *Agent) known(run string) *redact.Known {
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	if k := a.secrets.ofRun[run]; k != nil {
		return k
	}
	k := &redact.Known{}
	for _, auth := range a.secrets.given {
		k.AddAuth(auth)
	}
	if p, err := a.journal().Plan(run); err == nil {
		a.readSecrets(p, k)
	}
	if a.secrets.ofRun == nil {
		a.secrets.ofRun = map[string]*redact.Known{}
	}
	a.secrets.ofRun[run] = k
	return k
}

// readSecrets reads those files that the plan was made of, as they are and as they were. One that can't be read tells none.
func (a *Agent) readSecrets(p *v1alpha1.Plan, k *redact.Known) {
	take := func(path string, data []byte, err error) {
		if err == nil {
			k.AddFile(path, string(data))
		}
	}
	for _, f := range p.ReadSet.Files {
		if f.Type == v1alpha1.Regular {
			data, err := a.Machine.Files.Read(f.Path, secretsLimit)
			take(f.Path, data, err)
		}
	}
	for _, s := range []v1alpha1.State{p.Before, p.After} {
		for _, f := range s.Files {
			if f.Type == v1alpha1.Regular && f.SHA256 != "" {
				data, err := a.journal().Blob(f.SHA256)
				take(f.Path, data, err)
			}
		}
	}
}

// secretsLimit is more than a file of configuration has: what is longer was taken a digest of, and not read.
const secretsLimit = 1 << 20

// warningStep is the step of a line whose detail quotes others.
const warningStep = "warning"

// report adds to a run's progress, without secrets.
func (a *Agent) report(run string) func(v1alpha1.Progress) {
	report := a.journal().Report(run)
	return func(p v1alpha1.Progress) {
		if p.Error != "" || p.Step == warningStep {
			p.Detail, p.Error = a.hide(run, p.Detail), a.hide(run, p.Error)
		} else {
			p.Detail = redact.Text(p.Detail) // our own words
		}
		report(p)
	}
}

// hideAnswer masks what an answer says in words. What this agent wrote is masked already; earlier ones' records aren't.
func (a *Agent) hideAnswer(req v1alpha1.Request, resp *v1alpha1.Response) {
	run := req.Run
	if run == "" && req.Plan != nil {
		run = req.Plan.Run
	}
	resp.Error = a.hide(run, resp.Error)
	redact.Answer(resp)
}
