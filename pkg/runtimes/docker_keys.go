package runtimes

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// dockerKey is a key of daemon.json and the flag that says the same.
type dockerKey struct{ key, flag string }

// dockerKeys makes keys whose flag has the same name; key:flag names another one.
func dockerKeys(words string) []dockerKey {
	var out []dockerKey
	for w := range strings.FieldsSeq(words) {
		key, flag, ok := strings.Cut(w, ":")
		if !ok {
			flag = key
		}
		out = append(out, dockerKey{key, flag})
	}
	return out
}

// Every key of daemon.json (moby's daemon/config) is in one of these lists, or told by name in dockerLost: what Settings
// carry, what only dockerd itself needs, and what shapes networks of its own, which no pod of a cluster with CNI is in.
const (
	keysCarried = "exec-opts:exec-opt data-root graph exec-root storage-driver max-concurrent-downloads seccomp-profile log-driver log-opts:log-opt " +
		"selinux-enabled default-ulimits:default-ulimit runtimes:add-runtime default-runtime registry-mirrors:registry-mirror " +
		"insecure-registries:insecure-registry proxies http-proxy https-proxy no-proxy"
	keysOfDaemon = "debug log-level log-format raw-logs pidfile group live-restore shutdown-timeout default-stop-timeout containerd containerd-namespace " +
		"containerd-plugin-namespace:containerd-plugins-namespace cri-containerd features:feature builder experimental min-api-version labels:label " +
		"node-generic-resources:node-generic-resource swarm-default-advertise-addr swarm-raft-heartbeat-tick swarm-raft-election-tick cluster-store " +
		"cluster-store-opts:cluster-store-opt cluster-advertise max-concurrent-uploads max-download-attempts network-control-plane-mtu " +
		"network-diagnostic-port api-cors-header api-enable-cors tls tlsverify tlscacert tlscert tlskey rootless oom-score-adjust " +
		"allow-nondistributable-artifacts deprecated-key-path default-ipc-mode init-path iptables ip6tables ip-forward ip-forward-no-drop firewall-backend " +
		"host-gateway-ip host-gateway-ips disable-legacy-registry restart"
	keysOfNetworks = "bridge bip bip6 fixed-cidr fixed-cidr-v6 default-gateway default-gateway-v6 icc ip ip-masq ipv6 mtu default-network-opts:default-network-opt " +
		"default-address-pools:default-address-pool dns dns-opts:dns-opt dns-search resolv-conf userland-proxy userland-proxy-path allow-direct-routing bridge-accept-fwmark"
)

// lost is a choice that other runtimes have no words for.
type lost struct {
	dockerKey
	what, hint string
}

func dockerLost() []lost {
	return []lost{
		{dockerKey{"authorization-plugins", "authorization-plugin"}, "authorization plugins", "use admission control: without them the new runtime allows more"},
		{dockerKey{"userns-remap", "userns-remap"}, "user namespaces for all containers", "use hostUsers: false in the pods"},
		{dockerKey{"cgroup-parent", "cgroup-parent"}, "the parent cgroup", "set cgroupRoot in the kubelet's configuration"},
		{dockerKey{"default-shm-size", "default-shm-size"}, "the default size of /dev/shm", "mount an emptyDir with medium Memory in the pods"},
		{dockerKey{"no-new-privileges", "no-new-privileges"}, "no-new-privileges for all containers", "set allowPrivilegeEscalation: false in the pods"},
		{dockerKey{"hosts", "host"}, "further addresses of Docker's API", "find their clients: they will get no answer"},
		{dockerKey{"metrics-addr", "metrics-addr"}, "Docker's metrics", "point the monitoring at the new runtime's own metrics"},
		{dockerKey{"storage-opts", "storage-opt"}, "options of the storage driver", "say them of the new runtime's own snapshotter or driver"},
		{dockerKey{"init", "init"}, "an init process in every container", "put an init such as tini into images that leave zombies, or use shareProcessNamespace"},
		{dockerKey{"default-init", "init"}, "an init process in every container", "put an init such as tini into images that leave zombies, or use shareProcessNamespace"},
		{dockerKey{"default-cgroupns-mode", "default-cgroupns-mode"}, "the cgroup namespace of containers", "containers that read their cgroup's path see another one: look for them"},
		{dockerKey{"cpu-rt-period", "cpu-rt-period"}, "real-time scheduling for containers", ""},
		{dockerKey{"cpu-rt-runtime", "cpu-rt-runtime"}, "real-time scheduling for containers", ""},
		{dockerKey{"cdi-spec-dirs", "cdi-spec-dir"}, "the directories of CDI devices", "name them in the new runtime's own configuration (cdi_spec_dirs)"},
		{dockerKey{"nri-opts", "nri-opts"}, "plugins of the Node Resource Interface", "name their directories and socket in the new runtime's own configuration"},
	}
}

