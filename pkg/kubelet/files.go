package kubelet

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// mayEdit reports whether a file is an operator's or an installer's, and not a distribution's.
func (r *retarget) mayEdit(name string) bool {
	config := name == r.src.real(r.view.ConfigFile) || r.view.ConfigDir != "" && strings.HasPrefix(name, r.view.ConfigDir+"/")
	return config && v1alpha1.KubeletFile(name) || slices.ContainsFunc(v1alpha1.WritablePaths(), func(w v1alpha1.WritablePath) bool {
		return !w.Own && !w.Link && w.Matches(name)
	})
}

// change edits the file behind a path; one that isn't there starts empty. What can't be edited is a finding.
func (r *retarget) change(name, why string, f func(text string) ([]edit.Splice, error)) {
	file := r.src.real(name)
	text, p := r.src.read(file)
	if !r.mayEdit(file) {
		r.fail(idEdit, "change it by hand", "%s names the endpoint and isn't a file that this tool may write", name)
		return
	}
	if p != present && p != absent {
		r.fail(idEdit, "", "%s must be edited and couldn't be read", name)
		return
	}
	d, ok := r.drafts[file]
	if !ok {
		d = edit.NewDraft(file, text)
	}
	if err := d.Apply(f(text)); err != nil {
		r.fail(idEdit, "change it by hand", "%s: %v", name, err)
		return
	}
	if !ok && !d.Changed() {
		return
	}
	r.drafts[file], r.src.changed[file] = d, d.Text()
	if r.why[file] == "" {
		r.why[file] = why
	}
	r.read()
}

// editable reports whether the file behind a path may be edited.
func (r *retarget) editable(name string) bool { return r.mayEdit(r.src.real(name)) }

// holder is a place that can carry flags: a variable in an environment file or in a unit, or ExecStart.
type holder struct {
	file, variable string
	unit           bool
}

func (h holder) set(name, value string) func(string) ([]edit.Splice, error) {
	return func(text string) ([]edit.Splice, error) {
		switch {
		case h.variable == "":
			return edit.ExecSetFlag(text, name, value)
		case h.unit:
			return edit.UnitSetFlag(text, h.variable, name, value)
		}
		return edit.EnvSetFlag(text, h.variable, name, value)
	}
}

func (h holder) remove(name string) func(string) ([]edit.Splice, error) {
	return func(text string) ([]edit.Splice, error) {
		switch {
		case h.variable == "":
			return edit.ExecRemoveFlag(text, name)
		case h.unit:
			return edit.UnitRemoveFlag(text, h.variable, name)
		}
		return edit.EnvRemoveFlag(text, h.variable, name)
	}
}

// held is a flag in a holder.
type held struct {
	holder
	value string
}

// holders returns everything that carries the flag, hidden definitions included: the day they are uncovered they must
// not lead back.
func (r *retarget) holders(name string) []held {
	var out []held
	for _, d := range r.cmd.defs {
		if f, ok := edit.LastFlag(edit.Flags(textsOf(d.words)), name); ok {
			out = append(out, held{holder{d.file, d.variable, d.unit}, f.Value})
		}
	}
	for _, f := range r.cmd.flags() {
		if f.name != name || f.variable != "" {
			continue
		}
		if f.mixed {
			r.fail(idEdit, "change it by hand", "%s:%d: --%s is made of a variable inside ExecStart=", f.file, f.line, name)
			continue
		}
		out = append(out, held{holder{file: f.file}, f.value})
	}
	return out
}

// setAll gives the flag a new value wherever it stands in a file that may be edited. value tells the new one, and false
// where the old one stays.
func (r *retarget) setAll(name, why string, value func(old string) (string, bool)) {
	for _, h := range r.holders(name) {
		if text, ok := value(h.value); ok && text != h.value && r.editable(h.file) {
			r.change(h.file, why, h.set(name, text))
		}
	}
}

// removeAll removes the flag wherever it stands in a file that may be edited.
func (r *retarget) removeAll(name, why string) {
	for _, h := range r.holders(name) {
		if r.editable(h.file) {
			r.change(h.file, why, h.remove(name))
		}
	}
}

// add puts the flag behind all others of the variables that this installer's own tools use, so that it wins.
func (r *retarget) add(name, value, why string, override bool) {
	variables := []string{"KUBELET_KUBEADM_ARGS", "KUBELET_ARGS"}
	if override {
		variables = []string{"KUBELET_EXTRA_ARGS", "KUBELET_ARGS", "KUBELET_KUBEADM_ARGS"}
	}
	for _, variable := range variables {
		if !slices.Contains(r.cmd.uses, variable) {
			continue
		}
		if h, ok := r.carrier(variable); ok {
			r.change(h.file, why, h.set(name, value))
			return
		}
	}
	if r.cmd.exec != "" && r.editable(r.cmd.exec) {
		r.change(r.cmd.exec, why, holder{file: r.cmd.exec}.set(name, value))
		return
	}
	r.fail(idEdit, "", "no file that the kubelet's unit reads can carry --%s", name)
}

// carrier returns where a variable is defined, or where it may be.
func (r *retarget) carrier(variable string) (holder, bool) {
	for _, d := range slices.Backward(r.cmd.defs) {
		if d.variable == variable && !d.hidden {
			return holder{d.file, d.variable, d.unit}, r.editable(d.file)
		}
	}
	usual := map[string][]string{
		"KUBELET_KUBEADM_ARGS": {kubeadmFlags}, "KUBELET_EXTRA_ARGS": {defaultEnv, sysconfigEnv}, "KUBELET_ARGS": {kubesprayEnv},
	}
	for _, file := range usual[variable] {
		if slices.Contains(r.cmd.envFiles, file) && r.parentExists(file) {
			return holder{file: file, variable: variable}, true
		}
	}
	return holder{}, false
}

// parentExists reports whether a file can be created: its directory holds another one that Facts saw.
func (r *retarget) parentExists(name string) bool {
	if _, p := r.src.read(name); p == present {
		return true
	}
	dir := path.Dir(name)
	return dir == "/etc/default" || dir == "/etc/sysconfig" || slices.ContainsFunc(r.src.f.Files, func(x v1alpha1.File) bool {
		return path.Dir(x.Path) == dir && x.Type != v1alpha1.Absent
	})
}
