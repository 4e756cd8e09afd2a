package redact

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Answer masks what an answer of the node agent says in words and quotes others in.
func Answer(a *v1alpha1.Response) {
	hide := func(list ...*string) {
		for _, s := range list {
			*s = Text(*s)
		}
	}
	hide(&a.Error)
	if a.Run != nil {
		hide(&a.Run.Reason)
	}
	if a.View != nil {
		hide(&a.View.Run.Reason)
	}
	for i := range a.Progress {
		hide(&a.Progress[i].Detail, &a.Progress[i].Error)
	}
	if f := a.Facts; f != nil {
		for i := range f.Runs {
			hide(&f.Runs[i].Reason)
		}
		if f.OpenRun != nil {
			hide(&f.OpenRun.Reason)
		}
	}
}
