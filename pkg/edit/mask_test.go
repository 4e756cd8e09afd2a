package edit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMask(t *testing.T) {
	for _, c := range []struct{ name, path, in, want string }{
		{
			"containerd's registry", "/etc/containerd/config.toml",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r:5000\".auth]\n  username = \"u\"\n  password = \"p\\\"w#\" # why\n  auth = 'YTpi'\n  identitytoken = \"\"\n[grpc]\n  address = \"/run/containerd/containerd.sock\"\n",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r:5000\".auth]\n  username = \"u\"\n  password = \"*****\" # why\n  auth = '****'\n  identitytoken = \"\"\n[grpc]\n  address = \"/run/containerd/containerd.sock\"\n",
		},
		{
			"multi-line strings", "/etc/containerd/config.toml",
			"password = \"\"\"\nab\"c\nde\"\"\"\"\ntoken = ['a', # x\n \"b\"]\nx = { password = 'y', file = '/z' }\n",
			"password = \"\"\"\n****\n***\"\"\"\ntoken = ['*', # x\n \"*\"]\nx = { password = '*', file = '/z' }\n",
		},
		{
			"headers", "/etc/containerd/certs.d/r/hosts.toml",
			"server = \"https://u:pw@r\"\n[host.\"https://m\"]\n  ca = \"/etc/ca.crt\"\n[host.\"https://m\".header]\n  Authorization = [\"Basic YWJj\"]\n  x-custom = [\"v\"]\n",
			"server = \"https://u:**@r\"\n[host.\"https://m\"]\n  ca = \"/etc/ca.crt\"\n[host.\"https://m\".header]\n  Authorization = [\"**********\"]\n  x-custom = [\"*\"]\n",
		},
		{
			"commented out", "/etc/crio/crio.conf",
			"# password = \"x y\"\n# global_auth_file = \"/etc/auth.json\"\n#   token = abc\n",
			"# password = \"***\"\n# global_auth_file = \"/etc/auth.json\"\n#   token = ***\n",
		},
		{
			"docker's registry logins", "/root/.docker/config.json",
			`{"auths": {"https://r/v1/": {"auth": "dTpw", "email": "a@b"}}, "HttpHeaders": {"X": "y"}, "credsStore": "pass", "proxies": {"default": {"httpProxy": "http://u:p\"@h:1/"}}}`,
			`{"auths": {"https://r/v1/": {"auth": "****", "email": "a@b"}}, "HttpHeaders": {"X": "*"}, "credsStore": "pass", "proxies": {"default": {"httpProxy": "http://u:***@h:1/"}}}`,
		},
		{
			"daemon.json", "/etc/docker/daemon.json",
			`{"log-opts": {"splunk-token": "abc", "splunk-url": "https://h"}, "authorization-plugins": ["x"], "password": ["a", {"b": "c"}]}`,
			`{"log-opts": {"splunk-token": "***", "splunk-url": "https://h"}, "authorization-plugins": ["x"], "password": ["*", {"b": "*"}]}`,
		},
		{
			"kubelet config", "/var/lib/kubelet/config.yaml",
			"authentication:\n  webhook:\n    enabled: true\ncontainerRuntimeEndpoint: unix:///run/x.sock\nstaticPodURLHeader:\n  Authorization:\n  - Bearer abc\n  - \"x\"\ntlsPrivateKeyFile: /x\n",
			"authentication:\n  webhook:\n    enabled: true\ncontainerRuntimeEndpoint: unix:///run/x.sock\nstaticPodURLHeader:\n  Authorization:\n  - x*********\n  - \"*\"\ntlsPrivateKeyFile: /x\n",
		},
		{
			"YAML of all styles", "x.yaml",
			"password: a b # c\npasswd: |\n  one\n  two # x\nsecret: 'it''s'\ntoken: \"a\n  b\"\nauth: {username: u, password: p}\nmaxToken: 12\nb: [x, {token: y}]\n",
			"password: x** # c\npasswd: |\n  ***\n  *******\nsecret: '*****'\ntoken: \"*\n***\"\nauth: {username: u, password: x}\nmaxToken: x*\nb: [x, {token: x}]\n",
		},
		{
			"environment", "/etc/default/docker",
			"HTTP_PROXY=\"http://user:p%40ss@proxy:3128\"\nNO_PROXY=10.0.0.0/8,a.b\nREGISTRY_PASSWORD='a b'\nX_TOKEN=a\\ b\nDOCKER_OPTS=\"--log-opt splunk-token=x --tlskey=/k --token y\"\n",
			"HTTP_PROXY=\"http://user:******@proxy:3128\"\nNO_PROXY=10.0.0.0/8,a.b\nREGISTRY_PASSWORD='***'\nX_TOKEN=****\nDOCKER_OPTS=\"--log-opt splunk-token=* --tlskey=/k --token *\"\n",
		},
		{
			"drop-in", "/etc/systemd/system/docker.service.d/proxy.conf",
			"[Service]\nEnvironment=\"HTTPS_PROXY=http://u:p@h\" \"A_SECRET=b c\" KUBELET_X=--node-ip=1\n",
			"[Service]\nEnvironment=\"HTTPS_PROXY=http://u:*@h\" \"A_SECRET=***\" KUBELET_X=--node-ip=1\n",
		},
		{
			"what planning needs", "/var/lib/kubelet/kubeadm-flags.env",
			"KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///var/run/crio/crio.sock --authentication-token-webhook=true --authorization-mode=Webhook --anonymous-auth=false --bootstrap-kubeconfig=/etc/kubernetes/b.conf\"\n",
			"KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///var/run/crio/crio.sock --authentication-token-webhook=true --authorization-mode=Webhook --anonymous-auth=false --bootstrap-kubeconfig=/etc/kubernetes/b.conf\"\n",
		},
		{
			"a key", "x", "-----BEGIN RSA PRIVATE KEY-----\nQUJD\nREVG==\n-----END RSA PRIVATE KEY-----\n",
			"-----BEGIN RSA PRIVATE KEY-----\n****\n******\n-----END RSA PRIVATE KEY-----\n",
		},
		{
			"URLs", "x", "http://u:p@ss@h/ ssh://tok@h http://[::1]:80/a@b http://u:p/q@h docker://r/i:t@sha256:0 https://a:b@c,https://d:e@f http://h:80/x@y",
			"http://u:****@h/ ssh://***@h http://[::1]:80/a@b http://u:***@h docker://r/i:t@sha256:0 https://a:*@c,https://d:*@f http://h:80/x@y",
		},
		{
			"prose", "x.toml", "# basic authentication and bearer tokens\n", "# basic authentication and bearer tokens\n",
		},
		{"bearer", "x", "curl -H 'authorization: Bearer abcdefghijklmnop'", "curl -H 'authorization: x**********************'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, spans := Mask(c.path, c.in)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			again, _ := Mask(c.path, got)
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("masking twice: %s", d)
			}
			at := 0
			for _, s := range spans {
				if s.Start < at || got[at:s.Start] != c.in[at:s.Start] {
					t.Errorf("changed outside of the spans before %d", s.Start)
				}
				at = s.End
			}
			if got[at:] != c.in[at:] {
				t.Error("changed behind the spans")
			}
		})
	}
}

