// Package manifest reads the files that people keep their objects in, into an inventory that rules look at: streams of YAML
// and JSON documents, Lists, what helm and kustomize render, and custom kinds by the pod templates in them. It knows the line of
// every field.
//
// The package is pure: it reads from what it is given and reaches neither files nor a cluster. What is read may be hostile:
// documents are bounded in size, depth and in what their aliases expand to, and nothing panics.
package manifest

import (
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// The bounds of what is read. An object can't be larger than etcd's 1.5 MiB; a List can, and is taken apart while it is read.
const (
	maxFile     = 64 << 20
	maxDocument = 4 << 20
	// maxParts bounds the values of one document: each takes some 200 bytes while it is looked at.
	maxParts = 500_000
	// maxExpanded bounds them when all aliases are followed.
	maxExpanded = 1_000_000
	// maxDepth is ten times what the deepest schemas of Kubernetes have.
	maxDepth = 200
	// maxDocuments bounds the documents of one stream.
	maxDocuments = 100_000
	// maxWorkloads bounds what is kept of all streams: each takes some kilobytes until it is judged.
	maxWorkloads = 25_000
)

// Loader collects objects of any number of streams.
type Loader struct {
	namespace string
	inv       workload.Inventory
	found     []found
	// last is the document that a line was asked for last.
	last  *document
	roots []*yaml.Node
}

// found is what is known of a workload beyond the inventory.
type found struct {
	uid        string
	controller workload.Object
	ownerUID   string
	pod        workload.Placed
	isPod      bool
}

// New returns a loader. Objects without a namespace get this one, which may be empty.
func New(namespace string) *Loader {
	return &Loader{namespace: namespace, inv: workload.Inventory{
		ConfigMaps: map[workload.Key]map[string]string{}, Claims: map[workload.Key]string{},
		RuntimeClasses: map[string]string{}, Services: map[workload.Key]map[string]string{},
	}}
}

// Read takes in a stream. The name stands in findings and errors. It returns the number of objects, and every document that could
// not be read as an error that begins with name:line; the other documents are taken in all the same.
func (l *Loader) Read(name string, r io.Reader) (int, error) {
	var errs []error
	objects, full := 0, false
	err := split(r, func(text []byte, line int) {
		if len(l.inv.Workloads) >= maxWorkloads {
			if !full {
				errs = append(errs, fmt.Errorf("%s:%d: more than %d workloads: check them in parts; the rest isn't looked at", name, line, maxWorkloads))
			}
			full = true
			return
		}
		d := &document{name: name, text: text, line: line}
		n, err := l.document(d)
		objects += n
		if err != nil {
			errs = append(errs, err)
		}
	}, func(line int, err error) {
		errs = append(errs, fmt.Errorf("%s:%d: %w", name, line, err))
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	if len(errs) > maxErrors {
		errs = append(errs[:maxErrors], fmt.Errorf("%s: and %d more errors", name, len(errs)-maxErrors))
	}
	return objects, errors.Join(errs...)
}

// maxErrors is how many errors of one stream are told.
const maxErrors = 10

// Inventory returns what was read. Objects that another object of the streams controls are counted as its pods, or left out:
// the output of kubectl get can be read as well.
func (l *Loader) Inventory() *workload.Inventory {
	inv := l.inv
	inv.Workloads = l.owned()
	return &inv
}
