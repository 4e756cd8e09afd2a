package runtimes

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

const ctdDropIn = "99-kubectl-runtime.toml"

// ctdEdit decides which file of containerd's says what is needed: the one that says otherwise now, else a drop-in of
// ours where the configuration reads drop-ins and merges them, else the main file.
type ctdEdit struct {
	ctdConfig
	drafts map[string]*edit.Draft
	// why collects the reasons for each file.
	why map[string][]string
	// own are the keys of our drop-in, in order.
	own []ownKey
	// refusals are files that can't say what is needed.
	refusals []v1alpha1.Finding
	err      error
}

type ownKey struct {
	key   []string
	value any
	why   string
}

func containerdConfigure(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) (changes, error) {
	c := changes{f: f}
	e := &ctdEdit{ctdConfig: readContainerd(f), drafts: map[string]*edit.Draft{}, why: map[string][]string{}}
	for _, file := range e.files {
		if file.err != nil {
			c.note(at(failure(Unreadable, "containerd itself refuses the file; repair it first", "containerd's configuration can't be read: %v", file.err), file.path, 0))
		}
	}
	if len(c.findings) > 0 {
		return c, nil
	}
	e.enableCRI(&c)
	e.matchCgroups(&c, f, v)
	e.matchSandbox(&c, f, s)
	e.matchCNI(&c, f, s)
	e.matchHandlers(&c, s)
	e.matchLimits(&c, s)
	e.matchRegistries(&c, f, s)
	c.note(e.refusals...)
	if e.err != nil {
		return c, e.err
	}
	e.write(&c)
	c.proxyDropIn(containerdUnit, s)
	return c, nil
}

// set gives a value its place. In a main file that doesn't exist yet it makes the file.
func (e *ctdEdit) set(why string, k ctdKey, value any, more ...string) {
	_, file := e.explicit(k, more...)
	if file == nil && e.readsDropIns() {
		e.own = append(e.own, ownKey{k.key(e.mainVersion(), more...), value, why})
		return
	}
	if file == nil {
		file = e.tableFile(k)
	}
	if file == nil {
		e.own = append(e.own, ownKey{k.key(2, more...), value, why})
		return
	}
	if !e.raise(file) {
		return
	}
	d := e.draft(file)
	e.fail(file.path, d.Apply(edit.TOMLSet(d.Text(), k.key(file.version, more...), value)))
	e.why[file.path] = append(e.why[file.path], why)
}

func (e *ctdEdit) fail(file string, err error) {
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("editing %s: %w", file, err)
	}
}

func (e *ctdEdit) draft(file *ctdFile) *edit.Draft {
	if e.drafts[file.path] == nil {
		e.drafts[file.path] = edit.NewDraft(file.path, file.content)
	}
	return e.drafts[file.path]
}

// tableFile is the file in which a new key of a plugin's table counts: in 1.x the last one with that table.
func (e *ctdEdit) tableFile(k ctdKey) *ctdFile {
	if before(e.version, 2, 0, 0) {
		for i := len(e.files) - 1; i >= 0; i-- {
			if _, ok := e.files[i].tree.get(k.key(e.files[i].version)[:2]...); ok {
				return &e.files[i]
			}
		}
	}
	if len(e.files) == 0 {
		return nil
	}
	return &e.files[0]
}

func (e *ctdEdit) mainVersion() int {
	if len(e.files) == 0 {
		return 2
	}
	return e.files[0].version
}

// readsDropIns reports whether a drop-in of ours beside the main file would be read and merged key by key.
func (e *ctdEdit) readsDropIns() bool {
	if len(e.files) == 0 || !known(e.version) || before(e.version, 2, 0, 0) || e.mainVersion() < 2 {
		return false
	}
	want := e.ownPath()
	for _, pattern := range e.files[0].tree.strs("imports") {
		if ok, _ := path.Match(absolute(e.main, pattern), want); ok {
			return true
		}
	}
	return false
}

func (e *ctdEdit) ownPath() string { return path.Join(path.Dir(e.main), "conf.d", ctdDropIn) }

func (e *ctdEdit) enableCRI(c *changes) {
	for {
		file, id := e.disabled()
		if file == nil {
			return
		}
		c.note(at(fixable(CRIDisabled, "containerd's configuration disables its CRI plugin"), file.path, lineWith(file.content, "disabled_plugins")))
		d := e.draft(file)
		e.fail(file.path, d.Apply(edit.TOMLRemoveElement(d.Text(), []string{"disabled_plugins"}, id)))
		e.why[file.path] = append(e.why[file.path], "enable the CRI plugin")
		if e.err != nil {
			return
		}
		file.tree = parseTree(d.Text())
	}
}

