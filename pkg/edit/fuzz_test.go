package edit

import (
	"strings"
	"testing"
	"time"
)

// unchanged checks what every edit promises of the text around its splices: comment lines outlive it, and it is quick.
func unchanged(t *testing.T, in string, s []Splice) string {
	t.Helper()
	out, err := Apply(in, s...)
	if err != nil {
		t.Fatalf("splices don't fit: %v", err)
	}
	return out
}

// quickly fails when f takes longer than a linear pass over so short an input ever could.
func quickly(t *testing.T, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzTOMLSet(f *testing.F) {
	for _, doc := range []string{
		debianContainerd, dockerContainerd, generatedContainerd, "", "a.b = 1\n[c]\n", "a = {b = {c = 1}, d = [1, 2]}\r\n",
		"[[a]]\nx = 1\n[a.b]\n", "a = [\n# c\n\"x\" # d\n, 'x', ]", "x = nan\na = 1979-05-27T07:32:00Z", "a = '''\n#'''#",
		"a = {\n b = 1, # c\n}",
	} {
		for _, key := range []string{"a", "a/b", "a/b/c", "plugins/io.containerd.grpc.v1.cri/registry/config_path", "disabled_plugins", "é/\"/'"} {
			f.Add(doc, key, "cri", uint8(len(key)))
		}
	}
	f.Fuzz(func(t *testing.T, doc, key, value string, kind uint8) {
		quickly(t, func() {
			path := strings.Split(key, "/")
			var s []Splice
			var err error
			switch kind % 5 {
			case 0:
				s, err = TOMLSet(doc, path, value)
			case 1:
				s, err = TOMLSet(doc, path, []string{value, "x"})
			case 2:
				s, err = TOMLSet(doc, path, kind > 100)
			case 3:
				s, err = TOMLRemove(doc, path)
			case 4:
				s, err = TOMLRemoveElement(doc, path, value)
			}
			if err != nil {
				if s != nil {
					t.Error("an error with splices")
				}
				return
			}
			out := unchanged(t, doc, s)
			after, err := ParseTOML(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", doc, out, err)
			}
			v, ok := after.Get(path...)
			switch kind % 5 {
			case 0:
				if v.Any != any(value) {
					t.Fatalf("%q became %q", doc, out)
				}
			case 3:
				if ok {
					t.Fatalf("%q became %q", doc, out)
				}
			}
		})
	})
}
