package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// Inverse decides how the node gets back to what was before a kept run, which must be the newest that changed the
// node; see Compose for going back through several. A path that isn't as the run left it is a *ChangedError: what
// others did since is never overwritten.
func Inverse(view v1alpha1.RunView, f *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
	kept := view.Plan
	if view.Run.Phase != v1alpha1.PhaseConfirmed {
		return nil, fmt.Errorf("run %s is %s: only a run that was kept can be undone by another one", view.Run.ID, view.Run.Phase)
	}
	v, err := kubelet.Analyze(f)
	if err != nil {
		return nil, fmt.Errorf("reading the kubelet: %w", err)
	}
	if serving := runtimes.Serving(v); serving != kept.After.Runtime.Name {
		return nil, fmt.Errorf("%s serves the kubelet now, not %s as run %s left it", orUnknown(serving), kept.After.Runtime.Name, view.Run.ID)
	}
	if changed := changedSince(view, f); len(changed) > 0 {
		return nil, &ChangedError{Run: view.Run.ID, Node: f.Node, To: kept.From.Name, Files: changed}
	}
	findings := check.Rollback(f, asItWas(view, f), v, kept)
	if refused(findings) {
		return nil, &RefusedError{Findings: findings}
	}
	kept.From, kept.To = today(kept.From, f, v), today(kept.To, f, v)
	p := &v1alpha1.Plan{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Node: f.Node, Run: run, Restores: view.Run.ID,
		From: kept.To, To: kept.From,
		Kubelet:  kept.Kubelet,
		Evacuate: []v1alpha1.RuntimeRef{kept.To, kept.From},
		Sockets:  socketsOf(f, v, kept.From.Name, kept.To.Name),
		// The old runtime has its images still; its own daemon takes in what is missing once it runs.
		Staging:             backStaging(kept, f),
		KubeadmSocketBefore: kept.KubeadmSocket,
		Findings:            findings,
	}
	p.Kubelet.Version, p.Kubelet.Healthz, p.Kubelet.Listens, p.Kubelet.Unit = v.Version, v.Healthz, v.Listens, v.Unit
	if kept.KubeadmSocket != "" {
		p.KubeadmSocket = kept.KubeadmSocketBefore
	}
	p.Before, p.After = asItIs(kept.After, f), restored(kept.Before)
	p.After.Runtime, p.Before.Runtime = kept.From, kept.To
	dropAbsent(&p.Before, &p.After)
	p.Findings = append(p.Findings, check.Files(f, p.After.Files)...)
	if refused(p.Findings) {
		return nil, &RefusedError{Findings: p.Findings}
	}
	p.ReadSet = readSet(f, p)
	p.Digest = Digest(p)
	return p, nil
}

// dropAbsent takes out the paths that are in neither photograph, as a run between may have made and another removed. A
// directory among them that our own guard needs meanwhile would look like somebody else's.
func dropAbsent(before, after *v1alpha1.State) {
	absent := func(s v1alpha1.State, path string) bool {
		i := slices.IndexFunc(s.Files, func(x v1alpha1.FileState) bool { return x.Path == path })
		return i < 0 || s.Files[i].Type == v1alpha1.Absent
	}
	was, is := *before, *after
	gone := func(x v1alpha1.FileState) bool { return absent(was, x.Path) && absent(is, x.Path) }
	before.Files = slices.DeleteFunc(slices.Clone(before.Files), gone)
	after.Files = slices.DeleteFunc(slices.Clone(after.Files), gone)
}

// today is a runtime of a kept run as it is by now: its package, or the kubelet, may have been upgraded since.
func today(ref v1alpha1.RuntimeRef, f *v1alpha1.Facts, v kubelet.View) v1alpha1.RuntimeRef {
	if d, err := runtimes.Get(ref.Name); err == nil {
		now := d.Ref(f, v)
		ref.Version, ref.CRIVersion = now.Version, now.CRIVersion
	}
	return ref
}

// asItWas are facts with the files that the way back restores, as far as their contents are known.
func asItWas(view v1alpha1.RunView, f *v1alpha1.Facts) *v1alpha1.Facts {
	out := *f
	out.Files = slices.Clone(f.Files)
	for _, was := range view.Plan.Before.Files {
		x := v1alpha1.File{Path: was.Path, Type: was.Type, SHA256: was.SHA256, Mode: was.Mode, UID: was.UID, GID: was.GID, Target: was.Target}
		if was.Type == v1alpha1.Regular {
			content, known := view.Contents[was.SHA256]
			if !known {
				continue
			}
			x.Content, x.Size = content, int64(len(content))
		}
		out.Files = slices.DeleteFunc(out.Files, func(y v1alpha1.File) bool { return y.Path == was.Path })
		out.Files = append(out.Files, x)
	}
	return &out
}

func orUnknown(name v1alpha1.RuntimeName) string {
	if name == "" {
		return "an unknown runtime"
	}
	return string(name)
}

// changedSince compares the node with what the run left.
func changedSince(view v1alpha1.RunView, f *v1alpha1.Facts) []FileDiff {
	var out []FileDiff
	for _, left := range view.Plan.After.Files {
		now, ok := f.File(left.Path)
		if !ok || sameState(left, photo(now)) {
			// What facts didn't look at the agent compares before its first act.
			continue
		}
		d := FileDiff{Path: left.Path, Why: "changed since run " + view.Run.ID, Kind: kindOf(left, photo(now)), Notes: attributes(left, photo(now))}
		was, okWas := view.Contents[left.SHA256]
		if okWas && now.Type == v1alpha1.Regular && len(now.Content) == int(now.Size) {
			d.Unified = unified(left.Path, was, now.Content)
		} else if okWas && now.Type == v1alpha1.Absent {
			d.Unified = unified(left.Path, was, "")
		}
		if left.Type == v1alpha1.Regular && now.Type == v1alpha1.Regular && d.Unified == "" && left.SHA256 != now.SHA256 {
			d.note("what changed in it is masked or isn't known here")
		}
		out = append(out, d)
	}
	return out
}

