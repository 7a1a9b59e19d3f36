#!/bin/bash
# The throw-away VPS: a machine with one public address and the internet around it, in namespaces of
# its own. Nothing of it is visible outside, and all of it ends with this script.
#
#   vps.sh                  says "ready", then waits for the end of its standard input
#   vps.sh COMMAND [ARG …]  runs the command on the VPS
#
# What is there, seen from the VPS:
#
#   eth0      203.0.113.10/24, 2001:db8::10/64; the router is 203.0.113.1, 2001:db8::1
#   internet  a named network namespace (ip netns exec internet …) behind eth0, with more addresses:
#             198.51.100.7, 2001:db8:51::7   somebody out there
#             169.254.169.254, fd00:ec2::254 the cloud's metadata service
#   /run      a tmpfs of its own
#   /etc/resolv.conf  names 203.0.113.53, where nobody is
#
# Forwarding is off, as on a fresh VPS.
set -eu

if [ "${NG_VPS:-}" != inside ]; then
	exec env NG_VPS=inside unshare --mount --net --uts --ipc --pid --fork --kill-child \
		--mount-proc --propagation private bash "$0" "$@"
fi
unset NG_VPS

# Whatever happens, never touch a network that somebody uses.
if [ -n "$(ip -o link show up)" ]; then
	echo "vps.sh: this network namespace is in use" >&2
	exit 1
fi

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
# A name server of its own. This machine's may have none, and its file is not to be written here.
resolv=$(readlink -m /etc/resolv.conf)
case $resolv in
/run/*) mkdir -p "${resolv%/*}" && : >"$resolv" ;;
esac
echo nameserver 203.0.113.53 >/run/vps.resolv.conf
mount --bind /run/vps.resolv.conf "$resolv"
rm /run/vps.resolv.conf
hostname vps

ip netns attach vps $$
ip netns add internet
in_internet() { ip -n internet "$@"; }

ip link add eth0 type veth peer name wan netns internet
# Duplicate address detection would only take time.
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
ip netns exec internet sh -c 'echo 0 >/proc/sys/net/ipv6/conf/wan/accept_dad'
ip link set lo up
ip link set eth0 up
in_internet link set lo up
in_internet link set wan up
ip address add 203.0.113.10/24 dev eth0
ip address add 2001:db8::10/64 dev eth0 nodad
in_internet address add 203.0.113.1/24 dev wan
in_internet address add 2001:db8::1/64 dev wan nodad
for address in 198.51.100.7/32 169.254.169.254/32 2001:db8:51::7/128 fd00:ec2::254/128; do
	in_internet address add "$address" dev lo
done
ip route add default via 203.0.113.1
ip -6 route add default via 2001:db8::1

if [ $# -gt 0 ]; then
	"$@"
else
	echo ready
	# bash, as PID 1 here, reaps whatever is orphaned while it waits.
	read -r _ || :
fi
