package facts

import (
	"cmp"
	"errors"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// client says how the kubelet reaches the API server. A kubelet without a kubeconfig reaches none.
func (g *gatherer) client() {
	view, err := kubelet.Analyze(g.facts)
	if err != nil {
		return // there is no kubelet
	}
	file := cmp.Or(view.Kubeconfig, "/etc/kubernetes/kubelet.conf")
	c, err := g.m.HTTP.Credential(file, view.Rotated)
	if errors.Is(err, host.ErrNotExist) {
		return
	}
	g.problem("kubeconfig of the kubelet", err)
	if err != nil {
		return
	}
	out := v1alpha1.KubeletClient{Kubeconfig: file, Server: c.Server, Certificate: c.Certificate, Expires: c.Expires}
	if c.Proxy == "" {
		out.Proxy = proxyOf(g.environ, c.Server)
	}
	g.facts.Kubelet.Client = &out
}

// proxyOf is the proxy that a process with that environment puts before a server, as Go's programs choose it.
func proxyOf(environ []string, server string) string {
	vars := map[string]string{}
	for _, word := range environ {
		name, value, _ := strings.Cut(word, "=")
		vars[name] = value
	}
	either := func(name string) string { return cmp.Or(vars[name], vars[strings.ToLower(name)]) }
	config := httpproxy.Config{HTTPProxy: either("HTTP_PROXY"), HTTPSProxy: either("HTTPS_PROXY"), NoProxy: either("NO_PROXY")}
	to, err := url.Parse(server)
	if err != nil {
		return ""
	}
	proxy, err := config.ProxyFunc()(to)
	if err != nil || proxy == nil {
		return ""
	}
	_, masked, _ := strings.Cut(edit.MaskEnviron("HTTPS_PROXY="+proxy.String()), "=")
	return masked
}
