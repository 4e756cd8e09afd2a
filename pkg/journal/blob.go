package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

const blobLimit = 64 << 20

var shaName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Digest is the sha256 of data as the journal and the plans write it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Put keeps data and returns its sha256.
func (j *Journal) Put(data []byte) (string, error) {
	sha := Digest(data)
	if _, err := j.Blob(sha); err == nil {
		return sha, nil
	}
	if err := j.dirs(""); err != nil {
		return "", err
	}
	if err := j.put(j.path("blobs", sha), data); err != nil {
		return "", fmt.Errorf("keeping a content: %w", err)
	}
	return sha, nil
}

// Blob returns the content with that sha256, verified.
func (j *Journal) Blob(sha string) ([]byte, error) {
	if !shaName.MatchString(sha) {
		return nil, fmt.Errorf("%q is no sha256", sha)
	}
	data, err := j.files.Read(j.path("blobs", sha), blobLimit)
	if err != nil {
		return nil, fmt.Errorf("reading the content %.12s: %w", sha, err)
	}
	if got := Digest(data); got != sha {
		return nil, &CorruptError{Path: j.path("blobs", sha), Err: fmt.Errorf("its sha256 is %s", got)}
	}
	return data, nil
}

// Collect removes the closed runs beyond the newest keep, and the contents that no remaining run refers to.
func (j *Journal) Collect(keep int) error {
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	runs, err := j.Runs()
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	closed := 0
	for _, r := range runs {
		if !r.Phase.Open() {
			closed++
		}
		if !r.Phase.Open() && closed > keep {
			if err := j.files.RemoveAll(j.path("runs", r.ID)); err != nil {
				return fmt.Errorf("removing run %s: %w", r.ID, err)
			}
			continue
		}
		p, err := j.Plan(r.ID)
		if err != nil {
			return err // what it needs isn't known: nothing is removed
		}
		for _, s := range []v1alpha1.State{p.Before, p.After} {
			for _, f := range s.Files {
				needed[f.SHA256] = true
			}
		}
	}
	if err := j.dropUnborn(); err != nil {
		return err
	}
	names, err := j.files.ReadDir(j.path("blobs"))
	if errors.Is(err, host.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for contents: %w", err)
	}
	for _, name := range names {
		if needed[name] {
			continue
		}
		if err := j.files.RemoveAll(j.path("blobs", name)); err != nil {
			return fmt.Errorf("removing a content: %w", err)
		}
	}
	return nil
}

// dropUnborn removes what a crash left of runs before they had a record. The journal's lock must be held.
func (j *Journal) dropUnborn() error {
	names, err := j.files.ReadDir(j.path("runs"))
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return fmt.Errorf("reading the journal: %w", err)
	}
	for _, name := range names {
		if _, err := j.read(name); !errors.Is(err, ErrUnknown) {
			continue
		}
		if err := j.files.RemoveAll(j.path("runs", name)); err != nil {
			return fmt.Errorf("removing a run that never began: %w", err)
		}
	}
	return nil
}
