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

func FuzzYAMLSet(f *testing.F) {
	for _, doc := range []string{
		kubeletConfig, "", "{}", "a: 1\r\nk: x # c\r\n", "k: |\n  x\n", "--- # c\nk: 'it''s'\n...\n", "\"k\" : \"x\" # c", "k:\n# c\na: &x 1\nb: *x\n",
		"  k: ä # ö\n  b: [1, {c: d}]\n", "? k\n: v\n", "k: a\n  b\n", "k: # c\n",
	} {
		f.Add(doc, "k", "unix:///run/x.sock", false)
		f.Add(doc, "containerRuntimeEndpoint", "a: #b", true)
	}
	f.Fuzz(func(t *testing.T, doc, key, value string, remove bool) {
		quickly(t, func() {
			var s []Splice
			var err error
			if remove {
				s, err = YAMLRemove(doc, key)
			} else {
				s, err = YAMLSet(doc, key, value)
			}
			if err != nil {
				if s != nil {
					t.Error("an error with splices")
				}
				return
			}
			out := unchanged(t, doc, s)
			after, err := ParseYAML(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", doc, out, err)
			}
			if v, ok := after.Tree()[key]; remove && ok || !remove && v != any(value) {
				t.Fatalf("%q became %q", doc, out)
			}
			for _, line := range commentLines(doc) {
				if !strings.Contains(out, line) {
					t.Fatalf("%q became %q", doc, out)
				}
			}
		})
	})
}

func FuzzEnvSetFlag(f *testing.F) {
	for _, doc := range []string{
		kubesprayEnv, "", "A=\"--b=1\"\r\n", "A='--b 1 --c'\n", "A=--b\n# c\nA=x", "A=\"--b=\\\"x\\\" \\\n --b\"", "A=\"x\" 'y'\n", "A=", "A=''", ";\\\nA=1", "A=\"--b='1 2'\"",
	} {
		f.Add(doc, "A", "b", "/run/x.sock", false)
		f.Add(doc, "KUBELET_ARGS", "container-runtime", "remote", true)
	}
	f.Fuzz(func(t *testing.T, doc, variable, flag, value string, remove bool) {
		quickly(t, func() {
			var s []Splice
			var err error
			if remove {
				s, err = EnvRemoveFlag(doc, variable, flag)
			} else {
				s, err = EnvSetFlag(doc, variable, flag, value)
			}
			if err != nil {
				if s != nil {
					t.Error("an error with splices")
				}
				return
			}
			out := unchanged(t, doc, s)
			after, err := ParseEnv(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", doc, out, err)
			}
			v, _ := after.Get(variable)
			got, ok := LastFlag(v.Flags(), flag)
			if remove && ok || !remove && got.Value != value {
				t.Fatalf("%q became %q", doc, out)
			}
		})
	})
}

func FuzzUnitSetFlag(f *testing.F) {
	for _, doc := range []string{
		kubeKeyDropIn, kubeaszUnit, "[Service]\nEnvironment=A=--b=1 'B=2'\nExecStart=/x --b 1 \\\n# c\n --c\n", "[Service]\nEnvironment=\"A=\"\r\nExecStart=-/x\r\n",
		"[Service]\nExecStart=\nExecStart=/x \"--b=\\\"1\\\"\" ; y\n", "[X]\n\\\n", "[Service]\nExecStart=--b 0",
		"[Service]\nEnvironment=\"A=--b='x y' --b\" \\\n C=1",
	} {
		for how := range uint8(4) {
			f.Add(doc, "A", "b", "/run/x.sock", how)
			f.Add(doc, "KUBELET_EXTRA_ARGS", "node-ip", "1", how)
			f.Add(doc, "A", "b", "-", how)
		}
	}
	f.Fuzz(func(t *testing.T, doc, variable, flag, value string, how uint8) {
		quickly(t, func() {
			var s []Splice
			var err error
			switch how % 4 {
			case 0:
				s, err = UnitSetFlag(doc, variable, flag, value)
			case 1:
				s, err = UnitRemoveFlag(doc, variable, flag)
			case 2:
				s, err = ExecSetFlag(doc, flag, value)
			case 3:
				s, err = ExecRemoveFlag(doc, flag)
			}
			if err != nil {
				if s != nil {
					t.Error("an error with splices")
				}
				return
			}
			out := unchanged(t, doc, s)
			after, err := ParseUnit(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", doc, out, err)
			}
			var flags []Flag
			if how%4 < 2 {
				vars, err := after.Environment()
				if err != nil {
					t.Fatalf("%q became %q: %v", doc, out, err)
				}
				env := Env{Vars: vars}
				v, _ := env.Get(variable)
				flags = v.Flags()
			} else {
				if flags, err = after.Values("Service", "ExecStart")[0].Flags(); err != nil {
					t.Fatalf("%q became %q: %v", doc, out, err)
				}
			}
			got, ok := LastFlag(flags, flag)
			if how%2 == 1 && ok || how%2 == 0 && got.Value != value {
				t.Fatalf("%q became %q", doc, out)
			}
		})
	})
}