// dockerUntold are the operator's choices that Settings have no words for.
func dockerUntold(f *v1alpha1.Facts, j tree) []v1alpha1.Finding {
	d := dockerWords{f: f, json: j, cmd: dockerCommand(f)}
	d.file, _ = follow(f, dockerFile(f))
	var out []v1alpha1.Finding
	for _, l := range dockerLost() {
		if d.says(l.dockerKey) {
			out = append(out, d.at(warning(NotCarried, l.hint, "%s (%s) have no equal in other runtimes", l.what, l.key), l.dockerKey))
		}
	}
	out = append(out, d.networks()...)
	driver := dockerKey{"log-driver", "log-driver"}
	if name := firstOf(d.cmd, j, "log-driver"); name != "" && name != "json-file" && name != "local" {
		out = append(out, d.at(warning(NotCarried, "collect logs from /var/log/pods", "the log driver %s has no equal in other runtimes: they write files", name), driver))
	}
	for _, o := range slices.Concat(d.cmd.values("exec-opt"), j.strs("exec-opts")) {
		if !strings.HasPrefix(o, "native.cgroupdriver=") {
			out = append(out, d.at(warning(NotCarried, "", "the option %s of Docker's OCI runtime has no equal in other runtimes", o), dockerKey{"exec-opts", "exec-opt"}))
		}
	}
	for _, name := range j.keys("runtimes") {
		if args := j.strs("runtimes", name, "runtimeArgs"); len(args) > 0 {
			out = append(out, at(warning(NotCarried, "wrap the binary in a script", "the arguments of the OCI runtime %s can't be carried", name), d.file.Path, lineWith(d.file.Content, `"runtimeArgs"`)))
		}
	}
	return append(out, d.unknown()...)
}

// dockerWords is what an operator says of dockerd: in daemon.json or by flags.
type dockerWords struct {
	f    *v1alpha1.Facts
	file v1alpha1.File
	json tree
	cmd  argv
}

// says reports whether a key has a value that isn't its default.
func (d dockerWords) says(k dockerKey) bool {
	values := d.cmd.values(flagNames(k)...)
	if v, ok := d.json.get(k.key); ok {
		switch v := v.(type) {
		case bool:
			return v
		case string:
			values = append(values, v)
		case float64:
			return v != 0
		case json.Number:
			return v != "0"
		case []any:
			values = append(values, stringsOf(v)...)
		case map[string]any:
			return len(v) > 0
		}
	}
	return slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "false" && !byDefault(k.key, v) })
}

// flagNames are the flag's names, its short one included.
func flagNames(k dockerKey) []string {
	if k.flag == "host" {
		return []string{"host", "H"}
	}
	return []string{k.flag}
}

// byDefault reports whether a value is the one that dockerd has anyway.
func byDefault(key, value string) bool {
	switch key {
	case "hosts":
		return strings.HasPrefix(value, "fd://") || sameSocket(strings.TrimPrefix(value, "unix://"), "/run/docker.sock")
	case "cdi-spec-dirs":
		return value == "/etc/cdi" || sameSocket(path.Clean(value), "/run/cdi")
	}
	return false
}

// at names the place where a key, or its flag, stands.
func (d dockerWords) at(x v1alpha1.Finding, k dockerKey) v1alpha1.Finding {
	if _, ok := d.json.get(k.key); ok {
		return at(x, d.file.Path, lineWith(d.file.Content, `"`+k.key+`"`))
	}
	u, _ := d.f.Unit(dockerUnit)
	files := unitFiles(u)
	for _, e := range u.EnvironmentFiles {
		files = append(files, environmentFile(e))
	}
	for _, name := range files {
		file, _ := d.f.File(name)
		for _, flag := range flagNames(k) {
			dashes := map[bool]string{true: "-", false: "--"}[len(flag) == 1]
			if line := lineWith(file.Content, dashes+flag); line > 0 {
				return at(x, name, line)
			}
		}
	}
	return at(x, "--"+k.flag, 0)
}

// networks tells of all settings of Docker's own networks at once.
func (d dockerWords) networks() []v1alpha1.Finding {
	var names []string
	x := warning(NotCarried, "containers outside Kubernetes need them, pods don't", "")
	for _, k := range dockerKeys(keysOfNetworks) {
		if d.says(k) {
			names, x = append(names, k.key), d.at(x, k)
		}
	}
	if len(names) == 0 {
		return nil
	}
	x.Message = fmt.Sprintf("settings of Docker's own networks (%s) have no equal in other runtimes", strings.Join(names, ", "))
	return []v1alpha1.Finding{x}
}

// unknown tells of keys that aren't in any list: dockerd refuses what it doesn't know, so they are a newer one's.
func (d dockerWords) unknown() []v1alpha1.Finding {
	known := dockerKeys(keysCarried + " " + keysOfDaemon + " " + keysOfNetworks)
	for _, l := range dockerLost() {
		known = append(known, l.dockerKey)
	}
	var out []v1alpha1.Finding
	for _, key := range d.json.keys() {
		if !slices.ContainsFunc(known, func(k dockerKey) bool { return k.key == key }) {
			out = append(out, at(warning(NotCarried, "look whether pods rely on it", "the key %s of Docker's configuration isn't known here, so it isn't carried", key), d.file.Path, lineWith(d.file.Content, `"`+key+`"`)))
		}
	}
	return out
}
