//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
)

// TestPhotograph holds the harness's own eye against a node: it must see what was changed and nothing else.
func TestPhotograph(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	ns := b.Namespace(t, nil)
	b.DaemonSet(t, ns, bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret))
	before := n.Photo(t)

	t.Run("Again", func(t *testing.T) { n.Same(t, before) })
	t.Run("PodRestarted", func(t *testing.T) {
		pods := b.AwaitReady(t, ns, "agent", len(b.Workers(t)), time.Minute)
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Spec.NodeName == n.Name })
		if err := b.Client.CoreV1().Pods(ns).Delete(t.Context(), pods[i].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		bed.Must(t, "another pod", time.Minute, func(ctx context.Context) string {
			list, err := b.Client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err.Error()
			}
			if slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.Name == pods[i].Name }) {
				return "the old pod is still there"
			}
			return ""
		})
		b.AwaitReady(t, ns, "agent", len(pods), time.Minute)
		n.Same(t, before)
	})

	for _, test := range []struct {
		name, do, undo string
		// want is a part of the one line that must tell of it.
		want string
	}{
		{
			"Content", "cp -a /etc/motd /root/e2e-motd; echo >>/etc/motd", "mv /root/e2e-motd /etc/motd",
			"+ file /etc/motd:",
		},
		{"Mode", "chmod 0600 /etc/fstab", "chmod 0644 /etc/fstab", "+ file /etc/fstab: 0600"},
		{"Owner", "chown 12:34 /etc/fstab", "chown 0:0 /etc/fstab", "12:34"},
		{"Added", "ln -s nowhere /etc/e2e-link", "rm /etc/e2e-link", "+ file /etc/e2e-link: 0:0 -> nowhere"},
		{"Kubelet", "touch /var/lib/kubelet/e2e.env", "rm /var/lib/kubelet/e2e.env", "+ file /var/lib/kubelet/e2e.env"},
		{"Ours", "mkdir -p /var/lib/kubectl-runtime/e2e", "rmdir -p /var/lib/kubectl-runtime/e2e 2>/dev/null || true", "+ ours e2e:"},
		{
			"UnitLink", "[ ! -d /etc/systemd/system/sysinit.target.wants ] || touch /run/e2e-wants; systemctl enable -q debug-shell.service",
			// systemctl takes a directory away that gets empty, which it may have been before.
			"systemctl disable -q debug-shell.service; [ ! -e /run/e2e-wants ] || mkdir -p /etc/systemd/system/sysinit.target.wants; rm -f /run/e2e-wants",
			"+ unit-file debug-shell.service: enabled",
		},
		{
			"Unit", "systemd-run -q --unit=kubectl-runtime-e2e sleep 60", "systemctl stop kubectl-runtime-e2e",
			"+ our-unit kubectl-runtime-e2e.service",
		},
		{"Mount", "mkdir /mnt/e2e; mount -t tmpfs e2e /mnt/e2e", "umount /mnt/e2e; rmdir /mnt/e2e", "+ mount /mnt/e2e: tmpfs /"},
		{
			// ip netns would leave a mount of /run/netns behind.
			"Netns", "touch /run/netns/e2e; unshare --net=/run/netns/e2e true", "umount /run/netns/e2e; rm /run/netns/e2e",
			"! network namespace /run/netns/e2e",
		},
		{"Link", "ip link add e2e type veth peer name e2e-peer", "ip link delete e2e", "+ link e2e"},
		{"Filter", "iptables -A FORWARD -s 192.0.2.1 -j DROP", "iptables -D FORWARD -s 192.0.2.1 -j DROP", "+ iptables filter -A FORWARD -s 192.0.2.1/32 -j DROP"},
		{
			"Reservation", "for d in /var/lib/cni/networks/* /run/cni-ipam-state/*; do [ ! -d $d ] || break; done; printf 'e2e\\r\\neth0' >$d/192.0.2.7",
			"rm -f /var/lib/cni/networks/*/192.0.2.7 /run/cni-ipam-state/*/192.0.2.7", "192.0.2.7, an address that no pod here has",
		},
		{
			"Daemon", "cp /usr/bin/sleep /root/crio; systemd-run -q --unit=e2e-daemon /root/crio 60",
			"systemctl stop e2e-daemon; rm -f /root/crio", "+ process /root/crio",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.Undo(t, test.undo)
			n.Sh(t, test.do)
			differs(t, n, before, test.want)
		})
	}
	t.Run("Xattr", func(t *testing.T) {
		n.Undo(t, "rm -f /etc/e2e-xattr")
		n.Sh(t, "touch /etc/e2e-xattr")
		plain := n.Photo(t)
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: "e2e-xattr", Mode: 0o644, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"SCHILY.xattr.user.e2e": "seen"},
		})
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.RunIn(t.Context(), archive.Bytes(), "tar -x --xattrs '--xattrs-include=*' -C /etc"); err != nil {
			t.Fatal(err)
		}
		differs(t, n, plain, "user.e2e=")
	})
	t.Run("PutBack", func(t *testing.T) { n.Same(t, before) })
}

// differs fails unless the photograph taken now tells of want, and of little else.
func differs(t *testing.T, n *bed.Node, before *photo.Photo, want string) {
	t.Helper()
	diff := n.Differences(t, before)
	found := slices.ContainsFunc(diff, func(line string) bool { return strings.Contains(line, want) })
	if !found || len(diff) > 8 {
		t.Errorf("the photograph doesn't tell of %q alone:\n  %s", want, strings.Join(diff, "\n  "))
	}
}
