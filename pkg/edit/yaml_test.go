package edit

import (
	"errors"
	"testing"
)

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
cgroupDriver: systemd
# the socket
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock # by kubeadm
clusterDNS:
- 10.96.0.10
kind: KubeletConfiguration
logging: {}
nodeStatusReportFrequency: 0s
`

func TestYAMLSet(t *testing.T) {
	const key, value = "containerRuntimeEndpoint", "unix:///var/run/crio/crio.sock"
	for _, c := range []struct{ name, in, want string }{
		{"plain with comment", "a: 1\ncontainerRuntimeEndpoint: unix:///x # c\nb: 2\n", "a: 1\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock # c\nb: 2\n"},
		{"double quotes", "containerRuntimeEndpoint: \"unix:///x\"\n", "containerRuntimeEndpoint: \"unix:///var/run/crio/crio.sock\"\n"},
		{"single quotes", "containerRuntimeEndpoint: 'it''s'   # c\n", "containerRuntimeEndpoint: \"unix:///var/run/crio/crio.sock\"   # c\n"},
		{"empty string", "containerRuntimeEndpoint: \"\"\n", "containerRuntimeEndpoint: \"unix:///var/run/crio/crio.sock\"\n"},
		{"nothing", "containerRuntimeEndpoint:\nb: 1\n", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock\nb: 1\n"},
		{"nothing with comment", "containerRuntimeEndpoint: # c\nb: 1\n", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock # c\nb: 1\n"},
		{"null", "containerRuntimeEndpoint: null\n", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"quoted key", "\"containerRuntimeEndpoint\" : x\n", "\"containerRuntimeEndpoint\" : unix:///var/run/crio/crio.sock\n"},
		{"absent", "---\na: 1\n", "---\na: 1\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"absent, no newline", "a: 1", "a: 1\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"absent, after a list", "a:\n- 1\n- 2\n# end\n", "a:\n- 1\n- 2\n# end\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"absent, document end", "a: 1\n...\n", "a: 1\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n...\n"},
		{"absent, indented", "  a: 1\n", "  a: 1\n  containerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"empty", "", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"empty mapping", "{}\n", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"comments only", "# c\n", "# c\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"document start only", "---\n", "---\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
		{"CRLF", "containerRuntimeEndpoint: x # c\r\nb: 1\r\n", "containerRuntimeEndpoint: unix:///var/run/crio/crio.sock # c\r\nb: 1\r\n"},
		{"CRLF, absent", "b: 1\r\n", "b: 1\r\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\r\n"},
		{"equal", "containerRuntimeEndpoint: 'unix:///var/run/crio/crio.sock'\n", "containerRuntimeEndpoint: 'unix:///var/run/crio/crio.sock'\n"},
		{"wide characters", "a: ä # ö\ncontainerRuntimeEndpoint: ü\n", "a: ä # ö\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(YAMLSet(c.in, key, value)) })
	}
	t.Run("a value that must be quoted", func(t *testing.T) {
		check(t, "a: x\n", "a: \"true\"\n")(YAMLSet("a: x\n", "a", "true"))
	})
}

func TestYAMLRemove(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"line", "a: 1\nk: x\nb: 2\n", "a: 1\nb: 2\n"},
		{"comment stays", "a: 1\nk: x # c\nb: 2\n", "a: 1\n# c\nb: 2\n"},
		{"last, no newline", "a: 1\nk: x", "a: 1\n"},
		{"the only one", "k: \"\"\n", ""},
		{"absent", "a: 1\n", "a: 1\n"},
		{"empty value", "k:\na: 1\n", "a: 1\n"},
		{"document start", "--- # c\nk: x\na: 1\n", "--- # c\na: 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(YAMLRemove(c.in, "k")) })
	}
}

func TestYAMLRefuses(t *testing.T) {
	for _, in := range []string{
		"{a: 1}\n", "k: |\n  x\n", "k:\n  x\n", "k: [x]\n", "k: &a x\nb: *a\n", "k: !!str x\n", "k: \"x\n  y\"\n", "k: x\n  y\n", "? k\n: x\n", "k:\n  a: 1\n",
		"a: &x {k: 1}\n<<: *x\nb: |\n  x",
	} {
		if s, err := YAMLSet(in, "k", "v"); !errors.Is(err, ErrRefused) || s != nil {
			t.Errorf("%q: %v, %v", in, s, err)
		}
	}
	for _, in := range []string{"a: 1\n---\nb: 1\n", "- a\n", "a: 1\na: 2\n", "x", "a: {"} {
		if _, err := ParseYAML(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

func TestYAMLRead(t *testing.T) {
	y, err := ParseYAML(kubeletConfig)
	if err != nil {
		t.Fatal(err)
	}
	if text, line, ok := y.Get("containerRuntimeEndpoint"); text != "unix:///run/containerd/containerd.sock" || line != 7 || !ok {
		t.Errorf("got %q, %d, %v", text, line, ok)
	}
	if text, line, ok := y.Get("authentication", "anonymous", "enabled"); text != "false" || line != 4 || !ok {
		t.Errorf("got %q, %d, %v", text, line, ok)
	}
	if _, _, ok := y.Get("clusterDNS"); ok {
		t.Error("a list is no scalar")
	}
}

func TestJSON(t *testing.T) {
	j, err := ParseJSON("{\n  \"data-root\": \"/x\",\n  \"exec-opts\": [{\"a\": 1}],\n  \"builder\": {\n    \"gc\": {\"enabled\": true}\n  }, \"n\": 18446744073709551615\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if v, line, ok := j.Get("builder", "gc", "enabled"); v != any(true) || line != 5 || !ok {
		t.Errorf("got %v, %d, %v", v, line, ok)
	}
	if v, line, ok := j.Get("data-root"); v != any("/x") || line != 2 || !ok {
		t.Errorf("got %v, %d, %v", v, line, ok)
	}
	for _, bad := range []string{"[]", "null", "{", "{}{}", `{"a":1,"a":2}`, "{\"a\":\n1,}"} {
		if _, err := ParseJSON(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if j, err := ParseJSON(" \n"); err != nil || len(j.Tree()) != 0 {
		t.Errorf("an empty file: %v, %v", j, err)
	}
}
