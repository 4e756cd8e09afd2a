package host

import "testing"

func TestAllowlist(t *testing.T) {
	allow := allowlist{"/var/lib/own/", "/etc/crio/", "/etc/crictl.yaml"}
	for _, c := range []struct {
		path, root, rel string
		refused         bool
	}{
		{path: "/var/lib/own/runs/a", root: "/var/lib/own", rel: "runs/a"},
		{path: "/var/lib/own", root: "/var/lib", rel: "own"},
		{path: "/etc/crio/crio.conf.d/x", root: "/etc/crio", rel: "crio.conf.d/x"},
		{path: "/etc/crictl.yaml", root: "/etc", rel: "crictl.yaml"},
		{path: "/etc/crictl.yaml/x", refused: true},
		{path: "/etc/crictl.yamlx", refused: true},
		{path: "/etc/criox", refused: true},
		{path: "/etc/passwd", refused: true},
		{path: "/var/lib/own/../../etc/passwd", refused: true},
		{path: "/var/lib/own/./x", refused: true},
		{path: "/var/lib/own/", refused: true},
		{path: "var/lib/own/x", refused: true},
		{path: "", refused: true},
		{path: "/", refused: true},
		{path: "/var/lib/own/a\x00b", refused: true},
	} {
		t.Run(c.path, func(t *testing.T) {
			root, rel, err := allow.place(c.path)
			if (err != nil) != c.refused {
				t.Fatalf("refused: %v, want %v (%v)", err != nil, c.refused, err)
			}
			if root != c.root || rel != c.rel {
				t.Errorf("got %q and %q", root, rel)
			}
		})
	}
}