// matchCgroups gives every handler that runs runc the kubelet's cgroup driver.
func (e *ctdEdit) matchCgroups(c *changes, f *v1alpha1.Facts, v kubelet.View) {
	want := wantedDriver(f, v) == "systemd"
	byDefault := e.defaultRuntime()
	handlers := []string{byDefault}
	runtimes, _ := e.effective(ctdRuntimes).(map[string]any)
	for _, name := range (tree{"r": runtimes}).keys("r") {
		if _, file := e.explicit(ctdRuntimes, name); file != nil && name != byDefault && strings.HasPrefix(tree(runtimes).str(name, "runtime_type"), "io.containerd.runc.") {
			handlers = append(handlers, name)
		}
	}
	for _, name := range handlers {
		if (e.cgroupDriver(name) == "systemd") == want {
			continue
		}
		x := fixable(CgroupDriver, "containerd's handler %s would use the cgroup driver %s, the kubelet uses %s", name, e.cgroupDriver(name), wantedDriver(f, v))
		if _, file := e.explicit(ctdRuntimes, name, "options", "SystemdCgroup"); file != nil {
			x = at(x, file.path, lineWith(file.content, "SystemdCgroup"))
		}
		c.note(x)
		why := "use the kubelet's cgroup driver"
		if _, file := e.explicit(ctdRuntimes, name, "runtime_type"); file == nil {
			// A handler that the file names stands for itself alone: the built-in one isn't merged into it.
			e.set(why, ctdRuntimes, "io.containerd.runc.v2", name, "runtime_type")
		}
		e.set(why, ctdRuntimes, want, name, "options", "SystemdCgroup")
	}
}

// matchSandbox keeps the sandbox image that the node is known to have, unless the operator chose one for containerd.
func (e *ctdEdit) matchSandbox(c *changes, f *v1alpha1.Facts, s v1alpha1.Settings) {
	now := e.str(ctdSandbox)
	value, file := e.explicit(ctdSandbox)
	chosen, _ := value.(string)
	if keepSandbox(c, f, s.SandboxImage, now, chosen, fileOf(file)) {
		return
	}
	e.set("the sandbox image of the runtime that is left", ctdSandbox, s.SandboxImage)
}

func fileOf(file *ctdFile) string {
	if file == nil {
		return ""
	}
	return file.path
}

// matchCNI makes it look for the network where the other runtime did.
func (e *ctdEdit) matchCNI(c *changes, f *v1alpha1.Facts, s v1alpha1.Settings) {
	conf := cmp.Or(e.str(ctdCNI, "conf_dir"), defaultCNIConf)
	if s.CNIConfDir != "" && !sameDir(conf, s.CNIConfDir) {
		c.note(fixable(CNIDirs, "containerd would read the network's configuration from %s, the cluster's is in %s", conf, s.CNIConfDir))
		e.set("the cluster's network", ctdCNI, path.Clean(s.CNIConfDir), "conf_dir")
	}
	if bins := e.binDirs(); lacksPlugins(f, bins, s.CNIBinDirs) {
		c.note(fixable(CNIDirs, "containerd would look for network plugins in %s, the cluster's are in %s", strings.Join(bins, ", "), strings.Join(s.CNIBinDirs, ", ")))
		if list, _ := e.explicit(ctdCNI, "bin_dirs"); list != nil || e.mainVersion() > 2 && !before(e.version, 2, 1, 0) {
			e.set("the cluster's network plugins", ctdCNI, cleaned(unique(slices.Concat(s.CNIBinDirs, bins))), "bin_dirs")
		} else {
			e.set("the cluster's network plugins", ctdCNI, path.Clean(s.CNIBinDirs[0]), "bin_dir")
		}
	}
}

func cleaned(dirs []string) []string {
	out := make([]string, len(dirs))
	for i, d := range dirs {
		out[i] = path.Clean(d)
	}
	return out
}

