package runtimes

import (
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Choice is the network that a runtime gives to pods.
type Choice struct {
	// Networks are what a pod gets, the first one as its own; more than one only where containerd is told so.
	Networks []v1alpha1.Network
	// Named is the only network that CRI-O is told to use, whether it is there or not; empty where the first one counts.
	Named string
	// Fails: the runtime gives up at a file that others step over, so that pods have no network at all.
	Fails *v1alpha1.Network
}

// First is the path of the file that pods get their network from; empty when there is none.
func (c Choice) First() string {
	if len(c.Networks) == 0 || c.Fails != nil {
		return ""
	}
	return c.Networks[0].Path
}

// CNIPlaces are the directory from which the runtime reads the network's configuration, and those of its plugins.
func CNIPlaces(f *v1alpha1.Facts, name v1alpha1.RuntimeName) (conf string, bins []string) {
	d, err := Get(name)
	if err != nil {
		return defaultCNIConf, nil
	}
	s, _ := d.settings(f)
	return path.Clean(s.CNIConfDir), s.CNIBinDirs
}

// Chosen returns what a runtime makes of the configurations in a directory, with the plugins in others. All read them in
// the order of their names; containerd stops at one that isn't valid, CRI-O and cri-dockerd step over it and over one
// whose plugins aren't installed.
func Chosen(f *v1alpha1.Facts, name v1alpha1.RuntimeName, dir string, bins []string) Choice {
	var list []v1alpha1.Network
	for _, n := range f.Networks {
		if path.Dir(n.Path) == path.Clean(dir) {
			list = append(list, n)
		}
	}
	if name == v1alpha1.Containerd {
		return firstOfContainerd(list, readContainerd(f).networks())
	}
	usable := slices.DeleteFunc(slices.Clone(list), func(n v1alpha1.Network) bool {
		return n.Problem != "" || len(n.Plugins) == 0 || lacks(f, bins, n.Plugins)
	})
	var c Choice
	if name == v1alpha1.CRIO {
		if c.Named = readCRIO(f).str("crio", "network", "cni_default_network"); c.Named != "" {
			usable = slices.DeleteFunc(usable, func(n v1alpha1.Network) bool { return n.Name != c.Named })
		}
	}
	c.Networks = usable[:min(len(usable), 1)]
	return c
}

func firstOfContainerd(list []v1alpha1.Network, most int) Choice {
	for i, n := range list {
		if most > 0 && i == most {
			return Choice{Networks: list[:i]}
		}
		if n.Problem != "" || len(n.Plugins) == 0 {
			return Choice{Networks: list[:i], Fails: &list[i]}
		}
	}
	return Choice{Networks: list}
}

// networks is how many networks containerd gives to a pod; 0 is all of them.
func (c ctdConfig) networks() int {
	if n, ok := c.effective(ctdCNI, "max_conf_num").(int64); ok && n >= 0 {
		return int(n)
	}
	return 1
}

// lacks reports whether one of the plugins is in none of the directories. What wasn't listed counts as complete.
func lacks(f *v1alpha1.Facts, dirs, plugins []string) bool {
	have := map[string]bool{}
	for _, dir := range dirs {
		d, ok := f.Dir(path.Clean(dir))
		if !ok {
			return false
		}
		for _, e := range d.Entries {
			have[e] = true
		}
	}
	return slices.ContainsFunc(plugins, func(p string) bool { return !have[p] })
}
