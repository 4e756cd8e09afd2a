package runtimes

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// Vet refuses a plan that would have the node do, as root, what no description here asks for: foreign commands, units, modules
// and addresses. What files a plan writes, and with what content, isn't its business.
func Vet(p *v1alpha1.Plan) error {
	for _, check := range []func(*v1alpha1.Plan) error{vetUnits, vetKubelet, vetEndpoints, vetKernel, vetBinaries, vetStaging} {
		if err := check(p); err != nil {
			return err
		}
	}
	return nil
}

func vetUnits(p *v1alpha1.Plan) error {
	var known []string
	for _, d := range All() {
		known = append(known, d.Units...)
	}
	var named []string
	for _, r := range refs(p) {
		named = append(named, r.Units...)
	}
	for _, u := range slices.Concat(p.Before.Units, p.After.Units) {
		named = append(named, u.Name)
	}
	for _, name := range named {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the plan would start or stop %q, which is no unit of a runtime", name)
		}
	}
	return nil
}

// refs are all runtimes that a plan names.
func refs(p *v1alpha1.Plan) []v1alpha1.RuntimeRef {
	return append([]v1alpha1.RuntimeRef{p.From, p.To, p.Before.Runtime, p.After.Runtime}, p.Evacuate...)
}

// vetKubelet lets the node ask only a kubelet for its health: an address of its own, and not a name that leads anywhere.
func vetKubelet(p *v1alpha1.Plan) error {
	k := p.Kubelet
	if k.Unit != v1alpha1.KubeletUnit {
		return fmt.Errorf("%q can't be the kubelet's unit", k.Unit)
	}
	if k.Kubeconfig != "" && (!path.IsAbs(k.Kubeconfig) || path.Clean(k.Kubeconfig) != k.Kubeconfig) {
		return fmt.Errorf("%q can't be the kubelet's kubeconfig", k.Kubeconfig)
	}
	for _, l := range k.Listens {
		// Whoever else listens there is ended while the kubelet is stopped: no port of the system's own is one of a kubelet's.
		if at, err := netip.ParseAddrPort(l); err != nil || at.Port() < 1024 || len(k.Listens) > 2 {
			return fmt.Errorf("%q can't be where the kubelet listens", l)
		}
	}
	u, err := url.Parse(k.Healthz)
	if err != nil || u.Scheme != "http" || u.Path != "/healthz" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q can't be the kubelet's health check", k.Healthz)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && u.Hostname() != "localhost" {
		return fmt.Errorf("%q can't be the kubelet's health check: it isn't an address", k.Healthz)
	}
	return nil
}

func vetEndpoints(p *v1alpha1.Plan) error {
	sockets := slices.Clone(p.Sockets)
	for _, r := range refs(p) {
		socket, ok := strings.CutPrefix(r.Endpoint, "unix://")
		if !ok && r.Endpoint != "" {
			return fmt.Errorf("%q can't be the endpoint of a runtime", r.Endpoint)
		}
		if ok {
			sockets = append(sockets, socket)
		}
	}
	for _, s := range sockets {
		if !path.IsAbs(s) || path.Clean(s) != s {
			return fmt.Errorf("%q can't be the socket of a runtime", s)
		}
	}
	return nil
}

func vetKernel(p *v1alpha1.Plan) error {
	for _, m := range p.Modules {
		if !slices.Contains(neededModules, m) {
			return fmt.Errorf("the plan would load the kernel module %q, which no runtime needs", m)
		}
	}
	for _, s := range p.Sysctls {
		if !slices.Contains(neededParameters, s.Name) || s.Value != "1" {
			return fmt.Errorf("the plan would set %q to %q, which no runtime needs", s.Name, s.Value)
		}
	}
	return nil
}

// vetBinaries: each is asked for its version.
func vetBinaries(p *v1alpha1.Plan) error {
	known := []string{"kubelet"}
	for _, d := range All() {
		known = append(known, d.Binaries()...)
	}
	for _, name := range slices.Sorted(maps.Keys(p.ReadSet.Binaries)) {
		if !program(name, known...) {
			return fmt.Errorf("the plan would ask %q for its version, which is no program of a runtime or a kubelet", name)
		}
	}
	return nil
}

// program reports whether a path can be that of one of these programs.
func program(name string, of ...string) bool {
	return path.IsAbs(name) && path.Clean(name) == name && slices.Contains(of, path.Base(name))
}

