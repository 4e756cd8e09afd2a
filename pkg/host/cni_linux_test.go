package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const conflist = `{"cniVersion":"1.0.0","name":"net","plugins":[
 {"type":"first","ipam":{"type":"host-local"}},
 {"type":"second","capabilities":{"portMappings":true,"bandwidth":true}}]}`

// record is libcni's own (libcni/api.go, cachedInfo), as runtimes leave it.
type record struct {
	Kind           string         `json:"kind"`
	ContainerID    string         `json:"containerId"`
	Config         []byte         `json:"config"`
	IfName         string         `json:"ifName"`
	NetworkName    string         `json:"networkName"`
	NetNS          string         `json:"netns"`
	CniArgs        [][2]string    `json:"cniArgs"`
	CapabilityArgs map[string]any `json:"capabilityArgs"`
	Result         map[string]any `json:"result"`
}

func cached(t *testing.T, change func(*record)) []byte {
	t.Helper()
	a := record{
		Kind: "cniCacheV1", ContainerID: "c1", Config: []byte(conflist), IfName: "eth0", NetworkName: "net", NetNS: "/nowhere/netns",
		CniArgs:        [][2]string{{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", "a"}},
		CapabilityArgs: map[string]any{"portMappings": []map[string]int{{"hostPort": 80}}},
		Result:         map[string]any{"cniVersion": "1.0.0", "ips": []map[string]string{{"address": "10.0.0.9/24"}}},
	}
	if change != nil {
		change(&a)
	}
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plugin writes down how it was called.
const plugin = `#!/bin/sh
{ echo "$0 $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME netns=$CNI_NETNS $CNI_ARGS"; cat; echo; } >> %s
case "$CNI_CONTAINERID" in bad*) echo '{"code":7,"msg":"no such link"}'; exit 1;; esac
`

func TestDetach(t *testing.T) {
	dir := t.TempDir()
	caches, bin, log := filepath.Join(dir, "results"), filepath.Join(dir, "bin"), filepath.Join(dir, "log")
	script := []byte(strings.ReplaceAll(plugin, "%s", log))
	err := errors.Join(
		os.MkdirAll(caches, 0o700), os.MkdirAll(bin, 0o700),
		os.WriteFile(bin+"/first", script, 0o700), os.WriteFile(bin+"/second", script, 0o700),
		os.WriteFile(caches+"/net-c1-eth0", cached(t, nil), 0o600),
		os.WriteFile(caches+"/net-bad-eth0", cached(t, func(a *record) { a.ContainerID = "bad" }), 0o600),
		os.WriteFile(caches+"/net-podman-eth0", cached(t, func(a *record) { a.CniArgs = nil }), 0o600),
		os.WriteFile(caches+"/net-other-eth0", cached(t, func(a *record) {
			a.ContainerID, a.Config = "other", []byte(`{"cniVersion":"0.3.1","name":"net","type":"first"}`)
		}), 0o600),
		os.WriteFile(caches+"/garbage", []byte("{"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	c := cniCleaner{procs: procsAt(t, "/proc"), caches: []string{dir, filepath.Join(dir, "none")}, path: []string{bin}, namespaces: filepath.Join(dir, "netns")}
	err = c.detach(t.Context())
	if err == nil || !strings.Contains(err.Error(), "detaching bad from network net") || !strings.Contains(err.Error(), "no such link") {
		t.Errorf("got %v", err)
	}
	// One that failed stays for who comes next, and what isn't a pod's was left alone.
	if diff := cmp.Diff([]string{"garbage", "net-bad-eth0", "net-podman-eth0"}, names(t, caches)); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), bin+"/", "")), "\n")
	want := []string{
		"second DEL bad eth0 netns= IgnoreUnknown=1;K8S_POD_NAME=a", "*",
		"second DEL c1 eth0 netns= IgnoreUnknown=1;K8S_POD_NAME=a",
		`{"capabilities":{"bandwidth":true,"portMappings":true},"cniVersion":"1.0.0","name":"net","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.9/24"}]},"runtimeConfig":{"portMappings":[{"hostPort":80}]},"type":"second"}`,
		"first DEL c1 eth0 netns= IgnoreUnknown=1;K8S_POD_NAME=a",
		`{"cniVersion":"1.0.0","ipam":{"type":"host-local"},"name":"net","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.9/24"}]},"type":"first"}`,
		"first DEL other eth0 netns= IgnoreUnknown=1;K8S_POD_NAME=a",
		`{"cniVersion":"0.3.1","name":"net","type":"first"}`,
	}
	for i := range calls {
		if i < len(want) && want[i] == "*" {
			calls[i] = "*"
		}
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
}

// TestAttaching sees a plugin at work by its program's directory.
func TestAttaching(t *testing.T) {
	dir := t.TempDir()
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bridge"), sleep, 0o700); err != nil {
		t.Fatal(err)
	}
	p := linuxPods{procs: procsAt(t, "/proc"), cni: cniCleaner{path: []string{filepath.Join(dir, "none"), dir}}}
	look := func(want bool) {
		t.Helper()
		if got, err := p.Attaching(t.Context()); err != nil || got != want {
			t.Errorf("attaching: %v, %v", got, err)
		}
	}
	look(false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bridge"), "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	look(true)
	cancel()
	_ = cmd.Wait() // it was killed
	look(false)
}

func TestDetachWithoutPlugin(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "results/net-c1-eth0")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, cached(t, nil), 0o600)); err != nil {
		t.Fatal(err)
	}
	c := cniCleaner{procs: procsAt(t, "/proc"), caches: []string{dir}, path: []string{dir}, namespaces: dir}
	if err := c.detach(t.Context()); err == nil {
		t.Error("a missing plugin was no error")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestMadeByRuntime(t *testing.T) {
	for name, want := range map[string]bool{
		"cni-12800b28-dd5c-041c-5331-9a84c92c1c57":   true,
		"12800b28-dd5c-041c-5331-9a84c92c1c57":       true,
		"netns-12800b28-dd5c-041c-5331-9a84c92c1c57": false,
		"c3728a01867f": true, "blue": false, "default": false, "cni-x": false,
	} {
		if got := madeByRuntime.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
