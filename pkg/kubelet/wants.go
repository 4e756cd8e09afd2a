package kubelet

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// KubeadmBinaries are the paths at which a kubeadm binary may stand, in the order of preference.
func KubeadmBinaries() []string {
	return []string{"/usr/bin/kubeadm", "/usr/local/bin/kubeadm", "/opt/bin/kubeadm"}
}

// Wants asks for what Analyze and Retarget need and Facts don't hold yet. Repeated until it asks for nothing new. The
// kubelet's credential is only looked at from outside.
func Wants(f *v1alpha1.Facts) v1alpha1.Wants {
	w := wants{f: f}
	s := source{f: f}
	name := f.Kubelet.Unit
	if name == "" {
		name = defaultUnit
	}
	w.unit(name)
	for _, dir := range []string{"/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		w.dir(dir + name + ".d")
	}
	for _, p := range []string{kubeadmFlags, kubeadmConfig, instanceConfig, crictlConfig, defaultEnv, sysconfigEnv, kubesprayEnv} {
		w.file(p)
	}
	for _, p := range []string{"/etc/kubernetes/kubelet.conf", traceKind, traceSealos, traceKubeKey} {
		w.stat(p)
	}
	flags := flagsOf(fromArgv(f.Kubelet.Argv))
	if u, ok := f.Unit(name); ok && u.LoadState == "loaded" {
		for _, p := range append([]string{u.Fragment}, u.DropIns...) {
			w.file(p)
		}
		for _, p := range u.EnvironmentFiles {
			p = strings.TrimPrefix(p, "-")
			if !strings.ContainsAny(p, "*?[% ") {
				w.file(p)
			}
		}
		c := s.command(u)
		for _, p := range c.envFiles {
			w.file(p)
		}
		if len(flags) == 0 {
			flags = c.flags()
		}
	}
	for _, name := range []string{"kubeconfig", "bootstrap-kubeconfig"} {
		if k, ok := lastFlag(flags, name); ok {
			w.stat(k.value)
		}
	}
	cfg, file, dir := s.config(flags)
	if file != "" {
		w.file(file)
	}
	if dir != "" {
		w.dir(dir)
		files, unknown := s.dropIns(dir, 0)
		for _, p := range files {
			w.file(p)
		}
		for _, p := range unknown {
			w.below(p)
		}
	}
	static := cfg.get("staticPodPath")
	if p, ok := lastFlag(flags, "pod-manifest-path"); ok {
		static = p.value
	}
	for _, dir := range []string{static, "/etc/kubernetes/manifests"} {
		if path.IsAbs(dir) {
			w.stat(path.Join(dir, apiserverManifest))
		}
	}
	return w.out
}

const (
	defaultUnit       = v1alpha1.KubeletUnit
	apiserverManifest = "kube-apiserver.yaml"
)

// wants collects what Facts don't hold.
type wants struct {
	f   *v1alpha1.Facts
	out v1alpha1.Wants
}

func (w *wants) unit(name string) {
	if _, ok := w.f.Unit(name); !ok {
		w.out.Units = append(w.out.Units, name)
	}
}

func (w *wants) dir(name string) {
	if _, ok := w.f.Dir(name); !ok && !slices.Contains(w.out.Dirs, name) {
		w.out.Dirs = append(w.out.Dirs, name)
	}
}

// file asks for a content. A path that was only looked at from outside is asked for again.
func (w *wants) file(name string) {
	if !path.IsAbs(name) || slices.Contains(w.out.Files, name) {
		return
	}
	x, ok := w.f.File(name)
	if !ok || x.Type == v1alpha1.Regular && x.Size > 0 && x.Content == "" {
		w.out.Files = append(w.out.Files, name)
	}
}

func (w *wants) stat(name string) {
	if _, ok := w.f.File(name); !ok && path.IsAbs(name) && !slices.Contains(w.out.Stats, name) {
		w.out.Stats = append(w.out.Stats, name)
	}
}

// below asks what stands at a path inside a --config-dir: a directory is walked, too.
func (w *wants) below(name string) {
	x, ok := w.f.File(name)
	switch {
	case !ok:
		w.stat(name)
	case x.Type == v1alpha1.Directory:
		w.dir(name)
	}
}
