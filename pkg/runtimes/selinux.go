package runtimes

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Labels reports whether a runtime gives containers SELinux labels, as its configuration says it: CRI-O does by itself
// where the system has SELinux, containerd and Docker where they are told to.
func Labels(f *v1alpha1.Facts, name v1alpha1.RuntimeName) bool {
	switch name {
	case v1alpha1.Containerd:
		on, _ := readContainerd(f).effective(ctdSELinux).(bool)
		return on
	case v1alpha1.CRIO:
		on, _ := readCRIO(f).last(false, "crio", "runtime", "selinux")
		return on != false
	}
	s, _ := dockerSettings(f)
	return s.SELinux
}

// CarriesLabels reports whether the plan tells the target to give labels because the runtime that is left does.
func CarriesLabels(f *v1alpha1.Facts, from, to v1alpha1.RuntimeName) bool {
	d, err := Get(from)
	if err != nil || to != v1alpha1.Containerd {
		return false
	}
	if on, _ := readContainerd(f).explicit(ctdSELinux); on != nil {
		return false
	}
	s, _ := d.settings(f)
	return s.SELinux
}
