package agent

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// pullLimit is more than a kubelet writes about one image.
const pullLimit = 1 << 20

// keepsPulls reports whether the node's kubelet keeps records of pulls, or has done so.
func (a *Agent) keepsPulls() (bool, error) {
	_, err := a.Machine.Files.ReadDir(pullrecord.Dirs()[0])
	if errors.Is(err, host.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the kubelet's pull records: %w", err)
	}
	return true, nil
}

// noteImages keeps what the target's store has after staging, for the kubelet's records of them.
func (a *Agent) noteImages(run string, images []pullrecord.Image) error {
	keeps, err := a.keepsPulls()
	if err != nil || !keeps {
		return err
	}
	return a.journal().KeepPulls(run, pullrecord.Run{Images: images})
}

// recordPulls returns what a pass does with the kubelet's records of pulls once the kubelet has stopped; nil where it keeps none.
func (a *Agent) recordPulls(p *v1alpha1.Plan) func(forward bool) error {
	if kept, err := a.journal().Pulls(p.Run); err == nil && kept == nil {
		return nil
	}
	return func(forward bool) error {
		if forward {
			return a.addPulls(p)
		}
		// A node that doesn't serve is worse than a record that is missing.
		if err := a.restorePulls(p.Run); err != nil {
			a.report(p.Run)(v1alpha1.Progress{Step: warningStep, Detail: "not all of the kubelet's pull records could be restored, so pods may use " +
				"private images of this node without credentials; imagePullCredentialsVerificationPolicy: AlwaysVerify keeps them from it: " + err.Error()})
		}
		return nil
	}
}

// addPulls adds the records that images need under the target, after it has kept those that are there: the kubelet will remove them
// when it next frees disk space under the target.
func (a *Agent) addPulls(p *v1alpha1.Plan) error {
	j := a.journal()
	kept, err := j.Pulls(p.Run)
	if err != nil || kept == nil {
		return err
	}
	files, err := a.pullFiles()
	if err != nil {
		return err
	}
	now, have := map[string][]byte{}, kept.Files()
	for _, f := range files {
		now[f.State.Path] = f.Data
		if _, known := have[f.State.Path]; !known {
			kept.Before = append(kept.Before, f)
		}
	}
	add := pullrecord.Due(a.asKept(p.Run, kept.Images), now, a.keptPulls(p.Run), p.Kubelet.Version, a.Machine.Clock.Now())
	if kept.Written == nil {
		kept.Written = map[string][]byte{}
	}
	maps.Copy(kept.Written, add)
	if err := j.KeepPulls(p.Run, *kept); err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(add)) {
		want := v1alpha1.FileState{Path: file, Type: v1alpha1.Regular, Mode: 0o600}
		if err := a.Machine.Files.Put(file, want, add[file]); err != nil {
			return fmt.Errorf("recording who may use an image: %w", err)
		}
	}
	return nil
}

// restorePulls removes what addPulls has added, and puts back what was there and isn't any more. What the kubelet has changed since
// stays: it adds credentials that a registry has accepted for the same image.
func (a *Agent) restorePulls(run string) error {
	kept, err := a.journal().Pulls(run)
	if err != nil || kept == nil {
		return err
	}
	var errs []error
	// A process of ours that was killed may have left one half written.
	errs = append(errs, a.Machine.Files.Sweep(slices.Sorted(maps.Keys(kept.Files()))...))
	for _, file := range slices.Sorted(maps.Keys(kept.Written)) {
		errs = append(errs, a.Machine.Files.Put(file, v1alpha1.FileState{Path: file, Type: v1alpha1.Absent}, nil))
	}
	for _, f := range kept.Before {
		now, err := a.Machine.Files.Lstat(f.State.Path)
		if err == nil && now.Type == v1alpha1.Absent {
			err = a.Machine.Files.Put(f.State.Path, f.State, f.Data)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pullFiles reads the kubelet's records.
func (a *Agent) pullFiles() ([]pullrecord.File, error) {
	var out []pullrecord.File
	for _, dir := range pullrecord.Dirs() {
		names, err := a.Machine.Files.ReadDir(dir)
		if errors.Is(err, host.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for the kubelet's pull records: %w", err)
		}
		for _, name := range names {
			if !pullrecord.IsFile(name) {
				continue
			}
			file := path.Join(dir, name)
			f, err := a.Machine.Files.Lstat(file)
			if err == nil && f.Type != v1alpha1.Regular {
				continue
			}
			// One that can't be read tells of nobody: pods must then show credentials. A file without content is such a record, too.
			data := []byte{}
			if err == nil && f.Size <= pullLimit {
				data, err = a.Machine.Files.Read(file, pullLimit)
			}
			if err != nil {
				return nil, fmt.Errorf("reading a pull record of the kubelet: %w", err)
			}
			state := v1alpha1.FileState{Path: file, Type: f.Type, Mode: f.Mode, UID: f.UID, GID: f.GID, Xattrs: f.Xattrs}
			out = append(out, pullrecord.File{State: state, Data: data})
		}
	}
	return out, nil
}

// keptPulls are the records that earlier runs have kept, those of the newest one first: the kubelet may have removed them since, under
// another runtime. What a run kept that can't be read is left out.
func (a *Agent) keptPulls(run string) map[string][]byte {
	out := map[string][]byte{}
	for _, kept := range a.earlierPulls(run) {
		for file, data := range kept.Files() {
			if _, known := out[file]; !known {
				out[file] = data
			}
		}
	}
	return out
}

// asKept marks the images that an earlier staging pulled with credentials.
func (a *Agent) asKept(run string, images []pullrecord.Image) []pullrecord.Image {
	private := map[string]bool{}
	for _, kept := range a.earlierPulls(run) {
		for _, i := range kept.Images {
			private[i.ID] = private[i.ID] || i.ID != "" && i.Private
		}
	}
	out := slices.Clone(images)
	for k := range out {
		out[k].Private = out[k].Private || private[out[k].ID]
	}
	return out
}

func (a *Agent) earlierPulls(run string) []pullrecord.Run {
	j := a.journal()
	runs, err := j.Runs()
	if err != nil {
		return nil
	}
	var out []pullrecord.Run
	for _, r := range runs {
		if r.ID == run || !journal.ValidID(r.ID) {
			continue
		}
		if kept, err := j.Pulls(r.ID); err == nil && kept != nil {
			out = append(out, *kept)
		}
	}
	return out
}
