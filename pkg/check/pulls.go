package check

import (
	"cmp"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// privateImages asks whether the records by which the kubelet keeps private images private can be kept true.
func privateImages(n *node) []v1alpha1.Finding {
	if !verifiesPulls(n) {
		return nil
	}
	hint := "set imagePullCredentialsVerificationPolicy: AlwaysVerify in " + cmp.Or(n.v.ConfigFile, "the kubelet's configuration") + " and restart the kubelet before the switch"
	root := path.Clean(n.v.RootDir)
	switch {
	case root != pullrecord.Root:
		return warn(hint, "kubelet %s records in %s/image_manager which credentials images were pulled with, and kubectl runtime writes such records below %s only: "+
			"after the switch every pod of the node may use the private images that were brought along, and after a rollback perhaps those of %s",
			n.v.Version, root, pullrecord.Root, n.from)
	case n.v.Minor > pullrecord.Newest:
		return warn(hint, "kubectl runtime knows how kubelets up to 1.%d record which credentials images were pulled with, and this one is %s: if a later "+
			"one does it otherwise, every pod of the node may use the private images that were brought along", pullrecord.Newest, n.v.Version)
	}
	return nil
}

// verifiesPulls reports whether the kubelet lets pods use an image that it has no record of, and verifies them for others. NeverVerify asks
// of nobody, and the other policies need no record to ask.
func verifiesPulls(n *node) bool {
	policy, _, _, _ := n.config.Get("", "imagePullCredentialsVerificationPolicy")
	if !slices.Contains([]string{"", "NeverVerifyPreloadedImages"}, policy) {
		return false
	}
	if on, said := n.config.Gate("KubeletEnsureSecretPulledImages"); said {
		return on
	}
	// Alpha in 1.33, beta since 1.35: what is said of all such gates holds for it.
	if n.v.Minor < 35 {
		on, _ := n.config.Gate("AllAlpha")
		return on && n.v.Minor >= 33
	}
	on, said := n.config.Gate("AllBeta")
	return on || !said
}
