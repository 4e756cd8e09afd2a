package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/agent"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// allowed are the paths that this program may write, whatever a plan says; those that end in a slash with everything below.
func allowed() []string {
	var out []string
	for _, r := range v1alpha1.WritablePaths() {
		out = append(out, r.What)
	}
	return slices.Concat(out, agent.Reserves(), kubeletFiles("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"))
}

// kubeletFiles are the configuration file and the drop-in directory that the kubelet's units name, where they lie in /etc
// or in the kubelet's own directory. The units are read and not the process: while a run goes back it isn't there.
func kubeletFiles(dirs ...string) []string {
	var units []string
	for _, dir := range dirs {
		for _, pattern := range []string{"kubelet.service", "kubelet.service.d/*.conf"} {
			found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is good
			units = append(units, found...)
		}
	}
	texts := make([]string, 0, len(units))
	for _, unit := range units {
		if data, err := os.ReadFile(unit); err == nil {
			texts = append(texts, string(data))
		}
	}
	for _, text := range slices.Clone(texts) {
		for line := range strings.Lines(text) {
			name, ok := strings.CutPrefix(strings.TrimSpace(line), "EnvironmentFile=")
			if data, err := os.ReadFile(strings.TrimPrefix(name, "-")); ok && err == nil {
				texts = append(texts, string(data))
			}
		}
	}
	var out []string
	for _, text := range texts {
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'=\\", r) })
		for i := 0; i+1 < len(words); i++ {
			switch path := words[i+1]; {
			case !ours(path):
			case words[i] == "--config":
				out = append(out, path)
			case words[i] == "--config-dir":
				out = append(out, strings.TrimSuffix(path, "/")+"/")
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ours reports whether a kubelet's configuration may lie there.
func ours(path string) bool {
	clean := filepath.Clean(path)
	return clean == strings.TrimSuffix(path, "/") && clean != "/var/lib/kubelet" &&
		(strings.HasPrefix(clean, "/etc/kubernetes/") || strings.HasPrefix(clean, "/etc/kubelet") || strings.HasPrefix(clean, "/var/lib/kubelet/"))
}
