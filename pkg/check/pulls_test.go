package check_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// TestPrivateImages: where the kubelet verifies pulls and its records can't be written, the switch warns.
func TestPrivateImages(t *testing.T) {
	const elsewhere, gate = "--root-dir=/data/kubelet", "--feature-gates=KubeletEnsureSecretPulledImages="
	for _, c := range []struct {
		name    string
		kubelet string
		flags   []string
		config  string
		want    string // a part of the message; empty: none
	}{
		{"records are written", "1.35.0", nil, "", ""},
		{"another root", "1.35.0", []string{elsewhere}, "", "records in /data/kubelet/image_manager"},
		{"the same root", "1.35.0", []string{"--root-dir=/var/lib/kubelet/"}, "", ""},
		{"another root, always verified", "1.35.0", []string{elsewhere}, "imagePullCredentialsVerificationPolicy: AlwaysVerify\n", ""},
		{"another root, never verified", "1.35.0", []string{elsewhere}, "imagePullCredentialsVerificationPolicy: NeverVerify\n", ""},
		{"another root, the default said", "1.35.0", []string{elsewhere}, "imagePullCredentialsVerificationPolicy: NeverVerifyPreloadedImages\n", "records in"},
		{"another root, switched off", "1.35.0", []string{elsewhere, gate + "false"}, "", ""},
		{"another root, all beta off", "1.35.0", []string{elsewhere}, "featureGates:\n  AllBeta: false\n", ""},
		{"another root, not yet on", "1.34.4", []string{elsewhere}, "", ""},
		{"another root, switched on", "1.33.2", []string{elsewhere, gate + "true"}, "", "records in"},
		{"another root, all alpha on", "1.34.4", []string{elsewhere}, "featureGates:\n  AllAlpha: true\n", "records in"},
		{"another root, all alpha on too early", "1.32.4", []string{elsewhere}, "featureGates:\n  AllAlpha: true\n", ""},
		{"a later kubelet", "1.38.0", nil, "", "kubelets up to 1.37"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := gather(t, layout.Node{
				Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO},
			})
			f.Kubelet.Version = c.kubelet
			f.Kubelet.Argv = append(f.Kubelet.Argv, c.flags...)
			for i := range f.Files {
				if f.Files[i].Path == "/var/lib/kubelet/config.yaml" {
					f.Files[i].Content += "\n" + c.config
				}
			}
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range check.Switch(f, v, v1alpha1.CRIO) {
				if x.ID == "K012" {
					got = append(got, string(x.Severity)+" "+x.Message)
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], "warning ") || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q", got)
			}
		})
	}
}
