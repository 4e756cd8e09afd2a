package facts_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

func dockerNode() layout.Node {
	return layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Docker, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}}
}

// program lays out something executable.
func program(n *hosttest.Node, path, content string) {
	n.Lay(hosttest.File{Path: path, Content: content, Mode: 0o755})
}

func TestUsersNobody(t *testing.T) {
	for _, r := range []v1alpha1.RuntimeName{v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO} {
		n := dockerNode()
		n.Runtime = r
		u := gather(t, n.Build()).Users
		if u == nil || len(u.Clients)+len(u.DockerHosts)+len(u.Calls)+len(u.Volumes) > 0 {
			t.Errorf("%s: %+v", r, u)
		}
	}
}

// brief shows a call: where, what, and who.
func brief(c v1alpha1.RuntimeCall) string {
	out := fmt.Sprintf("%s %s:%d %s", c.Kind, c.Path, c.Line, c.Runtime)
	for _, w := range []string{c.Address, c.Unit, c.Setting, strings.Join(c.RunBy, " "), strings.Join(c.Timers, " ")} {
		if w != "" {
			out += " " + w
		}
	}
	for name, is := range map[string]bool{" daemon": c.Daemon, " ties": c.Ties, " logs": c.Logs, " mayfail": c.MayFail} {
		if is {
			out += name
		}
	}
	return out
}

