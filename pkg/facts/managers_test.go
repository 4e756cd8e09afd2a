package facts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// TestManagers lays out agents of configuration management, and what looks like them.
func TestManagers(t *testing.T) {
	const units = "/usr/lib/systemd/system/"
	service := func(n *hosttest.Node, name string) {
		n.Write(units+name, "[Service]\nExecStart=/usr/bin/agent\n[Install]\nWantedBy=multi-user.target\n")
	}
	enable := func(n *hosttest.Node, name, target string) {
		n.Link("/etc/systemd/system/"+target+".wants/"+name, units+name)
	}
	timer := func(n *hosttest.Node, name string) {
		n.Write(units+name, "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n")
	}
	runs := func(pid int, argv ...string) v1alpha1.Process {
		return v1alpha1.Process{PID: pid, Exe: argv[0], Argv: argv}
	}
	cloud := func(n *hosttest.Node, files map[string]string) {
		service(n, "cloud-init.service")
		enable(n, "cloud-init.service", "cloud-init.target")
		n.Write("/etc/cloud/cloud.cfg", "cloud_init_modules:\n - bootcmd\n - write-files\n - [growpart, always]\ncloud_config_modules:\n - runcmd\n - [ssh-import-id, always]\nbootcmd: []\n")
		for name, text := range files {
			n.Write(name, text)
		}
	}
	for _, c := range []struct {
		name string
		lay  func(n *hosttest.Node)
		want []v1alpha1.ConfigManager
	}{
		{name: "none"},
		{name: "installed and at rest", lay: func(n *hosttest.Node) {
			for _, name := range []string{"puppet.service", "chef-client.service", "salt-minion.service", "cfengine3.service", "ansible-pull.service"} {
				service(n, name)
			}
			timer(n, "ansible-pull.timer")
		}},
		{name: "enabled", lay: func(n *hosttest.Node) {
			service(n, "puppet.service")
			enable(n, "puppet.service", "multi-user.target")
			service(n, "ansible-pull.service")
			timer(n, "ansible-pull.timer")
			enable(n, "ansible-pull.timer", "timers.target")
		}, want: []v1alpha1.ConfigManager{
			{Name: "Ansible", Seen: []string{"ansible-pull.timer (enabled)"}}, {Name: "Puppet", Seen: []string{"puppet.service (enabled)"}},
		}},
		{name: "processes", lay: func(n *hosttest.Node) {
			n.Processes(
				runs(10, "puppet agent: idle"), runs(11, "/opt/puppetlabs/puppet/bin/ruby", "/opt/puppetlabs/puppet/bin/puppet", "agent", "--no-daemonize"),
				runs(20, "/opt/chef/embedded/bin/ruby", "-W1", "/usr/bin/chef-client", "-d"), runs(21, "cinc-client worker: ppid=1;start=10:00:00;"),
				runs(30, "/usr/bin/python3.11 /usr/bin/salt-minion MultiMinionProcessManager"), runs(40, "/var/cfengine/bin/cf-execd", "--no-fork"),
				runs(50, "/usr/bin/python3", "/usr/bin/ansible-pull", "-U", "https://git.example/x"),
			)
		}, want: []v1alpha1.ConfigManager{
			{Name: "Ansible", Seen: []string{"process 50 (ansible-pull)"}},
			{Name: "CFEngine", Seen: []string{"process 40 (cf-execd)"}},
			{Name: "Chef", Seen: []string{"process 20 (chef-client)", "process 21 (cinc-client)"}},
			{Name: "Puppet", Seen: []string{"process 10 (puppet)", "process 11 (puppet)"}},
			{Name: "Salt", Seen: []string{"process 30 (salt-minion)"}},
		}},
		{name: "processes that only speak of them", lay: func(n *hosttest.Node) {
			n.Processes(
				runs(10, "/usr/bin/vim", "/etc/default/puppet"), runs(11, "/usr/bin/journalctl", "-fu", "chef-client"), runs(12, "/usr/bin/java", "-jar", "puppetserver.jar"),
				runs(13, "/usr/bin/python3", "/usr/bin/salt-master"), runs(14, "/usr/bin/python3", "-u"), runs(15, "/usr/bin/ssh", "puppet"), v1alpha1.Process{PID: 16, Exe: "/usr/bin/cat"},
			)
		}},
		{name: "cloud-init, as clouds have it", lay: func(n *hosttest.Node) {
			cloud(n, map[string]string{"/etc/cloud/cloud.cfg.d/05_logging.cfg": "_log:\n - |\n   bootcmd: [x]\n", "/var/lib/cloud/instance/cloud-config.txt": "#cloud-config\nwrite_files:\n- path: /etc/a\n", "/var/lib/cloud/scripts/per-boot/README": "x"})
		}},
		{name: "cloud-init's own work at each boot", lay: func(n *hosttest.Node) {
			cloud(n, map[string]string{
				"/etc/cloud/cloud.cfg.d/20-site.cfg":       "cloud_init_modules:\n - [write-files, always]\n",
				"/etc/cloud/cloud.cfg.d/30.cfg.bak":        "bootcmd: [[a]]\n",
				"/etc/cloud/cloud.cfg.d/40.cfg":            "bootcmd: [\n",
				"/var/lib/cloud/instance/cloud-config.txt": "bootcmd:\n- cp /srv/config.yaml /var/lib/kubelet/config.yaml\n",
			})
			n.Lay(hosttest.File{Path: "/var/lib/cloud/scripts/per-boot/kubelet.sh", Content: "#!/bin/sh\n", Mode: 0o755})
		}, want: []v1alpha1.ConfigManager{{Name: "cloud-init", Seen: []string{
			"/var/lib/cloud/scripts/per-boot/kubelet.sh", "/var/lib/cloud/instance/cloud-config.txt (bootcmd)", "/etc/cloud/cloud.cfg.d/20-site.cfg (write-files at each boot)",
		}}}},
		{name: "cloud-init that is off", lay: func(n *hosttest.Node) {
			cloud(n, map[string]string{"/etc/cloud/cloud-init.disabled": "\n", "/var/lib/cloud/instance/cloud-config.txt": "bootcmd: [[a]]\n"})
		}},
		{name: "cloud-init without its units", lay: func(n *hosttest.Node) { n.Write("/etc/cloud/cloud.cfg", "bootcmd: [[a]]\n") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
			if c.lay != nil {
				c.lay(n)
			}
			f := gather(t, n)
			if diff := cmp.Diff(c.want, f.Managers); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(f.Problems) > 0 {
				t.Errorf("problems: %q", f.Problems)
			}
		})
	}
}
