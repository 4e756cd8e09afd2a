package runtimes

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// dockerEdit collects what daemon.json must say. A directive that is a flag already must not stand in the file too:
// dockerd refuses that.
type dockerEdit struct {
	c     *changes
	f     *v1alpha1.Facts
	json  tree
	cmd   argv
	draft *edit.Draft
	why   []string
	err   error
}

func dockerConfigure(f *v1alpha1.Facts, s v1alpha1.Settings, v kubelet.View) (changes, error) {
	c := changes{f: f}
	name := dockerFile(f)
	e := &dockerEdit{c: &c, f: f, json: daemonJSON(f), cmd: dockerCommand(f), draft: edit.NewDraft(name, "{}\n")}
	if x, ok := follow(f, name); ok && x.Type == v1alpha1.Regular && strings.TrimSpace(x.Content) != "" {
		if e.json == nil {
			c.note(at(failure(Unreadable, "Docker itself refuses the file; repair it first", "Docker's configuration isn't valid JSON"), x.Path, 0))
			return c, nil
		}
		e.draft = edit.NewDraft(x.Path, x.Content)
		name = x.Path
	}
	e.matchCgroups(wantedDriver(f, v))
	e.matchRegistries(s)
	e.matchLimits(s)
	if e.err != nil {
		return c, fmt.Errorf("editing %s: %w", name, e.err)
	}
	e.write(name)
	if len(e.json.table("proxies")) == 0 {
		c.proxyDropIn(dockerUnit, s)
	}
	c.criDocker(f, s)
	return c, nil
}

// set gives a key of daemon.json a value, unless a flag says it already.
func (e *dockerEdit) set(why, key string, value any, flags ...string) {
	if _, ok := e.cmd.flag(append(flags, key)...); ok {
		e.c.note(warning(Conflict, "", "dockerd's command line sets %s, so daemon.json can't", key))
		return
	}
	if err := e.draft.Apply(jsonSet(e.draft.Text(), key, value)); err != nil && e.err == nil {
		e.err = err
	}
	e.why = append(e.why, why)
}

func (e *dockerEdit) write(name string) {
	if e.draft.Text() == "{}\n" {
		return
	}
	if x, ok := e.f.File(name); ok && x.Type == v1alpha1.Regular && strings.TrimSpace(x.Content) != "" {
		e.c.edited(name, strings.Join(unique(e.why), ", "), e.draft)
		return
	}
	// The file is ours whole: nothing of it stands on the node.
	pretty := e.draft.Text()
	var t map[string]any
	if json.Unmarshal([]byte(pretty), &t) == nil {
		if b, err := json.MarshalIndent(t, "", "  "); err == nil {
			pretty = string(b) + "\n"
		}
	}
	e.c.own(name, strings.Join(unique(e.why), ", "), text(pretty))
}

func (e *dockerEdit) matchCgroups(want string) {
	now := dockerDriver(e.f)
	if want == "" || now == want {
		return
	}
	if slices.ContainsFunc(e.cmd.values("exec-opt"), func(o string) bool { return strings.HasPrefix(o, "native.cgroupdriver=") }) {
		e.c.note(failure(CgroupDriver, "remove the flag from dockerd's unit or DOCKER_OPTS", "dockerd's command line sets the cgroup driver %s, the kubelet uses %s", now, want))
		return
	}
	e.c.note(at(fixable(CgroupDriver, "Docker would use the cgroup driver %s, the kubelet uses %s", now, want), dockerFile(e.f), 0))
	opts := slices.DeleteFunc(e.json.strs("exec-opts"), func(o string) bool { return strings.HasPrefix(o, "native.cgroupdriver=") })
	e.set("the kubelet's cgroup driver", "exec-opts", append(opts, "native.cgroupdriver="+want), "exec-opt")
}

func (e *dockerEdit) matchRegistries(s v1alpha1.Settings) {
	mine := newRegistries()
	dockerRegistries(e.f, mine)
	insecure, mirrors := e.json.strs("insecure-registries"), e.json.strs("registry-mirrors")
	wasInsecure, wasMirrors := len(insecure), len(mirrors)
	for _, x := range s.Registries {
		if x.Blocked || x.Location != "" || strings.ContainsAny(x.Host, "/*") {
			e.c.note(at(warning(NotCarried, "", "registry %s is blocked or fetched from elsewhere, which Docker can't do", x.Host), x.Source, 0))
		}
		has := mine.byHost[x.Host]
		if len(x.Mirrors) > 0 && x.Host != "docker.io" {
			e.c.note(at(warning(NotCarried, "pull from "+x.Host+" itself, or name the mirror in the pods", "the mirror of %s has no equal in Docker: it mirrors Docker Hub alone", x.Host), x.Source, 0))
		}
		if x.Insecure && !has.Insecure {
			insecure = append(insecure, x.Host)
		}
		if x.Host == "docker.io" && wasMirrors == 0 && len(has.Mirrors) == 0 {
			for _, m := range x.Mirrors {
				if m.OverridePath {
					e.c.note(at(warning(NotCarried, "give the mirror an address without a path", "the mirror %s has a path, which Docker can't use", m.URL), x.Source, 0))
					continue
				}
				mirrors = append(mirrors, m.URL)
				if host := hostOf(m.URL); m.Insecure && strings.HasPrefix(m.URL, "https://") && !slices.Contains(insecure, host) {
					insecure = append(insecure, host)
				}
			}
		} else if len(x.Mirrors) > 0 && x.Host == "docker.io" {
			noteConflict(e.c, v1alpha1.Registry{Host: x.Host, Mirrors: x.Mirrors, Source: x.Source}, v1alpha1.Registry{Host: x.Host, Mirrors: has.Mirrors, Source: has.Source}, "Docker")
		}
		if len(has.CAs)+len(has.Clients) == 0 {
			e.c.certFiles(dockerCerts, x)
		}
	}
	if len(insecure) > wasInsecure {
		e.c.note(fixable(Registries, "the registries without TLS are written for Docker"))
		e.set("registries", "insecure-registries", insecure, "insecure-registry")
	}
	if len(mirrors) > wasMirrors {
		e.c.note(fixable(Registries, "the mirrors of Docker Hub are written for Docker"))
		e.set("registries", "registry-mirrors", mirrors, "registry-mirror")
	}
}

