package journal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// keySize is that of the hash.
const keySize = sha256.Size

// Sealer turns digests of the node's files into what may leave the node. A content leaves it with its secrets masked, and its plain
// digest beside that would let anybody check guesses of a secret without asking the node. A sealed digest is the same for the
// same content, on this node alone.
type Sealer struct{ key []byte }

// Sealer returns the node's own. Its key is made when it is first needed and stays: facts and plans in files are compared by it.
func (j *Journal) Sealer() (*Sealer, error) {
	if key, err := j.key(); err != nil || key != nil {
		return &Sealer{key}, err
	}
	if err := j.dirs(""); err != nil {
		return nil, err
	}
	unlock, err := j.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if key, err := j.key(); err != nil || key != nil {
		return &Sealer{key}, err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if err := j.put(j.path("key"), key); err != nil {
		return nil, fmt.Errorf("making the key that digests are sealed with: %w", err)
	}
	return &Sealer{key}, nil
}

// key returns the key of the node; nil: there is none.
func (j *Journal) key() ([]byte, error) {
	key, err := j.files.Read(j.path("key"), keySize)
	switch {
	case errors.Is(err, host.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the key that digests are sealed with: %w", err)
	case len(key) != keySize:
		return nil, &CorruptError{Path: j.path("key"), Err: fmt.Errorf("it has %d bytes, not %d", len(key), keySize)}
	}
	return key, nil
}

// Seal seals a digest. One that is sealed already, and none, stay as they are.
func (s *Sealer) Seal(digest string) string {
	if digest == "" || strings.HasPrefix(digest, v1alpha1.Sealed) {
		return digest
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(digest))
	return v1alpha1.Sealed + hex.EncodeToString(mac.Sum(nil))
}

// Matches reports whether a digest, sealed or not, is of this content. Facts in a file may be of an agent that sealed none.
func (s *Sealer) Matches(digest string, data []byte) bool {
	sha := Digest(data)
	if strings.HasPrefix(digest, v1alpha1.Sealed) {
		sha = s.Seal(sha)
	}
	return hmac.Equal([]byte(sha), []byte(digest))
}

// Unseal returns the sha256 of the kept content that a digest, sealed or not, is of.
func (j *Journal) Unseal(s *Sealer, digest string) (string, error) {
	if !strings.HasPrefix(digest, v1alpha1.Sealed) {
		return digest, nil
	}
	names, err := j.files.ReadDir(j.path("blobs"))
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return "", fmt.Errorf("looking for contents: %w", err)
	}
	for _, sha := range names {
		if shaName.MatchString(sha) && hmac.Equal([]byte(s.Seal(sha)), []byte(digest)) {
			return sha, nil
		}
	}
	return "", errors.New("this node keeps no such content")
}
