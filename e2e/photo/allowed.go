//go:build e2e

package photo

import "regexp"

func allow(line, why string) Allowance { return Allowance{regexp.MustCompile(line), why} }

// Kept is what a run that was kept, or undone, may leave behind.
var Kept = []Allowance{
	allow(`^ours (runs|runs/r-[0-9a-f]{8}|runs/r-[0-9a-f]{8}/(plan\.json|run\.json|pulls\.json|progress\.jsonl|watched))$`, "the kept run: rollback needs it, and people read it"),
	allow(`^ours agents$`, "the directory alone, empty: an agent in it would be a line of its own"),
	allow(`^ours (\.|blobs|blobs/[0-9a-f]{64}|lock|actor\.lock)$`, "the kept run's bytes, and the lock files, which are empty"),
	allow(`^ours key$`, "the key that digests are sealed with: without it no facts and no plan in a file could be compared with the node"),
}

// Always differs whatever was done: what the kubelet and the cluster write on their own.
var Always = []Allowance{
	allow(`^file /var/lib/kubelet/(allocated|actuated)_pods_state$`, "the kubelet's own checkpoint: names pods by their UID"),
	allow(`^file /etc/crio/policies$`, "an empty directory that CRI-O itself makes when it starts for the first time"),
	allow(`^mount /run/credentials/`, "systemd's own, for as long as a short-lived unit of the system runs"),
	allow(`^file /var/lib/kubelet/(cpu|memory|dra)_manager_state$`, "the kubelet's own checkpoint: names pods by their UID"),
}

// Restarted is what a restart of a kind node's container changes by itself.
var Restarted = []Allowance{
	allow(`^file /etc/(hosts|hostname|resolv\.conf)$`, "written by the container engine at each start"),
	allow(`^file /etc/machine-id$`, "written by the node image's entrypoint at each start"),
	allow(`^ip6?tables nat .*(DOCKER_|127\.0\.0\.11)`, "the engine's name server listens on other ports after each start"),
	allow(`^mount `, "the engine and systemd mount anew; what pods left is still counted"),
}
