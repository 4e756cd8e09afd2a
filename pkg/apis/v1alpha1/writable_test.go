package v1alpha1

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		name string
		want []string
	}{
		{"a", []string{"/r/a"}},
		{"{a,b}", []string{"/r/a", "/r/b"}},
		{"x{a,b}/{c,d}.e", []string{"/r/xa/c.e", "/r/xa/d.e", "/r/xb/c.e", "/r/xb/d.e"}},
		{"{a", []string{"/r/{a"}},
	} {
		if diff := cmp.Diff(c.want, WritablePath{Root: "/r", Name: c.name}.Patterns()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestWritablePath(t *testing.T) {
	for _, c := range []struct {
		w               WritablePath
		path            string
		matches, onPath bool
	}{
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/x.d/b.conf", true, false},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/x.d/c.conf", false, false},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/x.d", false, true},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/x.d/b.conf/y", false, false},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r", false, false},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf", Made: true}, "/r", false, true},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/../r/x.d/b.conf", false, false},
		{WritablePath{Root: "/r", Name: "*.d/{a,b}.conf"}, "/r/x.d/b.conf/", false, false},
		{WritablePath{Root: "/r", Name: "*"}, "/r/..", false, false},
		{WritablePath{Root: "/r", Name: "a\\*"}, "/r/a*", true, false},
		{WritablePath{Root: "/r", Name: "a\\*"}, "/r/ab", false, false},
		{WritablePath{Root: "/r", Name: "[", Made: true}, "/r/[", false, false},
		{WritablePath{Root: "/r"}, "/r/a/b", true, true},
		{WritablePath{Root: "/r"}, "/rest", false, false},
		{WritablePath{Root: "/r"}, "r/a", false, false},
	} {
		if m, o := c.w.Matches(c.path), c.w.OnTheWay(c.path); m != c.matches || o != c.onPath {
			t.Errorf("%s: %q matches %v, is on the way %v", c.w.Pattern(), c.path, m, o)
		}
	}
}

// Each pattern is a good one and says what it is for.
func TestWritablePathsAreWhole(t *testing.T) {
	for _, w := range slices.Concat(WritablePaths(), KubeletPaths()) {
		if w.Why == "" || w.Root == "" {
			t.Errorf("%+v", w)
		}
		for _, p := range w.Patterns() {
			if !matches([]string{p}, p) && w.Name != "" {
				t.Errorf("%s matches not even itself", p)
			}
		}
	}
}

func TestKubeletFile(t *testing.T) {
	for p, want := range map[string]bool{
		"/etc/kubernetes/kubelet.yaml":                    true,
		"/etc/kubernetes/kubelet/config.json":             true,
		"/etc/kubernetes/kubelet/config.json.d/10-x.conf": true,
		"/etc/kubernetes/kubelet.conf.d/10-x.conf":        true,
		"/etc/kubernetes/kubelet.conf.d/sub/10-x.conf":    true,
		"/var/lib/kubelet/conf.d/sub/10-x.conf":           true,
		"/etc/kubernetes/config/kubelet.yaml":             true,
		"/etc/kubelet/config.yaml":                        true,
		"/etc/kubelet-config.yaml":                        true,
		"/var/lib/kubelet/other.yaml":                     true,
		"/var/lib/kubelet/conf.d/10-x.conf":               true,
		"/etc/kubernetes/kubelet.conf":                    false,
		"/etc/kubernetes/manifests/x.yaml":                false,
		"/etc/kubernetes/kubelet/../manifests/x.yaml":     false,
		"/etc/kubernetes/pki/x.conf":                      false,
		"/etc/passwd":                                     false,
		"/var/lib/kubelet/kubeadm-flags.env":              false,
		"/var/lib/kubelet/pods/x/etc-hosts/config.yaml":   false,
		"/var/lib/kubelet/pki/kubelet-client-current.pem": false,
		"/home/kubernetes/kubelet-config.yaml":            false,
	} {
		if got := KubeletFile(p); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
}
