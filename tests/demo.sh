#!/usr/bin/env bash
# What demonstrations have in common; they read this file first.
#
#   begin "$@"                 as root, outside: makes the throw-away VPS (system/vps.sh), runs the same
#                              script on it, and looks afterwards that this machine is as it was
#   say TEXT ...               tells
#   must WHERE COMMAND         prints a command and runs it; it must work. WHERE: vps, internet, or any
#                              for which there is a function in_WHERE
#   vps COMMAND                the same on the VPS
#   must_say WORD WHERE COMMAND    its output must have the word

me=tests/${0##*/}
here=$(cd "$(dirname "$0")" && pwd)

# --- outside: make the VPS, and look afterwards that it left no trace ---

outside_state() {
	ip address | grep -v valid_lft
	ip route
	ip -6 route | sed 's/expires [0-9]*sec//'
	nft list ruleset
	cat /proc/sys/net/ipv4/ip_forward
}

# The cgroup that goes with a NEWGATE_ROOT, as state/state.c names it.
cgroup_of() {
	local root=$1 hash=2166136261 i
	for ((i = 0; i < ${#root}; i++)); do
		hash=$(((hash ^ $(printf '%d' "'${root:i:1}")) * 16777619 & 0xffffffff))
	done
	printf 'newgate-%08x' "$hash"
}

# The VPS has ended, and every process of it.
clean_up() {
	local base
	for base in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		[ ! -d "$base/$(cgroup_of "$folder")" ] ||
			find "$base/$(cgroup_of "$folder")" -depth -type d -exec rmdir {} +
	done
	rm -rf "$folder"
}

# prepare: what a demonstration needs from outside is fetched before, by a function of that name.
begin() {
	local build before began
	if [ "${1-}" = --on-the-vps ]; then
		return
	fi
	build=$(realpath "${1:-build}")
	if [ "$(id -u)" -ne 0 ]; then
		echo "$me: must be root: sudo make ${me##*/}" >&2
		exit 1
	fi
	if [ ! -x "$build/src/cmd/newgate" ]; then
		echo "$me: no newgate in $build; build it first: make" >&2
		exit 1
	fi
	began=$(date +%s)
	! declare -F prepare >/dev/null || prepare "$build"
	folder=$(mktemp -d "/var/tmp/newgate-${me##*/}.XXXXXX")
	chmod 755 "$folder"
	trap clean_up EXIT
	before=$(outside_state)
	PATH=$build/src/cmd:$PATH NEWGATE_ROOT=$folder \
		"$here/system/vps.sh" bash "$0" --on-the-vps
	clean_up
	if [ "$(outside_state)" != "$before" ]; then
		echo "$me: this machine's network is not what it was:" >&2
		diff <(printf '%s\n' "$before") <(outside_state) >&2 || :
		exit 1
	fi
	printf '\nDone in %d seconds. This machine is as it was before.\n' $(($(date +%s) - began))
	exit
}

# --- on the VPS ---

bold='' plain=''
if [ -t 1 ]; then
	bold=$'\033[1m' plain=$'\033[0m'
fi

say() {
	printf '\n%s\n' "$*" | fold -s -w 80
}

in_vps() { bash -c "$1"; }
in_internet() { ip netns exec internet bash -c "$1"; }

# Prints a command, then runs it. What must not happen ends the demonstration.
on() {
	local prompt=$1
	shift
	printf '%s%s# %s%s\n' "$bold" "$prompt" "$*" "$plain"
	"in_$prompt" "$*"
}

must() {
	if ! on "$@"; then
		echo "$me: that should have worked" >&2
		exit 1
	fi
}
vps() { must vps "$@"; }

must_say() {
	local word=$1 output
	shift
	output=$(on "$@" 2>&1) || :
	printf '%s\n' "$output"
	case ${output#*$'\n'} in
	*"$word"*) ;;
	*)
		echo "$me: expected \"$word\" there" >&2
		exit 1
		;;
	esac
}
