package main

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// unitDirs are where the kubelet's unit and its drop-ins may have their files.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// allowed are the paths that this program may write, whatever a plan says.
func allowed(m host.Machine) []v1alpha1.WritablePath {
	open := planned(journal.Open(m.Files, m.Clock, journal.Dir))
	return slices.Concat(v1alpha1.WritablePaths(), kubeletFiles(m.Files, unitDirs...), open)
}

// planned are the kubelet's files of the run that is open. While it was staged the kubelet's units named them, and only root can have
// changed its plan since. Units may say something else by now, or can't be read: the run must be able to go either way all the same. A
// run that is being staged is still to be measured by the units alone.
func planned(j *journal.Journal) []v1alpha1.WritablePath {
	run, err := j.OpenRun()
	if err != nil || run == nil || run.Phase == v1alpha1.PhaseStaging {
		return nil // whoever acts on a run reads it again, and tells what is wrong with it
	}
	p, err := j.Plan(run.ID)
	if err != nil {
		return nil
	}
	var out []v1alpha1.WritablePath
	for _, f := range p.Before.Files {
		out = named(out, path.Dir(f.Path), literal(path.Base(f.Path)), f.Path)
	}
	return out
}

// kubeletFiles are the configuration file and the drop-ins that the kubelet's units name, where they may lie. The units are read and not
// the process: while a run goes back it isn't there.
func kubeletFiles(files host.Reader, dirs ...string) []v1alpha1.WritablePath {
	var texts [][]string
	for _, text := range unitTexts(files, dirs...) {
		texts = append(texts, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'=\\", r) }))
	}
	var out []v1alpha1.WritablePath
	for _, file := range following(texts, "--config") {
		out = named(out, path.Dir(file), literal(path.Base(file)), file)
		if to := behind(files, file); to != file { // that is what is written, so that the link stays
			out = named(out, path.Dir(to), literal(path.Base(to)), to)
		}
	}
	for _, dir := range following(texts, "--config-dir") { // the kubelet goes into its directories, too
		dir = strings.TrimSuffix(dir, "/")
		out = named(out, dir, "*.conf", dir+"/x.conf")
		out = named(out, dir, "*/*.conf", dir+"/x/x.conf")
	}
	return out
}

// following are the values that a flag or a variable has anywhere, with whatever the variables in them may be.
func following(texts [][]string, name string) []string {
	var out []string
	for _, words := range texts {
		for i := 0; i+1 < len(words); i++ {
			if words[i] == name {
				out = append(out, expand(words[i+1], texts)...)
			}
		}
	}
	return out
}

// expand is a word with each value that the variables in it have anywhere; one that has none is no value.
func expand(word string, texts [][]string) []string {
	out := []string{word}
	os.Expand(word, func(name string) string {
		for _, words := range texts {
			for i := 0; i+1 < len(words); i++ {
				if words[i] != name {
					continue
				}
				put := strings.NewReplacer("${"+name+"}", words[i+1], "$"+name, words[i+1])
				for _, w := range slices.Clone(out) {
					if x := put.Replace(w); x != w {
						out = append(out, x)
					}
				}
			}
		}
		return ""
	})
	return slices.DeleteFunc(out, func(w string) bool { return strings.Contains(w, "$") })
}

// maxLinks is how many links the kernel follows.
const maxLinks = 40

// behind is the file to which a path leads, if its last element is a link.
func behind(files host.Reader, name string) string {
	for range maxLinks {
		f, err := files.Lstat(name)
		if err != nil || f.Type != v1alpha1.Symlink {
			break
		}
		if name = path.Join(path.Dir(name), f.Target); path.IsAbs(f.Target) {
			name = path.Clean(f.Target)
		}
	}
	return name
}

// named adds a path that the kubelet's units name, an example of which the kubelet's configuration may have.
func named(list []v1alpha1.WritablePath, root, name, example string) []v1alpha1.WritablePath {
	w := v1alpha1.WritablePath{Root: root, Name: name, Why: "the kubelet's configuration"}
	if !v1alpha1.KubeletFile(example) || slices.Contains(list, w) {
		return list
	}
	return append(list, w)
}

// literal is a name as a pattern that matches itself alone.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// maxUnit is more than any unit or file of variables has.
const maxUnit = 1 << 20

// unitTexts are the texts of the kubelet's unit, its drop-ins and the files of variables that these name.
func unitTexts(files host.Reader, dirs ...string) []string {
	var out []string
	read := func(name string) {
		if data, err := files.Read(name, maxUnit); err == nil {
			out = append(out, string(data))
		}
	}
	for _, dir := range dirs {
		read(path.Join(dir, v1alpha1.KubeletUnit))
		dropIns := path.Join(dir, v1alpha1.KubeletUnit+".d")
		names, _ := files.ReadDir(dropIns) // none is none
		for _, name := range names {
			if path.Ext(name) == ".conf" {
				read(path.Join(dropIns, name))
			}
		}
	}
	for _, unit := range slices.Clone(out) {
		for line := range strings.Lines(unit) {
			if key, name, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "EnvironmentFile" {
				read(strings.TrimPrefix(strings.TrimSpace(name), "-"))
			}
		}
	}
	return out
}
