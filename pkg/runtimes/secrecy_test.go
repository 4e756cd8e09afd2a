package runtimes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestSecretsStaySecret: whatever is copied for the target or written with a secret in it has no more readers than its source
// has, and one that holds a secret none but its owner.
func TestSecretsStaySecret(t *testing.T) {
	const dir = "/etc/containerd/certs.d/corp.example"
	rights := map[string]v1alpha1.File{
		dir + "/c.cert":    {Mode: 0o640, UID: 0, GID: 998},
		dir + "/open.cert": {Mode: 0o644},
		dir + "/c.key":     {Mode: 0o600, UID: 0, GID: 998},
		dir + "/open.key":  {Mode: 0o644},
		dir + "/odd.cert":  {Mode: 0o4755},
		dir + "/odd.key":   {Mode: 0o400},
		dir + "/ca.crt":    {Mode: 0o444, UID: 7},
	}
	f := factsOf(t, map[string]string{"containerd": "2.2.9", "crio": "1.34.0", "dockerd": "28.5.2", "cri-dockerd": "0.4.2"}, map[string]string{
		"/usr/lib/systemd/system/crio.service":                     crioUnitTxt,
		"/usr/lib/systemd/system/containerd.service":               ctdUnitFile,
		"/usr/lib/systemd/system/docker.service":                   "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n",
		"/usr/lib/systemd/system/cri-docker.service":               "[Service]\nExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd://\n",
		"/etc/systemd/system/containerd.service.d/http-proxy.conf": "[Service]\nEnvironment=\"HTTPS_PROXY=http://ana:hunter2@proxy.example:3128\" NO_PROXY=10.0.0.0/8\n",
		containerdConfig:    "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n",
		dir + "/hosts.toml": "server = \"https://corp.example\"\n[host.\"https://corp.example\"]\n  ca = \"" + dir + "/ca.crt\"\n  client = [[\"" + dir + "/c.cert\", \"" + dir + "/c.key\"], [\"" + dir + "/open.cert\", \"" + dir + "/open.key\"], [\"" + dir + "/odd.cert\", \"" + dir + "/odd.key\"]]\n",
		dir + "/c.cert":     "CERT", dir + "/open.cert": "CERT", dir + "/odd.cert": "CERT", dir + "/ca.crt": "CA",
		dir + "/c.key": "PRIVATE KEY", dir + "/open.key": "PRIVATE KEY", dir + "/odd.key": "PRIVATE KEY",
	})
	for i, x := range f.Files {
		if r, ok := rights[x.Path]; ok {
			f.Files[i].Mode, f.Files[i].UID, f.Files[i].GID = r.Mode, r.UID, r.GID
		}
	}
	from, err := Get(v1alpha1.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := from.ReadSettings(f)
	type right struct {
		Mode     uint32
		UID, GID int
	}
	want := map[string]right{
		"kubectl-runtime.cert": {0o640, 0, 998}, "kubectl-runtime.key": {0o600, 0, 998},
		"kubectl-runtime-2.cert": {0o644, 0, 0}, "kubectl-runtime-2.key": {0o600, 0, 0},
		"kubectl-runtime-3.cert": {0o644, 0, 0}, "kubectl-runtime-3.key": {0o400, 0, 0},
		"kubectl-runtime.crt": {0o444, 7, 0},
	}
	for _, to := range []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker} {
		d, err := Get(to)
		if err != nil {
			t.Fatal(err)
		}
		states, _, err := d.Configure(f, s, systemdKubelet)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]right{}
		proxies := 0
		for _, x := range states {
			if name, ok := strings.CutPrefix(x.Path[strings.LastIndexByte(x.Path, '/')+1:], "kubectl-runtime"); ok && strings.Contains(x.Path, "corp.example") {
				got["kubectl-runtime"+name] = right{x.Mode, x.UID, x.GID}
			}
			if strings.Contains(x.Why, "proxies for") {
				proxies++
				if x.Mode != 0o600 {
					t.Errorf("to %s: %s, which holds a proxy's password, has mode %04o", to, x.Path, x.Mode)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("to %s:\n%s", to, diff)
		}
		if proxies == 0 {
			t.Errorf("to %s: the proxies are written nowhere", to)
		}
	}
}

// TestKeepSecret is the kind: any file that the package may come to write.
func TestKeepSecret(t *testing.T) {
	f := &v1alpha1.Facts{Files: []v1alpha1.File{
		{Path: "/etc/a.conf", Type: v1alpha1.Regular, Mode: 0o644, UID: 3, GID: 4, Content: "user=***\n", Size: 9, Masked: []v1alpha1.Span{{Start: 5, End: 8}}},
		{Path: "/etc/b.conf", Type: v1alpha1.Regular, Mode: 0o640, UID: 3, GID: 4, Content: "plain\n", Size: 6},
		{Path: "/etc/link.conf", Type: v1alpha1.Symlink, Target: "b.conf"},
	}}
	for _, c := range []struct {
		name    string
		file    string
		content []v1alpha1.Segment
		want    v1alpha1.FileState
	}{
		{"text", "/x.conf", []v1alpha1.Segment{{Text: "a"}}, v1alpha1.FileState{Mode: 0o644}},
		{"a key that is written", "/x.key", []v1alpha1.Segment{{Text: "a"}}, v1alpha1.FileState{Mode: 0o600}},
		{"with a secret of another file", "/x.conf", []v1alpha1.Segment{{Text: "a"}, {From: "/etc/a.conf", Start: 5, End: 8}}, v1alpha1.FileState{Mode: 0o600}},
		{"with what isn't secret of it", "/x.conf", []v1alpha1.Segment{{Text: "a"}, {From: "/etc/a.conf", Start: 0, End: 5}}, v1alpha1.FileState{Mode: 0o644}},
		{"with a piece of a closed file", "/x.conf", []v1alpha1.Segment{{Text: "a"}, {From: "/etc/b.conf", Start: 0, End: 5}}, v1alpha1.FileState{Mode: 0o640}},
		{"a copy", "/x.conf", []v1alpha1.Segment{{From: "/etc/b.conf", End: 6}}, v1alpha1.FileState{Mode: 0o640, UID: 3, GID: 4}},
		{"a copy of what a link leads to", "/x.conf", []v1alpha1.Segment{{From: "/etc/link.conf", End: 6}}, v1alpha1.FileState{Mode: 0o640, UID: 3, GID: 4}},
		{"of what isn't known", "/x.conf", []v1alpha1.Segment{{From: "/etc/c.conf", End: 6}}, v1alpha1.FileState{Mode: 0o600}},
		{"its own content", "/etc/a.conf", []v1alpha1.Segment{{From: "/etc/a.conf", End: 9}}, v1alpha1.FileState{Mode: 0o644}},
	} {
		got := v1alpha1.FileState{Path: c.file, Mode: 0o644, Content: c.content}
		(&changes{f: f}).keepSecret(&got)
		c.want.Path, c.want.Content = c.file, c.content
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}
