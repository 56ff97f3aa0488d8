# SPDX-License-Identifier: GPL-2.0
# Debian packages that are downloaded and unpacked, never installed.
# shellcheck shell=bash

KHX_DEBS=$KHX_CACHE/debs

# A private apt state that knows bookworm-backports too, from the mirror that
# the machine uses already.  Needs no root and leaves the machine's apt alone.
apt_private_config() {
	[ -s "$KHX_CACHE/apt/ready" ] || with_lock "$KHX_CACHE/apt.lock" apt_read_lists
}

apt_read_lists() {
	local dir=$KHX_CACHE/apt uri keyring
	[ -s "$dir/ready" ] && return
	uri=$(apt-get indextargets --format '$(SITE)|$(RELEASE)|$(ORIGIN)' 2>/dev/null |
		awk -F'|' '$3 == "Debian" && $2 == "bookworm" { print $1; exit }')
	[ -n "$uri" ] || die "apt knows no mirror of Debian bookworm:" \
		"run apt-get update, or use --kernel local"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	rm -rf "$dir"
	mkdir -p "$dir"/{none.d,lists/partial,cache/archives/partial}
	: > "$dir/status"
	cat > "$dir/sources.list" <<-EOF
	deb [signed-by=$keyring] $uri bookworm main
	deb [signed-by=$keyring] $uri bookworm-updates main
	deb [signed-by=$keyring] ${uri%/debian}/debian-security bookworm-security main
	deb [signed-by=$keyring] $uri bookworm-backports main
	EOF
	cat > "$dir/apt.conf" <<-EOF
	Dir::Etc::sourcelist "$dir/sources.list";
	Dir::Etc::sourceparts "$dir/none.d";
	Dir::Etc::preferencesparts "$dir/none.d";
	Dir::Etc::preferences "$dir/none";
	Dir::State::Lists "$dir/lists";
	Dir::State::status "$dir/status";
	Dir::Cache "$dir/cache";
	Debug::NoLocking "1";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "5";
	APT::Update::Error-Mode "any";
	EOF
	say "reading the package lists of $uri"
	apt_update "$dir/apt.conf" || die "apt-get update failed: no package lists"
	echo ok > "$dir/ready"
}

# apt_update CONFIG: all lists, or it has failed.
apt_update() {
	for _ in 1 2 3; do
		APT_CONFIG=$1 apt-get -qq update >&2 && return
		sleep 20
	done
	return 1
}

# apt_private COMMAND [ARGUMENTS]: run it on the private state; KHX_APT_SUITE
# prefers a suite, as apt's -t does.
apt_private() {
	local command=$1
	shift
	apt_private_config
	APT_CONFIG=$KHX_CACHE/apt/apt.conf "$command" \
		${KHX_APT_SUITE:+-o "APT::Default-Release=$KHX_APT_SUITE"} "$@"
}

# apt_version PACKAGE: the newest version the mirror has.
apt_version() {
	apt_private apt-cache show --no-all-versions "$1" 2>/dev/null |
		awk '$1 == "Version:" && !n++ { print $2 }'
}

# apt_depends PACKAGE PATTERN: the dependency of PACKAGE that matches.
apt_depends() {
	apt_private apt-cache depends "$1" 2>/dev/null |
		awk -v p="$2" '$1 == "Depends:" && $2 ~ p && !n++ { print $2 }'
}

# apt_fetch PACKAGE: download it unless it is in the cache; print the file.
apt_fetch() {
	local version file
	version=$(apt_version "$1")
	[ -n "$version" ] || die "no package $1 on the mirror"
	file=$(apt_cached "$1" "$version")
	if [ -z "$file" ] && ! apt_download "$1" "$version"; then
		# The mirror has moved on since its lists were read.
		rm -f "$KHX_CACHE/apt/ready"
		version=$(apt_version "$1")
		apt_download "$1" "$version" || die "cannot download $1"
	fi
	apt_cached "$1" "$version"
}

# apt_download PACKAGE VERSION: into the cache, whole or not at all.
apt_download() {
	local tmp status=0
	say "downloading $1 $2"
	mkdir -p "$KHX_DEBS"
	tmp=$(mktemp -d "$KHX_DEBS/tmp.XXXXXX")
	(cd "$tmp" && apt_private apt-get -qq download "$1=$2" >&2) &&
		mv "$tmp"/*.deb "$KHX_DEBS/" || status=1
	rm -rf "$tmp"
	return $status
}

apt_cached() {
	local escaped=${2//:/%3a}
	find "$KHX_DEBS" -maxdepth 1 -name "$1_${escaped}_*.deb" 2>/dev/null | head -n 1
}
