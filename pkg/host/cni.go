//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cniCleaner releases network attachments from what libcni remembers of them.
type cniCleaner struct {
	// caches are where libcni keeps what it attached.
	caches []string
	// path are the directories of plugins, separated by colons.
	path string
	// namespaces is where runtimes bind network namespaces.
	namespaces string
}

// systemCNI knows the usual places: the first cache is that of containerd and CRI-O, the second that of dockershim and
// cri-dockerd. Debian's and Fedora's packages have directories of plugins of their own.
func systemCNI() cniCleaner {
	return cniCleaner{
		caches:     []string{"/var/lib/cni/results", "/var/lib/cni/cache/results"},
		path:       "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni",
		namespaces: "/run/netns",
	}
}

// One plugin that waits for an API server must not hold up the others.
const cniTimeout = 15 * time.Second

// attachment is libcni's own record (libcni/api.go, cachedInfo).
type attachment struct {
	Kind           string                     `json:"kind"`
	ContainerID    string                     `json:"containerId"`
	Config         []byte                     `json:"config"`
	IfName         string                     `json:"ifName"`
	NetworkName    string                     `json:"networkName"`
	NetNS          string                     `json:"netns"`
	CniArgs        [][2]string                `json:"cniArgs"`
	CapabilityArgs map[string]json.RawMessage `json:"capabilityArgs"`
	Result         json.RawMessage            `json:"result"`
}

// ofPod: attachments of podman or nerdctl lie in the same directory.
func (a attachment) ofPod() bool {
	for _, arg := range a.CniArgs {
		if arg[0] == "K8S_POD_NAME" {
			return true
		}
	}
	return false
}

func (c cniCleaner) detach(ctx context.Context) error {
	var errs []error
	for _, dir := range c.caches {
		entries, err := os.ReadDir(dir)
		if err != nil && !gone(err) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			errs = append(errs, c.release(ctx, filepath.Join(dir, e.Name())))
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	errs = append(errs, removeNamespaces(c.namespaces))
	return errors.Join(errs...)
}

// release calls the plugins for one attachment and forgets it. The record stays when a plugin fails, for who comes next.
func (c cniCleaner) release(ctx context.Context, file string) error {
	data, err := os.ReadFile(file)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var a attachment
	if err := json.Unmarshal(data, &a); err != nil || !strings.HasPrefix(a.Kind, "cniCache") || !a.ofPod() {
		return nil // not libcni's, or not a pod's
	}
	plugins, err := a.plugins()
	if err != nil {
		return fmt.Errorf("detaching %s from network %s: %w", a.ContainerID, a.NetworkName, err)
	}
	for _, p := range plugins {
		if err := c.del(ctx, a, p); err != nil {
			return fmt.Errorf("detaching %s from network %s: %w", a.ContainerID, a.NetworkName, err)
		}
	}
	if err := os.Remove(file); err != nil && !gone(err) {
		return err
	}
	return nil
}

// cniPlugin is one plugin's name and the configuration it gets on its standard input.
type cniPlugin struct {
	name   string
	config []byte
}

// plugins are the plugins to call for DEL, the last one first, each with what libcni adds to its configuration.
func (a attachment) plugins() ([]cniPlugin, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(a.Config, &whole); err != nil {
		return nil, fmt.Errorf("reading the cached configuration: %w", err)
	}
	list := []map[string]json.RawMessage{whole}
	if raw, ok := whole["plugins"]; ok {
		list = nil
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("reading the cached configuration: %w", err)
		}
	}
	var out []cniPlugin
	for _, conf := range list {
		var name string
		if err := json.Unmarshal(conf["type"], &name); err != nil || name == "" || strings.ContainsRune(name, '/') {
			return nil, errors.New("reading the cached configuration: a plugin without a type")
		}
		for _, key := range []string{"name", "cniVersion"} {
			if value, ok := whole[key]; ok {
				conf[key] = value
			}
		}
		if args := a.runtimeConfig(conf["capabilities"]); args != nil {
			conf["runtimeConfig"] = args
		}
		// From 0.4.0 on DEL gets the result of ADD; older plugins know no such key.
		if version := strings.Trim(string(conf["cniVersion"]), `"`); len(a.Result) > 0 && version != "" && version != "0.1.0" && version != "0.2.0" && !strings.HasPrefix(version, "0.3.") {
			conf["prevResult"] = a.Result
		}
		config, err := json.Marshal(conf)
		if err != nil {
			return nil, err
		}
		out = append([]cniPlugin{{name, config}}, out...)
	}
	return out, nil
}

// runtimeConfig hands a plugin the arguments of the capabilities that it says it has.
func (a attachment) runtimeConfig(capabilities json.RawMessage) json.RawMessage {
	var has map[string]bool
	if len(capabilities) == 0 || json.Unmarshal(capabilities, &has) != nil {
		return nil
	}
	args := map[string]json.RawMessage{}
	for name, on := range has {
		if value, ok := a.CapabilityArgs[name]; ok && on {
			args[name] = value
		}
	}
	if len(args) == 0 {
		return nil
	}
	out, _ := json.Marshal(args) // what was just read always encodes
	return out
}

func (c cniCleaner) del(ctx context.Context, a attachment, p cniPlugin) error {
	exe := ""
	for _, dir := range filepath.SplitList(c.path) {
		if info, err := os.Stat(filepath.Join(dir, p.name)); err == nil && info.Mode().IsRegular() {
			exe = filepath.Join(dir, p.name)
			break
		}
	}
	if exe == "" {
		return fmt.Errorf("plugin %s is not in %s", p.name, c.path)
	}
	netns := a.NetNS
	if _, err := os.Stat(netns); err != nil {
		netns = "" // gone with its processes, which plugins must bear
	}
	var args []string
	for _, kv := range a.CniArgs {
		args = append(args, kv[0]+"="+kv[1])
	}
	ctx, cancel := context.WithTimeout(ctx, cniTimeout)
	defer cancel()
	_, err := run(ctx, []string{exe}, []string{
		"CNI_COMMAND=DEL", "CNI_CONTAINERID=" + a.ContainerID, "CNI_NETNS=" + netns, "CNI_IFNAME=" + a.IfName,
		"CNI_ARGS=" + strings.Join(args, ";"), "CNI_PATH=" + c.path,
	}, p.config)
	return err
}
