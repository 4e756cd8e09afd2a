package hosttest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// kernelModules are the modules that the machine's kernel has.
var kernelModules = []string{"overlay", "br_netfilter", "nf_conntrack", "ip_vs", "xt_conntrack"}

// kernelBoot sets the kernel as its configuration files say.
func (n *Node) kernelBoot() {
	n.modules = map[string]bool{}
	n.sysctls = map[string]string{
		"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0", "vm.overcommit_memory": "0", "kernel.panic": "0",
	}
	for _, file := range n.glob([]string{"/etc/modules-load.d/*.conf"}) {
		for line := range strings.Lines(string(n.fs.now[file].data)) {
			n.loadModule(strings.TrimSpace(line))
		}
	}
	for _, file := range n.glob([]string{"/etc/sysctl.d/*.conf"}) {
		for line := range strings.Lines(string(n.fs.now[file].data)) {
			k, v, _ := strings.Cut(line, "=")
			if k = strings.TrimSpace(k); n.sysctls[k] != "" {
				n.sysctls[k] = strings.TrimSpace(v)
			}
		}
	}
}

func (n *Node) loadModule(name string) bool {
	name = strings.ReplaceAll(name, "-", "_")
	for _, m := range kernelModules {
		if m != name {
			continue
		}
		n.modules[name] = true
		if name == "br_netfilter" && n.sysctls["net.bridge.bridge-nf-call-iptables"] == "" {
			n.sysctls["net.bridge.bridge-nf-call-iptables"] = "1"
			n.sysctls["net.bridge.bridge-nf-call-ip6tables"] = "1"
		}
		return true
	}
	return false
}

// kernel is host.Kernel for one process.
type kernel struct{ p *Process }

func (v kernel) Info() (v1alpha1.MachineInfo, error) {
	leave, err := v.p.enter()
	if err != nil {
		return v1alpha1.MachineInfo{}, err
	}
	defer leave()
	return v.p.n.Info, nil
}

func (v kernel) Modules() ([]string, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return sortedKeys(v.p.n.modules), nil
}

func (v kernel) Mounts() ([]v1alpha1.Mount, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return append([]v1alpha1.Mount{{Path: "/"}, {Path: "/run"}}, v.p.n.mounts...), nil
}

func (v kernel) LoadModule(_ context.Context, name string) error {
	leave, err := v.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	return v.p.n.act(v.p, "load module "+name, func() error {
		if !v.p.n.loadModule(name) {
			return fmt.Errorf("module %s not found in directory /lib/modules/%s", name, v.p.n.Info.Kernel)
		}
		return nil
	})
}

func (v kernel) Sysctl(name string) (string, error) {
	leave, err := v.p.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	return v.p.n.sysctls[name], nil
}

func (v kernel) SetSysctl(name, value string) error {
	leave, err := v.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	return v.p.n.act(v.p, "sysctl "+name, func() error {
		if _, ok := v.p.n.sysctls[name]; !ok {
			return fmt.Errorf("cannot stat /proc/sys/%s: no such file or directory", strings.ReplaceAll(name, ".", "/"))
		}
		v.p.n.sysctls[name] = value
		return nil
	})
}

// Kernel returns the loaded modules and the parameters.
func (n *Node) Kernel() (modules []string, sysctls map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return sortedKeys(n.modules), maps.Clone(n.sysctls)
}

// commands is host.Commands for one process.
type commands struct{ p *Process }

// searchPath is where a command without a slash is looked for.
var searchPath = []string{"/usr/local/bin", "/usr/sbin", "/usr/bin"}

