# shellcheck shell=bash
# shellcheck disable=SC2154 # cache, out: lib.sh and products.sh
# Makes image archives out of directories, without an engine.

# image_archive FILE ROOT CONFIG TAG…: a docker-archive with one layer. CONFIG is
# the image's runtime configuration, in JSON. The same files give the same bytes.
image_archive() {
	local file=$1 root=$2 config=$3 work layer id
	shift 3
	work=$(mktemp -d "$cache/tmp/image.XXXXXX")
	tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
	layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
	mkdir "$work/$layer"
	mv "$work/layer.tar" "$work/$layer/layer.tar"
	printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"hack/cluster"}]}' \
		"$(go env GOARCH)" "$config" "$layer" >"$work/config.json"
	id=$(sha256sum "$work/config.json" | cut -d' ' -f1)
	mv "$work/config.json" "$work/$id.json"
	printf '[{"Config":"%s.json","RepoTags":[%s],"Layers":["%s/layer.tar"]}]' \
		"$id" "$(printf '"%s",' "$@" | sed 's/,$//')" "$layer" >"$work/manifest.json"
	tar -C "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$file" manifest.json "$id.json" "$layer"
	rm -rf "$work"
}

# extract_root DIRECTORY PACKAGE…: the files of Debian packages and of what they
# depend on, without running their scripts.
extract_root() {
	local dir=$1 options=() line
	shift
	packages mmdebstrap
	while IFS= read -r line; do options+=("--aptopt=$line"); done < <(apt_options)
	debian_sources "$NODE_SUITE" | mmdebstrap --variant=extract \
		--include="$(IFS=,; echo "$*")" "${options[@]}" "$NODE_SUITE" "$dir.tar" -
	mkdir -p "$dir"
	tar -C "$dir" --no-same-owner -xpf "$dir.tar" --exclude='./dev/*'
	rm "$dir.tar"
	rm -rf "$dir"/usr/share/{doc,man,locale,info,bash-completion,perl*} "$dir"/usr/lib/*/perl* \
		"$dir"/var/{cache,lib}/apt "$dir"/var/lib/dpkg
}
