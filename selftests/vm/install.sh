#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What users do besides: install and uninstall, below DESTDIR; and what the
# set-up says of packages that are missing, to who may install them and who may
# not.

cd "$(dirname "$0")" || exit
. ../lib/tap.sh
. ./lib.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dest=$work/root
farm=$KHX_BUILD/modules-6.1

# The modules are built already, in their farm; with the flags of ./modules, so
# that nothing is built again.
make_there() {
	ln -sfn "$KHX_TOP/tools" "$farm/tools"
	make -s -f "$KHX_TOP/Makefile" -C "$farm" W=1 DESTDIR="$dest" \
		KDIR="$(./kernel 6.1)/build" "$@"
	set -- $?
	rm -f "$farm/tools"
	return "$1"
}

make_locked() {
	./modules 6.1 > /dev/null && with_lock "$farm.lock" make_there "$@"
}

# Below the root there are exactly these, by the last part of their names.
has_files() {
	find "$dest" -type f ! -name 'modules.*' | sed 's#.*/##' | sort > "$work/files"
	cat "$work/files"
	diff <(sort) "$work/files"
}

is_installed() {
	has_files < <(
		cd "$KHX_TOP" &&
			for file in kmod/*/Kbuild; do
				sed -n 's/^obj-m.*= *\([a-z_]*\)\.o.*/\1.ko/p' "$file"
			done
		printf '%s\n' khx khx-vhost-user khx-vhost-user@.service \
			khx-vhost-user@.socket 60-khx.rules
		find tools -name '*.8' -printf '%f\n'
		echo khx
	)
}

# Nor has depmod a word to say of them.
depmod_takes_them() {
	local said
	said=$(depmod -n -b "$dest" "$(ls "$dest/lib/modules")" 2>&1 > /dev/null |
		grep khx)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

# stub NAME: what is found of this name first, from standard input.
stub() {
	mkdir -p "$work/bin"
	{
		echo '#!/bin/bash'
		cat
	} > "$work/bin/$1"
	chmod +x "$work/bin/$1"
}

# setup_says STATUS TEXT: of two packages, one is there.
setup_says() {
	local said status=0
	said=$(PATH=$work/bin:$PATH ./setup "$work/list" 2>&1) || status=$?
	echo "$status: $said"
	[ "$status" = "$1" ] && [ "$said" = "khx: $2" ]
}

printf '# why\nthis # and that\nother\n' > "$work/list"
stub dpkg-query <<< '[ "${@: -1}" = this ] && echo installed'
stub apt-get <<< 'echo "$@" > "${0%/*}/../apt"'

tap_plan 7
tap_run "make install" make_locked install
tap_run "modules, tools, manual pages and units are there" is_installed
tap_run "depmod takes them as they are" depmod_takes_them
tap_run "make uninstall" make_locked uninstall
tap_run "and leaves nothing" has_files < /dev/null
stub id <<< 'echo 1000'
tap_run "who may not install is told what, and how" setup_says 1 \
	"error: these Debian packages are missing: run as root, or have them installed with: apt-get install --no-install-recommends other"
stub id <<< 'echo 0'
tap_run "who may has it installed, and is told what" setup_says 0 \
	"installing Debian packages: other"
tap_exit
