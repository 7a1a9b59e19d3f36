"""The network of jails, on real traffic: IPv4 and IPv6, TCP and UDP."""

import errno
import json
import socket
import struct

import pytest

from vps import checksum

OUT = {4: "198.51.100.7", 6: "2001:db8:51::7"}  # somebody on the internet
NEAR = {4: "203.0.113.1", 6: "2001:db8::1"}  # the VPS's router
VPS = {4: "203.0.113.10", 6: "2001:db8::10"}
GATEWAY = {4: "10.100.0.1", 6: "fd00:64::1"}
A = {4: "10.100.0.2", 6: "fd00:64::2"}
B = {4: "10.100.0.3", 6: "fd00:64::3"}
C = {4: "10.100.0.4", 6: "fd00:64::4"}

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    ifconfig_lo100_ipv6="inet6 fd00:64::1 prefixlen 64"
"""

families = pytest.mark.parametrize("v", [4, 6])
protocols = pytest.mark.parametrize("proto", ["tcp", "udp"])


def jail(name, addresses, more=""):
    return f"""
{name} {{
    interface = "lo100";
    ip4.addr = "{addresses[4]}"; ip6.addr = "{addresses[6]}";
    {more}
}}
"""


def configure(vps, a="", b="", c=""):
    vps.configure(jail("a", A, a) + jail("b", B, b) + jail("c", C, c), RC)


def refusal(v, proto):
    """What a program in a jail hears when the filter says no."""
    if proto == "tcp":
        return errno.ECONNREFUSED
    return errno.EHOSTUNREACH if v == 4 else errno.EACCES


def elements(vps, name):
    got = vps.json("nft", "-j", "list", "set" if name in SETS else "map", "inet", "newgate", name)
    for item in got["nftables"]:
        for kind in ("set", "map"):
            if kind in item:
                return item[kind].get("elem", [])
    raise AssertionError(f"no {name}")


SETS = {"listed4", "spans4", "host4"}


# --- addresses and the way out ---


@families
@protocols
def test_leaves_with_the_vps_address(vps, v, proto):
    configure(vps)
    a = vps.start("a")
    server = vps.listen("internet", proto, OUT[v], 8080)
    assert vps.seen(a, proto, OUT[v], 8080, server) == VPS[v]


@families
def test_ping_goes_out(vps, v):
    configure(vps)
    a = vps.start("a")
    assert vps.ping(a, OUT[v]) == (0 if v == 4 else 129)


def test_interface_and_network_of_rc_conf(vps):
    configure(vps)
    a = vps.start("a")
    link = vps.json("ip", "-j", "address", "show", "dev", "lo100")[0]
    have = {(x["local"], x["prefixlen"]) for x in link["addr_info"]}
    assert {("10.100.0.1", 24), ("fd00:64::1", 64)} <= have
    assert a.addresses(4) == [A[4]] and a.addresses(6) == [A[6]]
    routes = vps.json("ip", "-j", "route", "show", "default", where=a)
    assert routes[0]["gateway"] == GATEWAY[4]


def test_pair_is_routed_not_bridged(vps):
    configure(vps)
    a = vps.start("a")
    links = vps.links()
    (pair,) = [link for name, link in links.items() if name.startswith("ng")]
    assert "master" not in pair and "NOARP" in pair["flags"]
    assert pair["ifalias"] == "a"
    # Nothing is resolved on the pair, so there is nobody to impersonate.
    server = vps.listen("internet", "tcp", OUT[4], 80)
    vps.seen(a, "tcp", OUT[4], 80, server)
    neighbours = vps.json("ip", "-j", "neigh", "show", "dev", pair["ifname"])
    assert [n for n in neighbours if n["state"] != ["NOARP"]] == []


def test_without_interface_a_free_network_is_chosen(vps):
    # What a provider or a VPN has taken is not chosen.
    vps.run("ip", "route", "add", "unreachable", "10.0.0.0/8")
    vps.configure("""
        a { ip4.addr = auto; ip6.addr = auto; }
        b { ip4.addr = auto; }
        """)
    a, b = vps.start("a", "b")
    link = vps.json("ip", "-j", "address", "show", "dev", "newgate0")[0]
    nets = {x["local"]: x["prefixlen"] for x in link["addr_info"]}
    assert not any(local.startswith("10.") for local in nets)
    assert all(x["scope"] == "global" for x in link["addr_info"])
    for v in (4, 6):
        server = vps.listen("internet", "tcp", OUT[v], 80)
        assert vps.seen(a, "tcp", OUT[v], 80, server) == VPS[v]
    assert a.addresses(4) != b.addresses(4)


def test_auto_is_the_same_at_every_start(vps):
    vps.configure("""
        a { ip4.addr = auto; ip6.addr = auto; }
        b { ip4.addr = auto; ip6.addr = auto; }
        """, RC)
    a, b = vps.start("a", "b")
    had = [j.addresses(v) for j in (a, b) for v in (4, 6)]
    assert had[0][0].startswith("10.100.0.") and had[1][0].startswith("fd00:64::")
    vps.run("jail", "-r", "a")
    vps.run("jail", "-r", "b")
    b, a = vps.start("b", "a")
    assert [j.addresses(v) for j in (a, b) for v in (4, 6)] == had


def test_lease_is_no_configured_address(vps):
    vps.configure("""
        a { ip4.addr = auto; }
        b { ip4.addr = 10.100.0.2; }
        """, RC)
    a, b = vps.start("a", "b")
    assert b.addresses() == ["10.100.0.2"]
    assert a.addresses() not in ([], ["10.100.0.2"], ["10.100.0.1"])


def test_interface_that_only_the_jail_names(vps):
    vps.configure('a { interface = "lo1"; ip4.addr = "172.20.1.5"; }')
    a = vps.start("a")
    link = vps.json("ip", "-j", "address", "show", "dev", "lo1")[0]
    assert [(x["local"], x["prefixlen"]) for x in link["addr_info"]] == [("172.20.1.1", 24)]
    server = vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.seen(a, "tcp", OUT[4], 80, server) == VPS[4]


@families
def test_nat_source(vps, v):
    second = {4: "203.0.113.11", 6: "2001:db8::11"}[v]
    vps.run("ip", "address", "add", f"{second}/{24 if v == 4 else 64}", "dev", "eth0",
            *(["nodad"] if v == 6 else []))
    configure(vps, a=f'nat.source = "{second}";')
    a = vps.start("a")
    server = vps.listen("internet", "tcp", OUT[v], 80)
    assert vps.seen(a, "tcp", OUT[v], 80, server) == second


def test_nat_source_must_be_the_hosts(vps):
    configure(vps, a="nat.source = 203.0.113.99;")
    got = vps.run("jail", "-c", "a", status=1)
    assert "nat.source" in got.stderr and "not an address of this host" in got.stderr


@families
def test_address_of_the_outside_network_is_not_translated(vps, v):
    own = {4: "203.0.113.9", 6: "2001:db8::9"}[v]
    vps.configure(f'a {{ ip{v}.addr = "eth0|{own}"; rdr = "tcp 80"; }}')
    a = vps.start("a")
    server = vps.listen("internet", "tcp", NEAR[v], 8080)
    assert vps.seen(a, "tcp", NEAR[v], 8080, server) == own
    inside = vps.listen(a, "tcp", own, 80)
    assert vps.seen("internet", "tcp", own, 80, inside) == NEAR[v]
    # What rdr does not open stays closed.
    closed = vps.listen(a, "tcp", own, 81)
    assert vps.dropped("internet", "tcp", own, 81, closed,
                       lambda: vps.seen("internet", "tcp", own, 80, inside))


# --- the way in ---


@families
@protocols
def test_rdr_keeps_the_clients_address(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 443 -> 8443";')
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 8443)
    assert vps.seen("internet", proto, VPS[v], 443, server, OUT[v]) == OUT[v]


@families
@protocols
def test_rdr_from_the_host_to_its_own_address(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 443 -> 8443";')
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 8443)
    assert vps.seen("vps", proto, VPS[v], 443, server) == VPS[v]


@families
@protocols
def test_rdr_from_another_jail(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 443 -> 8443";')
    a, b = vps.start("a", "b")
    server = vps.listen(b, proto, B[v], 8443)
    assert vps.seen(a, proto, VPS[v], 443, server) == A[v]


@families
@protocols
def test_rdr_from_the_jail_itself(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 443 -> 8443";')
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 8443)
    assert vps.seen(b, proto, VPS[v], 443, server) == GATEWAY[v]


@families
@protocols
def test_rdr_needs_the_permission_for_the_internet(vps, v, proto):
    configure(vps, a=f'allow.connect = "internet {proto} 80";', b=f'rdr = "{proto} 80", "{proto} 443";')
    a, b = vps.start("a", "b")
    server = vps.listen(b, proto, B[v], 80)
    vps.listen(b, proto, B[v], 443)
    assert vps.seen(a, proto, VPS[v], 80, server) == A[v]
    assert vps.refused(a, proto, VPS[v], 443) == refusal(v, proto)


@families
def test_mail_to_the_public_address_is_mail(vps, v):
    # Judged by the port that was asked for, not by where the redirect leads.
    configure(vps, b='rdr = "tcp 25 -> 2525";', c='allow.connect = "internet tcp 25";')
    a, b, c = vps.start("a", "b", "c")
    server = vps.listen(b, "tcp", B[v], 2525)
    assert vps.refused(a, "tcp", VPS[v], 25) == errno.ECONNREFUSED
    assert vps.seen(c, "tcp", VPS[v], 25, server) == C[v]
    assert vps.seen("internet", "tcp", VPS[v], 25, server, OUT[v]) == OUT[v]


@families
@protocols
def test_rdr_from_some_clients_alone(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 22 -> 2222 from 198.51.100.0/24,2001:db8:51::/48";')
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 2222)
    assert vps.seen("internet", proto, VPS[v], 22, server, OUT[v]) == OUT[v]
    # The router is somebody else: it meets the host, where nobody listens.
    assert vps.refused("internet", proto, VPS[v], 22) == errno.ECONNREFUSED


def test_rdr_of_a_range(vps):
    configure(vps, b='rdr = "tcp 8000-8003 -> 9000-9003";')
    b = vps.start("b")
    for i in range(4):
        server = vps.listen(b, "tcp", B[4], 9000 + i)
        assert vps.seen("internet", "tcp", VPS[4], 8000 + i, server, OUT[4]) == OUT[4]
    assert vps.refused("internet", "tcp", VPS[4], 8004) == errno.ECONNREFUSED


def test_port_of_another_jail(vps):
    configure(vps, a='rdr = "tcp 80";')
    a = vps.start("a")
    # Since then a's block has changed; what runs counts.
    configure(vps, b='rdr = "udp 53", "tcp 80 -> 8080";')
    got = vps.run("jail", "-c", "b", status=1)
    assert 'jail "a" has that already' in got.stderr
    # One transaction: of b, nothing is there; of a, all is.
    assert len(elements(vps, "rdr4")) == 1
    server = vps.listen(a, "tcp", A[4], 80)
    assert vps.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]


@protocols
def test_port_of_the_host_itself(vps, proto):
    # An administrator's session must not be redirected away.
    configure(vps, b=f'rdr = "{proto} 22";')
    server = vps.listen("vps", proto, "0.0.0.0", 22)
    got = vps.run("jail", "-c", "b", status=1)
    assert "listens on" in got.stderr and "rdr" in got.stderr
    assert vps.seen("internet", proto, VPS[4], 22, server, OUT[4]) == OUT[4]
    server.close()
    # One for the host alone is in nobody's way.
    vps.listen("vps", proto, "127.0.0.1", 22)
    b = vps.start("b")
    inside = vps.listen(b, proto, B[4], 22)
    assert vps.seen("internet", proto, VPS[4], 22, inside, OUT[4]) == OUT[4]


@families
@protocols
def test_redirect_to_loopback_and_gateway_is_not_followed(vps, v, proto):
    configure(vps, b=f'rdr = "{proto} 80";')
    vps.start("b")
    local = {4: "127.0.0.1", 6: "::1"}[v]
    for address in (local, GATEWAY[v]):
        server = vps.listen("vps", proto, address, 80)
        assert vps.seen("vps", proto, address, 80, server) == address


@families
@protocols
def test_outside_cannot_route_to_a_jail(vps, v, proto):
    net = {4: "10.100.0.0/24", 6: "fd00:64::/64"}[v]
    vps.run_in("internet", "ip", "route", "add", net, "via", VPS[v])
    configure(vps, b=f'rdr = "{proto} 443 -> 8443";')
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 81)
    open_ = vps.listen(b, proto, B[v], 8443)
    # Not even to the port that a redirect leads to.
    for port, listener in ((81, server), (8443, open_)):
        assert vps.dropped("internet", proto, B[v], port, listener,
                           lambda: vps.seen("internet", proto, VPS[v], 443, open_, OUT[v]))


# --- between jails, and to the host ---


@families
@protocols
def test_jails_do_not_reach_each_other(vps, v, proto):
    configure(vps)
    a, b = vps.start("a", "b")
    vps.listen(b, proto, B[v], 80)
    assert vps.refused(a, proto, B[v], 80) == refusal(v, proto)


@families
@protocols
def test_allow_connect_to_a_jail(vps, v, proto):
    configure(vps, a=f'allow.connect = "b {proto} 24 143";')
    a, b, c = vps.start("a", "b", "c")
    server = vps.listen(b, proto, B[v], 143)
    vps.listen(b, proto, B[v], 80)
    assert vps.seen(a, proto, B[v], 143, server) == A[v]
    assert vps.refused(a, proto, B[v], 80) == refusal(v, proto)
    # Nobody else, and not the other way round.
    assert vps.refused(c, proto, B[v], 143) == refusal(v, proto)
    vps.listen(a, proto, A[v], 143)
    assert vps.refused(b, proto, A[v], 143) == refusal(v, proto)


@families
@protocols
def test_allow_connect_to_a_range_of_ports(vps, v, proto):
    configure(vps, a=f'allow.connect = "b {proto} 6000-6010", "internet {proto} 7000-7010", '
                     f'"host {proto} 8000-8010";')
    a, b = vps.start("a", "b")
    for where, address, port in ((b, B[v], 6005), ("internet", OUT[v], 7010), ("vps", GATEWAY[v], 8000)):
        server = vps.listen(where, proto, address, port)
        vps.seen(a, proto, address, port, server)
        vps.listen(where, proto, address, port + 11)
        assert vps.refused(a, proto, address, port + 11) == refusal(v, proto)


@families
def test_allow_connect_to_all_of_a_jail(vps, v):
    configure(vps, a='allow.connect = "b";')
    a, b = vps.start("a", "b")
    for proto in ("tcp", "udp"):
        server = vps.listen(b, proto, B[v], 1234)
        assert vps.seen(a, proto, B[v], 1234, server) == A[v]
    assert vps.ping(a, B[v]) == (0 if v == 4 else 129)


@families
@protocols
def test_allow_connect_to_a_network(vps, v, proto):
    net = {4: "198.51.100.0/24", 6: "2001:db8:51::/48"}[v]
    configure(vps, a=f'allow.connect = "{net} {proto} 80";')
    a = vps.start("a")
    server = vps.listen("internet", proto, OUT[v], 80)
    assert vps.seen(a, proto, OUT[v], 80, server) == VPS[v]
    vps.listen("internet", proto, NEAR[v], 80)
    assert vps.refused(a, proto, NEAR[v], 80) == refusal(v, proto)


@families
@protocols
def test_a_list_closes_the_internet(vps, v, proto):
    configure(vps, a='allow.connect = "b tcp 80";')
    a = vps.start("a")
    vps.listen("internet", proto, OUT[v], 80)
    assert vps.refused(a, proto, OUT[v], 80) == refusal(v, proto)


def test_unknown_peer(vps):
    configure(vps, a='allow.connect = "dovecat tcp 24";')
    got = vps.run("jail", "-c", "a", status=1)
    assert "dovecat" in got.stderr


@families
@protocols
def test_host_is_closed(vps, v, proto):
    configure(vps)
    a = vps.start("a")
    for address in (VPS[v], GATEWAY[v]):
        vps.listen("vps", proto, address, 53)
        assert vps.refused(a, proto, address, 53) == refusal(v, proto)


@families
@protocols
def test_allow_connect_to_the_host(vps, v, proto):
    configure(vps, a=f'allow.connect = "host {proto} 53", "internet";', b='allow.connect = "host";')
    a, b = vps.start("a", "b")
    server = vps.listen("vps", proto, GATEWAY[v], 53)
    assert vps.seen(a, proto, GATEWAY[v], 53, server) == A[v]
    vps.listen("vps", proto, GATEWAY[v], 54)
    assert vps.refused(a, proto, GATEWAY[v], 54) == refusal(v, proto)
    server = vps.listen("vps", proto, VPS[v], 55)
    assert vps.seen(b, proto, VPS[v], 55, server) == B[v]
    assert vps.ping(b, GATEWAY[v]) == (0 if v == 4 else 129)


@families
def test_ping_of_the_host_and_of_jails_is_refused(vps, v):
    configure(vps)
    a, _ = vps.start("a", "b")
    unreachable = 3 if v == 4 else 1
    assert vps.ping(a, GATEWAY[v]) == unreachable
    assert vps.ping(a, B[v]) == unreachable


@families
@protocols
def test_host_reaches_jails(vps, v, proto):
    configure(vps)
    b = vps.start("b")
    server = vps.listen(b, proto, B[v], 80)
    vps.seen("vps", proto, B[v], 80, server)


# --- what no jail may ---


@families
def test_metadata_service(vps, v):
    metadata = {4: "169.254.169.254", 6: "fd00:ec2::254"}[v]
    configure(vps, b=f'allow.connect = "internet", "{metadata} tcp 80";')
    a, b = vps.start("a", "b")
    server = vps.listen("internet", "tcp", metadata, 80)
    assert vps.refused(a, "tcp", metadata, 80) == errno.ECONNREFUSED
    assert vps.ping(a, metadata) == (3 if v == 4 else 1)
    vps.seen(b, "tcp", metadata, 80, server)
    # Others, and the same by way of a translator. Nobody is there, but the answer is the host's.
    for other in {4: ("169.254.170.2", "100.100.100.200"), 6: ("64:ff9b::a9fe:a9fe", "fd00:c1::a9fe:a9fe")}[v]:
        assert vps.refused(a, "tcp", other, 80) == errno.ECONNREFUSED
    # Some clouds serve names there.
    names = vps.listen("internet", "udp", metadata, 53)
    vps.seen(a, "udp", metadata, 53, names)


@families
def test_outgoing_mail(vps, v):
    configure(vps, b='allow.connect = "internet", "internet tcp 25";', c='allow.connect = "internet";')
    a, b, c = vps.start("a", "b", "c")
    server = vps.listen("internet", "tcp", OUT[v], 25)
    assert vps.refused(a, "tcp", OUT[v], 25) == errno.ECONNREFUSED
    assert vps.refused(c, "tcp", OUT[v], 25) == errno.ECONNREFUSED
    assert vps.seen(b, "tcp", OUT[v], 25, server) == VPS[v]


def udp4(source, destination, text):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(text), 1, 0, 64, 17, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
    return head + struct.pack("!HHHH", 1000, 99, 8 + len(text), 0) + text


def udp6(source, destination, text):
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    udp = struct.pack("!HHHH", 1000, 99, 8 + len(text), 0) + text
    total = checksum(addresses + struct.pack("!II", len(udp), 17) + udp)
    udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + addresses + udp


SPOOFED = [B[4], GATEWAY[4], VPS[4], OUT[4], NEAR[4], "127.0.0.1", "0.0.0.0", "224.0.0.5",
           "255.255.255.255", "169.254.1.1", "10.100.0.99",
           B[6], GATEWAY[6], VPS[6], OUT[6], NEAR[6], "::1", "::", "ff02::5", "fe80::1", "fd00:64::99"]


@pytest.mark.parametrize("source", SPOOFED)
def test_a_jail_sends_from_its_own_addresses_alone(vps, source):
    v = 6 if ":" in source else 4
    everything = 'allow.connect = "internet", "host", "b";'
    configure(vps, a=everything)
    a, b = vps.start("a", "b")
    with vps.within(a):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    packet = udp4 if v == 4 else udp6
    (mac,) = [link["address"] for link in vps.json("ip", "-j", "link", "show", "dev", "eth0", where=a)]
    peer = ("eth0", 0x0800 if v == 4 else 0x86DD, 0, 0, bytes.fromhex(mac.replace(":", "")))
    for where, destination in (("internet", OUT[v]), ("vps", VPS[v]), (b, B[v])):
        server = vps.listen(where, "udp", destination, 99)
        wire.sendto(packet(source, destination, b"false"), peer)
        wire.sendto(packet(A[v], destination, b"true"), peer)
        assert server.recv(64) == b"true"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(64)
    wire.close()


# --- names ---


def test_names_of_all_jails_kept_current_in_place(vps):
    vps.configure("""
        a { ip4.addr = 10.100.0.2; host.hostname = "a.example.org"; }
        b { ip4.addr = 10.100.0.3; }
        """, RC)
    a = vps.start("a")
    got = a.run("cat", "/etc/hosts").stdout
    assert "10.100.0.2\ta.example.org a\n" in got and "127.0.0.1\tlocalhost" in got
    # b is configured, not running: it is known, so that starting it changes nothing.
    assert "10.100.0.3\tb\n" in got
    vps.configure("""
        a { ip4.addr = 10.100.0.2; host.hostname = "a.example.org"; }
        b { ip4.addr = 10.100.0.33; }
        d { ip4.addr = 10.100.0.4; }
        """)
    vps.start("d")
    got = a.run("cat", "/etc/hosts").stdout
    assert "10.100.0.4\td\n" in got
    assert "10.100.0.33\tb\n" in got and "10.100.0.3\tb\n" not in got


def test_resolver_behind_a_stub(vps):
    vps.write("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\nsearch example.org\n")
    vps.write("/run/systemd/resolve/resolv.conf", "nameserver 198.51.100.53\nsearch example.org\n")
    configure(vps)
    a = vps.start("a")
    assert a.run("cat", "/etc/resolv.conf").stdout == "nameserver 198.51.100.53\nsearch example.org\n"
    # It follows the host's.
    vps.write("/run/systemd/resolve/resolv.conf", "nameserver 198.51.100.54\n")
    vps.start("b")
    assert a.run("cat", "/etc/resolv.conf").stdout == "nameserver 198.51.100.54\n"


def test_resolver_that_nobody_knows(vps):
    for place in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/resolv.conf",
                  "/run/dnsmasq/resolv.conf", "/run/resolvconf/resolv.conf"):
        vps.write(place, "nameserver 127.0.0.1\n")
    configure(vps)
    got = vps.run("jail", "-c", "a")
    assert "no name server" in got.stdout and "nameserver ADDRESS" in got.stdout


# --- sizes ---


def test_mtu_of_the_outside_interface(vps):
    vps.run("ip", "link", "set", "eth0", "mtu", "1400")
    configure(vps)
    a = vps.start("a")
    assert vps.json("ip", "-j", "link", "show", "dev", "eth0", where=a)[0]["mtu"] == 1400


@families
def test_segments_are_clamped_to_the_path(vps, v):
    configure(vps, b='rdr = "tcp 80";')
    a, b = vps.start("a", "b")
    vps.run("ip", "route", "add", OUT[v], "via", NEAR[v], "mtu", "1300")
    headers = 40 if v == 4 else 60
    # Out: what the far server may send is what fits the path.
    server = vps.listen("internet", "tcp", OUT[v], 80)
    client = vps.connect(a, "tcp", OUT[v], 80)
    conn = vps.accept(server)
    assert conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1300 - headers
    # In: and what the jail answers in its SYN too.
    inside = vps.listen(b, "tcp", B[v], 80)
    far = vps.connect("internet", "tcp", VPS[v], 80, OUT[v])
    assert far.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1300 - headers


# --- connections end with their permission ---


def flows(vps):
    return vps.run("conntrack", "-L").stdout + vps.run("conntrack", "-L", "-f", "ipv6").stdout


@families
def test_a_removed_redirect_ends_its_connections(vps, v):
    configure(vps, b='rdr = "tcp 80", "tcp 81";')
    b = vps.start("b")
    kept_server = vps.listen(b, "tcp", B[v], 81)
    kept = vps.connect("internet", "tcp", VPS[v], 81, OUT[v])
    kept_conn = vps.accept(kept_server)
    server = vps.listen(b, "tcp", B[v], 80)
    client = vps.connect("internet", "tcp", VPS[v], 80, OUT[v])
    conn = vps.accept(server)
    client.sendall(b"before")
    assert conn.recv(64) == b"before"
    configure(vps, b='rdr = "tcp 81";')
    vps.run("jail", "-m", "b")
    # Now the host itself is asked, which knows of no such connection.
    client.sendall(b"after")
    with pytest.raises(ConnectionResetError):
        client.recv(64)
    conn.setblocking(False)
    with pytest.raises(BlockingIOError):
        conn.recv(64)
    kept.sendall(b"still there")
    assert kept_conn.recv(64) == b"still there"


@families
def test_a_removed_permission_ends_its_connections(vps, v):
    configure(vps, a='allow.connect = "b tcp 80", "b tcp 81";')
    a, b = vps.start("a", "b")
    server, kept_server = vps.listen(b, "tcp", B[v], 80), vps.listen(b, "tcp", B[v], 81)
    client, kept = vps.connect(a, "tcp", B[v], 80), vps.connect(a, "tcp", B[v], 81)
    conn, kept_conn = vps.accept(server), vps.accept(kept_server)
    configure(vps, a='allow.connect = "b tcp 81";')
    vps.run("jail", "-m", "a")
    client.sendall(b"after")
    with pytest.raises(OSError):
        client.recv(64)
    kept.sendall(b"still there")
    assert kept_conn.recv(64) == b"still there"
    conn.setblocking(False)
    with pytest.raises(BlockingIOError):
        conn.recv(64)


@families
def test_datagrams_follow_a_jail_to_its_new_address(vps, v):
    configure(vps, b='rdr = "udp 53";')
    b = vps.start("b")
    server = vps.listen(b, "udp", B[v], 53)
    client = vps.connect("internet", "udp", VPS[v], 53, OUT[v])
    client.send(b"one")
    assert server.recv(64) == b"one"
    server.close()
    vps.run("jail", "-r", "b")
    assert B[v] not in flows(vps)
    vps.configure(jail("b", C, 'rdr = "udp 53";'), RC)
    b = vps.start("b")
    server = vps.listen(b, "udp", C[v], 53)
    client.send(b"two")
    assert server.recv(64) == b"two"


# --- addresses that are somebody's ---


@pytest.mark.parametrize("address", ["203.0.113.10", "10.100.0.1"])
def test_the_hosts_own_addresses_are_refused(vps, address):
    vps.configure(f'a {{ ip4.addr = "{address}"; }}', RC)
    got = vps.run("jail", "-c", "a", status=1)
    assert address in got.stderr and "host" in got.stderr
    assert address in vps.run("ip", "address").stdout or address == "10.100.0.1"


def test_an_address_twice_is_refused(vps):
    vps.configure("""
        a { ip4.addr = 10.100.0.2; }
        b { ip4.addr = 10.100.0.2; }
        """, RC)
    a = vps.start("a")
    got = vps.run("jail", "-c", "b", status=1)
    assert "10.100.0.2" in got.stderr and '"a"' in got.stderr
    server = vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.seen(a, "tcp", OUT[4], 80, server) == VPS[4]


def test_the_host_keeps_its_address_when_jails_go(vps):
    before = vps.run("ip", "-j", "address", "show", "dev", "eth0").stdout
    configure(vps, a='rdr = "tcp 80";')
    vps.start("a")
    vps.run("jail", "-r", "a")
    assert vps.run("ip", "-j", "address", "show", "dev", "eth0").stdout == before


# --- the table ---

FOREIGN = """
table inet filter {
    set banned { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 } }
    chain input { type filter hook input priority 0; policy accept;
        tcp dport 22 counter packets 0 bytes 0 accept
    }
}
table ip nat {
    chain post { type nat hook postrouting priority 100; policy accept; }
}
table ip newgate {
    chain mine { }
}
"""


def others(vps):
    """The ruleset without our table, as nft prints it."""
    tables = vps.run("nft", "list", "tables").stdout.splitlines()
    return "".join(vps.run("nft", "list", *t.split()).stdout for t in tables
                   if t != "table inet newgate")


def test_other_tables_stay_as_they_are(vps):
    vps.run("nft", "-f", "-", input=FOREIGN)
    before = others(vps)
    configure(vps, a='rdr = "tcp 80";', b='allow.connect = "a tcp 80";')
    vps.start("a", "b")
    assert vps.run("nft", "list", "tables").stdout.splitlines().count("table inet newgate") == 1
    assert others(vps) == before
    configure(vps, a='rdr = "tcp 81";')
    vps.run("jail", "-m", "a")
    assert others(vps) == before
    vps.run("jail", "-r", "a")
    vps.run("jail", "-r", "b")
    assert others(vps) == before


def chains(vps):
    got = vps.json("nft", "-j", "list", "table", "inet", "newgate")["nftables"]
    return [{k: v for k, v in item["rule"].items() if k != "handle"} for item in got if "rule" in item]


def test_rules_do_not_grow_with_jails(vps):
    configure(vps, b='rdr = "tcp 80", "tcp 81 from 198.51.100.0/24"; allow.connect = "a tcp 1-9", "host";')
    vps.start("a")
    one = chains(vps)
    vps.start("b", "c")
    assert chains(vps) == one
    # a and c, with the defaults, need no element; b's are gone with it.
    vps.run("jail", "-r", "b")
    for name in ("rdr4", "rdrfrom4", "self4", "listed4", "spans4"):
        assert elements(vps, name) == []


@pytest.mark.parametrize("how", [["flush", "ruleset"], ["delete", "table", "inet", "newgate"]])
def test_a_table_that_vanished_is_made_again(vps, how):
    configure(vps, a='rdr = "tcp 80", "tcp 81 from 198.51.100.0/24";', b='allow.connect = "a tcp 80";')
    a, b = vps.start("a", "b")
    vps.run("nft", *how)
    vps.start("c")
    for v in (4, 6):
        server = vps.listen(a, "tcp", A[v], 80)
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]
        assert vps.seen(b, "tcp", A[v], 80, server) == B[v]


def test_modification_where_the_table_has_vanished(vps):
    configure(vps, a='rdr = "tcp 80";')
    a = vps.start("a")
    vps.run("nft", "delete", "table", "inet", "newgate")
    configure(vps, a='rdr = "tcp 81";')
    vps.run("jail", "-m", "a")
    server = vps.listen(a, "tcp", A[4], 81)
    assert vps.seen("internet", "tcp", VPS[4], 81, server, OUT[4]) == OUT[4]
    assert vps.refused("internet", "tcp", VPS[4], 80) == errno.ECONNREFUSED


def test_removal_where_the_table_has_vanished(vps):
    configure(vps, a='rdr = "tcp 80";')
    vps.start("a")
    vps.run("nft", "delete", "table", "inet", "newgate")
    vps.run("jail", "-r", "a")


def test_a_jail_that_ends_leaves_no_element(vps):
    configure(vps, a='rdr = "tcp 80"; allow.connect = "internet", "b tcp 1-9", "host", "10.8.0.0/16";')
    vps.start("a", "b")
    vps.run("jail", "-r", "a")
    got = vps.json("nft", "-j", "list", "table", "inet", "newgate")["nftables"]
    left = {x[kind]["name"]: x[kind]["elem"] for x in got for kind in ("set", "map")
            if kind in x and "elem" in x[kind]}
    assert set(left) == {"ranges4", "ranges6"}
    vps.wait_links_gone(r"ng1$")


def test_a_killed_jail_gives_up_port_and_address(vps):
    configure(vps, a='rdr = "tcp 80";')
    a = vps.start("a")
    vps.run("kill", "-9", a.pid)
    assert vps.ends(a.pid)
    vps.configure(jail("b", A, 'rdr = "tcp 80 -> 8080";'))
    b = vps.start("b")
    for v in (4, 6):
        server = vps.listen(b, "tcp", A[v], 8080)
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]
        server.close()
    # What a left is cleared up later, and takes nothing of b's with it.
    vps.run("jail", "-c", "*", status=None)
    vps.run("jail", "-R", "a", status=None)
    assert not (vps.root / "run/newgate/jails/a").exists()
    for v in (4, 6):
        server = vps.listen(b, "tcp", A[v], 8080)
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]
    assert len(elements(vps, "rdr4")) == 1


def test_a_restarted_jail_is_reached_again(vps):
    configure(vps, a='rdr = "tcp 80";')
    vps.start("a")
    vps.run("jail", "-rc", "a")
    a = vps.jail("a")
    for v in (4, 6):
        server = vps.listen(a, "tcp", A[v], 80)
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]


def test_a_failed_start_leaves_nothing(vps):
    configure(vps, a='rdr = "tcp 80"; allow.connect = "host"; exec.start = "false";')
    vps.run("jail", "-c", "a", status=1)
    for name in ("rdr4", "self4", "listed4", "host4"):
        assert elements(vps, name) == []
    vps.wait_links_gone()


# --- the host's own affairs ---


def with_lan(vps):
    """A neighbour network behind the VPS that is none of newgate's business."""
    vps.run("ip", "netns", "add", "lan")
    vps.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", "lan")
    for address in ("192.0.2.1/24", "2001:db8:99::1/64"):
        vps.run("ip", "address", "add", address, "dev", "eth1", *(["nodad"] if ":" in address else []))
        theirs = address.replace("1/", "2/")
        vps.run("ip", "-n", "lan", "address", "add", theirs, "dev", "eth0",
                *(["nodad"] if ":" in theirs else []))
    for knob in ("accept_dad",):
        vps.run("sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/eth1/{knob}")
    vps.run("ip", "link", "set", "eth1", "up")
    vps.run("ip", "-n", "lan", "link", "set", "eth0", "up")
    vps.run("ip", "-n", "lan", "route", "add", "default", "via", "192.0.2.1")
    vps.run("ip", "-6", "-n", "lan", "route", "add", "default", "via", "2001:db8:99::1")
    vps.run_in("internet", "ip", "route", "add", "192.0.2.0/24", "via", VPS[4])
    vps.run_in("internet", "ip", "route", "add", "2001:db8:99::/64", "via", VPS[6])

    class Lan:
        netns = vps.proc.parent / "run" / "netns" / "lan"
    return Lan()


