package host

import "testing"

func TestAllowlist(t *testing.T) {
	allow := allowlist{
		{Root: "/var/lib/own", Made: true},
		{Root: "/etc/crio", Name: "*.d/ours.conf", Made: true},
		{Root: "/etc/systemd/system", Name: "{a,b}.service.d/*.conf"},
		{Root: "/etc", Name: "crictl.yaml"},
	}
	for _, c := range []struct {
		path, root, rel string
		refused         bool
	}{
		{path: "/var/lib/own/runs/a", root: "/var/lib/own", rel: "runs/a"},
		{path: "/var/lib/own", root: "/var/lib", rel: "own"},
		{path: "/etc/crio/crio.conf.d/ours.conf", root: "/etc/crio", rel: "crio.conf.d/ours.conf"},
		{path: "/etc/crio/crio.conf.d", root: "/etc/crio", rel: "crio.conf.d"},
		{path: "/etc/crio", root: "/etc", rel: "crio"},
		{path: "/etc/systemd/system/b.service.d/x.conf", root: "/etc/systemd/system", rel: "b.service.d/x.conf"},
		{path: "/etc/systemd/system/a.service.d", root: "/etc/systemd/system", rel: "a.service.d"},
		{path: "/etc/systemd/system", refused: true},
		{path: "/etc/systemd/system/a.service", refused: true},
		{path: "/etc/systemd/system/c.service.d", refused: true},
		{path: "/etc/systemd/system/c.service.d/x.conf", refused: true},
		{path: "/etc/systemd/system/a.service.d/x/y.conf", refused: true},
		{path: "/etc/crio/crio.conf.d/other.conf", refused: true},
		{path: "/etc/crio/crio.conf", refused: true},
		{path: "/etc/crio/crio.conf.d/ours.conf/x", refused: true},
		{path: "/etc", refused: true},
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
