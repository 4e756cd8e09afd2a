package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// TestLastRestart: what a kubelet that runs doesn't notice and one that starts doesn't survive, for a switch and for a rollback.
func TestLastRestart(t *testing.T) {
	swap := func(f *v1alpha1.Facts) { f.Machine.Swap = []string{"/dev/sda2", "/swapfile"} }
	client := func(change func(c *v1alpha1.KubeletClient, now time.Time)) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			f.Kubelet.Client = &v1alpha1.KubeletClient{Kubeconfig: "/etc/kubernetes/kubelet.conf", Server: "https://10.20.0.10:6443"}
			change(f.Kubelet.Client, f.Taken)
		}
	}
	certificate := func(left time.Duration) func(*v1alpha1.Facts) {
		return client(func(c *v1alpha1.KubeletClient, now time.Time) {
			c.Certificate, c.Expires = "/var/lib/kubelet/pki/kubelet-client-current.pem", now.Add(left)
		})
	}
	proxy := func(url string) func(*v1alpha1.Facts) {
		return client(func(c *v1alpha1.KubeletClient, _ time.Time) { c.Proxy = url })
	}
	for _, c := range []struct {
		name   string
		change func(f *v1alpha1.Facts)
		want   string // severity and ID
		says   string
		back   string // where a rollback says something else
	}{
		{name: "swap", change: swap, want: "error K009", says: "/dev/sda2, /swapfile"},
		{name: "swap that is allowed", change: all(swap, appended(kubeletConfig, "failSwapOn: false\n"))},
		{name: "swap that is refused by name", change: all(swap, appended(kubeletConfig, "failSwapOn: true\n")), want: "error K009"},
		{name: "swap that a flag allows", change: all(swap, func(f *v1alpha1.Facts) { f.Kubelet.Argv = append(f.Kubelet.Argv, "--fail-swap-on=false") }), back: "error K009"},
		{name: "swap that a flag refuses", change: all(swap, appended(kubeletConfig, "failSwapOn: false\n"), func(f *v1alpha1.Facts) {
			f.Kubelet.Argv = append(f.Kubelet.Argv, "--fail-swap-on")
		}), want: "error K009", back: "none"},
		{name: "a certificate that holds", change: certificate(300 * 24 * time.Hour)},
		{name: "no certificate", change: client(func(*v1alpha1.KubeletClient, time.Time) {})},
		{name: "one that ends today", change: certificate(3 * time.Hour), want: "warning K010", says: "expires on "},
		{name: "one that has ended", change: certificate(-time.Hour), want: "error K010", says: "nothing renews it"},
		{name: "one that has ended, with a bootstrap kubeconfig", change: all(certificate(-time.Hour), func(f *v1alpha1.Facts) {
			fileOf(f, "/etc/kubernetes/bootstrap-kubelet.conf").Type = v1alpha1.Regular
		}), want: "warning K010", says: "bootstrap-kubelet.conf"},
		{name: "a proxy", change: proxy("http://proxy.example:3128"), want: "warning K011", says: "http://proxy.example:3128"},
		{name: "a proxy on the node", change: proxy("http://127.0.0.1:3128"), want: "warning K011", says: "if that is a container"},
		{name: "a proxy on the node by name", change: proxy("http://localhost:3128"), want: "warning K011", says: "if that is a container"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := gather(t, layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}})
			disk(f, 200*gib, 20*gib)
			c.change(f)
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			compare := func(what, want string, list []v1alpha1.Finding) {
				t.Helper()
				var got []string
				for _, x := range list {
					got = append(got, string(x.Severity)+" "+x.ID)
					if !strings.Contains(x.Message, c.says) || x.Hint == "" || len(x.Evidence) == 0 {
						t.Errorf("%s: %+v", what, x)
					}
				}
				if strings.Join(got, ", ") != want {
					t.Errorf("%s: got %q, want %q: %+v", what, got, want, list)
				}
			}
			compare("switch", c.want, check.Switch(f, v, v1alpha1.CRIO))
			back := map[string]string{"": c.want, "none": ""}
			want, same := back[c.back]
			if !same {
				want = c.back
			}
			compare("rollback", want, check.Rollback(f, f, v, v1alpha1.Plan{From: v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Version: "1.34.0"}}))
		})
	}
}