// matchHandlers adds the handlers that RuntimeClasses name and the default one.
func (e *ctdEdit) matchHandlers(c *changes, s v1alpha1.Settings) {
	runtimes, _ := e.effective(ctdRuntimes).(map[string]any)
	for _, h := range s.OCIRuntimes {
		if _, ok := runtimes[h.Name]; ok {
			continue
		}
		if foreignShim(h.Type) {
			c.note(warning(OCIRuntimes, "configure its shim for containerd first", "the handler %s (%s) can't be carried to containerd: pods with its RuntimeClass will not start", h.Name, h.Type))
			continue
		}
		c.note(fixable(OCIRuntimes, "the handler %s is written for containerd", h.Name))
		why := "the handler " + h.Name
		e.set(why, ctdRuntimes, "io.containerd.runc.v2", h.Name, "runtime_type")
		if h.Path != "" {
			e.set(why, ctdRuntimes, h.Path, h.Name, "options", "BinaryName")
		}
		e.set(why, ctdRuntimes, e.driverOfDefault(), h.Name, "options", "SystemdCgroup")
	}
	if s.DefaultOCIRuntime == "" || usual(s.DefaultOCIRuntime) || s.DefaultOCIRuntime == e.defaultRuntime() {
		return
	}
	if chosen, file := e.explicit(ctdDefaultRuntime); chosen != nil && chosen != "runc" {
		c.note(at(warning(Conflict, "", "containerd keeps its own default handler %v; the runtime that is left uses %s", chosen, s.DefaultOCIRuntime), fileOf(file), 0))
		return
	}
	e.set("the default handler", ctdDefaultRuntime, s.DefaultOCIRuntime)
}

// driverOfDefault is what the default handler says once the edits are made.
func (e *ctdEdit) driverOfDefault() bool {
	for _, o := range e.own {
		if o.key[len(o.key)-1] == "SystemdCgroup" {
			return o.value.(bool)
		}
	}
	for _, d := range e.drafts {
		if strings.Contains(d.Text(), "SystemdCgroup = true") {
			return true
		}
	}
	return e.cgroupDriver(e.defaultRuntime()) == "systemd"
}

// foreignShim reports whether a handler is no OCI runtime behind the usual shim.
func foreignShim(kind string) bool {
	return kind != "" && kind != "oci" && !strings.HasPrefix(kind, "io.containerd.runc.")
}

// matchLimits carries what is left and tells what can't be.
func (e *ctdEdit) matchLimits(c *changes, s v1alpha1.Settings) {
	if n, _ := e.explicit(ctdDownloads); n == nil && s.MaxConcurrentDownloads > 0 {
		e.set("concurrent downloads", ctdDownloads, s.MaxConcurrentDownloads)
	}
	if on, _ := e.explicit(ctdSELinux); on == nil && s.SELinux {
		e.set("SELinux labels", ctdSELinux, true)
	}
	if len(s.Ulimits) > 0 {
		c.note(warning(NotCarried, "set LimitNOFILE= in a drop-in of containerd.service, or a base_runtime_spec", "the default ulimits of containers (%s) have no equal in containerd", ulimitNames(s)))
	}
	if s.PidsLimit > 0 {
		c.note(warning(NotCarried, "set podPidsLimit in the kubelet's configuration", "the pids limit of each container (%d) has no equal in containerd", s.PidsLimit))
	}
	if s.SeccompProfile != "" {
		c.note(warning(NotCarried, "set seccompProfile in the pods", "the default seccomp profile %s has no equal in containerd", s.SeccompProfile))
	}
	noteLogs(c, s, "containerd")
	noteRoots(c, s, "containerd")
	noteSearch(c, s, "containerd")
}

// write turns the edits into files.
func (e *ctdEdit) write(c *changes) {
	for _, file := range e.files {
		if d := e.drafts[file.path]; d != nil {
			c.edited(file.path, strings.Join(unique(e.why[file.path]), ", "), d)
		}
	}
	if len(e.own) == 0 {
		return
	}
	name, version := e.ownPath(), e.mainVersion()
	if len(e.files) == 0 {
		name = e.main
	}
	content := "# Written by kubectl runtime.\nversion = " + fmt.Sprint(version) + "\n"
	var why []string
	for _, o := range e.own {
		d := edit.NewDraft(name, content)
		e.fail(name, d.Apply(edit.TOMLSet(content, o.key, o.value)))
		content = d.Text()
		why = append(why, o.why)
	}
	c.own(name, strings.Join(unique(why), ", "), text(content))
}

func unique(in []string) []string {
	var out []string
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
