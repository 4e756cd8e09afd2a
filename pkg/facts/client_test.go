package facts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// TestKubeletClient starts kubelets with proxies in their environment.
func TestKubeletClient(t *testing.T) {
	const server = "https://10.20.0.10:6443"
	const pem = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	end := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, environment string
		credential        host.Credential
		proxy             string
	}{
		{name: "none", credential: host.Credential{Server: server}},
		{name: "a proxy", environment: "HTTPS_PROXY=http://proxy.example:3128", credential: host.Credential{Server: server}, proxy: "http://proxy.example:3128"},
		{name: "in small letters", environment: "https_proxy=http://proxy.example:3128", credential: host.Credential{Server: server}, proxy: "http://proxy.example:3128"},
		{name: "with a password", environment: "HTTPS_PROXY=http://me:Hush-Hush-42@proxy.example:3128", credential: host.Credential{Server: server}, proxy: "http://me:************@proxy.example:3128"},
		{name: "without a scheme", environment: "HTTPS_PROXY=proxy.example:3128", credential: host.Credential{Server: server}, proxy: "http://proxy.example:3128"},
		{name: "for other servers", environment: "HTTPS_PROXY=http://proxy.example:3128 NO_PROXY=.cluster.local,10.0.0.0/8", credential: host.Credential{Server: server}},
		{name: "for HTTP alone", environment: "HTTP_PROXY=http://proxy.example:3128", credential: host.Credential{Server: server}},
		{name: "for a server on the node", environment: "HTTPS_PROXY=http://proxy.example:3128", credential: host.Credential{Server: "https://127.0.0.1:6443"}},
		{name: "beside one of the kubeconfig", environment: "HTTPS_PROXY=http://proxy.example:3128", credential: host.Credential{Server: server, Proxy: "socks5://other.example:1080"}},
		{name: "a certificate", credential: host.Credential{Server: server, Certificate: pem, Expires: end}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Files: map[string]string{
				"/etc/systemd/system/kubelet.service.d/20-proxy.conf": "[Service]\nEnvironment=" + strings.ReplaceAll(c.environment, " ", "\nEnvironment=") + "\n",
			}}.Build()
			n.Credential = c.credential
			f := gather(t, n)
			want := &v1alpha1.KubeletClient{Kubeconfig: "/etc/kubernetes/kubelet.conf", Server: c.credential.Server, Certificate: c.credential.Certificate, Expires: c.credential.Expires, Proxy: c.proxy}
			if diff := cmp.Diff(want, f.Kubelet.Client); diff != "" || len(f.Problems) > 0 {
				t.Errorf("problems %q, -want +got:\n%s", f.Problems, diff)
			}
		})
	}
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	n.Remove("/etc/kubernetes/kubelet.conf")
	if f := gather(t, n); f.Kubelet.Client != nil || len(f.Problems) > 0 {
		t.Errorf("without a kubeconfig: %+v, %q", f.Kubelet.Client, f.Problems)
	}
}
