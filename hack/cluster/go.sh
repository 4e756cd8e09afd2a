# shellcheck shell=bash
# shellcheck disable=SC2154 # cache, out: lib.sh and products.sh
# Builds commands of published Go modules. Part of the key of every product that
# uses it.

# go_build MODULE VERSION PACKAGE…: builds commands of a published module into
# $out. A module that replaces its neighbours by path can't be installed by
# version, so it becomes the one requirement of a module that borrows its go.mod
# and go.sum, without those replacements.
go_build() {
	local module=$1 version=$2 dir work
	shift 2
	dir=$(module_dir "$module" "$version")
	work=$(mktemp -d "$cache/tmp/build.XXXXXX")
	cp "$dir/go.mod" "$work/go.mod"
	cp "$dir/go.sum" "$work/go.sum"
	chmod u+w "$work"/go.*
	(
		cd "$work" || exit
		sed -i -E \
			-e "s#=> \./staging/src/(k8s.io/[a-z-]+)\$#=> \1 v$KUBERNETES_STAGING_VERSION#" \
			-e '/=> \.\.?\//d' \
			-e '/^(tool|toolchain) /d' go.mod
		go mod edit -module=bed -require="$module@$version"
		go_env nice go build -mod=mod -trimpath -o "$out/" \
			-tags "${tags:-}" -ldflags "-s -w ${ldflags:-}" "$@"
	)
	rm -rf "$work"
}

# The bed's modules are kept apart, so that they can be thrown away once built
# without taking away anybody else's.
go_env() {
	env GOMODCACHE="$cache/gomod" GOFLAGS="-modcacherw -buildvcs=false" GOWORK=off \
		CGO_ENABLED="${CGO_ENABLED:-0}" "$@"
}

module_dir() {
	(cd "$cache/tmp" && go_env go mod download -json "$1@$2") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}
