package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

const fileLimit = 64 << 20

// StaleError says that the node isn't as the plan read it.
type StaleError struct{ Changes []string }

func (e *StaleError) Error() string {
	return "the node has changed since the plan was made: " + strings.Join(e.Changes, "; ")
}

// fresh compares the node with what the plan was decided on.
func (a *Agent) fresh(ctx context.Context, p *v1alpha1.Plan) error {
	var changes []string
	differs := func(format string, args ...any) { changes = append(changes, fmt.Sprintf(format, args...)) }
	set := p.ReadSet
	sealer, err := a.journal().Sealer()
	if err != nil {
		return err
	}
	if boot := a.Machine.Clock.Boot(); set.Boot != "" && set.Boot != boot {
		differs("it was rebooted")
	}
	for _, f := range set.Files {
		is, err := a.sameFile(sealer, f)
		if err != nil {
			return err
		}
		if is != "" {
			differs("%s %s", f.Path, is)
		}
	}
	for _, d := range set.Dirs {
		entries, err := a.listing(d.Path)
		if err != nil {
			return err
		}
		if !slices.Equal(entries, v1alpha1.Foreign(d.Entries)) {
			differs("the files in %s are others", d.Path)
		}
	}
	for _, u := range set.Units {
		is, err := a.Machine.Units.Show(ctx, u.Name)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", u.Name, err)
		}
		if is.LoadState != u.LoadState || is.ActiveState != u.ActiveState || is.FileState != u.FileState {
			differs("%s is %s, %s, %s and was %s, %s, %s", u.Name, is.LoadState, is.ActiveState, is.FileState, u.LoadState,
				u.ActiveState, u.FileState)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(set.Binaries)) {
		version, err := a.Version(ctx, a.Machine, path)
		if err != nil {
			return fmt.Errorf("asking %s for its version: %w", path, err)
		}
		if version != set.Binaries[path] {
			differs("%s is version %s and was %s", path, version, set.Binaries[path])
		}
	}
	if len(changes) > 0 {
		return &StaleError{Changes: changes}
	}
	return nil
}

// sameFile says in what a file differs from its digest, in words; empty: in nothing.
func (a *Agent) sameFile(s *journal.Sealer, want v1alpha1.FileDigest) (string, error) {
	f, err := a.Machine.Files.Lstat(want.Path)
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", want.Path, err)
	}
	switch {
	case f.Type != want.Type && f.Type == v1alpha1.Directory && want.Type == v1alpha1.Absent:
		// A drop-in directory that holds nothing but ours is ours.
		entries, err := a.listing(want.Path)
		if err != nil || len(entries) == 0 {
			return "", err
		}
		return "is a directory now", nil
	case f.Type != want.Type:
		return fmt.Sprintf("is %s and was %s", f.Type, want.Type), nil
	case f.Type == v1alpha1.Symlink && f.Target != want.Target:
		return "points to " + f.Target, nil
	case f.Type == v1alpha1.Regular && want.SHA256 != "":
		data, err := a.Machine.Files.Read(want.Path, fileLimit)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", want.Path, err)
		}
		if !s.Matches(want.SHA256, data) {
			return "has another content", nil
		}
	}
	return "", nil
}

// listing is what others have in a directory; an absent directory has nothing.
func (a *Agent) listing(path string) ([]string, error) {
	entries, err := a.Machine.Files.ReadDir(path)
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return v1alpha1.Foreign(entries), nil
}
