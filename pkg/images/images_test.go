package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

const (
	run     = "r-0000000a"
	dir     = "/var/lib/kubectl-runtime/runs/" + run + "/staging"
	pause   = "registry.k8s.io/pause:3.10"
	app     = "reg.example/team/app:1"
	local   = "localhost/only/here:1"
	staged  = "unix://" + dir + "/crio.sock"
	running = "unix:///run/containerd/containerd.sock"
)

// bench is a node on containerd where CRI-O is to be staged.
type bench struct {
	node *hosttest.Node
	plan *v1alpha1.Plan

	mu    sync.Mutex
	lines []v1alpha1.Progress
	pulls []string
	have  []pullrecord.Image
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{node: hosttest.New()}
	n := b.node
	for name, exec := range map[string]string{"containerd": "/usr/bin/containerd", "crio": "/usr/bin/crio"} {
		n.Write("/usr/lib/systemd/system/"+name+".service", "[Service]\nType=notify\nExecStart="+exec+"\n")
	}
	n.Link("/etc/systemd/system/multi-user.target.wants/containerd.service", "/usr/lib/systemd/system/containerd.service")
	n.Write("/etc/containerd/config.toml", "version = 2\n")
	n.Write("/etc/crio/crio.conf.d/10-site.conf", "[crio.image]\n")
	n.Dir(path.Dir(path.Dir(dir)), 0o700)
	n.Dir(path.Dir(dir), 0o700)
	n.Install(hosttest.Containerd("1.7.24"), hosttest.CRIO("1.34.1"))
	n.Boot()
	n.Images(v1alpha1.Containerd, v1alpha1.Image{ID: "sha256:1", Tags: []string{app}, Bytes: 1 << 20}, v1alpha1.Image{ID: "sha256:2", Tags: []string{local}, Bytes: 1 << 20})
	n.Pull = func(endpoint, ref string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		user := "-"
		if auth != nil {
			user = auth.Username
		}
		b.pulls = append(b.pulls, ref+" "+user)
		switch {
		case endpoint != staged:
			return v1alpha1.Image{}, fmt.Errorf("pulled at %s", endpoint)
		case ref == app && user != "right":
			return v1alpha1.Image{}, errors.New("401 Unauthorized")
		case ref == app:
			return v1alpha1.Image{ID: "sha256:1", Tags: []string{ref}}, nil
		case ref == local:
			return b.fromMirror(ref)
		}
		return v1alpha1.Image{ID: ref, Tags: []string{ref}}, nil
	}
	n.OpenImage = func(_ context.Context, r v1alpha1.RuntimeName, ref, _ string) (*host.StoredImage, error) {
		if r != v1alpha1.Containerd || ref != local {
			return nil, host.ErrNotExist
		}
		return stored(), nil
	}
	b.plan = &v1alpha1.Plan{
		Run:  run,
		From: v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Endpoint: running},
		To:   v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Endpoint: "unix:///var/run/crio/crio.sock"},
		After: v1alpha1.State{Files: []v1alpha1.FileState{
			{Path: "/etc/crio/crio.conf.d/10-site.conf", Type: v1alpha1.Regular, Content: []v1alpha1.Segment{
				{From: "/etc/crio/crio.conf.d/10-site.conf", End: 13}, {Text: "pause_image = \"{dir}\"\n"},
			}},
		}},
		Staging: v1alpha1.Staging{
			Needed: true, Argv: []string{"/usr/bin/crio", "--config={dir}/crio.conf", "--listen={dir}/crio.sock"}, Endpoint: "unix://{dir}/crio.sock",
			Files: []v1alpha1.StagedFile{
				{Path: "crio.conf", Content: []v1alpha1.Segment{{Text: "root = \"{dir}\"\n"}}},
				{Path: "conf.d/10-site.conf", After: "/etc/crio/crio.conf.d/10-site.conf"},
			},
			Dirs:     []string{"cni"},
			Mirror:   v1alpha1.MirrorConfig{Path: "mirrors.conf", Header: "# mirrors\n", Entry: "{host} {mirror}\n"},
			Validate: [][]string{{"/usr/bin/crio", "--version"}},
			Pinned:   []string{pause},
		},
	}
	return b
}

