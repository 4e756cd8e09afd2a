package kubelet

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// Analyze reads Facts. It fails only where there is no kubelet at all; an installer that can't be switched and files
// that can't be understood are told by the view.
func Analyze(f *v1alpha1.Facts) (View, error) {
	k := f.Kubelet
	u, _ := f.Unit(unitName(k))
	if k.Version == "" && len(k.Argv) == 0 && u.LoadState != "loaded" {
		return View{}, errors.New("no kubelet was found on the node")
	}
	v, _ := analyze(source{f: f}, k.Argv)
	return v, nil
}

func unitName(k v1alpha1.KubeletInfo) string {
	if k.Unit != "" {
		return k.Unit
	}
	return defaultUnit
}

// analyze reads a node whose kubelet runs with argv; without argv it tells what its unit would start.
func analyze(s source, argv []string) (View, command) {
	k := s.f.Kubelet
	v := View{Version: strings.TrimPrefix(k.Version, "v"), Minor: minorOf(k.Version), Unit: unitName(k), RootDir: "/var/lib/kubelet"}
	if k.Kubeadm != nil {
		v.Kubeadm = strings.TrimPrefix(k.Kubeadm.Version, "v")
	}
	if v.KubeadmMinor = minorOf(v.Kubeadm); v.KubeadmMinor == 0 {
		v.KubeadmMinor = v.Minor
	}
	var c command
	if u, ok := s.f.Unit(v.Unit); ok && u.LoadState == "loaded" {
		c = s.command(u)
	}
	flags := c.flags()
	if len(argv) > 0 {
		flags = flagsOf(fromArgv(argv))
	}
	cfg, file, dir := s.config(flags)
	v.ConfigFile, v.ConfigDir = file, dir
	v.basics(flags, cfg)
	v.ControlPlane = s.exists(path.Join(v.StaticPodPath, apiserverManifest))
	v.endpoints(flags, cfg)
	v.Installer, v.Why = s.installer(flags, c, v.ImageEndpoint)
	v.Places = s.places(v, flags, c, cfg)
	if !v.Installer.Switchable() {
		return v, c
	}
	v.Problems = append(c.problems, cfg.problems...)
	for i, file := range cfg.files {
		if text, line, ok := file.yaml.Get(fieldEndpoint); i > 0 && ok && text == "" {
			v.Problems = append(v.Problems, fmt.Sprintf("%s:%d empties %s: whether the default holds then isn't known", file.name, line, fieldEndpoint))
		}
	}
	if v.Minor == 0 {
		v.Problems = append(v.Problems, "the kubelet's version couldn't be read")
	}
	if len(argv) > 0 {
		v.Drift = difference(edit.MaskArgs(argv), edit.MaskArgs(c.argv()))
	}
	return v, c
}

func minorOf(text string) int {
	parsed, err := version.ParseGeneric(text)
	if err != nil || parsed.Major() != 1 {
		return 0
	}
	return int(parsed.Minor())
}

// basics reads what a switch must know besides endpoints.
func (v *View) basics(flags []flag, cfg config) {
	// A flag beats the field; neither leaves the default.
	pick := func(name, def string, field ...string) string {
		if f, ok := lastFlag(flags, name); ok {
			return f.value
		}
		if text := cfg.get(field...); text != "" {
			return text
		}
		return def
	}
	v.CgroupDriver = pick("cgroup-driver", "cgroupfs", "cgroupDriver")
	v.StaticPodPath = pick("pod-manifest-path", "", "staticPodPath")
	if f, ok := lastFlag(flags, flagCgroups); ok {
		v.RuntimeCgroups = f.value
	}
	if f, ok := lastFlag(flags, "kubeconfig"); ok {
		v.Kubeconfig = f.value
	}
	if f, ok := lastFlag(flags, "bootstrap-kubeconfig"); ok {
		v.Bootstrap = f.value
	}
	// A flag without a value is true.
	if rotates := pick("rotate-certificates", "false", "rotateCertificates"); rotates == "true" || rotates == "" {
		dir := "/var/lib/kubelet/pki"
		if f, ok := lastFlag(flags, "cert-dir"); ok && f.value != "" {
			dir = f.value
		}
		v.Rotated = path.Join(dir, "kubelet-client-current.pem")
	}
	if f, ok := lastFlag(flags, "root-dir"); ok && f.value != "" {
		v.RootDir = f.value
	}
	v.listens(pick("address", anyAddress, "address"), pick("port", servingPort, "port"), pick("read-only-port", "0", "readOnlyPort"))
	port := pick("healthz-port", "10248", "healthzPort")
	address := pick("healthz-bind-address", "127.0.0.1", "healthzBindAddress")
	if port == "0" {
		return
	}
	host := "127.0.0.1"
	if ip, err := netip.ParseAddr(address); err == nil {
		switch {
		case ip.IsUnspecified() && ip.Is6() && !ip.Is4In6():
			host = "[::1]"
		case ip.IsUnspecified():
		case ip.Is6():
			host = "[" + ip.String() + "]"
		default:
			host = ip.String()
		}
	}
	v.Healthz = "http://" + host + ":" + port + "/healthz"
}

// Where a kubelet serves that isn't told otherwise.
const (
	anyAddress  = "0.0.0.0"
	servingPort = "10250"
)

// listens notes where the kubelet serves the API server and, where it is told to, those who only read. It doesn't start where somebody
// else listens there.
func (v *View) listens(address, port, readOnly string) {
	for _, p := range []string{port, readOnly} {
		at, err := netip.ParseAddrPort(joined(address, p))
		if err == nil && at.Port() != 0 {
			v.Listens = append(v.Listens, at.String())
		}
	}
	if slices.Equal(v.Listens, []string{anyAddress + ":" + servingPort}) {
		v.Listens = nil
	}
}

// joined is an address with its port.
func joined(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return address + ":" + port
}

// endpoints finds the endpoints that hold: flags beat drop-ins beat the file beats the default of the version. Kubelets
// up to 1.26 don't know the fields.
func (v *View) endpoints(flags []flag, cfg config) {
	kind, hasKind := lastFlag(flags, flagRuntime)
	v.Dockershim = v.Minor > 0 && v.Minor < 24 && (!hasKind || kind.value != "remote")
	endpoint, _ := lastFlag(flags, flagEndpoint)
	image, _ := lastFlag(flags, flagImage)
	v.Endpoint, v.ImageEndpoint = endpoint.value, image.value
	if v.Minor >= 27 {
		if v.Endpoint == "" {
			v.Endpoint = cfg.get(fieldEndpoint)
		}
		if v.ImageEndpoint == "" {
			v.ImageEndpoint = cfg.get(fieldImage)
		}
	}
	switch {
	case v.Endpoint != "":
	case v.Minor >= 27:
		v.Endpoint = defaultEndpoint
	case v.Minor > 0 && v.Minor < 24:
		v.Endpoint = dockershimEndpoint
	}
	v.Endpoint, v.ImageEndpoint = withScheme(v.Endpoint), withScheme(v.ImageEndpoint)
	if v.Dockershim {
		v.ImageEndpoint = ""
	}
}
