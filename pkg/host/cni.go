//go:build linux

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// cniCleaner releases network attachments from what libcni remembers of them.
type cniCleaner struct {
	procs linuxProcs
	// caches are where libcni keeps what it attached, each in a directory "results" below.
	caches []string
	// path are the directories of plugins.
	path []string
	// namespaces is where runtimes bind network namespaces.
	namespaces string
}

// systemCNI knows the usual places: the first cache is that of containerd and CRI-O, the second that of dockershim and
// cri-dockerd. Debian's and Fedora's packages have directories of plugins of their own.
func systemCNI(procs linuxProcs) cniCleaner {
	return cniCleaner{
		procs:      procs,
		caches:     []string{"/var/lib/cni", "/var/lib/cni/cache"},
		path:       v1alpha1.PluginDirs(),
		namespaces: "/run/netns",
	}
}

// One plugin that waits for an API server must not hold up the others.
const cniTimeout = 15 * time.Second

func (c cniCleaner) detach(ctx context.Context) error {
	var errs []error
	for _, dir := range c.caches {
		cni := libcni.NewCNIConfigWithCacheDir(c.path, dir, &cniExec{})
		attachments, err := cni.GetCachedAttachments("")
		errs = append(errs, err)
		for _, a := range attachments {
			if !ofPod(a) {
				continue
			}
			if err := release(ctx, cni, a); err != nil {
				errs = append(errs, fmt.Errorf("detaching %s from network %s: %w", a.ContainerID, a.Network, err))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	errs = append(errs, removeNamespaces(c.procs, c.namespaces))
	return errors.Join(errs...)
}

// ofPod: attachments of podman or nerdctl lie in the same directory.
func ofPod(a *libcni.NetworkAttachment) bool {
	return slices.ContainsFunc(a.CniArgs, func(arg [2]string) bool { return arg[0] == "K8S_POD_NAME" })
}

// release calls the plugins for one attachment and forgets it. The record stays when a plugin fails, for who comes next.
func release(ctx context.Context, cni *libcni.CNIConfig, a *libcni.NetworkAttachment) error {
	list, err := networkOf(a.Config)
	if err != nil {
		return fmt.Errorf("reading the cached configuration: %w", err)
	}
	netns := a.NetNS
	if _, err := os.Stat(netns); err != nil {
		netns = "" // gone with its processes, which plugins must bear
	}
	return cni.DelNetworkList(ctx, list, &libcni.RuntimeConf{
		ContainerID: a.ContainerID, NetNS: netns, IfName: a.IfName, Args: a.CniArgs, CapabilityArgs: a.CapabilityArgs,
	})
}

// networkOf reads a configuration of plugins in a list, or of a single one, which older runtimes cached as it was.
func networkOf(config []byte) (*libcni.NetworkConfigList, error) {
	list, err := libcni.NetworkConfFromBytes(config)
	if err != nil || len(list.Plugins) > 0 {
		return list, err
	}
	single, err := libcni.NetworkPluginConfFromBytes(config)
	if err != nil {
		return nil, err
	}
	list.Plugins = []*libcni.PluginConfig{single}
	return list, nil
}

// cniExec runs plugins as everything is run here: with a clean environment, and bounded.
type cniExec struct{ version.PluginDecoder }

func (*cniExec) FindInPath(plugin string, paths []string) (string, error) {
	return invoke.FindInPath(plugin, paths)
}

func (*cniExec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cniTimeout)
	defer cancel()
	environ = slices.DeleteFunc(environ, func(v string) bool { return !strings.HasPrefix(v, "CNI_") })
	// Whoever may write a plugin is root already: the runtimes run it as root for every pod.
	out, err := execute(ctx, path, []string{path}, environ, bytes.NewReader(stdin))
	if err == nil {
		return out, nil
	}
	var told types.Error // plugins tell on their standard output what went wrong
	if json.Unmarshal(out, &told) == nil && told.Msg != "" {
		err = fmt.Errorf("%w: %w", err, &told)
	}
	return nil, err
}
