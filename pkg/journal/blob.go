package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
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
		return "", &contentError{sha, fmt.Errorf("keeping a content: %w", err)}
	}
	return sha, nil
}

// Blob returns the content with that sha256, verified.
func (j *Journal) Blob(sha string) ([]byte, error) {
	if !shaName.MatchString(sha) {
		return nil, errors.New("there is no sha256 to read a content by")
	}
	name := j.path("blobs", sha)
	data, err := j.files.Read(name, blobLimit)
	if err == nil && Digest(data) != sha {
		err = &CorruptError{Path: name, Err: errors.New("its sha256 isn't its name")}
	}
	if err != nil {
		return nil, &contentError{sha, fmt.Errorf("reading a kept content: %w", err)}
	}
	return data, nil
}

// contentError is an error about a content. It may leave the node, and the content's digest must not.
type contentError struct {
	sha string
	err error
}

func (e *contentError) Error() string { return strings.ReplaceAll(e.err.Error(), e.sha, "…") }

func (e *contentError) Unwrap() error { return e.err }