// fromMirror is what CRI-O does with a mirror: it asks the loopback registry that its configuration names, if it names one.
func (b *bench) fromMirror(ref string) (v1alpha1.Image, error) {
	text, ok := b.node.Content(dir + "/mirrors.conf")
	if !ok {
		return v1alpha1.Image{}, errors.New("dial tcp: lookup localhost: no such host")
	}
	fields := strings.Fields(strings.TrimPrefix(text, "# mirrors\n"))
	if len(fields) != 2 || fields[0] != "localhost" {
		return v1alpha1.Image{}, fmt.Errorf("mirrors are %q", text)
	}
	address, secret, _ := strings.Cut(fields[1], "/")
	a, err := http.Get("http://" + address + "/v2/" + secret + "/only/here/manifests/1")
	if err != nil {
		return v1alpha1.Image{}, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return v1alpha1.Image{}, errors.New(a.Status)
	}
	return v1alpha1.Image{ID: ref, Tags: []string{ref}}, nil
}

func (b *bench) stage(ctx context.Context, wanted ...v1alpha1.WantedImage) error {
	var err error
	b.have, err = Stage(ctx, b.node.Machine(), b.plan, wanted, dir, func(p v1alpha1.Progress) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, p)
	})
	return err
}

// nothingLeft: whatever happened, only images stay.
func (b *bench) nothingLeft(t *testing.T) {
	t.Helper()
	for p := range b.node.Snapshot("/var/lib/kubectl-runtime") {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			t.Errorf("%s was left", p)
		}
	}
	for unit := range b.node.Active() {
		if strings.Contains(unit, "staging") {
			t.Errorf("%s still runs", unit)
		}
	}
	if got, _ := b.node.Content("/etc/crio/crio.conf.d/10-site.conf"); got != "[crio.image]\n" {
		t.Errorf("the node's own file became %q", got)
	}
}

// store lists what CRI-O has once it serves.
func (b *bench) store(t *testing.T) []v1alpha1.Image {
	t.Helper()
	if err := b.node.Start("crio.service"); err != nil {
		t.Fatal(err)
	}
	r, err := b.node.Machine().CRI.Dial(t.Context(), "unix:///var/run/crio/crio.sock", "")
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (b *bench) held(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, i := range b.store(t) {
		out = append(out, i.Tags...)
	}
	slices.Sort(out)
	return out
}

// TestStoreIsSynced: once the instance that wrote it has ended, what came in is on the disk.
func TestStoreIsSynced(t *testing.T) {
	b := newBench(t)
	var acts []string
	b.node.Fault(func(act string) error { acts = append(acts, act); return nil })
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: local, Required: true}); err != nil {
		t.Fatal(err)
	}
	ended, last := -1, slices.Index(acts, "syncfs /var/lib/containers/storage")
	for i, act := range acts {
		if strings.HasPrefix(act, "stop kubectl-runtime-staging-") {
			ended = i
		}
	}
	if last < 0 || ended < 0 || last < ended {
		t.Errorf("the instance ended as act %d, the store was synced as act %d: %q", ended, last, acts)
	}
}

func TestStage(t *testing.T) {
	b := newBench(t)
	// What the target has from earlier is not what the source has now.
	b.node.Images(v1alpha1.CRIO, v1alpha1.Image{ID: "sha256:0", Tags: []string{app}})
	err := b.stage(t.Context(),
		v1alpha1.WantedImage{Ref: app, Auths: []v1alpha1.RegistryAuth{{Username: "wrong"}, {Username: "right"}, {Username: "unused"}}, Required: true},
		v1alpha1.WantedImage{Ref: local, Required: true, For: "kube-system/agent"},
		v1alpha1.WantedImage{Ref: "reg.example/team/app:1"})
	if err != nil {
		t.Fatal(err)
	}
	b.nothingLeft(t)
	if diff := cmp.Diff([]string{local, app, pause}, b.held(t)); diff != "" {
		t.Error(diff)
	}
	slices.Sort(b.pulls)
	want := []string{local + " -", local + " -", app + " right", app + " wrong", pause + " -"}
	if diff := cmp.Diff(want, b.pulls); diff != "" {
		t.Error(diff)
	}
}

