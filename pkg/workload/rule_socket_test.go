package workload

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// said returns the message of a rule's only finding; empty where it has none.
func said(t *testing.T, id string, w Workload, o Options) string {
	t.Helper()
	message := ""
	for _, f := range Check(&Inventory{Workloads: []Workload{w}}, o) {
		if f.ID == id {
			message = f.Message
		}
	}
	return message
}

// TestSocketPaths: every socket that a runtime is known by is found under each of its names, on both sides of the move and aside from
// it; what holds sockets, and what is none, isn't.
func TestSocketPaths(t *testing.T) {
	for path, daemon := range map[string]string{
		"/run/docker.sock": "Docker", "/var/run/docker.sock": "Docker", "//run/docker.sock/": "Docker", "/srv/run/docker.sock": "Docker",
		"/run/docker/containerd/containerd.sock": "Docker", "/var/run/docker/containerd/docker-containerd.sock": "Docker",
		"/run/cri-dockerd.sock": "cri-dockerd", "/var/run/cri-dockerd.sock": "cri-dockerd", "/run/cri-dockerd/cri-dockerd.sock": "cri-dockerd",
		"/run/dockershim.sock": "dockershim", "/var/run/dockershim.sock": "dockershim",
		"/run/containerd/containerd.sock": "containerd", "/var/run/containerd/containerd.sock": "containerd",
		"/run/containerd/containerd.sock.ttrpc": "containerd", "/run/containerd/debug.sock": "containerd",
		"/run/k3s/containerd/containerd.sock": "containerd", "/var/run/k3s/containerd/containerd.sock": "containerd",
		"/run/k0s/containerd.sock": "containerd", "/var/snap/microk8s/common/run/containerd.sock": "containerd",
		"/run/crio/crio.sock": "CRI-O", "/var/run/crio/crio.sock": "CRI-O", "/run/crio.sock": "CRI-O",
		"/run/containerd": "", "/run/crio": "", "/run/k3s/containerd": "", "/run/cri-dockerd": "", "/run": "", "/": "", "/run/docker": "",
		"/var/lib/kubelet/pod-resources/kubelet.sock": "", "/run/containerd/io.containerd.runtime.v2.task": "", `\\.\pipe\docker_engine`: "",
	} {
		for _, o := range []Options{{}, {To: v1alpha1.Docker}, {To: v1alpha1.Containerd}, {To: v1alpha1.CRIO}} {
			w := mounting("agent", path)
			w.Spec.Volumes[0].HostPath.Type = nil
			have := said(t, "W018", w, o)
			if daemon == "" && have != "" {
				t.Errorf("%s, to %q: %s", path, o.To, have)
			}
			if want := "mounts " + daemon + "'s socket"; daemon != "" && !strings.HasPrefix(have, want) {
				t.Errorf("%s, to %q: %q, want %q", path, o.To, have, want)
			}
		}
	}
}

// TestSocketTypes: what is made at the path follows from the volume's type, and from whether the mount shows a part of it.
func TestSocketTypes(t *testing.T) {
	const (
		untyped = "mounts CRI-O's socket without type: Socket: where the socket is absent, a directory is created at its path, and CRI-O cannot start"
		file    = "mounts CRI-O's socket without type: Socket: where the socket is absent, a file is created at its path"
		part    = "mounts CRI-O's socket by a subPath: where the socket is absent, a directory is created at its path, and CRI-O cannot start"
	)
	for _, c := range []struct {
		name string
		kind *corev1.HostPathType
		sub  string
		want string
	}{
		{"absent", nil, "", untyped},
		{"empty", new(corev1.HostPathUnset), "", untyped},
		{"a directory", new(corev1.HostPathDirectoryOrCreate), "", untyped},
		{"a file", new(corev1.HostPathFileOrCreate), "", file},
		{"a socket", new(corev1.HostPathSocket), "", ""},
		{"a file that is there", new(corev1.HostPathFile), "", ""},
		{"a directory that is there", new(corev1.HostPathDirectory), "", ""},
		{"a device", new(corev1.HostPathCharDev), "", ""},
		{"a part of a directory that is there", new(corev1.HostPathDirectory), "crio.sock", part},
		{"a part of any", nil, "crio.sock", part},
		{"a part that is another", new(corev1.HostPathDirectory), "other.sock", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/run/crio/crio.sock"
			if c.sub != "" {
				path = "/run/crio"
			}
			w := mounting("agent", path)
			w.Spec.Volumes[0].HostPath.Type = c.kind
			w.Spec.Containers[0].VolumeMounts[0].SubPath = c.sub
			if have := said(t, "W018", w, Options{To: v1alpha1.CRIO}); have != c.want {
				t.Errorf("have %q\nwant %q", have, c.want)
			}
		})
	}
}

// TestSocketElsewhere: a node that takes no part is left alone, and a local volume's path must be there before its pod.
func TestSocketElsewhere(t *testing.T) {
	o := Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"a": v1alpha1.Containerd, "b": v1alpha1.CRIO}}
	for node, want := range map[string]bool{"a": true, "": true, "b": false, "c": false} {
		w := mounting("agent", "/run/docker.sock", Placed{"agent-1", node, false})
		w.Spec.Volumes[0].HostPath.Type = nil
		if have := said(t, "W018", w, o); (have != "") != want {
			t.Errorf("on node %q: %q", node, have)
		}
	}
	w := mounting("agent", "/run/docker.sock")
	w.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "sock"}}
	for _, c := range []struct {
		source corev1.PersistentVolumeSource
		want   bool
	}{
		{corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/run/docker.sock"}}, false},
		{corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/docker.sock"}}, true},
		{corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/docker.sock", Type: new(corev1.HostPathSocket)}}, false},
	} {
		inv := &Inventory{Workloads: []Workload{w}, Claims: map[Key]string{{Namespace: "shop", Name: "sock"}: "pv"}, Volumes: map[string]corev1.PersistentVolumeSource{"pv": c.source}}
		found := false
		for _, f := range Check(inv, Options{To: v1alpha1.CRIO}) {
			found = found || f.ID == "W018"
		}
		if found != c.want {
			t.Errorf("%+v: found %v", c.source, found)
		}
	}
}
