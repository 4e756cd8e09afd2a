package pullrecord

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Image is an image of the target's store after staging.
type Image struct {
	// ID is what the target will call it to the kubelet; empty where that isn't known before the target serves CRI.
	ID string `json:"id,omitempty"`
	// Tags are its complete names with a tag.
	Tags []string `json:"tags,omitempty"`
	// Sources are the IDs of the same image in the source; Namesakes, where no registry gave it without credentials, those of other
	// images that have a tag of it there.
	Sources   []string `json:"sources,omitempty"`
	Namesakes []string `json:"namesakes,omitempty"`
	// Private says that staging pulled it with credentials of pods, or would have had to.
	Private bool `json:"private,omitempty"`
}

// Run is what a run keeps of the kubelet's records.
type Run struct {
	Images []Image `json:"images"`
	// Before are the files of the kubelet as they stood when it had stopped for the switch, Written those that the switch has added
	// since, by path.
	Before  []File            `json:"before,omitempty"`
	Written map[string][]byte `json:"written,omitempty"`
}

// File is a file of the kubelet's.
type File struct {
	State v1alpha1.FileState `json:"state"`
	Data  []byte             `json:"data"`
}

// Files are all files that the run knows, by path.
func (r Run) Files() map[string][]byte {
	out := map[string][]byte{}
	for p, data := range r.Written {
		out[p] = data
	}
	for _, f := range r.Before {
		out[f.State.Path] = f.Data
	}
	return out
}

// Due returns the files that must be added, by path, before a kubelet of that version starts with the target, so that no pod may use an
// image that it couldn't use before:
//
//   - an image whose twin in the source has a record gets the same one, or one that lets nobody in unverified where that can't be read;
//   - one whose twin has none stays as free as it is;
//   - one that the source doesn't have gets the record that an earlier run kept of it;
//   - else, where credentials were needed for it, or for what the source has under its name, one that lets nobody in unverified.
//
// Where the ID isn't known, the kubelet is told that a pull of the image's names had begun: when it starts, it makes a record that lets
// nobody in unverified of that, unless there is one (pkg/kubelet/images/pullmanager, initialize). now are the kubelet's files, kept those
// of earlier runs.
func Due(images []Image, now, kept map[string][]byte, kubelet string, at time.Time) map[string][]byte {
	d := due{now: now, kept: kept, version: apiVersion(kubelet), at: at.UTC().Truncate(time.Second), add: map[string][]byte{}}
	for _, i := range images {
		if i.ID == "" {
			d.unknown(i)
			continue
		}
		d.known(i)
	}
	return d.add
}

type due struct {
	now, kept map[string][]byte
	version   string
	at        time.Time
	add       map[string][]byte
}

func (d due) known(i Image) {
	file := PathOf(i.ID)
	if d.recorded(i.ID) || d.free(i) {
		return
	}
	for _, source := range i.Sources {
		if record, err := rename(d.now[PathOf(source)], source, i.ID); err == nil {
			d.add[file] = record
			return
		}
	}
	if record, ok := d.kept[file]; ok && len(i.Sources) == 0 {
		d.add[file] = record
		return
	}
	if d.guarded(i) {
		d.put(file, document{Kind: pulledKind, ImageRef: i.ID, LastUpdatedTime: &d.at})
	}
}

// unknown tells the kubelet by the image's names what it can't be told by its ID.
func (d due) unknown(i Image) {
	if d.free(i) || !d.guarded(i) {
		return
	}
	for _, tag := range i.Tags {
		if file := intentPath(tag); d.now[file] == nil {
			d.put(file, document{Kind: intentKind, Image: tag})
		}
	}
}

func (d due) recorded(id string) bool { _, ok := d.now[PathOf(id)]; return ok }

// free reports whether every pod of the node may use the image now: the kubelet has no record of it.
func (d due) free(i Image) bool {
	return slices.ContainsFunc(i.Sources, func(id string) bool { return !d.recorded(id) })
}

// guarded reports whether an image that isn't free was one for which pods needed credentials.
func (d due) guarded(i Image) bool {
	return i.Private || len(i.Sources) > 0 || slices.ContainsFunc(i.Namesakes, d.recorded)
}

func (d due) put(file string, doc document) {
	doc.APIVersion = d.version
	if data, err := json.Marshal(doc); err == nil { // it has no value that could fail
		d.add[file] = data
	}
}
