# shellcheck shell=bash
# Sourced by every script of the bed.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KUBECTL_RUNTIME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-runtime}
cluster=${KUBECTL_RUNTIME_CLUSTER:-kubectl-runtime}
state=$cache/clusters/$cluster
PATH=$PATH:$cache/bin
export cache cluster state PATH

# shellcheck source=versions.env
set -a && . "$here/versions.env" && set +a
# Pinned where the other tools are.
KIND_VERSION=$(sed -n 's#.*sigs.k8s.io/kind v\([0-9.]*\).*#\1#p' "$here/../tools/go.mod")
export KIND_VERSION

mkdir -p "$cache/log" "$cache/tmp" "$cache/bin"

say() { printf '%s\n' "$*"; }
fail() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# step NAME COMMAND…: one line on stdout; the command's own output goes to a log,
# shown only when it fails. A command that did nothing says so by $kept.
step() {
	local name=$1 log start rc=0 verb="done"
	shift
	log=$cache/log/${name//[^a-zA-Z0-9.-]/-}.log
	start=$SECONDS
	kept=$cache/tmp/kept.$$
	rm -f "$kept"
	export kept
	("$@") >"$log" 2>&1 </dev/null || rc=$?
	if [ "$rc" -ne 0 ]; then
		say "$name: failed ($((SECONDS - start)) s)"
		tail -n 40 "$log" >&2
		fail "$name failed; the whole log is in $log"
	fi
	[ ! -e "$kept" ] || verb=kept
	rm -f "$kept"
	say "$name: $verb ($((SECONDS - start)) s)"
}

keep() { : >"$kept"; }

# Builds share a module cache that the last one throws away, and a cluster has one
# name: one at a time.
one_at_a_time() {
	exec 9>"$cache/lock"
	flock -n 9 || {
		say "another build is running: waiting for it"
		flock 9
	}
}

# retry SECONDS COMMAND…: until it succeeds.
retry() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 1
	done
}

lacks_sys_resource() {
	local bounding
	[ -r /proc/self/status ] || return 1
	bounding=$(awk '/^CapBnd:/ {print $2}' /proc/self/status)
	(((0x$bounding >> 24 & 1) == 0))
}

debian_root() { [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

# packages NAME…: Debian packages that a build needs on this machine.
packages() {
	local missing=() p
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	debian_root || fail "install these packages first: ${missing[*]}"
	(
		exec 8>"$cache/apt.lock"
		flock 8
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq
		apt-get install -y -qq --no-install-recommends "${missing[@]}"
	) >&2
}
