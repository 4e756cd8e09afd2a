// Command dist packs what hack/make/dist built: an archive for each platform, their checksums, and krew's manifests. The
// same binaries, version and time give the same bytes, wherever it runs.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is the binary's name in every archive; Windows adds .exe.
const program = "kubectl-runtime"

// names are what krew may know the plugin by: this repository's own index has the first. The second is for krew's
// central index, where reviewers want a name that says what it acts on.
var names = []string{"runtime", "node-runtime"}

func main() {
	version := flag.String("version", "", "the release's version, v1.2.3")
	seconds := flag.Int64("time", 0, "the time of every file in the archives, in seconds since 1970")
	dir := flag.String("dir", "dist", "where build/OS_ARCH/ holds the binaries, and where everything goes")
	license := flag.String("license", "LICENSE", "the licence, part of every archive")
	template := flag.String("template", ".krew.yaml", "the template of krew's manifest")
	name := flag.String("rename", "", "only print the template under this plugin name")
	flag.Parse()

	err := run(*version, time.Unix(*seconds, 0).UTC(), *dir, *license, *template, *name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(version string, at time.Time, dir, license, templateFile, name string) error {
	text, err := os.ReadFile(templateFile)
	if err != nil {
		return err
	}
	if name != "" {
		_, err := fmt.Print(renamed(string(text), name))
		return err
	}
	digests, err := pack(version, at, dir, license)
	if err != nil {
		return err
	}
	for _, name := range names {
		manifest, err := render(renamed(string(text), name), version, digests)
		if err != nil {
			return fmt.Errorf("%s for %s: %w", templateFile, name, err)
		}
		// krew wants the file to be called as the plugin is.
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), manifest, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pack writes an archive for each platform that was built, and the checksums. It returns each archive's digest.
func pack(version string, at time.Time, dir, license string) (map[string]string, error) {
	builds, err := filepath.Glob(filepath.Join(dir, "build", "*_*", program+"*"))
	if err != nil {
		return nil, err
	}
	if len(builds) == 0 {
		return nil, fmt.Errorf("nothing was built in %s", filepath.Join(dir, "build"))
	}
	digests := map[string]string{}
	for _, binary := range builds {
		platform := filepath.Base(filepath.Dir(binary))
		files := []file{{filepath.Base(license), license, 0o644}, {filepath.Base(binary), binary, 0o755}}
		kinds := map[string]packer{".tar.gz": writeTarball}
		if strings.HasPrefix(platform, "windows_") {
			kinds[".zip"] = writeZip
		}
		for ext, write := range kinds {
			archive := fmt.Sprintf("%s_%s_%s%s", program, version, platform, ext)
			if digests[archive], err = create(filepath.Join(dir, archive), write, files, at); err != nil {
				return nil, fmt.Errorf("%s: %w", archive, err)
			}
		}
	}
	return digests, os.WriteFile(filepath.Join(dir, "SHA256SUMS"), checksums(digests), 0o644)
}

// create writes one archive and returns its digest.
func create(path string, write packer, files []file, at time.Time) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if err := write(io.MultiWriter(f, sum), files, at); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), f.Close()
}

// checksums is what `sha256sum --check` reads.
func checksums(digests map[string]string) []byte {
	var lines []string
	for name, digest := range digests {
		lines = append(lines, digest+"  "+name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	return []byte(strings.Join(lines, ""))
}
