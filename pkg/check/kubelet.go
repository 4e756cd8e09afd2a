package check

import (
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

func kubeletRules() []rule {
	return []rule{
		{Rule{
			"K001", "the kubelet follows files that its installer leaves alone",
			"k3s, RKE2, k0s and MicroK8s run the kubelet inside a process of their own and write its endpoint anew at each start, RKE1 runs it in a container of Docker, and minikube and sealos write it anew by their own tools. There the installer's own option changes the runtime.",
		}, installer},
		{Rule{
			"K002", "the kubelet speaks to its runtime over CRI",
			"Up to 1.23 a kubelet may serve Docker itself (dockershim). While it is stopped nobody can stop its pods over CRI. Upgrade to 1.24 with cri-dockerd, or move by hand.",
		}, dockershim},
		{Rule{
			"K003", "the kubelet runs with the configuration that is on disk",
			"A kubelet that is older than its configuration would pick up an edit that nobody has tried when the switch restarts it.",
		}, kubeletFresh},
		{Rule{
			"K004", "the runtime behind the kubelet's endpoint is known",
			"The switch must empty the runtime that is left; it knows containerd, CRI-O and Docker behind cri-dockerd.",
		}, endpoint},
		{Rule{
			"K005", "the target speaks a CRI version that the kubelet understands",
			"Kubelets up to 1.22 speak v1alpha2 only, from 1.26 on v1 only. containerd has v1 from 1.6 and no v1alpha2 from 2.0 on; CRI-O no v1alpha2 from 1.26 on; cri-dockerd v1 from 0.3.0 and no v1alpha2 from 0.4.2 on.",
		}, criVersion},
		{Rule{
			"K006", "the kubelet is healthy now",
			"Whether the switch went well is judged by the kubelet's health; one that is ill before can't prove anything.",
		}, healthy},
		{Rule{
			"K007", "images come from the runtime itself",
			"An image endpoint of its own is a proxy that knows the runtime's socket too; it must be changed together with it.",
		}, imageEndpoint},
		{Rule{
			"K008", "the kubelet runs the program that is on disk",
			"A kubelet that was upgraded and not restarted would start as another version than the one that serves, in the middle of the switch and again in a rollback. Restart the kubelet and see whether the node is Ready before the switch.",
		}, kubeletProgram},
		{Rule{
			"K009", "the kubelet accepts the node's swap",
			"A kubelet with failSwapOn, which is the default, refuses to start while the kernel swaps anywhere, and one that runs doesn't notice swap that was switched on since: the restart that a switch needs would be its last. Switch swap off for good (swapoff -a, and its line in /etc/fstab or its unit), or set failSwapOn: false.",
		}, swapOff},
		{Rule{
			"K010", "the kubelet's client certificate holds",
			"A kubelet whose client certificate has expired exits when it is restarted, unless it may ask for a new one with a bootstrap kubeconfig, whose token must be valid still. While it runs it only fails to reach the API server. Renew the certificate before the switch: kubeadm's documentation says how (kubelet client certificate rotation fails).",
		}, certificateHolds},
		{Rule{
			"K011", "the node reaches the API server as its kubelet does",
			"A proxy in the environment of the kubelet's unit is the kubelet's alone. The node agent reads the kubelet's kubeconfig and not its environment: where only the proxy leads to the API server, the agent can neither uncordon the node nor leave a note there when it has rolled the node back alone, and kubectl runtime does that when it is run again. A proxy in the kubeconfig itself (proxy-url) is used by both.",
		}, reachesAPI},
		{Rule{
			"K012", "private images stay private",
			"A kubelet that verifies pulls (on by default since 1.35, by the feature gate KubeletEnsureSecretPulledImages since 1.33) records which credentials an image was pulled with, by the ID that the runtime gives the image. An image without a record counts as one that the operator has put there, and every pod may use it. The switch adds the records under the target's IDs, and a rollback restores those that were there. Where it can't, set imagePullCredentialsVerificationPolicy: AlwaysVerify before the switch.",
		}, privateImages},
	}
}

func installer(n *node) []v1alpha1.Finding {
	if n.v.Installer.Switchable() {
		return nil
	}
	hint := map[kubelet.Installer]string{
		kubelet.K3s:      "use k3s's own --docker or --container-runtime-endpoint in /etc/rancher/k3s/config.yaml",
		kubelet.RKE2:     "use container-runtime-endpoint in /etc/rancher/rke2/config.yaml",
		kubelet.K0s:      "use k0s worker --cri-socket=remote:… in its service",
		kubelet.RKE1:     "RKE1 needs Docker: its kubelet is a Docker container",
		kubelet.MicroK8s: "the snap has a containerd of its own",
		kubelet.Minikube: "use minikube start --container-runtime",
		kubelet.Sealos:   "sealos puts a proxy before the runtime; change both by its own tools",
	}[n.v.Installer]
	if n.v.Installer == kubelet.Unknown {
		return shown(stop("tell us how the kubelet is started", "how the kubelet was installed isn't recognised"), n.v.Why)
	}
	return shown(stop(hint, "the node was installed by %s, whose kubelet doesn't follow files", properName(n.v.Installer)), n.v.Why)
}

// properName is how an installer writes itself.
func properName(i kubelet.Installer) string {
	switch i {
	case kubelet.RKE1:
		return "RKE (RKE1)"
	case kubelet.RKE2:
		return "RKE2"
	case kubelet.MicroK8s:
		return "MicroK8s"
	}
	return string(i)
}

func dockershim(n *node) []v1alpha1.Finding {
	if !n.v.Dockershim {
		return nil
	}
	return stop("upgrade to 1.24 with cri-dockerd first", "kubelet %s serves Docker itself (dockershim); leaving it is not supported yet", n.v.Version)
}

func endpoint(n *node) []v1alpha1.Finding {
	if n.from != "" {
		return nil
	}
	return shown(stop("", "the kubelet's endpoint belongs to no runtime that is known"), n.v.Endpoint)
}

func criVersion(n *node) []v1alpha1.Finding {
	b := runtimes.CRIDaemon(n.f, n.to.Name)
	if b.Path == "" {
		return nil
	}
	version, ok := runtimes.SpokenCRI(n.f, n.to.Name, n.v.Minor)
	if ok {
		return nil
	}
	hint := "install a newer " + string(n.to.Name)
	if version == "v1alpha2" {
		hint = "install an older " + string(n.to.Name) + ", or upgrade the kubelet first"
	}
	return shown(stop(hint, "kubelet %s needs CRI %s, which %s %s doesn't serve", n.v.Version, version, n.to.Name, b.Version), b.Path)
}

func healthy(n *node) []v1alpha1.Finding {
	if n.f.Kubelet.Healthy {
		return nil
	}
	return shown(stop("systemctl status "+n.v.Unit, "the kubelet isn't healthy"), n.v.Healthz)
}

func imageEndpoint(n *node) []v1alpha1.Finding {
	if n.v.ImageEndpoint == "" || kubelet.SameSocket(n.v.ImageEndpoint, n.v.Endpoint) {
		return nil
	}
	return shown(stop("remove imageServiceEndpoint, or change the proxy and the kubelet by hand", "the kubelet fetches images through another endpoint than its runtime's"), n.v.ImageEndpoint)
}

func kubeletFresh(n *node) []v1alpha1.Finding {
	files := []string{n.v.ConfigFile}
	for _, p := range n.v.Places {
		if p.Reader == kubelet.ReaderKubelet {
			files = append(files, p.File)
		}
	}
	return stale(n, n.v.Unit, "the kubelet", files)
}

// slack is how much later than its start a file of a daemon may have been written: starting takes time too.
const slack = 2 * time.Second

// stale tells of files that were written after a unit was started, and of unit files that PID 1 hasn't read.
func stale(n *node, unit, name string, files []string) []v1alpha1.Finding {
	u, ok := n.f.Unit(unit)
	if !ok || u.ActiveState != "active" {
		return nil
	}
	hint := "restart " + unit + " and see whether it still serves, or take the edit back"
	if u.NeedDaemonReload {
		return shown(stop("run systemctl daemon-reload; "+hint, "the unit files of %s were changed and systemd hasn't read them", name), u.Fragment)
	}
	files = append(files, u.Fragment)
	files = append(files, u.DropIns...)
	for _, e := range u.EnvironmentFiles {
		files = append(files, trimEnv(e))
	}
	var out []v1alpha1.Finding
	seen := map[string]bool{}
	for _, file := range files {
		x, ok := n.f.File(file)
		if !ok || seen[file] || x.Type != v1alpha1.Regular || u.ActiveSince.IsZero() {
			continue
		}
		seen[file] = true
		if x.Modified.After(u.ActiveSince.Add(slack)) {
			out = append(out, shown(stop(hint, "%s runs since %s, its configuration was changed at %s", name,
				u.ActiveSince.UTC().Format(time.DateTime), x.Modified.UTC().Format(time.DateTime)), file)...)
		}
	}
	return out
}

// trimEnv returns the path of an EnvironmentFile= value.
func trimEnv(s string) string {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "-"), " (")
	return s
}
