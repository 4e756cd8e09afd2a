//go:build linux

package host

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// cluster is what a kubeconfig says of its current context.
type cluster struct {
	server, tlsServerName string
	insecure              bool
	ca, cert, key         []byte
	token                 string
	proxy                 string
	certFile              string // where cert stands, if in a file of its own
}

// kubeconfigFile is the part of the format that a kubelet's kubeconfig uses.
type kubeconfigFile struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string `yaml:"name"`
		Cluster struct {
			Server        string `yaml:"server"`
			TLSServerName string `yaml:"tls-server-name"`
			Insecure      bool   `yaml:"insecure-skip-tls-verify"`
			CA            string `yaml:"certificate-authority"`
			CAData        binary `yaml:"certificate-authority-data"`
			Proxy         string `yaml:"proxy-url"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string `yaml:"name"`
		User struct {
			Cert      string `yaml:"client-certificate"`
			CertData  binary `yaml:"client-certificate-data"`
			Key       string `yaml:"client-key"`
			KeyData   binary `yaml:"client-key-data"`
			Token     string `yaml:"token"`
			TokenFile string `yaml:"tokenFile"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// parseKubeconfig reads what file holds; paths in it are relative to it. The kubelet's client certificate and key are one
// file that it renews, so they are read each time.
func parseKubeconfig(data []byte, file string) (cluster, error) {
	var c kubeconfigFile
	if err := yaml.Unmarshal(data, &c); err != nil {
		return cluster{}, err
	}
	var out cluster
	clusterName, userName, err := c.current()
	if err != nil {
		return out, err
	}
	either := func(inline binary, name string) []byte {
		if len(inline) > 0 || name == "" {
			return inline
		}
		content, errRead := readFile(beside(name, file))
		err = errors.Join(err, errRead)
		return content
	}
	for _, x := range c.Clusters {
		if x.Name == clusterName {
			out.server, out.tlsServerName = strings.TrimRight(x.Cluster.Server, "/"), x.Cluster.TLSServerName
			out.insecure, out.proxy = x.Cluster.Insecure, x.Cluster.Proxy
			out.ca = either(x.Cluster.CAData, x.Cluster.CA)
		}
	}
	for _, x := range c.Users {
		if x.Name == userName {
			out.cert, out.key = either(x.User.CertData, x.User.Cert), either(x.User.KeyData, x.User.Key)
			if len(x.User.CertData) == 0 {
				out.certFile = beside(x.User.Cert, file)
			}
			if out.token = x.User.Token; out.token == "" {
				out.token = strings.TrimSpace(string(either(nil, x.User.TokenFile)))
			}
		}
	}
	if err == nil && out.server == "" {
		err = fmt.Errorf("cluster %q has no server", clusterName)
	}
	return out, err
}

// beside resolves a path that a file names relative to itself.
func beside(name, file string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(file), name)
}

func (c kubeconfigFile) current() (cluster, user string, err error) {
	for _, x := range c.Contexts {
		if x.Name == c.CurrentContext {
			return x.Context.Cluster, x.Context.User, nil
		}
	}
	return "", "", fmt.Errorf("no context %q", c.CurrentContext)
}

func (c cluster) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.tlsServerName, InsecureSkipVerify: c.insecure} //nolint:gosec // as the operator's kubeconfig says
	if len(c.ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.ca) {
			return nil, errors.New("no certificate in the certificate authority")
		}
	}
	if len(c.cert) > 0 {
		pair, err := tls.X509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second}
	if c.proxy != "" {
		proxy, err := url.Parse(c.proxy)
		if err != nil {
			return nil, errors.New("proxy-url: not a URL")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}, nil
}

// binary is base64 in YAML.
type binary []byte

func (b *binary) UnmarshalYAML(node *yaml.Node) error {
	data, err := decodeBase64(node.Value)
	*b = data
	return err
}

func decodeBase64(s string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return nil, errors.New("not base64")
	}
	return data, nil
}
