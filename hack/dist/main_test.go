package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	version = "v1.2.3"
	repo    = "https://github.com/kubectl-runtime/kubectl-runtime/releases/download/v1.2.3/"
)

var (
	at        = time.Date(2026, 11, 23, 6, 5, 4, 0, time.UTC)
	platforms = []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"}
)

// dist packs stand-ins for the binaries; mtime and mode are what the archives must not depend on.
func dist(t *testing.T, platforms []string, mtime time.Time, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range platforms {
		path := filepath.Join(dir, "build", p, program)
		if strings.HasPrefix(p, "windows_") {
			path += ".exe"
		}
		if err := errors.Join(
			os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte("the plugin for "+p), mode),
			os.Chtimes(path, mtime, mtime),
		); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(version, at, dir, "../../LICENSE", "../../.krew.yaml", ""); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestArchivesAreReproducible(t *testing.T) {
	a := dist(t, platforms, time.Now(), 0o755)
	b := dist(t, platforms, time.Unix(1, 0), 0o600)
	sums := read(t, a, "SHA256SUMS")
	if n := strings.Count(sums, "\n"); n != 8 {
		t.Errorf("%d checksums, want 6 tarballs and 2 zip files:\n%s", n, sums)
	}
	if diff := cmp.Diff(sums, read(t, b, "SHA256SUMS")); diff != "" {
		t.Error(diff)
	}
}

func TestArchivesHold(t *testing.T) {
	dir := dist(t, []string{"linux_arm64", "windows_amd64"}, time.Now(), 0o755)
	license := fmt.Sprintf("LICENSE 644 0:0 %s %d", at, len(read(t, "../../LICENSE")))

	want := []string{license, fmt.Sprintf("kubectl-runtime 755 0:0 %s %d", at, len("the plugin for linux_arm64"))}
	if diff := cmp.Diff(want, tarball(t, filepath.Join(dir, "kubectl-runtime_v1.2.3_linux_arm64.tar.gz"))); diff != "" {
		t.Error(diff)
	}
	want = []string{license, fmt.Sprintf("kubectl-runtime.exe 755 0:0 %s %d", at, len("the plugin for windows_amd64"))}
	if diff := cmp.Diff(want, tarball(t, filepath.Join(dir, "kubectl-runtime_v1.2.3_windows_amd64.tar.gz"))); diff != "" {
		t.Error(diff)
	}
	z, err := zip.OpenReader(filepath.Join(dir, "kubectl-runtime_v1.2.3_windows_amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var got []string
	for _, f := range z.File {
		got = append(got, fmt.Sprintf("%s %o 0:0 %s %d", f.Name, f.Mode(), f.Modified.UTC(), f.UncompressedSize64))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func tarball(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %o %d:%d %s %d", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime.UTC(), h.Size))
	}
}

type manifest struct {
	Metadata struct{ Name string }
	Spec     struct {
		Version, ShortDescription, Description, Caveats string
		Platforms                                       []struct {
			URI, Sha256, Bin string
			Selector         struct{ MatchLabels struct{ OS, Arch string } }
			Files            []struct{ From, To string }
		}
	}
}

func TestManifests(t *testing.T) {
	dir := dist(t, platforms, time.Now(), 0o755)
	for name, shim := range map[string]string{"runtime": "kubectl_complete-runtime", "node-runtime": "kubectl_complete-node_runtime"} {
		var m manifest
		if err := yaml.Unmarshal([]byte(read(t, dir, name+".yaml")), &m); err != nil {
			t.Fatal(err)
		}
		if m.Metadata.Name != name || m.Spec.Version != version {
			t.Errorf("%s.yaml is of %s %s", name, m.Metadata.Name, m.Spec.Version)
		}
		if n := len(m.Spec.ShortDescription); n == 0 || n > 50 {
			t.Errorf("a short description of %d characters", n)
		}
		if strings.Contains(m.Spec.Description, "--") {
			t.Errorf("a description with flags:\n%s", m.Spec.Description)
		}
		if want := "kubectl " + name + " completion kubectl > ~/.local/bin/" + shim + "\n"; !strings.Contains(m.Spec.Caveats, want) {
			t.Errorf("caveats without %q:\n%s", want, m.Spec.Caveats)
		}
		// The archives' own checksums, once more in the manifest.
		var sums []string
		for _, p := range m.Spec.Platforms {
			l := p.Selector.MatchLabels
			if want := fmt.Sprintf("%skubectl-runtime_%s_%s_%s.tar.gz", repo, version, l.OS, l.Arch); p.URI != want {
				t.Errorf("address %s, want %s", p.URI, want)
			}
			sums = append(sums, p.Sha256+"  "+strings.TrimPrefix(p.URI, repo))
			if p.Files[0].From != p.Bin || p.Files[1].From != "LICENSE" {
				t.Errorf("%s_%s takes %v for %s", l.OS, l.Arch, p.Files, p.Bin)
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(read(t, dir, "SHA256SUMS")), "\n") {
			found := false
			for _, s := range sums {
				found = found || s == line
			}
			if !found && !strings.HasSuffix(line, ".zip") {
				t.Errorf("%s.yaml lacks %s", name, line)
			}
		}
	}
}

func TestUnbuiltPlatformsCannotBeInstalled(t *testing.T) {
	dir := dist(t, []string{"linux_amd64"}, time.Now(), 0o755)
	if n := strings.Count(read(t, dir, "runtime.yaml"), "sha256: "+unbuilt+"\n"); n != 5 {
		t.Errorf("%d of 5 platforms can't be installed", n)
	}
}

func TestNothingBuilt(t *testing.T) {
	err := run(version, at, t.TempDir(), "../../LICENSE", "../../.krew.yaml", "")
	if err == nil || !strings.Contains(err.Error(), "nothing was built in ") {
		t.Errorf("got %v", err)
	}
}
