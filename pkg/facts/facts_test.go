package facts_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

func gather(t *testing.T, n *hosttest.Node) *v1alpha1.Facts {
	t.Helper()
	f, err := facts.Gather(t.Context(), n.Machine(), "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGather(t *testing.T) {
	for _, c := range []layout.Node{
		{Kubelet: "1.23.17", Installer: layout.KubeadmOld, Runtime: v1alpha1.Docker, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}},
		{Kubelet: "1.26.15", Installer: layout.Kubespray, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}},
		{Kubelet: "1.34.4", Installer: layout.Kind, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker}},
		{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO, ControlPlane: true},
		{Kubelet: "1.34.4", Installer: layout.KubeKey, Runtime: v1alpha1.Docker, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}},
	} {
		t.Run(c.Kubelet+" "+string(c.Installer)+" "+string(c.Runtime), func(t *testing.T) {
			f := gather(t, c.Build())
			if len(f.Problems) > 0 {
				t.Errorf("problems: %q", f.Problems)
			}
			// The node in memory has no dockershim, so the kubelet that would serve it isn't well.
			dockershim := c.Runtime == v1alpha1.Docker && c.Kubelet < "1.24"
			k := f.Kubelet
			if k.Unit != "kubelet.service" || k.PID == 0 || k.Version != c.Kubelet || !k.Healthy && !dockershim {
				t.Errorf("kubelet: %+v", k)
			}
			r := f.Runtime(c.Runtime)
			if !r.Installed() || len(r.Processes) == 0 {
				t.Errorf("%s: %+v", c.Runtime, r)
			}
			if r.CRI == nil && !dockershim || r.CRI != nil && (!r.CRI.RuntimeReady || len(r.CRI.Images) == 0 || r.StorePath == "") {
				t.Errorf("%s answered %+v", c.Runtime, r.CRI)
			}
			for _, name := range c.Also {
				if !f.Runtime(name).Installed() {
					t.Errorf("%s wasn't found", name)
				}
			}
			checkForm(t, f)
		})
	}
}

// checkForm looks at what holds of all Facts: everything once and in order, and digests of what was read.
func checkForm(t *testing.T, f *v1alpha1.Facts) {
	t.Helper()
	once := func(what string, keys []string) {
		if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
			t.Errorf("%s aren't in order, or twice: %q", what, keys)
		}
	}
	var files, dirs, units []string
	for _, x := range f.Files {
		files = append(files, x.Path)
		if x.Type == v1alpha1.Regular && x.SHA256 == "" {
			t.Errorf("%s has no digest", x.Path)
		}
		if x.Type == v1alpha1.Regular && x.Content != "" && len(x.Masked) == 0 {
			if sum := sha256.Sum256([]byte(x.Content)); hex.EncodeToString(sum[:]) != x.SHA256 {
				t.Errorf("%s: the digest is of something else", x.Path)
			}
		}
	}
	for _, x := range f.Dirs {
		dirs = append(dirs, x.Path)
	}
	for _, x := range f.Units {
		units = append(units, x.Name)
	}
	once("files", files)
	once("directories", dirs)
	once("units", units)
}

// Nothing secret leaves the node, by whatever way it is told.
func TestGatherMasks(t *testing.T) {
	const secret = "Hush-Hush-42"
	n := layout.Node{
		Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.Docker, v1alpha1.CRIO},
		Files: map[string]string{
			"/etc/systemd/system/containerd.service.d/proxy.conf": "[Service]\nEnvironment=HTTPS_PROXY=http://me:" + secret + "@proxy.example:3128\n",
			"/etc/docker/daemon.json":                             `{"proxies":{"https-proxy":"http://me:` + secret + `@proxy.example:3128"}}`,
			"/etc/default/kubelet":                                "KUBELET_EXTRA_ARGS=--node-ip=10.0.0.7\n",
		},
	}.Build()
	f := gather(t, n)
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("the secret is in the facts: …%s…", around(string(text), secret))
	}
	if !strings.Contains(string(text), "proxy.example:3128") {
		t.Error("what isn't secret is gone too")
	}
	x, ok := f.File("/etc/docker/daemon.json")
	if !ok || len(x.Masked) != 1 || x.Content[x.Masked[0].Start:x.Masked[0].End] != strings.Repeat("*", len(secret)) {
		t.Errorf("daemon.json: %+v", x)
	}
}

func around(text, what string) string {
	at := strings.Index(text, what)
	return text[max(0, at-80):min(len(text), at+40)]
}

func TestGatherTwice(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	first, second := gather(t, n), gather(t, n)
	if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(v1alpha1.Facts{}, "Taken")); diff != "" {
		t.Errorf("looking changed something: %s", diff)
	}
}

func TestGatherLinks(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	n.Write("/srv/site/config.toml", "version = 2\n")
	n.Remove("/etc/containerd/config.toml")
	n.Link("/etc/containerd/config.toml", "../../srv/site/config.toml")
	f := gather(t, n)
	link, _ := f.File("/etc/containerd/config.toml")
	if link.Type != v1alpha1.Symlink || link.Target != "../../srv/site/config.toml" || link.Content != "" {
		t.Errorf("the link: %+v", link)
	}
	end, ok := f.File("/srv/site/config.toml")
	if !ok || end.Content != "version = 2\n" {
		t.Errorf("its end: %+v", end)
	}
}

func TestGatherProblems(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Files: map[string]string{
		"/etc/containerd/config.toml": "# \xff\nversion = 2\n",
	}}.Build()
	f := gather(t, n)
	if !slices.ContainsFunc(f.Problems, func(p string) bool { return strings.Contains(p, "/etc/containerd/config.toml: not UTF-8") }) {
		t.Errorf("problems: %q", f.Problems)
	}
	if x, _ := f.File("/etc/containerd/config.toml"); x.Content != "" || x.SHA256 == "" {
		t.Errorf("%+v", x)
	}
}

// A daemon that hangs must not keep the rest from being told.
func TestGatherHangingDaemon(t *testing.T) {
	t.Parallel() // it waits for real
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	n.Hang("unix:///run/containerd/containerd.sock", true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f, err := facts.Gather(ctx, n.Machine(), "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	if f.Runtime(v1alpha1.Containerd).CRI != nil || len(f.Problems) == 0 || f.Kubelet.PID == 0 {
		t.Errorf("problems: %q", f.Problems)
	}
}

func TestVersion(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO}.Build()
	f := gather(t, n)
	for name, b := range f.Runtime(v1alpha1.CRIO).Binaries {
		got, err := facts.Version(t.Context(), n.Machine(), b.Path)
		if b.Version != "" && (err != nil || got != b.Version) {
			t.Errorf("%s: %q, %v; gathered was %q", name, got, err, b.Version)
		}
	}
	if _, err := facts.Version(t.Context(), n.Machine(), "/usr/bin/whatever"); err == nil {
		t.Error("an unknown program was run")
	}
}
