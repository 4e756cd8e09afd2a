# shellcheck shell=bash
# shellcheck disable=SC2154 # cache: lib.sh
# Debian packages of another suite than the machine's, from the machine's own
# mirror and with its own apt options, without touching its package lists.

# debian_sites: "SITE RELEASE" of this machine's Debian sources.
debian_sites() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(SITE) $(RELEASE) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
		sed -n 's/ Debian$//p'
}

debian_sources() {
	local suite=$1 mirror=${DEBIAN_MIRROR:-} security signed=/usr/share/keyrings/debian-archive-keyring.gpg
	command -v apt-get >/dev/null || fail "the nodes are made of Debian packages: run this on Debian or Ubuntu"
	packages debian-archive-keyring
	# Whose a source is stands in its lists, which a new machine doesn't have yet.
	[ -n "$mirror" ] || [ -n "$(debian_sites)" ] || apt-get update -qq >&2 || true
	[ -n "$mirror" ] || mirror=$(debian_sites | sed -n '/-security$/!s/ .*//p' | head -n 1)
	[ -n "$mirror" ] || fail "no Debian mirror in this machine's apt sources: set DEBIAN_MIRROR to the URL of one"
	security=$(debian_sites | sed -n 's/ .*-security$//p' | head -n 1)
	printf 'deb [signed-by=%s] %s %s main\n' "$signed" "$mirror" "$suite"
	printf 'deb [signed-by=%s] %s %s-updates main\n' "$signed" "$mirror" "$suite"
	[ -z "$security" ] || printf 'deb [signed-by=%s] %s %s-security main\n' "$signed" "$security" "$suite"
}

# apt_of SUITE COMMAND…: apt-get as if the machine had that suite alone.
apt_of() {
	local dir=$cache/apt/$1
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	debian_sources "$1" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-CONF
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::State::Status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Sandbox::User "root";
		APT::Update::Post-Invoke {};
		APT::Update::Post-Invoke-Success {};
	CONF
	shift
	APT_CONFIG=$dir/apt.conf apt-get -q "$@"
}

# unpack_debs SUITE DIRECTORY PACKAGE…
unpack_debs() {
	local suite=$1 dir=$2 work deb
	shift 2
	work=$(mktemp -d "$cache/tmp/debs.XXXXXX")
	apt_of "$suite" update
	(cd "$work" && apt_of "$suite" download "$@")
	for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
	rm -rf "$work"
}

# The machine's own ways out (a proxy, a mirror with old dates) for tools that
# bring an apt of their own.
apt_options() { apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries) ' || true; }
