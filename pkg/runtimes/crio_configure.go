package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// crioEdit collects what our drop-in says, table by table.
type crioEdit struct {
	crioConfig
	c      *changes
	tables [][]string
	values map[string][]ownKey
	why    []string
}

func crioConfigure(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) (changes, error) {
	c := changes{f: f}
	e := &crioEdit{crioConfig: readCRIO(f), c: &c, values: map[string][]ownKey{}}
	for _, file := range e.files {
		if file.err != nil {
			c.note(at(failure(Unreadable, "CRI-O itself refuses the file; repair or remove it first (CRI-O reads every file in "+e.dir+")", "CRI-O's configuration can't be read: %v", file.err), file.path, 0))
		}
	}
	if len(c.findings) > 0 {
		return c, nil
	}
	e.matchCgroups(wantedDriver(f, v))
	e.matchSandbox(f, s)
	e.matchCNI(f, s)
	e.matchHandlers(f, s)
	e.matchLimits(s)
	e.write()
	e.noteNarrower(s)
	e.acceptImages(f)
	c.crioRegistries(f, s)
	c.proxyDropIn(crioUnit, s)
	return c, nil
}

// set adds a key to our drop-in, unless a file behind it would overrule it.
func (e *crioEdit) set(why string, value any, key ...string) {
	if _, file := e.last(true, key...); file != nil && file.path > path.Join(e.dir, crioOwn) {
		e.c.note(at(failure(Unreadable, "remove the key there, or rename the file so that it sorts before "+crioOwn,
			"%s in a file that counts after ours says otherwise than is needed", strings.Join(key, ".")), file.path, lineWith(file.content, key[len(key)-1])))
		return
	}
	table, last := key[:len(key)-1], key[len(key)-1]
	id := strings.Join(table, "\x00")
	if e.values[id] == nil {
		e.tables = append(e.tables, table)
	}
	e.values[id] = append(e.values[id], ownKey{key: []string{last}, value: value})
	e.why = append(e.why, why)
}

// others is what the operator's files say, ours left out.
func (e *crioEdit) others(key ...string) string {
	v, _ := e.last(true, key...)
	s, _ := v.(string)
	return s
}

func (e *crioEdit) matchCgroups(want string) {
	if want == "" {
		return
	}
	now := cmp.Or(e.others("crio", "runtime", "cgroup_manager"), "systemd")
	if flag, ok := e.cmd.flag("cgroup-manager"); ok && flag != want {
		e.c.note(failure(CgroupDriver, "remove the flag from CRIO_RUNTIME_OPTIONS or the unit", "CRI-O's command line says --cgroup-manager=%s, the kubelet uses %s", flag, want))
		return
	}
	if now == want {
		return
	}
	_, file := e.last(true, "crio", "runtime", "cgroup_manager")
	x := fixable(CgroupDriver, "CRI-O would use the cgroup driver %s, the kubelet uses %s", now, want)
	if file != nil {
		x = at(x, file.path, lineWith(file.content, "cgroup_manager"))
	}
	e.c.note(x)
	e.set("the kubelet's cgroup driver", want, "crio", "runtime", "cgroup_manager")
	switch monitor := e.others("crio", "runtime", "conmon_cgroup"); {
	case want == "cgroupfs" && monitor != "pod":
		e.set("the kubelet's cgroup driver", "pod", "crio", "runtime", "conmon_cgroup")
	case want == "systemd" && monitor != "" && monitor != "pod" && !strings.HasSuffix(monitor, ".slice"):
		e.set("the kubelet's cgroup driver", "system.slice", "crio", "runtime", "conmon_cgroup")
	}
}

func (e *crioEdit) matchSandbox(f *v1alpha1.Facts, s v1alpha1.Settings) {
	if _, ok := e.cmd.flag("pause-image"); ok {
		return
	}
	v, file := e.last(true, "crio", "image", "pause_image")
	chosen, _ := v.(string)
	now := chosen
	if now == "" && !e.ownSets("crio", "image", "pause_image") {
		now = e.builtIn("pause_image")
	}
	if keepSandbox(e.c, f, s.SandboxImage, now, chosen, fileOf(file)) {
		return
	}
	e.set("the sandbox image of the runtime that is left", s.SandboxImage, "crio", "image", "pause_image")
}

