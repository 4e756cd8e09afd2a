package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
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