func TestUsersCalls(t *testing.T) {
	for _, c := range []struct {
		name string
		lay  func(n *hosttest.Node)
		want []string
	}{
		{name: "near misses", lay: func(n *hosttest.Node) {
			n.Write("/etc/systemd/system/a.service", "[Unit]\nAfter=docker.service\nWants=docker.service\n# Requires=docker.service\n[Service]\n#ExecStart=docker ps\nExecStart=/usr/bin/dockerize -wait x\nExecStop=/usr/bin/podman stop x\nWorkingDirectory=/opt/docker-data\n")
			n.Write("/etc/cron.d/b", "# 0 0 * * * root docker ps\n0 0 * * * root du -s /opt/docker-data # docker\n0 0 * * * root echo 'docker ps'\n")
			program(n, "/usr/local/bin/c", "#!/bin/bash\n# docker ps\necho \"docker ps\"\npodman ps\ncat <<X\ndocker ps\nX\n")
			program(n, "/usr/local/bin/d", "\x7fELF\x00docker ps\n")
			program(n, "/usr/local/bin/e", "docker ps\n") // neither a shell's nor run by anybody
			n.Write("/usr/local/bin/f", "#!/bin/sh\ndocker ps\n")
			program(n, "/usr/local/bin/g~", "#!/bin/sh\ndocker ps\n")
			program(n, "/usr/local/bin/dockerd-rootless.sh", "#!/bin/sh\ndockerd\n")
			program(n, "/etc/cron.daily/h.dpkg-old", "#!/bin/sh\ndocker ps\n")
			n.Write("/etc/logrotate.d/i", "/var/log/docker.log {\n  # /var/lib/docker/containers\n  daily\n}\n")
			n.Write("/etc/systemd/system/docker.service.d/j.conf", "[Service]\nExecStartPost=/usr/bin/docker load -i /srv/images.tar\n")
		}},
		{name: "units", lay: func(n *hosttest.Node) {
			n.Write("/etc/systemd/system/shop.service", "[Unit]\nRequires=docker.service network.target\n\n[Service]\nEnvironment=DOCKER_HOST=unix:///var/run/docker.sock\nExecStartPre=-/usr/bin/docker rm -f shop\nExecStart=/usr/bin/docker run \\\n  --name shop shop:1\n")
			n.Write("/usr/lib/systemd/system/shop.service.d/more.conf", "[Service]\nExecStop=/bin/sh -c 'docker stop shop; systemctl restart docker'\n")
			n.Write("/usr/lib/systemd/system/hidden.service", "[Service]\nExecStart=/usr/bin/docker ps\n")
			n.Write("/etc/systemd/system/hidden.service", "[Service]\nExecStart=/bin/true\n")
			n.Link("/etc/systemd/system/masked.service", "/dev/null")
			n.Write("/usr/lib/systemd/system/masked.service", "[Service]\nExecStart=/usr/bin/docker ps\n")
			n.Link("/etc/systemd/system/alias.service", "/etc/systemd/system/shop.service")
		}, want: []string{
			"unit /etc/systemd/system/shop.service:2 docker shop.service Requires ties",
			"unit /etc/systemd/system/shop.service:6 docker unix:///var/run/docker.sock shop.service ExecStartPre mayfail",
			"unit /etc/systemd/system/shop.service:7 docker unix:///var/run/docker.sock shop.service ExecStart",
			"unit /usr/lib/systemd/system/shop.service.d/more.conf:2 docker shop.service ExecStop",
			"unit /usr/lib/systemd/system/shop.service.d/more.conf:2 docker shop.service ExecStop daemon",
		}},
		{name: "environment files", lay: func(n *hosttest.Node) {
			n.Write("/etc/default/shop", "# DOCKER_HOST=tcp://no:1\nDOCKER_HOST=tcp://127.0.0.1:2375\n")
			n.Write("/etc/systemd/system/shop.service", "[Service]\nEnvironment=DOCKER_HOST=unix:///x.sock\nEnvironmentFile=-/etc/default/none\nEnvironmentFile=-/etc/default/shop\nExecStart=/usr/bin/docker ps\n")
		}, want: []string{"unit /etc/systemd/system/shop.service:5 docker tcp://127.0.0.1:2375 shop.service ExecStart"}},
		{name: "units of users", lay: func(n *hosttest.Node) {
			n.Write("/etc/systemd/user/all.service", "[Unit]\nRequires=docker.service\n[Service]\nExecStart=/usr/bin/docker ps\n")
			n.Write("/home/ana/.config/systemd/user/mine.service", "[Service]\nExecStart=/usr/bin/docker ps\n")
			n.Write("/home/ben/.config/systemd/user/docker.service", "[Service]\nExecStart=/usr/bin/dockerd-rootless.sh\n")
			n.Write("/home/ben/.config/systemd/user/rootless.service", "[Service]\nExecStart=/usr/bin/docker ps\n")
		}, want: []string{
			"unit /etc/systemd/user/all.service:4 docker all.service ExecStart",
			"unit /home/ana/.config/systemd/user/mine.service:2 docker mine.service ExecStart",
			"unit /home/ben/.config/systemd/user/rootless.service:2 docker $ rootless.service ExecStart",
		}},
		{name: "a timer, its service and their script", lay: func(n *hosttest.Node) {
			n.Write("/etc/systemd/system/nightly.timer", "[Timer]\nOnCalendar=daily\nUnit=prune.service\n[Install]\nWantedBy=timers.target\n")
			n.Link("/etc/systemd/system/timers.target.wants/nightly.timer", "/etc/systemd/system/nightly.timer")
			n.Write("/etc/systemd/system/prune.service", "[Service]\nType=oneshot\nExecStart=/srv/ops/prune.sh --all\n")
			program(n, "/srv/ops/prune.sh", "#!/bin/sh\nset -e\nsudo docker system prune -f\n")
		}, want: []string{"unit /srv/ops/prune.sh:3 docker prune.service /etc/systemd/system/prune.service:3 nightly.timer"}},
		{name: "cron", lay: func(n *hosttest.Node) {
			n.Write("/etc/crontab", "SHELL=/bin/sh\n17 * * * * root cd / && run-parts /etc/cron.hourly\n@daily root /usr/bin/docker image prune -f >/dev/null 2>&1\n")
			n.Write("/etc/cron.d/backup", "DOCKER_HOST=ssh://build.example\n*/5 * * * * root docker ps\n0 3 * * 0 root date +\\%F; ctr -n k8s.io images ls % docker\n")
			n.Write("/var/spool/cron/crontabs/root", "0 4 * * * docker exec db pg_dump\n0 5 * * * bash /root/dump.sh\n")
			n.Write("/root/dump.sh", "docker exec db dump\n")
			program(n, "/etc/cron.weekly/clean", "#!/bin/sh\ncrictl --runtime-endpoint unix:///var/run/cri-dockerd.sock rmi --prune\ncrictl rmi --prune\n")
		}, want: []string{
			"cron /etc/cron.d/backup:2 docker ssh://build.example",
			"cron /etc/cron.d/backup:3 containerd",
			"cron /etc/cron.weekly/clean:2 docker unix:///var/run/cri-dockerd.sock",
			"cron /etc/crontab:3 docker",
			"cron /root/dump.sh:1 docker /var/spool/cron/crontabs/root:2",
			"cron /var/spool/cron/crontabs/root:1 docker",
		}},
		{name: "scripts", lay: func(n *hosttest.Node) {
			program(n, "/usr/local/bin/deploy", "#!/usr/bin/env bash\nif ! docker info; then exit 1; fi\nexec nice docker-compose up -d\n")
			program(n, "/opt/monitor/bin/probe.py", "#!/usr/bin/python3\nimport subprocess\nsubprocess.run([\"docker\", \"ps\"])\n")
			n.Write("/etc/profile.d/ours.sh", "alias d=docker\nexport DOCKER_HOST=tcp://127.0.0.1:2375\ndocker ps -q | wc -l\n")
			program(n, "/etc/NetworkManager/dispatcher.d/50-x", "#!/bin/sh\ncurl --unix-socket /var/run/docker.sock http://d/info\n")
			program(n, "/etc/init.d/docker", "#!/bin/sh\ndocker info\n")
			program(n, "/etc/init.d/shop", "#!/bin/sh\nD=$(which docker)\n$D start shop\n")
			program(n, "/etc/rc.local", "#!/bin/sh -e\nnerdctl start x\nexit 0\n")
			n.Write("/etc/logrotate.d/containers", "/var/lib/docker/containers/*/*.log {\n  daily\n  postrotate\n    docker kill -s USR1 web\n  endscript\n}\n")
		}, want: []string{
			"script /etc/NetworkManager/dispatcher.d/50-x:2 docker /var/run/docker.sock",
			"script /etc/init.d/shop:3 docker",
			"logrotate /etc/logrotate.d/containers:1 docker logs",
			"logrotate /etc/logrotate.d/containers:4 docker",
			"script /etc/profile.d/ours.sh:3 docker tcp://127.0.0.1:2375",
			"script /etc/rc.local:2 containerd",
			"script /opt/monitor/bin/probe.py:3 docker",
			"script /usr/local/bin/deploy:2 docker",
			"script /usr/local/bin/deploy:3 docker",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := dockerNode().Build()
			c.lay(n)
			f := gather(t, n)
			var have []string
			for _, x := range f.Users.Calls {
				have = append(have, brief(x))
				if x.Text == "" {
					t.Errorf("%s:%d has no text", x.Path, x.Line)
				}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
			if len(f.Problems) > 0 {
				t.Errorf("problems: %q", f.Problems)
			}
		})
	}
}

func TestUsersStates(t *testing.T) {
	d := dockerNode()
	d.Files = map[string]string{
		"/etc/systemd/system/on.service":  "[Service]\nExecStart=/usr/bin/docker ps\n[Install]\nWantedBy=multi-user.target\n",
		"/etc/systemd/system/off.service": "[Service]\nExecStart=/usr/bin/docker ps\n[Install]\nWantedBy=multi-user.target\n",
	}
	n := d.Build()
	n.Link("/etc/systemd/system/multi-user.target.wants/on.service", "/etc/systemd/system/on.service")
	have := map[string]string{}
	for _, c := range gather(t, n).Users.Calls {
		have[c.Unit] = c.ActiveState + " " + c.FileState
	}
	if diff := cmp.Diff(map[string]string{"on.service": "inactive enabled", "off.service": "inactive disabled"}, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

// A user's unit is started by a link or by its timer; the system's first process is not asked.
func TestUsersStatesOfUsers(t *testing.T) {
	const dir = "/root/.config/systemd/user/"
	n := dockerNode().Build()
	for _, name := range []string{"on", "timed", "off"} {
		n.Write(dir+name+".service", "[Service]\nExecStart=/usr/bin/docker ps\n")
	}
	n.Write(dir+"nightly.timer", "[Timer]\nUnit=timed.service\n")
	n.Link(dir+"default.target.wants/on.service", dir+"on.service")
	n.Link(dir+"timers.target.wants/nightly.timer", dir+"nightly.timer")
	have := map[string]string{}
	for _, c := range gather(t, n).Users.Calls {
		have[c.Unit] = c.ActiveState + c.FileState
	}
	if diff := cmp.Diff(map[string]string{"on.service": "enabled", "timed.service": "enabled", "off.service": "disabled"}, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

// What is told of processes and lines holds no secret, and nothing of a workload's command line but its program.
func TestUsersMask(t *testing.T) {
	const secret = "Hush-Hush-42"
	n := dockerNode().Build()
	program(n, "/usr/local/bin/deploy", "#!/bin/sh\n"+
		"docker run -e DB_PASSWORD="+secret+" db\n"+
		"docker run --env=API_TOKEN="+secret+" db\n"+
		"REGISTRY_TOKEN="+secret+" docker pull x\n"+
		"docker -H tcp://me:"+secret+"@127.0.0.1:2375 ps\n"+
		"curl -u me:"+secret+" --unix-socket /var/run/docker.sock http://d/info\n")
	n.Connect(v1alpha1.Client{Socket: "/var/run/docker.sock", PodUID: "6f1d3c52-0002", Connections: 1, Process: v1alpha1.Process{
		PID: 4711, Exe: "/usr/bin/python3", Argv: []string{"python3", "/app/agent.py", "--key", secret, "/x"},
	}})
	n.DockerHosts(v1alpha1.DockerHost{Value: "tcp://me:" + secret + "@build.example:2376", Client: v1alpha1.Client{Process: v1alpha1.Process{PID: 5, Exe: "/bin/ci"}}})
	f := gather(t, n)
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("the secret is in the facts: …%s…", around(string(text), secret))
	}
	if len(f.Users.Calls) != 5 || len(f.Users.Clients) != 1 || len(f.Users.DockerHosts) != 1 {
		t.Fatalf("%+v", f.Users)
	}
	c := f.Users.Clients[0]
	if c.Pod != "shop/web-5d9c7-2xq8z" || !slices.Equal(c.Process.Argv, []string{"python3", "/app/agent.py"}) {
		t.Errorf("%+v", c)
	}
}

func TestUsersOfDocker(t *testing.T) {
	d := dockerNode()
	d.Files = map[string]string{"/etc/docker/daemon.json": `{"hosts": ["fd://", "tcp://0.0.0.0:2376", "unix:///srv/docker.sock"], "data-root": "/data/docker"}`}
	n := d.Build()
	for _, v := range []string{"shop_db", "cache", strings.Repeat("0a", 32)} {
		n.Dir("/data/docker/volumes/"+v, 0o755)
	}
	n.Write("/data/docker/volumes/metadata.db", "x")
	n.Swarm(v1alpha1.Swarm{State: "active", Manager: true, Managers: 3, Nodes: 5})
	n.Connect(
		v1alpha1.Client{Socket: "/srv/docker.sock", Connections: 1, Process: v1alpha1.Process{PID: 1, Exe: "/a"}},
		v1alpha1.Client{Socket: "0.0.0.0:2376", From: "10.0.0.9:40000", Connections: 1},
		v1alpha1.Client{Socket: "/srv/another.sock", Connections: 1, Process: v1alpha1.Process{PID: 2, Exe: "/b"}},
	)
	f := gather(t, n)
	u := f.Users
	if len(u.Clients) != 2 || u.Swarm == nil || *u.Swarm != (v1alpha1.Swarm{State: "active", Manager: true, Managers: 3, Nodes: 5}) {
		t.Errorf("%+v", u)
	}
	if diff := cmp.Diff([]string{"cache", "shop_db"}, u.Volumes); diff != "" || u.VolumesPath != "/data/docker/volumes" {
		t.Errorf("%s %s", u.VolumesPath, diff)
	}
}

// A node with more texts than anybody has is looked at in part, and that is said.
func TestUsersBounds(t *testing.T) {
	n := dockerNode().Build()
	program(n, "/usr/local/bin/a", "#!/bin/sh\n"+strings.Repeat("docker ps\n", 50))
	program(n, "/usr/local/bin/b", "#!/bin/sh\ndocker ps\n#"+strings.Repeat("x", 300<<10))
	for i := range 140 {
		n.Write(fmt.Sprintf("/etc/cron.d/%03d", i), strings.Repeat("0 0 * * * root echo "+strings.Repeat("x", 1000)+"\n", 250)+"0 0 * * * root docker ps\n")
	}
	f := gather(t, n)
	if !slices.ContainsFunc(f.Problems, func(p string) bool { return strings.Contains(p, "too many to look at") }) {
		t.Errorf("problems: %q", f.Problems)
	}
	if len(f.Users.Calls) == 0 || len(f.Users.Calls) > 200 {
		t.Errorf("%d calls", len(f.Users.Calls))
	}
	perFile := map[string]int{}
	for _, c := range f.Users.Calls {
		if perFile[c.Path]++; perFile[c.Path] > 10 || c.Path == "/usr/local/bin/b" {
			t.Errorf("%d calls in %s", perFile[c.Path], c.Path)
		}
	}
}

// Old facts have no users, and none are made of that.
func TestUsersOfOldFacts(t *testing.T) {
	var f v1alpha1.Facts
	if err := json.Unmarshal([]byte(`{"apiVersion":"v1alpha1","kind":"Facts","node":"a"}`), &f); err != nil || f.Users != nil {
		t.Errorf("%v %v", f.Users, err)
	}
	text, err := json.Marshal(v1alpha1.Facts{})
	if err != nil || strings.Contains(string(text), `"users"`) {
		t.Errorf("%s %v", text, err)
	}
}