LAN = {4: "192.0.2.2", 6: "2001:db8:99::2"}


@families
def test_forwarding_that_newgate_switched_on_is_for_jails_alone(vps, v):
    lan = with_lan(vps)
    configure(vps, b='rdr = "udp 80";')
    b = vps.start("b")
    server = vps.listen("internet", "udp", OUT[v], 80)
    inside = vps.listen(b, "udp", B[v], 80)
    # The host's own redirect is reached by the neighbour; the internet behind the host is not.
    assert vps.dropped(lan, "udp", OUT[v], 80, server,
                       lambda: vps.seen(lan, "udp", VPS[v], 80, inside))


@families
def test_forwarding_that_was_on_stays_as_it_was(vps, v):
    lan = with_lan(vps)
    vps.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    configure(vps)
    vps.start("a")
    server = vps.listen("internet", "udp", OUT[v], 80)
    assert vps.seen(lan, "udp", OUT[v], 80, server) == LAN[v]


def test_gateway_enable_wants_forwarding_for_all(vps):
    lan = with_lan(vps)
    vps.configure(jail("a", A), 'gateway_enable="YES"\n' + "\n".join(x.strip() for x in RC.splitlines()))
    vps.start("a")
    server = vps.listen("internet", "udp", OUT[4], 80)
    assert vps.seen(lan, "udp", OUT[4], 80, server) == LAN[4]


