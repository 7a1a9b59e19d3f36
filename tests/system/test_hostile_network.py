"""The root of a jail on the network: sources that are not his, frames below the internet protocol,
everything that there is of connections; sockets and keys that are not on it."""

import contextlib
import re
import socket

import pytest

from hostile import ATTACK, attack, holding, outside, start
from vps import PATIENCE

NETWORK = """
cloned_interfaces="lo100"
ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
ifconfig_lo100_alias1="inet6 fd00:100::1 prefixlen 64"
"""
ALL_THERE_IS = ["allow.raw_sockets", "allow.routing", "allow.socket_af", "vnet"]


def network_jail(vps, name, n, *settings):
    vps.write("/etc/rc.conf", NETWORK)
    return start(vps, name, 'interface = "lo100"', f"ip4.addr = 10.100.0.{n}", f'ip6.addr = "fd00:100::{n}"',
                 *settings, ip4=None)


@pytest.fixture
def jail(vps):
    return network_jail(vps, "evil", 2, *ALL_THERE_IS)


@contextlib.contextmanager
def without(vps, chain, jail):
    """One chain of the table empty, and the kernel's own look at sources off."""
    vps.run("nft", "flush", "chain", "inet", "newgate", chain)
    vps.run("sh", "-c", "for f in all default eth0 $0; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done",
            vps.record(jail.name)["link"])
    yield


def arrives(server, timeout):
    server.settimeout(timeout)
    try:
        return server.recvfrom(64)
    except TimeoutError:
        return None


SOURCES = [("10.100.0.3", "198.51.100.7"), ("203.0.113.77", "198.51.100.7"), ("10.100.0.1", "198.51.100.7"),
           ("127.0.0.1", "198.51.100.7"), ("fd00:100::3", "2001:db8:51::7"), ("2001:db8::77", "2001:db8:51::7"),
           ("fd00:100::1", "2001:db8:51::7")]


@pytest.mark.parametrize("source,there", SOURCES)
def test_only_its_own_addresses_leave(vps, jail, source, there):
    server = vps.listen("internet", "udp", there, 7777)
    own = "10.100.0.2" if "." in there else "fd00:100::2"
    # Of the two, the one that comes last is let through: then the first was not.
    assert attack(jail, "spoof", source, there, 7777).won  # it left the jail
    assert attack(jail, "spoof", own, there, 7777).won
    assert arrives(server, PATIENCE)[1][0] in ("203.0.113.10", "2001:db8::10")
    assert arrives(server, 0.2) is None
    if source in ("127.0.0.1", "10.100.0.1"):
        return  # the host's own, in IPv4: the kernel knows better by itself
    with without(vps, "guard", jail):
        assert attack(jail, "spoof", source, there, 7777).won
        assert arrives(server, PATIENCE)


@pytest.mark.parametrize("source", ["10.100.0.3", "fd00:100::3"])
def test_another_jail_is_not_deceived_about_who_speaks(vps, jail, source):
    other = network_jail(vps, "other", 4, 'allow.connect = "internet"')
    network_jail(vps, "friend", 3, 'allow.connect = "other"')
    there = "10.100.0.4" if "." in source else "fd00:100::4"
    server = vps.listen(other, "udp", there, 7777)
    friend = vps.connect(vps.jail("friend"), "udp", there, 7777)
    assert attack(jail, "spoof", source, there, 7777).won
    friend.send(b"friend")
    assert arrives(server, PATIENCE)[0] == b"friend"
    assert arrives(server, 0.2) is None
    with without(vps, "guard", jail):
        assert attack(jail, "spoof", source, there, 7777).won
        assert arrives(server, PATIENCE)[0].startswith(b"spoofed")


EVIL_MAC = "02:65:76:69:6c:00"


def foretell(vps, link):
    """Frames change what is known already."""
    for address in ("10.100.0.3", "fd00:100::3"):
        vps.run("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", link, "nud", "stale")


def deceive(jail):
    """Who is at which address, and who is the router: frames that say "I"."""
    for address in ("10.100.0.1", "10.100.0.3", "203.0.113.1"):
        assert attack(jail, "arp", address).won
    for address in ("fd00:100::3", "2001:db8::1"):
        assert attack(jail, "neighbour", "fe80::1", address).won
        assert attack(jail, "neighbour", "fd00:100::2", address).won
    assert attack(jail, "router", "fe80::1").won


