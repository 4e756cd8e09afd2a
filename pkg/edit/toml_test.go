package edit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const debianContainerd = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd"
`

const dockerContainerd = `#   Copyright the authors

disabled_plugins = ["cri"] # shipped by the package

#root = "/var/lib/containerd"
#[grpc]
#  address = "/run/containerd/containerd.sock"
`

const generatedContainerd = `version = 3
root = '/var/lib/containerd'
disabled_plugins = []

[grpc]
  address = '/run/containerd/containerd.sock'

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'

    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10'

  [plugins.'io.containerd.cri.v1.runtime']
    enable_selinux = false

[timeouts]
  'io.containerd.timeout.bolt.open' = '0s'
`

func TestTOMLSet(t *testing.T) {
	runc := []string{"plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes", "runc", "options", "SystemdCgroup"}
	for _, c := range []struct {
		name  string
		in    string
		key   []string
		value any
		want  string
	}{
		{
			"replace, comment stays", "a = 1 # why\n", []string{"a"}, 2, "a = 2 # why\n",
		},
		{
			"equal already", "a = \"x\"\n", []string{"a"}, "x", "a = \"x\"\n",
		},
		{
			"keep the quotes in use",
			generatedContainerd,
			[]string{"plugins", "io.containerd.cri.v1.images", "pinned_images", "sandbox"},
			"registry.k8s.io/pause:3.10.1",
			strings.Replace(generatedContainerd, "pause:3.10'", "pause:3.10.1'", 1),
		},
		{
			"into an existing table, with its indent",
			generatedContainerd,
			[]string{"plugins", "io.containerd.cri.v1.runtime", "enable_cdi"},
			true,
			strings.Replace(generatedContainerd, "enable_selinux = false\n", "enable_selinux = false\n    enable_cdi = true\n", 1),
		},
		{
			"a new table beside its family",
			generatedContainerd,
			[]string{"plugins", "io.containerd.cri.v1.images", "registry", "config_path"},
			"/etc/containerd/certs.d",
			strings.Replace(generatedContainerd, "pause:3.10'\n", "pause:3.10'\n\n    [plugins.'io.containerd.cri.v1.images'.registry]\n      config_path = '/etc/containerd/certs.d'\n", 1),
		},
		{
			"a new table in the middle of the tree",
			debianContainerd, runc, true,
			strings.Replace(debianContainerd, "net.d\"\n", `net.d"

          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            SystemdCgroup = true

