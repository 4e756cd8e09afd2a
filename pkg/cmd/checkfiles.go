package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/manifest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// checkFiles looks at manifests. A file that can't be read doesn't keep the others from being checked.
func (p *program) checkFiles(o *checkOptions, r *report.Report) error {
	if slices.Contains(o.files, "-") && len(o.files) > 1 {
		return errors.New("-f - reads standard input, and nothing else")
	}
	loader := manifest.New(o.namespace)
	files := 0
	read := func(name string, named bool) {
		files++
		n, err := p.readFile(loader, name)
		switch {
		case err != nil:
			r.Problems = append(r.Problems, strings.Split(err.Error(), "\n")...)
		case n == 0 && named:
			r.Problems = append(r.Problems, fmt.Sprintf("%s: there is no Kubernetes object in it", name))
		}
	}
	for _, name := range o.files {
		if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
			return fmt.Errorf("-f %s: addresses aren't read; download it first, or pipe it into -f -", name)
		}
		info, err := os.Stat(name)
		switch {
		case name == "-":
			read(name, true)
		case err != nil:
			return fmt.Errorf("-f: %w", err)
		case info.IsDir():
			before := files
			for _, f := range manifests(name, o.recursive, r) {
				read(f, false)
			}
			if files == before {
				r.Problems = append(r.Problems, name+": there is no file of YAML or JSON in it"+hintRecursive(o.recursive))
			}
		default:
			read(name, true)
		}
	}
	inv := loader.Inventory()
	if o.selector != nil {
		inv.Workloads = slices.DeleteFunc(inv.Workloads, func(w workload.Workload) bool { return !o.selector.Empty() && !o.selector.Matches(labelSet(w.Labels)) })
	}
	r.Scope = report.Plural(files, "file")
	r.Workloads, r.Rules = len(inv.Workloads), workloadRules()
	r.Findings = workload.Check(inv, workload.Options{To: o.to})
	return nil
}

func hintRecursive(recursive bool) string {
	if recursive {
		return ""
	}
	return "; -R looks into its folders"
}

// readFile reads one file; "-" is standard input.
func (p *program) readFile(loader *manifest.Loader, name string) (int, error) {
	if name == "-" {
		return loader.Read("stdin", p.Streams.In)
	}
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return loader.Read(name, f)
}

// manifests are the files of YAML and JSON in a folder, in their order. Links to files are followed, those to folders aren't: they
// may go in circles.
func manifests(dir string, recursive bool, r *report.Report) []string {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.Problems = append(r.Problems, err.Error())
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if path != dir && (!recursive || d.Name() == ".git") {
				return fs.SkipDir
			}
			return nil
		case !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		// What is neither a file nor a link to one (a pipe, a device) would be waited for.
		info, err := os.Stat(path)
		if err != nil {
			r.Problems = append(r.Problems, err.Error())
		} else if info.Mode().IsRegular() {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	return out
}