// sameState compares what counts: kind, content, target, mode and owner. Extended attributes follow policies of the
// system and may be relabelled at any time.
func sameState(a, b v1alpha1.FileState) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case v1alpha1.Regular:
		return a.SHA256 == b.SHA256 && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID
	case v1alpha1.Symlink:
		return a.Target == b.Target
	}
	return true
}

// asItIs is the After of a kept run as a Before: the same paths, as facts tell them, and the units as they are.
func asItIs(s v1alpha1.State, f *v1alpha1.Facts) v1alpha1.State {
	out := v1alpha1.State{Runtime: s.Runtime, Units: slices.Clone(s.Units)}
	for _, x := range s.Files {
		now := x
		now.Content = nil
		if file, ok := f.File(x.Path); ok {
			now = photo(file)
		}
		now.Why = x.Why
		out.Files = append(out.Files, now)
	}
	for i := range out.Units {
		if u, ok := f.Unit(out.Units[i].Name); ok {
			out.Units[i].Active = u.ActiveState == "active"
		}
	}
	return out
}

// restored is the Before of a kept run as an After. Its contents lie on the node under their digests.
func restored(s v1alpha1.State) v1alpha1.State {
	out := v1alpha1.State{Runtime: s.Runtime, Units: slices.Clone(s.Units)}
	for _, x := range s.Files {
		x.Content, x.Why = nil, "as it was"
		out.Files = append(out.Files, x)
	}
	return out
}

// backStaging brings images into the old runtime where pods came since: through a staging instance as going forward.
func backStaging(kept v1alpha1.Plan, f *v1alpha1.Facts) v1alpha1.Staging {
	d, err := runtimes.Get(kept.From.Name)
	if err != nil {
		return v1alpha1.Staging{}
	}
	// The files that come back are those of kept.Before; of these the staging instance sees the ones that stand now and
	// that the run didn't touch, which is how the runtime ran before, except where the run had changed it.
	return d.Staging(f, nil)
}

// Compose joins kept runs, newest first, into the view of one run that did all of it. Each must have ended where the
// next newer one began.
func Compose(views []v1alpha1.RunView) (v1alpha1.RunView, error) {
	if len(views) == 0 {
		return v1alpha1.RunView{}, errors.New("no runs to go back through")
	}
	out := views[0]
	out.Contents = maps.Clone(out.Contents)
	for _, older := range views[1:] {
		if out.Plan.From.Name != older.Plan.To.Name {
			return v1alpha1.RunView{}, fmt.Errorf("run %s left %s, but the next one, %s, began from %s", older.Run.ID, older.Plan.To.Name, out.Run.ID, out.Plan.From.Name)
		}
		if err := meet(older.Plan.After, out.Plan.Before, older.Run.ID, out.Run.ID); err != nil {
			return v1alpha1.RunView{}, err
		}
		for sum, content := range older.Contents {
			if out.Contents == nil {
				out.Contents = map[string]string{}
			}
			out.Contents[sum] = content
		}
		before, after := joinedUnits(older.Plan, out.Plan)
		out.Plan.Before = joined(older.Plan.Before, out.Plan.Before)
		out.Plan.After = joined(out.Plan.After, older.Plan.After)
		out.Plan.Before.Units, out.Plan.After.Units = before, after
		out.Plan.From = older.Plan.From
		out.Plan.KubeadmSocketBefore = older.Plan.KubeadmSocketBefore
		if out.Plan.KubeadmSocket == "" {
			out.Plan.KubeadmSocket = older.Plan.KubeadmSocket
		}
		out.Run.ID, out.Run.From, out.Run.FromVersion = older.Run.ID, older.Run.From, older.Run.FromVersion
	}
	return out, nil
}

// meet checks that what one run left is what the next found.
func meet(left, found v1alpha1.State, older, newer string) error {
	for _, x := range left.Files {
		i := slices.IndexFunc(found.Files, func(y v1alpha1.FileState) bool { return y.Path == x.Path })
		if i >= 0 && !sameState(x, found.Files[i]) {
			return fmt.Errorf("%s was changed between runs %s and %s: go back to %s only", x.Path, older, newer, newer)
		}
	}
	return nil
}

// joined has the paths of both, those of the first where both name one.
func joined(first, second v1alpha1.State) v1alpha1.State {
	files := map[string]v1alpha1.FileState{}
	for _, x := range slices.Concat(second.Files, first.Files) {
		files[x.Path] = x
	}
	return v1alpha1.State{Files: sortedFiles(files), Units: first.Units, Runtime: first.Runtime}
}

// joinedUnits are the units of both runs in start order: as they were before the older and after the newer.
func joinedUnits(older, newer v1alpha1.Plan) (before, after []v1alpha1.UnitState) {
	active := func(name string, lists ...[]v1alpha1.UnitState) (state, known bool) {
		for _, list := range lists {
			for _, u := range list {
				if u.Name == name {
					return u.Active, true
				}
			}
		}
		return false, false
	}
	for _, name := range unitOrder {
		was, known := active(name, older.Before.Units, newer.Before.Units)
		if !known {
			continue
		}
		is, _ := active(name, newer.After.Units, older.After.Units)
		before = append(before, v1alpha1.UnitState{Name: name, Active: was})
		after = append(after, v1alpha1.UnitState{Name: name, Active: is})
	}
	return before, after
}
