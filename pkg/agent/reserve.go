package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// Reserves are the files that hold room for the way back: one on each file system that it writes to. Their names are such that
// no daemon reads them. The agent must be allowed to write them.
func Reserves() []string {
	return []string{
		journal.Dir + "/reserve",
		"/etc/systemd/system/.kubectl-runtime-reserve",
		"/var/lib/kubelet/.kubectl-runtime-reserve",
	}
}

// recordRoom is what records, progress and the file systems' own blocks need.
const recordRoom = 256 << 10

// reserve takes the room that the way back needs, while there is some: a disk that fills up later must not keep the node from it.
// The bytes are random: a file system that compresses would take no room for others.
func (a *Agent) reserve(p *v1alpha1.Plan) error {
	size := int64(recordRoom)
	for _, f := range p.Before.Files {
		if f.Type != v1alpha1.Regular {
			continue
		}
		data, err := a.journal().Blob(f.SHA256)
		if err != nil {
			return fmt.Errorf("the content of %s: %w", f.Path, err)
		}
		size += 2*int64(len(data)) + 4096
	}
	records, err := a.pullFiles()
	if err != nil {
		return err
	}
	for _, f := range records {
		size += int64(len(f.Data)) + 4096
	}
	room := make([]byte, size)
	_, _ = rand.Read(room) // never fails
	done := map[string]bool{}
	for _, file := range Reserves() {
		where, err := a.Machine.Files.Filesystem(path.Dir(file))
		if err != nil {
			return err
		}
		dir, err := a.Machine.Files.Lstat(path.Dir(file))
		if err != nil {
			return err
		}
		if done[where.Device] || dir.Type == v1alpha1.Absent {
			continue
		}
		done[where.Device] = true
		if err := a.Machine.Files.Put(file, v1alpha1.FileState{Path: file, Type: v1alpha1.Regular, Mode: 0o600}, room); err != nil {
			return fmt.Errorf("setting %d bytes aside on the file system of %s for the way back: %w", size, path.Dir(file), err)
		}
	}
	return nil
}

// release gives that room free.
func (a *Agent) release() error {
	var errs []error
	for _, file := range Reserves() {
		f, err := a.Machine.Files.Lstat(file)
		if err == nil && f.Type != v1alpha1.Absent {
			err = a.Machine.Files.Put(file, v1alpha1.FileState{Path: file, Type: v1alpha1.Absent}, nil)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("giving free what was set aside for the way back: %w", err))
		}
	}
	return errors.Join(errs...)
}

// replaceable finds out, while nothing has changed, whether every file of the plan can be changed there and back.
func (a *Agent) replaceable(p *v1alpha1.Plan) error {
	var errs []error
	for _, f := range p.Before.Files {
		errs = append(errs, a.Machine.Files.Replaceable(f.Path))
	}
	return errors.Join(errs...)
}

// asAfter returns an error unless every file of the run stands as it was made: what is confirmed must be what the next start of
// the kubelet finds.
func (a *Agent) asAfter(p *v1alpha1.Plan) error {
	other, err := converge.Differs(a.Machine, p, p.After)
	if err == nil && other != "" {
		err = fmt.Errorf("somebody else has changed %s since it was written for %s, so the next start of the kubelet could find another runtime; "+
			"configuration management that owns this file must be changed or stopped first", other, p.After.Runtime.Name)
	}
	return err
}
