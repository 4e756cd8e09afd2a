//go:build linux

package host

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

func (linuxFiles) Program(p string) (string, error) { return program(p) }

// maxProgramLinks is how many links may lead to a program: as many as the kernel follows.
const maxProgramLinks = 40

// program walks to a program from the root down, and looks at each directory before it looks into it: what root alone may write
// stays as it was seen, so that what is run afterwards is what was looked at.
func program(p string) (string, error) {
	if !path.IsAbs(p) {
		return "", fmt.Errorf("looking at the program %q: not an absolute path", p)
	}
	left := strings.Split(p, "/")
	links := 0
	at := "/"
	var st unix.Stat_t
	if err := ofRootAlone(p, at, &st); err != nil {
		return "", err
	}
	for len(left) > 0 {
		name := left[0]
		left = left[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		err := unix.Lstat(next, &st)
		if gone(err) {
			return "", fmt.Errorf("looking at the program %s: %w", p, ErrNotExist)
		}
		if err != nil {
			return "", fmt.Errorf("looking at the program %s: %s: %w", p, next, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			if err := ofRootAlone(p, next, &st); err != nil {
				return "", err
			}
			at = next
			continue
		}
		if links++; links > maxProgramLinks {
			return "", fmt.Errorf("looking at the program %s: %w", p, unix.ELOOP)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", fmt.Errorf("looking at the program %s: %w", p, err)
		}
		if path.IsAbs(target) {
			at = "/"
		}
		left = append(strings.Split(target, "/"), left...)
	}
	if err := ofRootAlone(p, at, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return "", fmt.Errorf("looking at the program %s: %s is no program", p, at)
	}
	return at, nil
}

// ofRootAlone fills in what stands at a path, and is an error unless root alone may change it.
func ofRootAlone(p, at string, st *unix.Stat_t) error {
	if err := unix.Lstat(at, st); err != nil {
		return fmt.Errorf("looking at the program %s: %s: %w", p, at, err)
	}
	const groupAndOthers = 0o022
	if st.Uid != 0 || st.Mode&groupAndOthers != 0 {
		return &UntrustedError{Program: p, At: at, UID: int(st.Uid), Mode: st.Mode & 0o7777}
	}
	return nil
}
