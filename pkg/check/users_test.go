package check_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

func TestUsers(t *testing.T) {
	const docker, containerd, crio = v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO
	node := func(from v1alpha1.RuntimeName, also ...v1alpha1.RuntimeName) layout.Node {
		return layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: from, Also: also}
	}
	client := func(exe, unit, socket string) v1alpha1.Client {
		return v1alpha1.Client{Socket: socket, Connections: 1, Process: v1alpha1.Process{PID: 4711, Exe: exe, Argv: []string{exe}, Unit: unit}}
	}
	inPod := func(c v1alpha1.Client) v1alpha1.Client {
		c.Pod, c.PodUID, c.Container, c.Process.Unit = "ci/runner-1", "6f1d3c52-0001-4a4a-8b8b-000000000001", strings.Repeat("0a", 32), "cri-containerd-0a.scope"
		return c
	}
	call := func(kind v1alpha1.CallKind, runtime v1alpha1.RuntimeName, change ...func(c *v1alpha1.RuntimeCall)) v1alpha1.RuntimeCall {
		c := v1alpha1.RuntimeCall{Kind: kind, Path: "/etc/x", Line: 3, Text: "docker ps", Runtime: runtime}
		if kind == v1alpha1.CallUnit {
			c.Unit, c.Setting, c.ActiveState, c.FileState = "shop.service", "ExecStart", "active", "enabled"
		}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	sock := "/var/run/docker.sock"
	fromDocker, fromContainerd, fromCRIO := node(docker, containerd, crio), node(containerd, crio), node(crio, containerd)
	for _, tt := range []struct {
		name   string
		node   layout.Node
		to     v1alpha1.RuntimeName
		users  v1alpha1.Users
		change func(f *v1alpha1.Facts)
		want   []string // severity, ID, message and evidence
	}{
		{name: "nobody", node: fromDocker, to: containerd},
		{name: "a process in a unit", node: fromDocker, to: containerd, users: v1alpha1.Users{Clients: []v1alpha1.Client{client("/usr/bin/telegraf", "telegraf.service", sock)}}, want: []string{
			"warning U001 1 process is connected to docker, which stops; clients that connect for moments only are missed | telegraf.service (process 4711, telegraf) at /var/run/docker.sock",
		}},
		{name: "processes in a pod and a container", node: fromDocker, to: crio, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, docker).Foreign = []v1alpha1.Container{{ID: strings.Repeat("1b", 32), Name: "portainer", Image: "portainer/ce", Scope: "docker"}}
		}, users: v1alpha1.Users{Clients: []v1alpha1.Client{
			inPod(client("/usr/bin/dockerd", "", sock)),
			{Socket: sock, Connections: 3, Container: strings.Repeat("1b", 32), Process: v1alpha1.Process{PID: 5, Exe: "/portainer", Unit: "docker-1b.scope"}},
		}}, want: []string{
			"warning U001 2 processes are connected to docker, which stops; clients that connect for moments only are missed | pod ci/runner-1 (process 4711, dockerd) at /var/run/docker.sock | container docker: portainer (portainer/ce), by docker run (process 5, portainer, 3 connections) at /var/run/docker.sock",
		}},
		{name: "the runtimes and Kubernetes themselves", node: fromDocker, to: containerd, users: v1alpha1.Users{Clients: []v1alpha1.Client{
			client("/usr/bin/kubelet", "kubelet.service", "/var/run/cri-dockerd.sock"), client("/usr/bin/cri-dockerd", "cri-docker.service", sock),
			client("/usr/bin/dockerd", "docker.service", "/run/containerd/containerd.sock"), client("/usr/bin/containerd-shim-runc-v2", "containerd.service", "/run/containerd/containerd.sock"),
			client("/usr/local/bin/crictl", "session-1.scope", "/var/run/cri-dockerd.sock"), client("/var/lib/kubectl-runtime/agents/ab", "x.service", sock),
		}}},
		{name: "a client over TCP from elsewhere", node: fromDocker, to: containerd, users: v1alpha1.Users{Clients: []v1alpha1.Client{{Socket: "10.0.0.7:2376", From: "10.0.0.9:40000", Connections: 1}}}, want: []string{
			"warning U001 1 process is connected to docker, which stops; clients that connect for moments only are missed | a client at 10.0.0.9:40000 at 10.0.0.7:2376",
		}},
		{name: "clients of the target", node: fromDocker, to: containerd, users: v1alpha1.Users{Clients: []v1alpha1.Client{client("/usr/bin/falco", "falco.service", "/run/containerd/containerd.sock")}}},
		{name: "clients of a containerd that rests with Docker", node: fromDocker, to: crio, users: v1alpha1.Users{Clients: []v1alpha1.Client{client("/usr/bin/falco", "falco.service", "/run/containerd/containerd.sock")}}, want: []string{
			"warning U001 1 process is connected to containerd, which stops; clients that connect for moments only are missed | falco.service (process 4711, falco) at /run/containerd/containerd.sock",
		}},
		{name: "clients of containerd", node: fromContainerd, to: crio, users: v1alpha1.Users{Clients: []v1alpha1.Client{inPod(client("/falco", "", "/run/containerd/containerd.sock"))}}, want: []string{
			"warning U001 1 process is connected to containerd, which stops; clients that connect for moments only are missed | pod ci/runner-1 (process 4711, falco) at /run/containerd/containerd.sock",
		}},
		{name: "clients of a containerd that Docker keeps", node: node(containerd, docker), to: docker, users: v1alpha1.Users{Clients: []v1alpha1.Client{client("/falco", "falco.service", "/run/containerd/containerd.sock")}}, want: []string{
			"warning U001 1 process is connected to containerd, which has no pods after the switch; clients that connect for moments only are missed | falco.service (process 4711, falco) at /run/containerd/containerd.sock",
		}},
		{name: "clients of a Docker that stays", node: node(containerd, docker, crio), to: crio, users: v1alpha1.Users{
			Clients:     []v1alpha1.Client{client("/usr/bin/telegraf", "telegraf.service", sock)},
			DockerHosts: []v1alpha1.DockerHost{{Client: client("/ci", "ci.service", sock), Value: "unix:///var/run/docker.sock"}},
			Calls:       []v1alpha1.RuntimeCall{call(v1alpha1.CallUnit, docker), call(v1alpha1.CallCron, docker), call(v1alpha1.CallScript, docker)},
			Swarm:       &v1alpha1.Swarm{State: "active"}, VolumesPath: "/var/lib/docker/volumes", Volumes: []string{"db"},
		}},
		{name: "DOCKER_HOST", node: fromDocker, to: containerd, change: func(f *v1alpha1.Facts) {
			fileOf(f, "/etc/docker/daemon.json").Content = `{"hosts": ["tcp://0.0.0.0:2375"]}`
		}, users: v1alpha1.Users{DockerHosts: []v1alpha1.DockerHost{
			{Client: client("/ci", "ci.service", sock), Value: "unix:///host/docker.sock"},
			{Client: client("/tool", "tool.service", ""), Value: "tcp://localhost:2375"},
			{Client: inPod(client("/dind", "", "")), Value: "tcp://localhost:2375", OwnNetwork: true},
			{Client: inPod(client("/dind", "", "")), Value: "unix:///run/user/docker.sock"},
			{Client: client("/far", "far.service", ""), Value: "ssh://build.example"},
			{Client: client("/other", "other.service", ""), Value: "tcp://127.0.0.1:9999"},
		}}, want: []string{
			"warning U002 2 processes are told by DOCKER_HOST to ask this node's Docker, which stops | ci.service (process 4711, ci): DOCKER_HOST=unix:///host/docker.sock | tool.service (process 4711, tool): DOCKER_HOST=tcp://localhost:2375",
		}},
		{name: "units", node: fromDocker, to: containerd, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallUnit, docker),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) {
				c.Line, c.Setting, c.Ties, c.Text = 2, "Requires", true, "Requires=docker.service"
			}),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) {
				c.Path, c.Unit, c.ActiveState, c.FileState, c.Timers, c.RunBy = "/srv/prune.sh", "prune.service", "inactive", "static", []string{"nightly.timer"}, []string{"/etc/systemd/system/prune.service:3"}
			}),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.ActiveState, c.FileState = "off.service", "inactive", "disabled"
			}),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) {
				c.Path, c.Unit, c.ActiveState, c.FileState = "/usr/lib/systemd/system/spare.service", "spare.service", "inactive", "static"
			}),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) { c.Address = "ssh://build.example" }),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) { c.Unit = "ctr.service" }),
		}}, want: []string{
			"warning U003 unit shop.service is stopped together with docker, and nothing starts it again | /etc/x:2: Requires=docker.service",
			"warning U003 units prune.service, shop.service call docker, which stops | /etc/x:3: docker ps | /srv/prune.sh:3: docker ps (run at /etc/systemd/system/prune.service:3; started by nightly.timer)",
		}},
		{name: "units that are tied to the runtime's", node: fromContainerd, to: crio, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) { c.Unit, c.Setting, c.Ties = "buildkit.service", "BindsTo", true }),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) { c.Unit, c.Setting, c.Ties = "wings.service", "PartOf", true }),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.Setting, c.Ties = "stargz-snapshotter.service", "PartOf", true
			}),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.Setting, c.Ties = "containerd-fuse-overlayfs.service", "PartOf", true
			}),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.Setting, c.Ties, c.ActiveState = "rests.service", "PartOf", true, "inactive"
			}),
		}}, want: []string{"warning U003 units buildkit.service, wings.service are stopped together with containerd, and nothing starts them again | /etc/x:3: docker ps"}},
		{name: "a kubelet that can't be without the runtime's unit", node: fromContainerd, to: crio, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.Setting, c.Ties, c.Text = "kubelet.service", "BindsTo", true, "BindsTo=containerd.service"
			}),
		}}, want: []string{"error U003 the kubelet's own unit can't start without containerd, which stops | /etc/x:3: BindsTo=containerd.service"}},
		{name: "the kubelet's unit", node: fromDocker, to: containerd, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) { c.Unit, c.Setting = "kubelet.service", "ExecStartPre" }),
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) {
				c.Unit, c.Setting, c.Ties, c.Text = "kubelet.service", "Requires", true, "Requires=docker.service"
			}),
		}}, want: []string{"error U003 the kubelet's own unit can't start without docker, which stops | /etc/x:3: docker ps"}},
		{name: "the kubelet's unit, that goes on", node: fromDocker, to: containerd, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallUnit, docker, func(c *v1alpha1.RuntimeCall) { c.Unit, c.Setting, c.MayFail = "kubelet.service", "ExecStartPre", true }),
		}}, want: []string{"warning U003 unit kubelet.service calls docker, which stops | /etc/x:3: docker ps"}},
		{name: "cron jobs and scripts", node: fromDocker, to: containerd, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallCron, docker),
			call(v1alpha1.CallScript, docker), // the same line
			call(v1alpha1.CallScript, docker, func(c *v1alpha1.RuntimeCall) { c.Path = "/usr/local/bin/y" }),
			call(v1alpha1.CallScript, docker, func(c *v1alpha1.RuntimeCall) { c.Path, c.Address = "/usr/local/bin/z", "tcp://127.0.0.1:2375" }),
			call(v1alpha1.CallScript, docker, func(c *v1alpha1.RuntimeCall) { c.Path, c.Address = "/usr/local/bin/z", "$" }),
			call(v1alpha1.CallScript, containerd),
			call(v1alpha1.CallLogrotate, docker, func(c *v1alpha1.RuntimeCall) { c.Logs = true }),
		}}, want: []string{
			"warning U004 1 line of cron jobs calls docker, which stops: they fail from then on | /etc/x:3: docker ps",
			"warning U005 1 line of scripts calls docker, which stops: they fail from then on | /usr/local/bin/y:3: docker ps",
			"warning U005 logrotate is configured for docker, which stops | /etc/x:3: docker ps",
		}},
		{name: "clients of CRI-O", node: fromCRIO, to: containerd, users: v1alpha1.Users{
			Clients: []v1alpha1.Client{client("/x", "x.service", "/var/run/crio/crio.sock"), client("/usr/bin/conmon", "", "/var/run/crio/crio.sock")},
			Calls:   []v1alpha1.RuntimeCall{call(v1alpha1.CallCron, crio), call(v1alpha1.CallCron, containerd), call(v1alpha1.CallCron, docker)},
		}, want: []string{
			"warning U001 1 process is connected to cri-o, which stops; clients that connect for moments only are missed | x.service (process 4711, x) at /var/run/crio/crio.sock",
			"warning U004 1 line of cron jobs calls cri-o, which stops: they fail from then on | /etc/x:3: docker ps",
		}},
		{name: "what acts on a containerd that stays", node: node(containerd, docker), to: docker, users: v1alpha1.Users{Calls: []v1alpha1.RuntimeCall{
			call(v1alpha1.CallCron, containerd, func(c *v1alpha1.RuntimeCall) { c.Daemon = true }),
			call(v1alpha1.CallUnit, containerd, func(c *v1alpha1.RuntimeCall) { c.Ties = true }),
		}}},
		{name: "a worker of a swarm", node: fromDocker, to: containerd, users: v1alpha1.Users{Swarm: &v1alpha1.Swarm{State: "active"}}, want: []string{
			"warning U006 the node is a worker of a Docker swarm, which loses it when Docker stops",
		}},
		{name: "a manager of a swarm", node: fromDocker, to: containerd, users: v1alpha1.Users{Swarm: &v1alpha1.Swarm{State: "active", Manager: true, Managers: 3}}, want: []string{
			"warning U006 the node is one of 3 managers of a Docker swarm, which loses it when Docker stops",
		}},
		{name: "the only manager of a swarm", node: fromDocker, to: containerd, users: v1alpha1.Users{Swarm: &v1alpha1.Swarm{State: "active", Manager: true, Managers: 1}}, want: []string{
			"warning U006 the node is the only manager of a Docker swarm, which ends with Docker",
		}},
		{name: "no swarm", node: fromDocker, to: containerd, users: v1alpha1.Users{Swarm: &v1alpha1.Swarm{State: "inactive"}}},
		{name: "volumes", node: fromDocker, to: containerd, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, docker).Foreign = []v1alpha1.Container{{Scope: "docker", Name: "db-1", Image: "postgres", Volumes: []string{"shop_db", strings.Repeat("0a", 32)}, Labels: map[string]string{
				v1alpha1.LabelComposeProject: "shop", v1alpha1.LabelComposeService: "db",
			}}}
		}, users: v1alpha1.Users{VolumesPath: "/var/lib/docker/volumes", Volumes: []string{"old", "shop_db"}}, want: []string{
			"warning U007 2 volumes of Docker hold data of containers that Kubernetes doesn't own: nothing sees it once Docker stops | shop_db, of docker: db-1 (postgres), compose project shop | 0a0a0a0a0a0a, of docker: db-1 (postgres), compose project shop",
			"warning U007 1 named volume of Docker has no container that was seen: nothing sees the data once Docker stops | /var/lib/docker/volumes/old",
		}},
		{name: "who made containers", node: fromDocker, to: containerd, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, docker).Foreign = []v1alpha1.Container{
				{Scope: "docker", Name: "by-hand", Image: "redis", Running: true},
				{Scope: "docker", Name: "shop-db-1", Image: "postgres", Running: true, Labels: map[string]string{v1alpha1.LabelComposeProject: "shop"}},
				{Scope: "docker", Name: "web.1.x", Image: "nginx", Running: true, Labels: map[string]string{v1alpha1.LabelSwarmService: "edge_web", v1alpha1.LabelStack: "edge"}},
			}
		}, want: []string{
			"error R004 containers that Kubernetes doesn't own run in docker, which the switch stops | docker: by-hand (redis), by docker run | docker: shop-db-1 (postgres), compose project shop | docker: web.1.x (nginx), swarm service edge_web of stack edge",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := gather(t, tt.node)
			disk(f, 200*gib, 20*gib)
			if tt.change != nil {
				tt.change(f)
			}
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			f.Users = &tt.users
			var have []string
			for _, x := range check.Switch(f, v, tt.to) {
				if !strings.HasPrefix(x.ID, "U") && x.ID != "R004" {
					continue
				}
				have = append(have, strings.Join(append([]string{string(x.Severity) + " " + x.ID + " " + x.Message}, x.Evidence...), " | "))
				if x.Hint == "" {
					t.Errorf("no hint: %s", x.Message)
				}
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
			f.Users = nil // of an agent that didn't look
			for _, x := range check.Switch(f, v, tt.to) {
				if strings.HasPrefix(x.ID, "U") && x.ID != "U007" {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}