func TestStageAgainPullsNothing(t *testing.T) {
	b := newBench(t)
	b.node.Images(v1alpha1.CRIO, v1alpha1.Image{ID: "1", Tags: []string{pause}}, v1alpha1.Image{ID: "2", Tags: []string{"docker.io/library/nginx:latest"}})
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: "nginx", Required: true}); err != nil {
		t.Fatal(err)
	}
	if len(b.pulls) > 0 {
		t.Errorf("pulled %q", b.pulls)
	}
	b.nothingLeft(t)
}

func TestStageFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bench)
		wanted v1alpha1.WantedImage
		want   []string
	}{
		{
			"an image that nobody has", func(*bench) {},
			v1alpha1.WantedImage{Ref: "reg.example/team/app:1", Required: true, For: "ns/pod"},
			[]string{"reg.example/team/app:1", "ns/pod", "401", "containerd"},
		},
		{"not a reference", func(*bench) {}, v1alpha1.WantedImage{Ref: "Not An Image", Required: true}, []string{"Not An Image"}},
		{
			"a pinned digest that the old store doesn't have", func(*bench) {},
			v1alpha1.WantedImage{Ref: "localhost/only/here@" + digest("another"), Required: true},
			[]string{digest("another")},
		},
		{"configuration that isn't valid", func(b *bench) { b.plan.Staging.Validate = [][]string{{"/usr/bin/crio", "no", "such"}} }, v1alpha1.WantedImage{}, nil},
		{"an instance that doesn't start", func(b *bench) { b.plan.Staging.Argv[0] = "/usr/bin/none" }, v1alpha1.WantedImage{}, []string{"cri-o"}},
		{"a file that leads out", func(b *bench) { b.plan.Staging.Files[0].Path = "../../../../../../etc/crio/x" }, v1alpha1.WantedImage{}, []string{"leads out"}},
		{"a file of no photograph", func(b *bench) { b.plan.Staging.Files[1].After = "/etc/other" }, v1alpha1.WantedImage{}, []string{"/etc/other"}},
		{"no room", func(b *bench) {
			b.node.SetFilesystem("/var/lib/containers/storage", v1alpha1.Filesystem{Bytes: 100 << 30, FreeBytes: 15<<30 + 1<<20})
		}, v1alpha1.WantedImage{Ref: app, Required: true}, []string{"no room"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.wanted.Ref == "localhost/only/here@"+digest("another") {
				pull := b.node.Pull
				b.node.Pull = func(endpoint, ref string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
					if ref == c.wanted.Ref {
						return v1alpha1.Image{}, errors.New("404 Not Found")
					}
					return pull(endpoint, ref, auth)
				}
				b.node.OpenImage = func(context.Context, v1alpha1.RuntimeName, string, string) (*host.StoredImage, error) {
					return stored(), nil
				}
			}
			c.change(b)
			var wanted []v1alpha1.WantedImage
			if c.wanted.Ref != "" {
				wanted = append(wanted, c.wanted)
			}
			err := b.stage(t.Context(), wanted...)
			if err == nil {
				t.Fatal("it went well")
			}
			for _, text := range c.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q isn't in: %v", text, err)
				}
			}
			b.nothingLeft(t)
		})
	}
}

func TestStageOptionalIsAWarning(t *testing.T) {
	b := newBench(t)
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: app}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(b.lines, func(p v1alpha1.Progress) bool { return p.Step == "warning" && strings.Contains(p.Detail, app) }) {
		t.Errorf("no warning in %+v", b.lines)
	}
	b.nothingLeft(t)
}

func TestStageInterrupted(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	pull := b.node.Pull
	b.node.Pull = func(endpoint, ref string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
		cancel()
		return pull(endpoint, ref, auth)
	}
	if err := b.stage(ctx, v1alpha1.WantedImage{Ref: local, Required: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	b.nothingLeft(t)
}

// Credentials stand in no file, unit or line of progress.
func TestStageKeepsCredentials(t *testing.T) {
	b := newBench(t)
	const secret = "hush-hush"
	seen := false
	pull := b.node.Pull
	b.node.Pull = func(endpoint, ref string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
		seen = seen || auth != nil && auth.Password == secret
		for p, f := range b.node.Snapshot("/") {
			if strings.Contains(f.Content, secret) {
				t.Errorf("the credential is in %s", p)
			}
		}
		return pull(endpoint, ref, auth)
	}
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: app, Auths: []v1alpha1.RegistryAuth{{Username: "right", Password: secret}}, Required: true}); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(b.lines); !seen || strings.Contains(text, secret) {
		t.Errorf("seen %v, told %s", seen, text)
	}
}