func TestMaskArgs(t *testing.T) {
	got := MaskArgs([]string{
		"/usr/bin/kubelet", "--config=/x", "--manifest-url-header=Authorization:x", "--token", "abc", "--container-runtime-endpoint=unix:///x",
		"--http-proxy=http://u:p@h", "--bearer-token=q", "--anonymous-auth=false",
	})
	want := []string{
		"/usr/bin/kubelet", "--config=/x", "--manifest-url-header=***************", "--token", "***", "--container-runtime-endpoint=unix:///x",
		"--http-proxy=http://u:*@h", "--bearer-token=*", "--anonymous-auth=false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for in, want := range map[string]string{
		"A_TOKEN=b c": "A_TOKEN=***", "DB_PWD=b c": "DB_PWD=***", "PROXYPWD=b": "PROXYPWD=*", "PWD=/a b": "PWD=/a b", "OLDPWD=/a": "OLDPWD=/a", "HTTP_PROXY=http://u:p@h": "HTTP_PROXY=http://u:*@h", "KUBELET_EXTRA_ARGS=--token=abc --v=2": "KUBELET_EXTRA_ARGS=--token=*** --v=2",
	} {
		if got := MaskEnviron(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

func TestMaskLarge(t *testing.T) {
	for _, s := range []string{"token=", "a://", "-----BEGIN PRIVATE KEY-----", "token=\"", "password: ", "bearer ", "--token ", "a://b:c@", "'", "authorization="} {
		for _, path := range []string{"x", "x.toml", "x.yaml", "x.json", "x.env", "x.service"} {
			quickly(t, func() { Mask(path, strings.Repeat(s, maxContent/4/len(s))) })
		}
	}
}
