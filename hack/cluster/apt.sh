# shellcheck shell=bash
# Debian packages of another suite than the machine's, from the machine's own
# mirror and with its own apt options, without touching its package lists.

debian_mirror() {
	local site=${DEBIAN_MIRROR:-}
	if [ -z "$site" ] && command -v apt-get >/dev/null; then
		site=$(apt-get indextargets --format '$(SITE) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
			sed -n 's/ Debian$//p' | grep -v -- '-security' | head -n 1)
	fi
	[ -n "$site" ] || fail "no Debian mirror in this machine's apt sources: set DEBIAN_MIRROR to the URL of one"
	printf '%s\n' "$site"
}

debian_sources() {
	local mirror signed=
	mirror=$(debian_mirror)
	[ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		signed="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
	printf 'deb %s%s %s main\n' "$signed" "$mirror" "$1"
	printf 'deb %s%s %s-updates main\n' "$signed" "$mirror" "$1"
	printf 'deb %s%s-security %s-security main\n' "$signed" "$mirror" "$1"
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