func (v commands) Output(_ context.Context, argv, env []string) ([]byte, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		leave()
		return nil, fmt.Errorf("there is nothing to execute")
	}
	program := v.p.n.find(argv[0])
	refused := v.p.n.runnable(argv[0])
	leave()
	switch {
	case program == nil:
		return nil, fmt.Errorf("exec: %q: executable file not found", argv[0])
	case refused != nil:
		return nil, refused
	case !slices.ContainsFunc(v1alpha1.Programs(), func(r v1alpha1.Right) bool { return r.What == path.Base(argv[0]) }):
		return nil, fmt.Errorf("running %s: not among the programs that this program may run", argv[0])
	case program.Output != nil:
		out, err := program.Output(argv, env)
		return []byte(out), err
	case len(argv) == 2 && argv[1] == "--version":
		return []byte(path.Base(program.Path) + " version " + program.Version + "\n"), nil
	}
	return nil, fmt.Errorf("hosttest: %s doesn't know what to answer to %q", program.Path, argv[1:])
}

func (n *Node) find(name string) *Program {
	if strings.Contains(name, "/") {
		if _, at, err := n.fs.follow(name); err == nil {
			return n.programs[at]
		}
		return nil
	}
	for _, d := range searchPath {
		if _, at, err := n.fs.follow(path.Join(d, name)); err == nil {
			return n.programs[at]
		}
	}
	return nil
}

// web is host.HTTP for one process.
type web struct{ p *Process }

var healthzPort = regexp.MustCompile(`(?m)--healthz-port=(\d+)|^healthzPort:\s*(\d+)`)

func (v web) Healthz(_ context.Context, address string) error {
	leave, err := v.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	n := v.p.n
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if at, _ := strconv.Atoi(u.Port()); n.squatted(at) {
		return &host.StrangerError{At: address, Who: "a process of user 65534"}
	}
	k := n.kubelet()
	if k == nil || u.Scheme != "http" || u.Path != "/healthz" || u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return fmt.Errorf("nobody listens at %s", address)
	}
	port := "10248"
	text := strings.Join(k.argv, "\n")
	for _, file := range n.glob(k.program.Reads) {
		text += "\n" + string(n.fs.now[file].data)
	}
	if m := healthzPort.FindStringSubmatch(text); m != nil {
		port = m[1] + m[2]
	}
	if u.Port() != port || n.serving(k.endpoint) == nil {
		return fmt.Errorf("%s answers 500", address)
	}
	return nil
}

func (v web) Do(_ context.Context, kubeconfig, method, path, contentType string, body []byte) (int, []byte, error) {
	leave, err := v.p.enter()
	if err != nil {
		return 0, nil, err
	}
	_, _, err = v.p.n.fs.follow(kubeconfig)
	api := v.p.n.API
	leave()
	if err != nil {
		return 0, nil, err
	}
	if api == nil {
		return 0, nil, fmt.Errorf("%s %s: dial tcp: connect: connection refused", method, path)
	}
	code, answer := api(method, path, contentType, body)
	return code, answer, v.p.alive()
}

func (v web) Credential(path, _ string) (host.Credential, error) {
	leave, err := v.p.enter()
	if err != nil {
		return host.Credential{}, err
	}
	defer leave()
	_, _, err = v.p.n.fs.follow(path)
	return v.p.n.Credential, err
}

func (v web) Serve(handler http.Handler) (string, func() error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), s.Close, nil
}

// stores is host.Stores for one process.
type stores struct{ p *Process }

func (v stores) Foreign(_ context.Context, r v1alpha1.RuntimeName) ([]v1alpha1.Container, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return v.p.n.store(r).foreign, nil
}

func (v stores) Deprecations(_ context.Context, r v1alpha1.RuntimeName) ([]v1alpha1.Deprecation, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return v.p.n.store(r).announced, nil
}

func (v stores) Image(ctx context.Context, r v1alpha1.RuntimeName, ref, scratch string) (*host.StoredImage, error) {
	if err := v.p.alive(); err != nil {
		return nil, err
	}
	if v.p.n.OpenImage == nil {
		return nil, fmt.Errorf("%s: %w", ref, host.ErrNotExist)
	}
	return v.p.n.OpenImage(ctx, r, ref, scratch)
}
