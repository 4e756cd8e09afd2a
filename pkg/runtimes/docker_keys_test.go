package runtimes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// dockerOptions are the keys of daemon.json that moby's daemon/config has had between 20.10 and 29.
const dockerOptions = `allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugins bip bip6 bridge bridge-accept-fwmark
	builder cdi-spec-dirs cgroup-parent cluster-advertise cluster-store cluster-store-opts containerd containerd-namespace containerd-plugin-namespace
	cpu-rt-period cpu-rt-runtime cri-containerd data-root debug default-address-pools default-cgroupns-mode default-gateway default-gateway-v6 default-init
	default-ipc-mode default-network-opts default-runtime default-shm-size default-stop-timeout default-ulimits dns dns-opts dns-search exec-opts exec-root
	experimental features firewall-backend fixed-cidr fixed-cidr-v6 group host-gateway-ip host-gateway-ips hosts icc init init-path insecure-registries ip
	ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-format log-level log-opts max-concurrent-downloads
	max-concurrent-uploads max-download-attempts metrics-addr min-api-version mtu network-control-plane-mtu network-diagnostic-port no-new-privileges
	node-generic-resources nri-opts oom-score-adjust pidfile proxies raw-logs registry-mirrors resolv-conf rootless runtimes seccomp-profile selinux-enabled
	shutdown-timeout storage-driver storage-opts swarm-default-advertise-addr swarm-raft-election-tick swarm-raft-heartbeat-tick tls tlscacert tlscert
	tlskey tlsverify userland-proxy userland-proxy-path userns-remap`

func TestEveryKeyOfDockerHasItsPlace(t *testing.T) {
	places := map[string]int{}
	for _, list := range []string{keysCarried, keysOfDaemon, keysOfNetworks} {
		for _, k := range dockerKeys(list) {
			places[k.key]++
		}
	}
	for _, l := range dockerLost() {
		places[l.key]++
	}
	for key := range strings.FieldsSeq(dockerOptions) {
		if places[key] != 1 {
			t.Errorf("%s has %d places", key, places[key])
		}
	}
}

func TestDockerLosses(t *testing.T) {
	unit := func(flags string) map[string]string {
		return map[string]string{"/usr/lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock " + flags + "\n"}
	}
	file := func(json string) map[string]string { return map[string]string{dockerConfig: json} }
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string // what the findings' messages hold, with their places
	}{
		{name: "nothing told", files: unit("")},
		{name: "what dockerd alone needs", files: file(`{"debug": true, "live-restore": true, "labels": ["a=b"], "features": {"buildkit": true}, "iptables": false, "group": "docker", "shutdown-timeout": 60}`)},
		{name: "the usual socket", files: file(`{"hosts": ["unix:///var/run/docker.sock", "fd://"], "cdi-spec-dirs": ["/etc/cdi", "/var/run/cdi"]}`)},
		{name: "switched off", files: file(`{"no-new-privileges": false, "userns-remap": "", "authorization-plugins": [], "init": false, "cpu-rt-period": 0}`)},
		{
			name:  "keys",
			files: file("{\n\"userns-remap\": \"default\",\n\"init\": true,\n\"default-cgroupns-mode\": \"host\",\n\"hosts\": [\"fd://\", \"tcp://0.0.0.0:2375\"],\n\"cpu-rt-period\": 1000000\n}"),
			want:  []string{"user namespaces " + dockerConfig + ":2", "further addresses " + dockerConfig + ":5", "an init process " + dockerConfig + ":3", "the cgroup namespace " + dockerConfig + ":4", "real-time " + dockerConfig + ":6"},
		},
		{
			name:  "flags",
			files: unit("-H tcp://0.0.0.0:2375 --userns-remap default --no-new-privileges --exec-opt native.umask=normal --log-driver=syslog"),
			want: []string{
				"user namespaces /usr/lib/systemd/system/docker.service:2", "no-new-privileges /usr/lib/systemd/system/docker.service:2", "further addresses /usr/lib/systemd/system/docker.service:2",
				"log driver syslog /usr/lib/systemd/system/docker.service:2", "native.umask=normal /usr/lib/systemd/system/docker.service:2",
			},
		},
		{
			name:  "Docker's own networks, at once",
			files: file("{\"bip\": \"10.9.0.1/24\",\n\"dns\": [\"10.0.0.2\"],\n\"mtu\": 1400}"),
			want:  []string{"(bip, mtu, dns) " + dockerConfig + ":1 " + dockerConfig + ":3 " + dockerConfig + ":2"},
		},
		{name: "a key of a Docker to come", files: file(`{"quantum-store": true}`), want: []string{"the key quantum-store " + dockerConfig + ":1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := factsOf(t, map[string]string{"dockerd": "28.5.2"}, tt.files)
			d, _ := Get(v1alpha1.Docker)
			_, findings := d.ReadSettings(f)
			if len(findings) != len(tt.want) {
				t.Fatalf("got %d findings, want %d: %+v", len(findings), len(tt.want), findings)
			}
			for i, x := range findings {
				what, where, _ := strings.Cut(tt.want[i], " /")
				if x.ID != NotCarried || x.Severity != v1alpha1.SeverityWarning || !strings.Contains(x.Message, what) || strings.Join(x.Evidence, " ") != "/"+where {
					t.Errorf("got %q at %q, want %q", x.Message, x.Evidence, tt.want[i])
				}
			}
		})
	}
}

// TestDockerFlags: what daemon.json may say, flags may say as well.
func TestDockerFlags(t *testing.T) {
	f := factsOf(t, map[string]string{"dockerd": "28.5.2"}, map[string]string{"/usr/lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd --selinux-enabled " +
		"--default-ulimit nofile=1024:2048 --add-runtime nvidia=/usr/bin/nvidia-container-runtime --log-opt max-size=5m --log-opt max-file=2 " +
		"--max-concurrent-downloads=9 --https-proxy=http://proxy.example:3128 --no-proxy 10.0.0.0/8\n"})
	d, _ := Get(v1alpha1.Docker)
	s, findings := d.ReadSettings(f)
	if len(findings) > 0 {
		t.Errorf("%+v", findings)
	}
	want := v1alpha1.Settings{
		SELinux: true, LogMaxBytes: 5 << 20, LogMaxFiles: 2, MaxConcurrentDownloads: 9,
		Ulimits:     []v1alpha1.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}},
		OCIRuntimes: []v1alpha1.OCIRuntime{{Name: "nvidia", Path: "/usr/bin/nvidia-container-runtime"}},
	}
	got := v1alpha1.Settings{
		SELinux: s.SELinux, LogMaxBytes: s.LogMaxBytes, LogMaxFiles: s.LogMaxFiles, MaxConcurrentDownloads: s.MaxConcurrentDownloads,
		Ulimits: s.Ulimits, OCIRuntimes: s.OCIRuntimes,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.Proxy) != 2 || s.Proxy[0].Name != "HTTPS_PROXY" || s.Proxy[0].Text != "http://proxy.example:3128" || s.Proxy[1].Text != "10.0.0.0/8" {
		t.Errorf("%+v", s.Proxy)
	}
}