def believed(vps, jail):
    """What of it the host believes. Looked at when something behind it on the same way has come."""
    watch = vps.popen("tcpdump", "-l", "-n", "-c", "1", "-i", vps.record("evil")["link"], "udp port 7777")
    assert "listening" in watch.stderr.readline() + watch.stderr.readline()
    assert attack(jail, "spoof", "10.100.0.2", "198.51.100.7", 7777).won
    watch.communicate(timeout=PATIENCE)
    told = {n["dst"]: n.get("lladdr") for v in "46" for n in vps.json("ip", f"-{v}", "-j", "neigh")}
    routes = vps.json("ip", "-6", "-j", "route", "show", "default")
    return {dst for dst, mac in told.items() if mac == EVIL_MAC}, {r.get("gateway") for r in routes}


def test_no_frame_changes_what_the_host_knows(vps, jail):
    link = vps.record("evil")["link"]
    vps.run("sh", "-c", f"echo 0 > /proc/sys/net/ipv4/neigh/{link}/locktime")
    foretell(vps, link)
    deceive(jail)
    assert believed(vps, jail) == (set(), {"2001:db8::1"})
    vps.run("ip", "link", "set", link, "arp", "on")
    vps.run("sh", "-c", f"echo 2 > /proc/sys/net/ipv6/conf/{link}/accept_ra")
    for chain in ("guard", "input"):
        vps.run("nft", "flush", "chain", "inet", "newgate", chain)
    foretell(vps, link)
    deceive(jail)
    assert believed(vps, jail) == ({"10.100.0.3", "fd00:100::3"}, {"2001:db8::1", "fe80::1"})


def test_frames_need_a_permission(vps):
    plain = network_jail(vps, "plain", 2)
    assert not attack(plain, "arp", "10.100.0.1").won
    assert not attack(plain, "spoof", "10.100.0.2", "198.51.100.7", 7777).won


def swallow(vps):
    """What comes in the internet's namespace goes nowhere: no answers."""
    vps.run_in("internet", "nft", "add table inet hole; add chain inet hole in { type filter hook input priority 0; }; "
                                  "add rule inet hole in udp dport != 7777 drop")