// TestStageKeepsMirror: the path at which the loopback registry answers is a secret, and a runtime that fails there tells it.
func TestStageKeepsMirror(t *testing.T) {
	b := newBench(t)
	secret := ""
	b.node.Pull = func(_, ref string, _ *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
		if text, ok := b.node.Content(dir + "/mirrors.conf"); ok {
			_, secret, _ = strings.Cut(strings.Fields(strings.TrimPrefix(text, "# mirrors\n"))[1], "/")
		}
		return v1alpha1.Image{}, fmt.Errorf("Get \"http://127.0.0.1:1/v2/%s/%s\": connection refused", secret, ref)
	}
	b.node.OpenImage = func(context.Context, v1alpha1.RuntimeName, string, string) (*host.StoredImage, error) {
		return stored(), nil
	}
	err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: local, Required: true})
	if err == nil || secret == "" {
		t.Fatalf("the secret is %q: %v", secret, err)
	}
	if text := fmt.Sprint(b.lines, err); strings.Contains(text, secret) || !strings.Contains(text, "connection refused") {
		t.Errorf("told %s", text)
	}
}

func TestMerge(t *testing.T) {
	a, b := v1alpha1.RegistryAuth{Username: "a"}, v1alpha1.RegistryAuth{Username: "b"}
	got := merge([]v1alpha1.WantedImage{
		{Ref: "nginx", Auths: []v1alpha1.RegistryAuth{a}, Repulled: true},
		{Ref: "other:1", Repulled: true},
		{Ref: "docker.io/library/nginx:latest", Auths: []v1alpha1.RegistryAuth{a, b}, Required: true},
		{Ref: "docker.io/library/other:1", Repulled: true},
	}, []string{pause})
	var text []string
	for _, i := range got {
		text = append(text, fmt.Sprint(i.Ref, " ", len(i.Auths), " ", i.Required, " ", i.Repulled))
	}
	want := []string{pause + " 0 true false", "docker.io/library/nginx:latest 2 true false", "other:1 0 false true"}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
}

func TestUnreachable(t *testing.T) {
	for text, want := range map[string]bool{
		`Get "https://r/v2/": dial tcp: lookup r on 10.0.0.1:53: no such host`: true,
		`dial tcp 10.0.0.1:443: i/o timeout`:                                   true,
		`pull access denied`:                                                   false,
		`manifest unknown`:                                                     false,
		`x509: certificate signed by unknown authority`:                        false,
	} {
		if got := unreachable(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// loader takes archives, as a Docker that is being staged does.
type loader struct {
	host.Runtime
	got map[string]string
}

func (l *loader) Load(_ context.Context, archive io.Reader) error {
	l.got = map[string]string{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, r); err != nil {
			return err
		}
		l.got[h.Name] = b.String()
	}
}

func TestLoad(t *testing.T) {
	b := newBench(t)
	s := &stager{m: b.node.Machine()}
	l := &loader{}
	i := image{name: mustParse(t, "localhost/only/here:1")}
	if err := s.load(t.Context(), l, i, stored()); err != nil {
		t.Fatal(err)
	}
	config, layer := encoded(digest(`{"architecture":"amd64"}`))+".json", encoded(digest(layerText))+".tar"
	want := map[string]string{
		config: `{"architecture":"amd64"}`, layer: layerText,
		"manifest.json": fmt.Sprintf(`[{"Config":%q,"RepoTags":["localhost/only/here:1"],"Layers":[%q]}]`, config, layer),
	}
	if diff := cmp.Diff(want, l.got); diff != "" {
		t.Error(diff)
	}
	broken := stored()
	delete(broken.Blobs, digest(layerText))
	if err := s.load(t.Context(), l, i, broken); err == nil {
		t.Error("an image without its layer was loaded")
	}
	i.name.Digest = digest("x")
	if err := s.load(t.Context(), l, i, stored()); err == nil {
		t.Error("a digest was lost")
	}
}
