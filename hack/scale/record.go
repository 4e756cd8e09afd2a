package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// record is what a cluster was filled with.
type record struct {
	// Objects are all that were made, the pods and nodes among them.
	Objects, Nodes, Deployments, Pods int
	// Guilty counts the Deployments of manifests in which something must be found.
	Guilty int
	// Want is what a check must find, each as said writes it, and nothing else.
	Want []string
}

func readRecord(path string) (record, error) {
	var r record
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

func (r *record) write(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// said is a finding as it is compared: the rule, the severity and where. Everything that is guilty has a namespace of its own, so that
// the namespace tells which manifests it came from; a node has its name.
func said(f *v1alpha1.Finding) string {
	severity := string(f.Severity)
	if f.Suppressed != "" {
		severity = "suppressed"
	}
	where := f.Object
	if strings.Count(where, "/") == 2 {
		where, _, _ = strings.Cut(where, "/")
	}
	return wanted(f.ID, severity, where)
}

func wanted(id, severity, where string) string {
	if where == "" {
		where = "the cluster"
	}
	return id + " " + severity + " in " + where
}