def tracked(vps):
    return int(vps.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count").stdout)


def test_one_jail_has_a_quarter_of_the_connections(vps):
    jail = network_jail(vps, "evil", 2)
    other = network_jail(vps, "other", 3)
    most = int(vps.run("cat", "/proc/sys/net/netfilter/nf_conntrack_max").stdout)
    if most > 1 << 20:
        pytest.skip("the host tracks so many that one jail cannot be seen to use them up")
    swallow(vps)
    vps.run("conntrack", "-F")
    assert attack(jail, "flows", "198.18.0.0", most // 4 + 20000, timeout=120).won
    assert most // 5 < tracked(vps) <= most // 4 + 100
    server = vps.listen("internet", "tcp", "198.51.100.7", 7777)
    assert vps.seen(other, "tcp", "198.51.100.7", 7777, server) == "203.0.113.10"
    vps.run("nft", "flush", "chain", "inet", "newgate", "crowd")
    assert attack(jail, "flows", "198.18.0.0", most // 4 + 20000, timeout=120).won
    assert tracked(vps) > most // 4 + 10000


def test_one_jail_does_not_use_up_the_ports_to_leave_from(vps):
    """All that leave for one port of one address share the host's ports: here, a resolver for all."""
    jail = network_jail(vps, "evil", 2)
    other = network_jail(vps, "other", 3)
    swallow(vps)
    vps.run("conntrack", "-F")
    assert attack(jail, "ports", "198.51.100.7", 53, 64500, timeout=120).won
    assert 10000 < tracked(vps) <= 16384 + 100
    server = vps.listen("internet", "udp", "198.51.100.7", 53)
    vps.run_in("internet", "nft", "flush chain inet hole in")
    for _ in range(20):
        assert vps.seen(other, "udp", "198.51.100.7", 53, server) == "203.0.113.10"
    if int(vps.run("cat", "/proc/sys/net/netfilter/nf_conntrack_max").stdout) < 1 << 18:
        return  # a quarter is less than one address may have
    server.close()
    vps.run("nft", "flush chain inet newgate crowd")
    vps.run("conntrack", "-F")
    swallow(vps)
    assert attack(jail, "ports", "198.51.100.7", 53, 64500, timeout=120).won
    assert tracked(vps) > 64000
    server = vps.listen("internet", "udp", "198.51.100.7", 53)
    vps.run_in("internet", "nft", "flush chain inet hole in")
    # Whoever comes now has hardly a port left to leave from.
    got = 0
    for _ in range(20):
        client = vps.connect(other, "udp", "198.51.100.7", 53)
        client.send(b"there")
        got += arrives(server, 0.05) is not None
    assert got < 20


def test_pieces_of_packets_take_a_bounded_room(vps):
    """What is whole passes meanwhile."""
    def room():
        return int(re.search(r"FRAG: inuse \d+ memory (\d+)", vps.run("cat", "/proc/net/sockstat").stdout).group(1))

    jail = network_jail(vps, "evil", 2, "allow.raw_sockets")
    other = network_jail(vps, "other", 3)
    most = int(vps.run("cat", "/proc/sys/net/ipv4/ipfrag_high_thresh").stdout)
    assert attack(jail, "pieces", "10.100.0.2", "198.51.100.7", 20000, timeout=60).won
    assert most // 2 < room() <= most + 65536
    for proto in ("tcp", "udp"):
        server = vps.listen("internet", proto, "198.51.100.7", 7777)
        assert vps.seen(other, proto, "198.51.100.7", 7777, server) == "203.0.113.10"
    vps.run("sh", "-c", f"echo {8 * most} > /proc/sys/net/ipv4/ipfrag_high_thresh")
    assert attack(jail, "pieces", "10.100.0.2", "198.51.100.7", 20000, timeout=60).won
    assert room() > 2 * most


def test_no_other_link_comes_back_to_the_host(vps):
    """vnet.interface: what has its name when the jail ends is moved to the host. Made by the jail, its far
    end would be the jail's way around the filter."""
    vps.run("ip", "link", "add", "lent", "type", "veth", "peer", "name", "kept")
    jail = network_jail(vps, "evil", 2, "vnet", 'vnet.interface = "lent"', "stop.timeout = 5")
    vps.run_in(jail, "ip", "link", "set", "lent", "name", "true")
    vps.run_in(jail, "ip", "link", "add", "lent", "up", "type", "veth", "peer", "name", "far")
    vps.run_in(jail, "ip", "link", "set", "far", "up")
    # At the end it looks whether the false one is still there.
    script = "trap 'ip link show lent >/tmp/end 2>&1; exit' TERM; echo ready; while :; do sleep 1000 & wait; done"
    with holding(vps.popen("jexec", "evil", "/bin/sh", "-c", script)):
        vps.run("jail", "-r", "evil", timeout=15)
    assert "lent@far" in vps.read("/var/jails/evil/tmp/end")
    # With the jail gone its far end is gone, and so is the link.
    vps.wait_links_gone("lent")
    # Moved by its name while the jail runs, it is a link to the jail.
    again = network_jail(vps, "again", 3, "vnet")
    vps.run_in(again, "ip", "link", "add", "lent", "type", "veth", "peer", "name", "far")
    vps.run_in(again, "ip", "link", "set", "lent", "netns", "vps")
    assert vps.links()["lent"]["link_index"] == vps.links(again)["far"]["ifindex"]


def test_abstract_sockets_of_the_host(vps):
    jail = start(vps, "evil")
    with vps.within("vps"):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(s):
        # The name belongs to the network namespace that the socket was made in.
        s.bind("\0newgate-canary")
        s.listen(8)
        assert not attack(jail, "abstract", "newgate-canary").won
        assert outside(vps, "abstract", "newgate-canary").won


def test_keys_of_the_host(vps):
    jail = start(vps, "evil")
    # On the session keyring of who calls jexec.
    script = f"{ATTACK} addkey newgate-canary && exec jexec evil /bin/attack key newgate-canary"
    session = [ATTACK, "session", "/bin/sh", "-ec"]
    got = vps.run(*session, script, status=10)
    assert "lost" in got.stdout
    assert "won" in vps.run(*session, f"{ATTACK} addkey newgate-canary && {ATTACK} key newgate-canary").stdout
    assert jail


def test_inherit_shares_what_it_says(vps):
    """ip4 = inherit is the host's network: abstract sockets belong to it. SECURITY.md says so."""
    jail = start(vps, "shared", ip4="inherit")
    with vps.within("vps"):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(s):
        s.bind("\0newgate-canary")
        s.listen(8)
        assert attack(jail, "abstract", "newgate-canary").won
    # Its capabilities do not count there.
    assert not attack(jail, "spoof", "203.0.113.10", "198.51.100.7", 7777).won
