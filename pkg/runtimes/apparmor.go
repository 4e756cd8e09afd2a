package runtimes

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Unconfined is the AppArmor profile of containers that have none.
const Unconfined = "unconfined"

// Confinement returns the AppArmor profile that a runtime gives to containers that ask for none, as its configuration says
// it; an empty value is the runtime's own default.
func Confinement(f *v1alpha1.Facts, name v1alpha1.RuntimeName) Setting {
	switch name {
	case v1alpha1.Containerd:
		if off, file := readContainerd(f).explicit(ctdAppArmorOff); off == true {
			return Setting{Name: "disable_apparmor", Value: Unconfined, File: file.path, Line: lineWith(file.content, "disable_apparmor")}
		}
	case v1alpha1.CRIO:
		c := readCRIO(f)
		if profile, ok := c.cmd.flag("apparmor-profile"); ok {
			return Setting{Name: "--apparmor-profile", Value: usualProfile(profile)}
		}
		if v, file := c.last(false, "crio", "runtime", "apparmor_profile"); file != nil {
			profile, _ := v.(string)
			return Setting{Name: "apparmor_profile", Value: usualProfile(profile), File: file.path, Line: lineWith(file.content, "apparmor_profile")}
		}
	}
	return Setting{}
}

func usualProfile(profile string) string {
	if profile == "crio-default" {
		return ""
	}
	return profile
}
