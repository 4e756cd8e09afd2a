package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestDropAbsent(t *testing.T) {
	file := func(path string, kind v1alpha1.FileType) v1alpha1.FileState {
		return v1alpha1.FileState{Path: path, Type: kind}
	}
	before := v1alpha1.State{Files: []v1alpha1.FileState{file("/made", v1alpha1.Absent), file("/neither", v1alpha1.Absent), file("/removed", v1alpha1.Directory)}}
	after := v1alpha1.State{Files: []v1alpha1.FileState{file("/made", v1alpha1.Regular), file("/neither", v1alpha1.Absent), file("/removed", v1alpha1.Absent)}}
	dropAbsent(&before, &after)
	for _, s := range []v1alpha1.State{before, after} {
		var got []string
		for _, x := range s.Files {
			got = append(got, x.Path)
		}
		if diff := cmp.Diff([]string{"/made", "/removed"}, got); diff != "" {
			t.Error(diff)
		}
	}
}