`, 1),
		},
		{
			"a super-table of existing ones",
			"[a.b]\nx = 1\n",
			[]string{"a", "y"},
			2, "[a]\ny = 2\n\n[a.b]\nx = 1\n",
		},
		{
			"at the top before the first header and its comment",
			"# head\n\n# about a\n[a]\nx = 1\n",
			[]string{"version"},
			2, "# head\n\nversion = 2\n\n# about a\n[a]\nx = 1\n",
		},
		{
			"no newline at the end", "[a]\nx = 1", []string{"a", "y"}, "z", "[a]\nx = 1\ny = \"z\"\n",
		},
		{
			"a new table, no newline at the end", "[a]\nx = 1", []string{"b", "y"}, "z", "[a]\nx = 1\n\n[b]\ny = \"z\"\n",
		},
		{
			"empty file", "", []string{"a", "b"}, "c", "[a]\nb = \"c\"\n",
		},
		{
			"only comments", "# nothing", []string{"a"}, "c", "# nothing\na = \"c\"\n",
		},
		{
			"CRLF", "[a]\r\nx = 1 # c\r\n", []string{"a", "y"}, 2, "[a]\r\nx = 1 # c\r\ny = 2\r\n",
		},
		{
			"dotted keys", "[a]\nb.c = 1\n", []string{"a", "b", "d"}, 2, "[a]\nb.c = 1\nb.d = 2\n",
		},
		{
			"dotted keys, a deeper one", "b.c = 1\n", []string{"b", "d", "e"}, 2, "b.c = 1\nb.d.e = 2\n",
		},
		{
			"inline table", "a = { b = 1 }\n", []string{"a", "c"}, 2, "a = { b = 1, c = 2 }\n",
		},
		{
			"inline table, a deeper key", "a = {b.c = 1}\n", []string{"a", "b", "d"}, 2, "a = {b.c = 1, b.d = 2}\n",
		},
		{
			"empty inline table", "a = {}\n", []string{"a", "c"}, 2, "a = { c = 2 }\n",
		},
		{
			"inside an inline table", "a = { b = 1, c = 'x' } # y\n", []string{"a", "c"}, "z", "a = { b = 1, c = 'z' } # y\n",
		},
		{
			"empty table", "[a]\n[b]\n", []string{"a", "c"}, 2, "[a]\nc = 2\n[b]\n",
		},
		{
			"list", "a = [ \"x\",\n  \"y\" ]\n", []string{"a"}, []string{"z"}, "a = [\"z\"]\n",
		},
		{
			"list with comments, appended",
			"a = [\n  # first\n  \"x\", # one\n]\n",
			[]string{"a"},
			[]string{"x", "y"},
			"a = [\n  # first\n  \"x\", \"y\", # one\n]\n",
		},
		{
			"list with comments, shortened",
			"a = [\n  # first\n  \"x\", # one\n  \"y\"\n]\n",
			[]string{"a"},
			[]string{"y"},
			"a = [\n  # first\n  # one\n  \"y\"\n]\n",
		},
		{
			"multi-line string", "a = \"\"\"\n[b]\n\"\"\"\n[b]\n", []string{"b", "c"}, 1, "a = \"\"\"\n[b]\n\"\"\"\n[b]\nc = 1\n",
		},
		{
			"escapes", "", []string{"a b"}, "q\"\\\n\x7f", "\"a b\" = \"q\\\"\\\\\\u000A\\u007F\"\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, c.in, c.want)(TOMLSet(c.in, c.key, c.value))
		})
	}
}

// check returns a function that takes what an edit returned and compares the edited text.
func check(t *testing.T, in, want string) func([]Splice, error) {
	return func(s []Splice, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Apply(in, s...)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestTOMLRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		edit func(string) ([]Splice, error)
	}{
		{"below an array of tables", "[[a]]\nx = 1\n", func(s string) ([]Splice, error) { return TOMLSet(s, []string{"a", "x"}, 2) }},
		{"below a value", "a = 1\n", func(s string) ([]Splice, error) { return TOMLSet(s, []string{"a", "x"}, 2) }},
		{"a table", "[a]\nx = 1\n", func(s string) ([]Splice, error) { return TOMLSet(s, []string{"a"}, 2) }},
		{"an inline table", "a = {x = 1}\n", func(s string) ([]Splice, error) { return TOMLSet(s, []string{"a"}, 2) }},
		{"a commented list", "a = [\n1, # one\n]\n", func(s string) ([]Splice, error) { return TOMLSet(s, []string{"a"}, 2) }},
		{"remove a commented list", "a = [\n1, # one\n]\n", func(s string) ([]Splice, error) { return TOMLRemove(s, []string{"a"}) }},
		{"element of no list", "a = 1\n", func(s string) ([]Splice, error) { return TOMLRemoveElement(s, []string{"a"}, "x") }},
		{"element of a mixed list", "a = [\"x\", []]\n", func(s string) ([]Splice, error) { return TOMLRemoveElement(s, []string{"a"}, "x") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s, err := c.edit(c.in); !errors.Is(err, ErrRefused) || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
	for _, bad := range []string{"a = ", "[a]\n[a]\n", "a = 1\na = 2\n", strings.Repeat("a.", 200) + "b = 1", strings.Repeat("#\n", maxContent)} {
		if _, err := TOMLSet(bad, []string{"b"}, 1); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
}

func TestTOMLRemove(t *testing.T) {
	for _, c := range []struct {
		name, in string
		key      []string
		want     string
	}{
		{"line", "a = 1\nb = 2\n", []string{"a"}, "b = 2\n"},
		{"comment stays", "a = 1 # one\nb = 2\n", []string{"a"}, "# one\nb = 2\n"},
		{"absent", "a = 1\n", []string{"b", "c"}, "a = 1\n"},
		{"the only key of an implied table", "[a.b]\nc.d = 1\n", []string{"a", "b", "c", "d"}, "[a.b]\n"},
		{"table", "x = 1\n[a]\ny = 1\n# c\n[a.b]\nz = 1\n[c]\n", []string{"a"}, "x = 1\n# c\n[c]\n"},
		{"implied table", "[a.b]\nz = 1\n[c]\n", []string{"a"}, "[c]\n"},
		{"dotted table", "a.b = 1\na.c = 2\nd = 3\n", []string{"a"}, "d = 3\n"},
		{"array of tables", "[[a]]\nx = 1\n[[a]]\nx = 2\n[a.b]\n[c]\n", []string{"a"}, "[c]\n"},
		{"inline, first", "a = { b = 1, c = 2 }\n", []string{"a", "b"}, "a = { c = 2 }\n"},
		{"inline, last", "a = { b = 1, c = 2 }\n", []string{"a", "c"}, "a = { b = 1 }\n"},
		{"inline, only", "a = { b = 1 }\n", []string{"a", "b"}, "a = {  }\n"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want)(TOMLRemove(c.in, c.key)) })
	}
}

func TestTOMLRemoveElement(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"docker's containerd", dockerContainerd, strings.Replace(dockerContainerd, `["cri"]`, `[]`, 1)},
		{"first", "disabled_plugins = [\"cri\", \"x\"]\n", "disabled_plugins = [\"x\"]\n"},
		{"last", "disabled_plugins = ['x', 'cri']\n", "disabled_plugins = ['x']\n"},
		{"twice", "disabled_plugins = [ \"cri\", 'cri' ]\n", "disabled_plugins = [  ]\n"},
		{"middle and last", "disabled_plugins = [\"x\", \"cri\", \"y\", \"cri\"]\n", "disabled_plugins = [\"x\", \"y\"]\n"},
		{"trailing comma", "disabled_plugins = [\"x\", \"cri\",]\n", "disabled_plugins = [\"x\", ]\n"},
		{
			"lines and comments",
			"disabled_plugins = [\n  # a, b\n  \"cri\", # why, oh\n  \"x\",\n  \"cri\",\n]\n",
			"disabled_plugins = [\n  # a, b\n  # why, oh\n  \"x\",\n]\n",
		},
		{
			"comma below a comment",
			"disabled_plugins = [\n  \"cri\" # c,\n  , \"x\" ]\n",
			"disabled_plugins = [\n   # c,\n   \"x\" ]\n",
		},
		{"absent", "disabled_plugins = [\"x\"]\n", "disabled_plugins = [\"x\"]\n"},
		{"no key", "a = 1\n", "a = 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, c.in, c.want)(TOMLRemoveElement(c.in, []string{"disabled_plugins"}, "cri"))
		})
	}
}

func TestTOMLRead(t *testing.T) {
	doc, err := ParseTOML(generatedContainerd)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := doc.Get("plugins", "io.containerd.cri.v1.images", "pinned_images", "sandbox")
	if !ok || v.Any != "registry.k8s.io/pause:3.10" || v.Line != 13 || generatedContainerd[v.Start:v.End] != "'registry.k8s.io/pause:3.10'" {
		t.Errorf("got %+v", v)
	}
	if v, ok := doc.Get("grpc"); !ok || v.Line != 5 {
		t.Errorf("got %+v", v)
	}
	if got := doc.Keys("plugins"); !cmp.Equal(got, []string{"io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"}) {
		t.Errorf("got %q", got)
	}
	if got, ok := doc.Strings("disabled_plugins"); !ok || len(got) != 0 {
		t.Errorf("got %q, %v", got, ok)
	}
	if n, ok := doc.Int("version"); !ok || n != 3 {
		t.Errorf("got %d, %v", n, ok)
	}
	if b, ok := doc.Bool("plugins", "io.containerd.cri.v1.runtime", "enable_selinux"); !ok || b {
		t.Errorf("got %v, %v", b, ok)
	}
	if _, ok := doc.String("version"); ok {
		t.Error("a number isn't a string")
	}
}
