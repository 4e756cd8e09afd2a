package images

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

// registry answers as a read-only registry for the images that are offered at the moment. containerd asks a mirror for
// /v2/PATH and names the host in the query (ns=); CRI-O puts the mirror's location in the host's place. In both, the
// location's own path comes along: before /v2 from the former, behind it from the latter.
type registry struct {
	secret string
	known  redact.Known

	mu     sync.Mutex
	offers map[imageref.Ref]*host.StoredImage
}

func newRegistry() *registry {
	r := &registry{secret: strings.ToLower(rand.Text()), offers: map[imageref.Ref]*host.StoredImage{}}
	r.known.Add(r.secret)
	return r
}

// hide masks the secret in a text: a runtime that could not pull tells the address that it asked.
func (r *registry) hide(text string) string {
	if text == "" {
		return ""
	}
	return r.known.Text(text)
}

// hideError masks the secret in what an error says.
func (r *registry) hideError(err error) error {
	if err == nil {
		return nil
	}
	return &maskedError{text: r.hide(err.Error()), err: err}
}

// maskedError is an error in other words.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }

func (e *maskedError) Unwrap() error { return e.err }

// offer shows an image until withdraw is called.
func (r *registry) offer(name imageref.Ref, image *host.StoredImage) (withdraw func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offers[name] = image
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.offers, name)
	}
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
		return
	}
	rest, mine := r.strip(q.URL.Path)
	switch {
	case rest == "":
		// CRI-O asks so whether there is a registry at all, without the path of its mirror.
		_, _ = io.WriteString(w, "{}")
		return
	case !mine:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if at := strings.LastIndex(rest, kind); at > 0 {
			digest, blob, ok := r.find(q.URL.Query().Get("ns"), rest[:at], rest[at+len(kind):])
			if !ok {
				refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
				return
			}
			send(w, q, digest, blob)
			return
		}
	}
	refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
}

// strip takes /v2/ and the secret off, in either order, and reports whether the secret was there.
func (r *registry) strip(path string) (rest string, mine bool) {
	path, before := strings.CutPrefix(path, "/"+r.secret)
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/v2"), "/")
	path, behind := strings.CutPrefix(path, r.secret+"/")
	return path, before || behind
}

// find looks for what a client means by host, name and tag or digest. A mirror without the host in its path isn't told it by
// every client, so a name alone finds whatever host's image has it: only what is being carried is offered.
func (r *registry) find(ns, name, reference string) (string, host.Blob, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref, image := range r.offers {
		same := ref.Path == name && (ns == "" || ns == ref.Host) || ref.Repository() == name
		if !same {
			continue
		}
		digest := reference
		if !strings.Contains(reference, ":") {
			if ref.Tag != reference || ref.Digest != "" {
				continue
			}
			digest = image.Digest
		}
		if blob, ok := image.Blobs[digest]; ok {
			return digest, blob, true
		}
	}
	return "", host.Blob{}, false
}

func send(w http.ResponseWriter, q *http.Request, digest string, blob host.Blob) {
	from, ok := start(q.Header.Get("Range"), blob.Size)
	if !ok {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", blob.Size))
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID")
		return
	}
	header := w.Header()
	header.Set("Docker-Content-Digest", digest)
	header.Set("Etag", strconv.Quote(digest))
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", blob.MediaType)
	header.Set("Content-Length", strconv.FormatInt(blob.Size-from, 10))
	code := http.StatusOK
	if from > 0 {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, blob.Size-1, blob.Size))
		code = http.StatusPartialContent
	}
	if q.Method == http.MethodHead {
		w.WriteHeader(code)
		return
	}
	in, err := blob.Open(q.Context())
	if err != nil {
		header.Del("Content-Length")
		refuse(w, http.StatusInternalServerError, "UNKNOWN")
		return
	}
	defer in.Close()
	if _, err := io.CopyN(io.Discard, in, from); err != nil {
		header.Del("Content-Length")
		refuse(w, http.StatusInternalServerError, "UNKNOWN")
		return
	}
	w.WriteHeader(code)
	// A client that gets less than was announced knows that it failed.
	_, _ = io.CopyN(w, in, blob.Size-from)
}

// start reads a range to the end, which is what clients ask for when they go on after an interruption. Others get the whole,
// as a server may answer any range.
func start(header string, size int64) (int64, bool) {
	text, ok := strings.CutPrefix(header, "bytes=")
	from, end, dash := strings.Cut(text, "-")
	if !ok || !dash || end != "" {
		return 0, true
	}
	n, err := strconv.ParseInt(from, 10, 64)
	if err != nil || n < 0 {
		return 0, true
	}
	return n, n < size || n == 0
}

func refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": why, "message": strings.ToLower(why)}}})
}
