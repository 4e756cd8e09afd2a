# shellcheck shell=bash
# A product is a script in products/ that fills $out. Its "needs:" header names
# what it is made of: $VARIABLE of versions.env, @product, or a path in
# hack/cluster. The key is a hash over the script and all of those.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=apt.sh
. "$here/apt.sh"
# shellcheck source=go.sh
. "$here/go.sh"

needs_of() { sed -n 's/^# needs: //p' "$here/products/$1"; }

key_of() {
	local name=$1 need
	{
		cat "$here/products/$name"
		uname -m
		for need in $(needs_of "$name"); do
			case $need in
			\$*) need=${need#?} && printf '%s=%s\n' "$need" "${!need}" ;;
			@*) key_of "${need#@}" ;;
			bounding-set) if lacks_sys_resource; then echo filtered; else echo whole; fi ;;
			*) (cd "$here" && find "$need" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) ;;
			esac
		done
	} | sha256sum | cut -c1-16
}

path_of() { printf '%s/products/%s-%s\n' "$cache" "$1" "$(key_of "$1")"; }

declare -A built

# build NAME: prints one line; the product is at path_of NAME afterwards.
build() {
	local name=$1 path start log need rc=0
	[ -z "${built[$name]:-}" ] || return 0
	built[$name]=yes
	for need in $(needs_of "$name"); do
		case $need in @*) build "${need#@}" ;; esac
	done
	path=$(path_of "$name")
	start=$SECONDS
	log=$cache/log/$name.log
	mkdir -p "$cache/products"
	exec {lock}>"$cache/products/.$name.lock"
	flock "$lock"
	if [ -e "$path" ]; then
		touch "$path"
		exec {lock}>&-
		say "$name: kept ($((SECONDS - start)) s)"
		return
	fi
	rm -rf "$path".tmp
	mkdir -p "$path.tmp"
	out=$path.tmp bash -c 'set -euo pipefail; . "$1/products.sh"; . "$1/products/$2"' - "$here" "$name" \
		>"$log" 2>&1 </dev/null {lock}>&- || rc=$?
	if [ "$rc" -ne 0 ]; then
		say "$name: failed ($((SECONDS - start)) s)"
		tail -n 40 "$log" >&2
		fail "$name failed; the whole log is in $log"
	fi
	touch "$path.tmp" # Debian's archives date their own directories.
	mv "$path.tmp" "$path"
	exec {lock}>&-
	say "$name: built ($((SECONDS - start)) s)"
}

# prune: all but the last two of a product, what an interrupted build left, and the
# modules' sources, which only a build needs.
prune() {
	local image name
	# The engine that runs may be of another version of this file.
	[ ! -e "$cache/engine/tree" ] || touch "$cache/engine/tree/"
	for name in "$here"/products/*; do
		find "$cache/products" -maxdepth 1 -name "${name##*/}-????????????????" -printf '%T@ %p\n' |
			sort -rn | tail -n +3 | cut -d' ' -f2- | xargs -r -d '\n' rm -rf
	done
	find "$cache/products" -maxdepth 1 -name "*.tmp" -cmin +60 -exec rm -rf {} +
	rm -rf "$cache/gomod" "${cache:?}/tmp"/*
	# An image that a product still names, or a container uses, stays.
	docker images --format '{{.Repository}}:{{.Tag}}' 'kubectl-runtime/node*' | while IFS= read -r image; do
		grep -qsxF "$image" "$cache"/products/node-image-*/ref || docker rmi "$image" >/dev/null 2>&1 || true
	done
}