@families
@protocols
def test_the_hosts_own_traffic_is_untouched(vps, v, proto):
    configure(vps, b='rdr = "tcp 80";')
    vps.start("a", "b")
    server = vps.listen("vps", proto, VPS[v], 22)
    assert vps.seen("internet", proto, VPS[v], 22, server, OUT[v]) == OUT[v]
    server = vps.listen("internet", proto, OUT[v], 25)
    assert vps.seen("vps", proto, OUT[v], 25, server) == VPS[v]


def test_routes_learnt_from_advertisements_survive_forwarding(vps):
    vps.run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "eth0", "proto", "ra",
            "metric", "2048")
    configure(vps)
    vps.start("a")
    assert vps.run("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra").stdout == "2\n"
    assert vps.run("cat", "/proc/sys/net/ipv6/conf/lo/accept_ra").stdout == "1\n"


def test_a_jail_without_addresses_has_no_link(vps):
    vps.configure("a { }")
    a = vps.start("a")
    assert set(vps.links(a)) == {"lo"}
    assert vps.json("ip", "-j", "link", "show", "dev", "lo", where=a)[0]["flags"].count("UP") == 1


def test_vnet_interface_moves_in_and_comes_back(vps):
    vps.run("ip", "link", "add", "ve0", "type", "veth", "peer", "name", "ve1")
    vps.configure('a { vnet; vnet.interface = "ve1"; }')
    a = vps.start("a")
    assert "ve1" in vps.links(a) and "ve1" not in vps.links()
    vps.run("jail", "-r", "a")
    assert "ve1" in vps.links()


def test_vnet_interface_that_is_not_there(vps):
    vps.configure('a { vnet; vnet.interface = "epair0b"; }')
    got = vps.run("jail", "-c", "a", status=1)
    assert "epair0b" in got.stderr and "ip link add" in got.stderr


def test_inherit_is_the_hosts_network(vps):
    vps.configure("a { ip4 = inherit; }")
    a = vps.start("a")
    server = vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.seen(a, "tcp", OUT[4], 80, server) == VPS[4]
    assert "eth0" in vps.links(a) and json.dumps(vps.links(a)) == json.dumps(vps.links())