// ownSets reports whether our drop-in of an earlier run sets the key, so that what is printed isn't built in.
func (e crioConfig) ownSets(key ...string) bool {
	_, file := e.last(false, key...)
	return file != nil && path.Base(file.path) == crioOwn
}

func (e *crioEdit) matchCNI(f *v1alpha1.Facts, s v1alpha1.Settings) {
	conf := cmp.Or(e.others("crio", "network", "network_dir"), defaultCNIConf)
	if s.CNIConfDir != "" && !sameDir(conf, s.CNIConfDir) {
		e.c.note(fixable(CNIDirs, "CRI-O would read the network's configuration from %s, the cluster's is in %s", conf, s.CNIConfDir))
		e.set("the cluster's network", s.CNIConfDir, "crio", "network", "network_dir")
	}
	list, _ := e.last(true, "crio", "network", "plugin_dirs")
	bins := stringsOf(list)
	if len(bins) == 0 {
		bins = []string{defaultCNIBin}
	}
	if lacksPlugins(f, bins, s.CNIBinDirs) {
		e.c.note(fixable(CNIDirs, "CRI-O would look for network plugins in %s, the cluster's are in %s", strings.Join(bins, ", "), strings.Join(s.CNIBinDirs, ", ")))
		e.set("the cluster's network plugins", cleaned(unique(slices.Concat(s.CNIBinDirs, bins))), "crio", "network", "plugin_dirs")
	}
	if name, file := e.last(true, "crio", "network", "cni_default_network"); name != nil && name != "" {
		e.c.note(at(warning(CNIDirs, "make sure that it is the cluster's network", "CRI-O is told to use the network %v alone", name), file.path, lineWith(file.content, "cni_default_network")))
	}
}

// matchHandlers adds the handlers that RuntimeClasses name and the default one.
func (e *crioEdit) matchHandlers(f *v1alpha1.Facts, s v1alpha1.Settings) {
	for _, h := range s.OCIRuntimes {
		if _, file := e.last(true, "crio", "runtime", "runtimes", h.Name); file != nil {
			continue
		}
		binary := h.Path
		switch {
		case foreignShim(h.Type) && h.Type != "vm":
			e.c.note(warning(OCIRuntimes, "configure it for CRI-O first", "the handler %s (%s) can't be carried to CRI-O: pods with its RuntimeClass will not start", h.Name, h.Type))
			continue
		case binary == "":
			binary = ociBinary(f, "runc")
		}
		if binary == "" {
			e.c.note(warning(OCIRuntimes, "configure it for CRI-O first", "the handler %s can't be carried to CRI-O: its binary isn't known", h.Name))
			continue
		}
		e.c.note(fixable(OCIRuntimes, "the handler %s is written for CRI-O", h.Name))
		why := "the handler " + h.Name
		e.set(why, binary, "crio", "runtime", "runtimes", h.Name, "runtime_path")
		e.set(why, "oci", "crio", "runtime", "runtimes", h.Name, "runtime_type")
		e.set(why, "/run/"+path.Base(binary), "crio", "runtime", "runtimes", h.Name, "runtime_root")
	}
	chosen := e.others("crio", "runtime", "default_runtime")
	switch {
	case s.DefaultOCIRuntime != "" && !usual(s.DefaultOCIRuntime) && (chosen == "" || usual(chosen)):
		e.set("the default handler", s.DefaultOCIRuntime, "crio", "runtime", "default_runtime")
	case s.DefaultOCIRuntime != "" && chosen != "" && chosen != s.DefaultOCIRuntime && !usual(s.DefaultOCIRuntime):
		e.c.note(warning(Conflict, "", "CRI-O keeps its own default handler %s; the runtime that is left uses %s", chosen, s.DefaultOCIRuntime))
	case chosen == "" && !before(e.version, 1, 31, 0) && known(e.version) && ociBinary(f, "crun") == "" && ociBinary(f, "runc") != "":
		e.c.note(fixable(OCIRuntimes, "CRI-O would run containers by crun, which isn't on the node; runc is"))
		e.set("the OCI runtime that is on the node", "runc", "crio", "runtime", "default_runtime")
		e.set("the OCI runtime that is on the node", ociBinary(f, "runc"), "crio", "runtime", "runtimes", "runc", "runtime_path")
	}
}

// ociBinary returns where an OCI runtime is, CRI-O's own before those of others.
func ociBinary(f *v1alpha1.Facts, name string) string {
	if b := f.Runtime(v1alpha1.CRIO).Binaries[name]; b.Path != "" {
		return b.Path
	}
	for _, r := range f.Runtimes {
		if b := r.Binaries[name]; b.Path != "" {
			return b.Path
		}
	}
	return ""
}

