package runtimes

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// vetted is a plan with the staging instance of a runtime as its description has it.
func vetted(t *testing.T, to v1alpha1.RuntimeName) *v1alpha1.Plan {
	t.Helper()
	f := factsOf(t, map[string]string{"containerd": "2.2.9", "ctr": "2.2.9", "crio": "1.34.0", "dockerd": "28.5.2", "cri-dockerd": "0.4.2"}, map[string]string{
		"/usr/lib/systemd/system/crio.service":          crioUnitTxt,
		"/usr/lib/systemd/system/containerd.service":    ctdUnitFile,
		"/usr/lib/systemd/system/docker.service":        "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --data-root /data -s overlay2\n",
		"/usr/lib/systemd/system/cri-docker.service":    "[Service]\nExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd://\n",
		"/etc/default/crio":                             "CRIO_STORAGE_OPTIONS=\"--root=/data --storage-opt overlay.mount_program=x\"\n",
		"/etc/systemd/system/crio.service.d/proxy.conf": "[Service]\nEnvironment=\"HTTP_PROXY=http://u:pw@p:1\"\n",
	})
	if to == v1alpha1.Containerd {
		for i := range f.Runtimes {
			if f.Runtimes[i].Name == to { // Docker's: with a handover
				f.Runtimes[i].Processes = []v1alpha1.Process{{PID: 1, Exe: "/usr/bin/containerd", Argv: []string{"/usr/bin/containerd"}, Unit: containerdUnit}}
			}
		}
	}
	st, _ := stage(t, to, f, v1alpha1.Settings{})
	p := &v1alpha1.Plan{
		From:    v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Endpoint: "unix:///run/containerd/containerd.sock", Units: []string{"containerd.service"}},
		To:      v1alpha1.RuntimeRef{Name: to, Endpoint: "unix:///var/run/crio/crio.sock", Units: []string{"crio.service", "docker.socket"}},
		Kubelet: v1alpha1.KubeletRef{Unit: "kubelet.service", Healthz: "http://127.0.0.1:10248/healthz", Kubeconfig: "/etc/kubernetes/kubelet.conf"},
		Sockets: []string{"/run/crio/crio.sock"}, Modules: []string{"overlay"}, Sysctls: []v1alpha1.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}},
		Staging: st, ReadSet: v1alpha1.ReadSet{Binaries: map[string]string{}},
	}
	for _, r := range f.Runtimes {
		for _, b := range r.Binaries {
			p.ReadSet.Binaries[b.Path] = b.Version
		}
	}
	return p
}

