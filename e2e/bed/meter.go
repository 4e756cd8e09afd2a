//go:build e2e

package bed

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Meter stands before the API server and counts what the plugin asks of it.
type Meter struct {
	// Kubeconfig leads through the meter.
	Kubeconfig     string
	requests, sent atomic.Int64
}

// Meter starts a meter that ends with the test.
func (b *Bed) Meter(t *testing.T) *Meter {
	t.Helper()
	target, err := url.Parse(b.REST.Host)
	if err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(b.REST)
	config.NextProtos = []string{"http/1.1"} // streams of exec aren't carried by HTTP/2
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	m := &Meter{}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			m.requests.Add(1)
		},
	}
	server := httptest.NewUnstartedServer(http.Handler(proxy))
	server.Listener = countingListener{server.Listener, &m.sent}
	server.Start()
	t.Cleanup(server.Close)

	through := clientcmdapi.NewConfig()
	through.Clusters["meter"] = &clientcmdapi.Cluster{Server: server.URL}
	through.Contexts["meter"] = &clientcmdapi.Context{Cluster: "meter"}
	through.CurrentContext = "meter"
	m.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*through, m.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	return m
}

// Requests is how many requests there were.
func (m *Meter) Requests() int64 { return m.requests.Load() }

// Sent is how many bytes the plugin sent, headers and streams included.
func (m *Meter) Sent() int64 { return m.sent.Load() }

type countingListener struct {
	net.Listener
	sent *atomic.Int64
}

// Accept implements net.Listener.
func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.sent}, err
}

type countingConn struct {
	net.Conn
	sent *atomic.Int64
}

// Read implements net.Conn.
func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.sent.Add(int64(n))
	return n, err
}