func (e *crioEdit) matchLimits(s v1alpha1.Settings) {
	if v, _ := e.last(true, "crio", "runtime", "default_ulimits"); v == nil && len(s.Ulimits) > 0 {
		var list []string
		for _, u := range s.Ulimits {
			list = append(list, u.Name+"="+strconv.FormatInt(u.Soft, 10)+":"+strconv.FormatInt(u.Hard, 10))
		}
		e.set("default ulimits", list, "crio", "runtime", "default_ulimits")
	}
	if v, _ := e.last(true, "crio", "runtime", "seccomp_profile"); v == nil && s.SeccompProfile != "" {
		e.set("the default seccomp profile", s.SeccompProfile, "crio", "runtime", "seccomp_profile")
	}
	if v, _ := e.last(true, "crio", "runtime", "pids_limit"); v == nil && s.PidsLimit > 0 {
		e.set("the pids limit", s.PidsLimit, "crio", "runtime", "pids_limit")
	}
	if s.MaxConcurrentDownloads > 0 {
		e.c.note(warning(NotCarried, "", "the number of concurrent downloads (%d) has no equal in CRI-O", s.MaxConcurrentDownloads))
	}
	noteLogs(e.c, s, "CRI-O")
	noteRoots(e.c, s, "CRI-O")
}

// acceptImages gives CRI-O a signature policy where it would find none.
func (e *crioEdit) acceptImages(f *v1alpha1.Facts) {
	name := e.policy()
	x, ok := follow(f, name)
	switch {
	case !ok || x.Type != v1alpha1.Absent:
	case name == policyFile:
		e.c.note(fixable(SignaturePolicy, "CRI-O has no policy for image signatures and would refuse every image"))
		e.c.own(name, "which images CRI-O accepts", text("{\n    \"default\": [\n        {\n            \"type\": \"insecureAcceptAnything\"\n        }\n    ]\n}\n"))
	default:
		e.c.note(at(failure(SignaturePolicy, "write it, or remove signature_policy from CRI-O's configuration", "the signature policy that CRI-O is told doesn't exist: it would refuse every image"), name, 0))
	}
}

func (e *crioEdit) write() {
	name := path.Join(e.dir, crioOwn)
	if len(e.tables) == 0 {
		e.c.remove(name, "no longer needed")
		return
	}
	var t tomlText
	t.comment("Written by kubectl runtime.")
	for _, table := range e.tables {
		t.header(table...)
		for _, o := range e.values[strings.Join(table, "\x00")] {
			t.set(o.key[0], o.value)
		}
	}
	if !e.c.own(name, strings.Join(unique(e.why), ", "), text(t.String())) {
		// It was repaired by an earlier run.
		e.c.findings = slices.DeleteFunc(e.c.findings, func(x v1alpha1.Finding) bool { return x.Severity == v1alpha1.SeverityFixable })
	}
}

// commonCapabilities are those that containerd and Docker give to every container and CRI-O by itself doesn't.
var commonCapabilities = []string{"AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "SYS_CHROOT"}

// noteNarrower tells what containers could do in the runtime that is left and can't in CRI-O. That is how CRI-O means it,
// so it isn't repaired.
func (e *crioEdit) noteNarrower(s v1alpha1.Settings) {
	list, _ := e.last(false, "crio", "runtime", "default_capabilities")
	var lacking []string
	for _, name := range commonCapabilities {
		if given := stringsOf(list); !slices.Contains(given, name) && !slices.Contains(given, "CAP_"+name) {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		e.c.note(warning(Narrower, "add them to the pods that need them (ping, chroot, mknod), or set default_capabilities in a file below "+e.dir,
			"CRI-O doesn't give containers the capabilities %s by itself, the runtime that is left does", strings.Join(lacking, ", ")))
	}
	limit := number(e.builtIn("pids_limit"))
	if n, _ := e.last(false, "crio", "runtime", "pids_limit"); n != nil {
		limit, _ = n.(int64)
	}
	if limit > 0 && s.PidsLimit == 0 {
		e.c.note(warning(Narrower, "set pids_limit in a file below "+e.dir+" where pods need more",
			"CRI-O lets each container have %d processes and threads, the runtime that is left doesn't limit them", limit))
	}
}
