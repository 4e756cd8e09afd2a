// Package corpus reads the manifests by which the rules are judged. Each is headed by comments that say how to judge it and what must
// be found:
//
//	# to: cri-o                    the target; absent for none
//	# from: docker                 what every node has; absent for unknown
//	# live: node-1 node-2          every workload has a pod on each of these
//	# server: v1.34.1              the API server's version
//	# unread: secrets in ns app    what could not be read
//	# want: W001:error W005:warning
//	# near: W002                   what it almost is
//	# A sentence about the file.
//
// It serves tests and measurements alone.
package corpus

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// File is one file of the corpus.
type File struct {
	// Path is the file's within the corpus.
	Path string
	Body string

	To, From v1alpha1.RuntimeName
	Live     []string
	Server   string
	Unread   []string
	// Want holds ID:severity, sorted; Near holds IDs.
	Want, Near []string
}

// Read returns all files of a directory, in the order of their paths.
func Read(dir fs.FS) ([]File, error) {
	var out []File
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(dir, path)
		if err != nil {
			return err
		}
		f := File{Path: path, Body: string(body)}
		if err := f.head(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

func (f *File) head() error {
	for line := range strings.Lines(f.Body) {
		comment, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		field, value, _ := strings.Cut(strings.TrimSpace(comment), ":")
		value = strings.TrimSpace(value)
		switch field {
		case "to":
			f.To = v1alpha1.RuntimeName(value)
		case "from":
			f.From = v1alpha1.RuntimeName(value)
		case "live":
			f.Live = strings.Fields(value)
		case "server":
			f.Server = value
		case "unread":
			f.Unread = append(f.Unread, value)
		case "want":
			f.Want = slices.Sorted(slices.Values(strings.Fields(value)))
		case "near":
			f.Near = strings.Fields(value)
		default:
			// A sentence says what the file is about.
			if !strings.Contains(field, " ") {
				return fmt.Errorf("unknown field %q", field)
			}
		}
	}
	return nil
}

// Runtimes is what each node has: those that have pods, and one that has none. It is nil where nothing is known.
func (f *File) Runtimes() map[string]v1alpha1.RuntimeName {
	if f.From == "" {
		return nil
	}
	out := map[string]v1alpha1.RuntimeName{"spare": f.From}
	for _, node := range f.Live {
		out[node] = f.From
	}
	return out
}

// Said returns findings as Want has them, each once.
func Said(findings []v1alpha1.Finding) []string {
	var out []string
	for i := range findings {
		severity := string(findings[i].Severity)
		if findings[i].Suppressed != "" {
			severity = "suppressed"
		}
		out = append(out, findings[i].ID+":"+severity)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