func TestVet(t *testing.T) {
	for _, to := range []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Docker} {
		p := vetted(t, to)
		if err := Vet(p); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if len(p.Staging.Argv) == 0 || len(p.Staging.Validate) == 0 || to == v1alpha1.Containerd && len(p.Staging.Handover) == 0 {
			t.Errorf("%s: nothing was vetted: %+v", to, p.Staging)
		}
	}
	sh := []string{"/bin/sh", "-c", "id"}
	for name, c := range map[string]struct {
		change func(p *v1alpha1.Plan)
		want   string
	}{
		"another program":        {func(p *v1alpha1.Plan) { p.Staging.Argv = sh }, "no way to start"},
		"one of that name":       {func(p *v1alpha1.Plan) { p.Staging.Argv[0] = "/tmp/x/" + p.Staging.Argv[0][len("/usr/bin/"):] }, "no way to start"},
		"both of that name":      {func(p *v1alpha1.Plan) { p.Staging.Argv[0], p.Staging.Validate[0][0] = "/tmp/crio", "/tmp/crio" }, "no way to start"},
		"a flag":                 {func(p *v1alpha1.Plan) { p.Staging.Argv = append(p.Staging.Argv, "--hooks-dir=/tmp") }, "no way to start"},
		"a word":                 {func(p *v1alpha1.Plan) { p.Staging.Argv = append(p.Staging.Argv, "wipe") }, "no way to start"},
		"another configuration":  {func(p *v1alpha1.Plan) { p.Staging.Argv[1] = "--config=/tmp/x" }, "no way to start"},
		"a check":                {func(p *v1alpha1.Plan) { p.Staging.Validate = append(p.Staging.Validate, sh) }, "no way to start"},
		"a handover":             {func(p *v1alpha1.Plan) { p.Staging.Handover = append(p.Staging.Handover, sh) }, "no way to hand"},
		"an environment":         {func(p *v1alpha1.Plan) { p.Staging.Env = []string{"LD_PRELOAD=/tmp/x.so"} }, "environment"},
		"an environment's file":  {func(p *v1alpha1.Plan) { p.Staging.EnvFile = "../../x" }, "environment"},
		"an endpoint":            {func(p *v1alpha1.Plan) { p.Staging.Endpoint = "tcp://evil.example:1" }, "endpoint of a staging instance"},
		"no command":             {func(p *v1alpha1.Plan) { p.Staging.Needed, p.Staging.Argv = true, nil }, "doesn't say how to start"},
		"an unknown runtime":     {func(p *v1alpha1.Plan) { p.To.Name = "podman" }, "unknown runtime"},
		"a health check":         {func(p *v1alpha1.Plan) { p.Kubelet.Healthz = "http://evil.example/healthz" }, "it isn't an address"},
		"a name to listen at":    {func(p *v1alpha1.Plan) { p.Kubelet.Listens = []string{"evil.example:10250"} }, "kubelet listens"},
		"another's port":         {func(p *v1alpha1.Plan) { p.Kubelet.Listens = []string{"0.0.0.0:443"} }, "kubelet listens"},
		"many ports":             {func(p *v1alpha1.Plan) { p.Kubelet.Listens = []string{"0.0.0.0:1024", "0.0.0.0:1025", "0.0.0.0:1026"} }, "kubelet listens"},
		"another path there":     {func(p *v1alpha1.Plan) { p.Kubelet.Healthz = "http://127.0.0.1:1/delete?x" }, "health check"},
		"another scheme":         {func(p *v1alpha1.Plan) { p.Kubelet.Healthz = "file:///healthz" }, "health check"},
		"a kubelet":              {func(p *v1alpha1.Plan) { p.Kubelet.Unit = "../x.service" }, "kubelet's unit"},
		"another for a kubelet":  {func(p *v1alpha1.Plan) { p.Kubelet.Unit = "sshd.service" }, "kubelet's unit"},
		"a kubeconfig":           {func(p *v1alpha1.Plan) { p.Kubelet.Kubeconfig = "/etc/../tmp/x" }, "kubeconfig"},
		"a unit":                 {func(p *v1alpha1.Plan) { p.After.Units = []v1alpha1.UnitState{{Name: "sshd.service"}} }, "sshd.service"},
		"a unit of a side":       {func(p *v1alpha1.Plan) { p.Evacuate = []v1alpha1.RuntimeRef{{Units: []string{"sshd.service"}}} }, "sshd.service"},
		"a runtime elsewhere":    {func(p *v1alpha1.Plan) { p.From.Endpoint = "tcp://evil.example:1" }, "endpoint of a runtime"},
		"a socket":               {func(p *v1alpha1.Plan) { p.Sockets = []string{"/run/../etc"} }, "socket of a runtime"},
		"a module":               {func(p *v1alpha1.Plan) { p.Modules = []string{"evil"} }, "kernel module"},
		"a parameter":            {func(p *v1alpha1.Plan) { p.Sysctls = []v1alpha1.Sysctl{{Name: "kernel.core_pattern", Value: "|/tmp/x"}} }, "kernel.core_pattern"},
		"a parameter's value":    {func(p *v1alpha1.Plan) { p.Sysctls[0].Value = "0" }, "net.ipv4.ip_forward"},
		"a program that is read": {func(p *v1alpha1.Plan) { p.ReadSet.Binaries["/tmp/evil"] = "1" }, "ask \"/tmp/evil\""},
		"one by a crooked path":  {func(p *v1alpha1.Plan) { p.ReadSet.Binaries["/usr/bin/../../tmp/crio"] = "1" }, "for its version"},
	} {
		t.Run(name, func(t *testing.T) {
			p := vetted(t, v1alpha1.CRIO)
			c.change(p)
			if err := Vet(p); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestProxiesOnly(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "HTTP_PROXY=http://u:pw@p:1\nno_proxy=a,b\n": true, "HTTPS_PROXY=x\nLD_PRELOAD=/tmp/x.so\n": false, "PATH=/tmp\n": false,
	} {
		if err := ProxiesOnly(text); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "x.so") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