func (e *dockerEdit) matchLimits(s v1alpha1.Settings) {
	if _, ok := e.json.get("default-ulimits"); !ok && len(s.Ulimits) > 0 {
		limits := map[string]any{}
		for _, u := range s.Ulimits {
			limits[u.Name] = map[string]any{"Name": u.Name, "Soft": u.Soft, "Hard": u.Hard}
		}
		e.set("default ulimits", "default-ulimits", limits, "default-ulimit")
	}
	if _, ok := e.json.get("max-concurrent-downloads"); !ok && s.MaxConcurrentDownloads > 0 {
		e.set("concurrent downloads", "max-concurrent-downloads", s.MaxConcurrentDownloads)
	}
	if size, _ := dockerLogs(e.cmd, e.json); size == 0 {
		e.c.note(warning(NotCarried, `set "log-opts": {"max-size": …, "max-file": …} in daemon.json`, "Docker keeps the logs of containers without a limit: the kubelet doesn't rotate them there"))
	}
	if s.PidsLimit > 0 {
		e.c.note(warning(NotCarried, "set podPidsLimit in the kubelet's configuration", "the pids limit of each container (%d) has no equal in Docker", s.PidsLimit))
	}
	runtimes := e.json.table("runtimes")
	add := map[string]any{}
	for _, h := range s.OCIRuntimes {
		if _, ok := runtimes[h.Name]; ok {
			continue
		}
		e.c.note(warning(OCIRuntimes, "keep pods with that RuntimeClass away from the node", "the handler %s can't be carried: behind cri-dockerd there is no RuntimeClass", h.Name))
		if h.Name == s.DefaultOCIRuntime && h.Path != "" && !foreignShim(h.Type) {
			add[h.Name] = map[string]any{"path": h.Path}
		}
	}
	if len(add) > 0 && e.json.str("default-runtime") == "" {
		for name, h := range runtimes {
			add[name] = h
		}
		e.set("the default OCI runtime", "runtimes", add, "add-runtime")
		e.set("the default OCI runtime", "default-runtime", s.DefaultOCIRuntime)
	}
	noteRoots(e.c, s, "Docker")
	noteSearch(e.c, s, "Docker")
}

// criDocker tells cri-dockerd what it can only learn from its command line: the sandbox image and the network.
func (c *changes) criDocker(f *v1alpha1.Facts, s v1alpha1.Settings) {
	cmd := criDockerCommand(f)
	var flags []string
	chosen, _ := cmd.flag("pod-infra-container-image")
	if !keepSandbox(c, f, s.SandboxImage, dockerSandbox(f), chosen, "") {
		flags = append(flags, "--pod-infra-container-image="+s.SandboxImage)
	}
	if plugin, ok := cmd.flag("network-plugin"); (ok && plugin != "cni") || (!ok && before(CRIDaemon(f, v1alpha1.Docker).Version, 0, 2, 6)) {
		c.note(fixable(CNIDirs, "cri-dockerd would use no CNI network"))
		flags = append(flags, "--network-plugin=cni")
	}
	if dir, ok := cmd.flag("cni-conf-dir"); s.CNIConfDir != "" && !sameDir(s.CNIConfDir, orDefault(dir, ok, defaultCNIConf)) {
		c.note(fixable(CNIDirs, "cri-dockerd would read the network's configuration from elsewhere than %s", s.CNIConfDir))
		flags = append(flags, "--cni-conf-dir="+path.Clean(s.CNIConfDir))
	}
	dirs, ok := cmd.flag("cni-bin-dir")
	if bins := strings.Split(orDefault(dirs, ok, defaultCNIBin), ","); lacksPlugins(f, bins, s.CNIBinDirs) {
		c.note(fixable(CNIDirs, "cri-dockerd would look for network plugins elsewhere than in %s", strings.Join(s.CNIBinDirs, ", ")))
		flags = append(flags, "--cni-bin-dir="+strings.Join(cleaned(s.CNIBinDirs), ","))
	}
	name := path.Join(DropInDir(criDockerUnit), OwnDropIn)
	if len(flags) == 0 {
		return
	}
	lines := parseUnit(f, criDockerUnit).Values("Service", "ExecStart")
	if len(lines) == 0 {
		c.note(failure(Unreadable, "install cri-dockerd as a systemd unit", "the command line of %s isn't known, so it can't be told %s", criDockerUnit, strings.Join(flags, " ")))
		return
	}
	c.own(name, "flags of cri-dockerd", text("# Written by kubectl runtime.\n[Service]\nExecStart=\nExecStart="+
		withFlags(lines[len(lines)-1].Value, flags)+"\n"))
}

// withFlags appends flags to a command line, in place of those of the same name.
func withFlags(line string, flags []string) string {
	var words []string
	for word := range strings.FieldsSeq(line) {
		name, _, _ := strings.Cut(word, "=")
		if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, name+"=") }) {
			words = append(words, word)
		}
	}
	return strings.Join(append(words, flags...), " ")
}

func orDefault(value string, ok bool, byDefault string) string {
	if ok && value != "" {
		return value
	}
	return byDefault
}
