package imageref

import "testing"

func TestParse(t *testing.T) {
	digest := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for in, want := range map[string]string{
		"nginx":                           "docker.io/library/nginx:latest",
		"nginx:1.27":                      "docker.io/library/nginx:1.27",
		"team/app":                        "docker.io/team/app:latest",
		"index.docker.io/team/app:x":      "docker.io/team/app:x",
		"localhost/app":                   "localhost/app:latest",
		"localhost:5000/app":              "localhost:5000/app:latest",
		"registry.k8s.io/pause:3.10":      "registry.k8s.io/pause:3.10",
		"reg:5000/a/b/c:v1":               "reg:5000/a/b/c:v1",
		"[::1]:5000/a":                    "[::1]:5000/a:latest",
		"nginx@" + digest:                 "docker.io/library/nginx@" + digest,
		"registry.k8s.io/x:v1@" + digest:  "registry.k8s.io/x@" + digest,
		"a__b/c--d.e_f:Tag_1":             "docker.io/a__b/c--d.e_f:Tag_1",
		"registry.bed/some/thing_2:v1-rc": "registry.bed/some/thing_2:v1-rc",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if again := Complete(want); again != want {
				t.Errorf("a complete reference became %s", again)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"", "Nginx", "nginx:", "nginx:a b", "nginx@sha256:12", "a//b", "../x", "reg.io/", "a/../b", "-x/y", "<none>:<none>"} {
		if got, err := Parse(in); err == nil {
			t.Errorf("%q was read as %s", in, got)
		}
	}
	if got := Complete("sha256:abc"); got != "docker.io/library/sha256:abc" && got != "sha256:abc" {
		t.Errorf("got %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"nginx", "a/b:c", "x.io:5/a@sha256:0123456789abcdef0123456789abcdef", "[::1]:5/a", "A/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q is %s, which is %s, %v", s, r, again, err)
		}
	})
}