func FuzzParseUnit(f *testing.F) {
	f.Add(kubeaszUnit)
	f.Add("[Service]\nEnvironment=a=b \\\n\\\n")
	f.Fuzz(func(t *testing.T, doc string) {
		quickly(t, func() {
			u, err := ParseUnit(doc)
			if err != nil {
				return
			}
			for _, e := range u.Entries {
				if e.Line < 1 || e.Line > strings.Count(doc, "\n")+1 || e.Section == "" && e.Name == "" {
					t.Fatalf("%q: %+v", doc, e)
				}
				_, _ = e.Flags()
			}
		})
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add("{\"a\": {\"b\": [1, \"x\"]}}", "a")
	f.Fuzz(func(t *testing.T, doc, key string) {
		quickly(t, func() {
			if j, err := ParseJSON(doc); err == nil {
				if _, line, ok := j.Get(key); ok && (line < 1 || line > strings.Count(doc, "\n")+1) {
					t.Fatalf("%q: line %d", doc, line)
				}
			}
		})
	})
}

func FuzzMask(f *testing.F) {
	paths := []string{"x", "x.toml", "x.yaml", "x.json", "x.env", "x.service"}
	for i := range paths {
		for _, doc := range []string{
			kubeletConfig, generatedContainerd, kubesprayEnv, kubeKeyDropIn, "password = \"x\" # c\ntoken: y\n\"auth\": \"z\"", "a://u:p@h,b://c@d/e",
			"authorization: Basic abcdefghijklmnopqrst", "--token x --b-header=y", "-----BEGIN PRIVATE KEY-----\nabc\n-----END", "password: |\n  x\nheader: {a: [b, 'c']}",
			"[a.header]\nb = ['''\nx''', { c = \"d\" }]\n", "{\"auth\": {\"password\": [\"x\", {\"y\": \"z\"}]}}",
		} {
			f.Add(uint8(i), doc)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, doc string) {
		quickly(t, func() {
			path := paths[int(kind)%len(paths)]
			masked, spans := Mask(path, doc)
			if len(masked) != len(doc) || strings.Count(masked, "\n") != strings.Count(doc, "\n") {
				t.Fatalf("%q became %q", doc, masked)
			}
			if again, _ := Mask(path, masked); again != masked {
				t.Fatalf("%q became %q, then %q", doc, masked, again)
			}
			// A YAML key may hold what reads like an assignment; such a file is refused, not misread.
			for i, parses := range []func(string) bool{
				func(string) bool { return true },
				func(s string) bool { _, err := ParseTOML(s); return err == nil },
				func(string) bool { return true },
				func(s string) bool { _, err := ParseJSON(s); return err == nil },
				func(s string) bool { _, err := ParseEnv(s); return err == nil },
				func(s string) bool { _, err := ParseUnit(s); return err == nil },
			} {
				if i == int(kind)%len(paths) && parses(doc) && !parses(masked) {
					t.Fatalf("%q became %q, which doesn't parse", doc, masked)
				}
			}
			at := 0
			for _, s := range spans {
				if s.Start < at || s.End > len(doc) || masked[at:s.Start] != doc[at:s.Start] {
					t.Fatalf("%q became %q with %v", doc, masked, spans)
				}
				at = s.End
			}
			if masked[at:] != doc[at:] {
				t.Fatalf("%q became %q with %v", doc, masked, spans)
			}
		})
	})
}
