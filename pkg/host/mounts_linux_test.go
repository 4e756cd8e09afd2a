package host

import "testing"

func TestVolumePaths(t *testing.T) {
	const pod = "/var/lib/kubelet/pods/0b4a1a58-7a7c-4c2e-9f43-0c2d7a6f3f11"
	for point, want := range map[string]bool{
		pod + "/volumes/kubernetes.io~nfs/data":                                                 true,
		pod + "/volumes/kubernetes.io~csi/pvc-1/mount":                                          true,
		pod + "/volume-subpaths/data/web/0":                                                     true,
		"/mnt/disk/kubelet/pods/0b4a1a587a7c4c2e9f430c2d7a6f3f11/volumes/kubernetes.io~csi/x/y": true,
		"/var/lib/kubelet/plugins/kubernetes.io/csi/driver.example/abc/globalmount":             true,
		"/var/lib/kubelet/plugins/kubernetes.io/aws-ebs/mounts/vol-1":                           true,
		"/var/lib/kubelet":       false,
		"/var/lib/kubelet/pods":  false,
		pod + "/containers/web":  false,
		"/srv/pods/volumes/kept": false,
		"/run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/rootfs": false,
	} {
		if got := volume.MatchString(point); got != want {
			t.Errorf("%s: %v", point, got)
		}
	}
}