// commandLine is how a description starts its daemon beside the one that serves.
type commandLine struct {
	// daemon is the program.
	daemon string
	// words are what it is told, word for word, and flags what it may be told as the node's own unit tells it.
	words, flags []string
	// validate are the words of the command that checks the configuration; other words and flags of the daemon may stand there, too.
	validate []string
}

var commandLines = map[v1alpha1.RuntimeName]commandLine{
	v1alpha1.Containerd: {
		daemon: "containerd", words: []string{"--config={dir}/config.toml"}, validate: []string{"config", "dump"},
	},
	v1alpha1.CRIO: {
		daemon: "crio", words: []string{
			"--config={dir}/crio.conf", "--config-dir={dir}/crio.conf.d", "--registries-conf={dir}/registries.conf",
			"--registries-conf-dir={dir}/registries.conf.d", "--signature-policy={dir}/policy.json", "--listen={dir}/crio.sock", "--cni-config-dir={dir}/cni",
		}, flags: crioStoreFlags, validate: []string{"config"},
	},
	v1alpha1.Docker: {
		daemon: "dockerd", words: []string{"--config-file={dir}/daemon.json"}, flags: dockerImageFlags, validate: []string{"--validate"},
	},
}

func vetStaging(p *v1alpha1.Plan) error {
	s := p.Staging
	line, known := commandLines[p.To.Name]
	switch {
	case !known:
		return fmt.Errorf("unknown runtime %q", p.To.Name)
	case len(s.Env) > 0:
		return errors.New("the plan would change the environment of the staging instance")
	case s.EnvFile != "" && s.EnvFile != proxyEnv:
		return fmt.Errorf("the plan would take the environment of the staging instance from %q", s.EnvFile)
	case s.Needed && len(s.Argv) == 0:
		return errors.New("the plan doesn't say how to start the staging instance")
	}
	if socket, ok := strings.CutPrefix(strings.ReplaceAll(s.Endpoint, "{dir}", "/dir"), "unix://"); s.Endpoint != "" && (!ok || path.Clean(socket) != socket) {
		return fmt.Errorf("%q can't be the endpoint of a staging instance", s.Endpoint)
	}
	exe := ""
	if len(s.Argv) > 0 {
		exe = s.Argv[0]
	}
	for i, argv := range append(slices.Clone(s.Validate), s.Argv) {
		extra := line.validate
		if i == len(s.Validate) {
			extra = nil
		}
		if len(argv) > 0 && (argv[0] != exe || !line.fits(p, argv, extra)) {
			return fmt.Errorf("the plan would run %q, which is no way to start or check %s", argv, p.To.Name)
		}
	}
	want := [][]string(nil)
	if len(s.Handover) > 0 && p.To.Name == v1alpha1.Containerd {
		want = handover(path.Join(path.Dir(exe), "ctr"))
	}
	if !slices.EqualFunc(s.Handover, want, slices.Equal[[]string]) {
		return fmt.Errorf("the plan would run %q, which is no way to hand an image over to %s", s.Handover, p.To.Name)
	}
	return nil
}

// fits reports whether a command line of a plan is this one. Its program must be one whose version the plan has read.
func (c commandLine) fits(p *v1alpha1.Plan, argv, extra []string) bool {
	if _, read := p.ReadSet.Binaries[argv[0]]; !read || !program(argv[0], c.daemon) {
		return false
	}
	for _, w := range argv[1:] {
		name, _, has := strings.Cut(strings.TrimLeft(w, "-"), "=")
		flag := has && strings.HasPrefix(w, "-") && slices.Contains(c.flags, name)
		if !flag && !slices.Contains(c.words, w) && !slices.Contains(extra, w) {
			return false
		}
	}
	return true
}

// ProxiesOnly refuses the text of an environment file that sets anything but proxies: a loader's variables, for one, would run what
// they name.
func ProxiesOnly(content string) error {
	parsed, err := edit.ParseEnv(content)
	if err != nil {
		return errors.New("the environment of the staging instance can't be read") // the parser's words could hold a password
	}
	for _, v := range parsed.Vars {
		if !isProxy(v.Name) {
			return fmt.Errorf("the environment of the staging instance would have %q, which is no proxy", v.Name)
		}
	}
	return nil
}
