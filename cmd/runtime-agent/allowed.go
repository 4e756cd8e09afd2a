package main

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// allowed are the paths that this program may write, whatever a plan says.
func allowed(files host.Reader) []v1alpha1.WritablePath {
	return slices.Concat(v1alpha1.WritablePaths(), kubeletFiles(files, "/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"))
}

// kubeletFiles are the configuration file and the drop-ins that the kubelet's units name, where they may lie. The units are read and not
// the process: while a run goes back it isn't there.
func kubeletFiles(files host.Reader, dirs ...string) []v1alpha1.WritablePath {
	var out []v1alpha1.WritablePath
	for _, text := range unitTexts(files, dirs...) {
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'=\\", r) })
		for i := 0; i+1 < len(words); i++ {
			switch file := words[i+1]; words[i] {
			case "--config":
				out = named(out, path.Dir(file), literal(path.Base(file)), file)
			case "--config-dir": // the kubelet goes into its directories, too
				dir := strings.TrimSuffix(file, "/")
				out = named(out, dir, "*.conf", dir+"/x.conf")
				out = named(out, dir, "*/*.conf", dir+"/x/x.conf")
			}
		}
	}
	return out
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
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "EnvironmentFile="); ok {
				read(strings.TrimPrefix(name, "-"))
			}
		}
	}
	return out
}
