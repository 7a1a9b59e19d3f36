"""pf.conf as the firewall, with real traffic: what pf.conf(5) says each construct means."""

import contextlib
import errno
import json
import re
import socket
import struct
import textwrap

import pytest

from terminal import Terminal

OUT = {4: "198.51.100.7", 6: "2001:db8:51::7"}  # somebody on the internet
NEAR = {4: "203.0.113.1", 6: "2001:db8::1"}  # the VPS's router
VPS = {4: "203.0.113.10", 6: "2001:db8::10"}
GATEWAY = {4: "10.100.0.1", 6: "fd00:64::1"}
A = {4: "10.100.0.2", 6: "fd00:64::2"}
B = {4: "10.100.0.3", 6: "fd00:64::3"}
ANY = {4: "", 6: "::"}

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    ifconfig_lo100_ipv6="inet6 fd00:64::1 prefixlen 64"
    pf_enable="YES"
"""
# Neighbours must find each other before anything of IPv6 can be judged.
ND = "pass quick inet6 proto icmp6 icmp6-type { neighbrsol neighbradv routersol routeradv }\n"
# As pfctl has it, a translation rule is of one family.
NAT = ("nat pass on eth0 from 10.100.0.0/24 to any -> (eth0)\n"
       "nat pass on eth0 from fd00:64::/64 to any -> (eth0)\n")

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


def pf(vps, text, jails=""):
    """Loads the text as /etc/pf.conf (and starts the jails that are configured with it)."""
    vps.write("/etc/pf.conf", textwrap.dedent(text))
    vps.configure(jails, rc=RC)
    return vps.run("newgate", "up")


def jails(vps, text, a="", b=""):
    pf(vps, text, jail("a", A, a) + jail("b", B, b))
    return vps.jail("a"), vps.jail("b")


def passes(vps, where, proto, address, port, server):
    """The address that the server sees."""
    return vps.seen(where, proto, address, port, server)


def blocked(vps, where, proto, address, port, server, other, v=4):
    """Nothing arrives; `other` = (where, address, port, server) is a way that is open."""
    def after():
        open_where, open_address, open_port, open_server = other
        vps.seen(open_where, proto, open_address, open_port, open_server)
    return vps.dropped(where, proto, address, port, server, after)


def loaded(vps):
    """What tells one load of the rules from another: the table's handle."""
    return vps.run("nft", "-a", "list", "table", "inet", "newgate").stdout.splitlines()[0]


# The article's files, as a FreeBSD user has them; em0 is eth0 here.
ARTICLE = {"rc.conf": """
cloned_interfaces="lo100"
ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
jail_enable="YES"
pf_enable="YES"
""", "pf.conf": """
intf = "eth0"                     # the VPS's outside interface
net_jail = "10.100.0.0/24"
set skip on { lo0 lo100 }
nat pass on $intf from $net_jail to any -> ($intf)
""", "jail.conf": """
exec.start = "/bin/sh /etc/rc";
exec.stop  = "/bin/sh /etc/rc.shutdown";
exec.clean;
mount.devfs;
path = "/var/jails/$name";
nattest {
    host.hostname = "nattest.example.org";
    interface = "lo100";
    ip4.addr = "10.100.0.2";
    allow.raw_sockets;
}
"""}


def test_walk_through(vps):
    for name, text in ARTICLE.items():
        vps.write(f"/etc/{name}", text)
    vps.run("newgate", "template", "create", "_base", "--from", "busybox")
    vps.run("newgate", "clone", "_base", "nattest")
    vps.run("jail", "-c", "nattest")
    server = vps.listen("internet", "tcp", NEAR[4], 80)
    with Terminal(vps, "jexec", "nattest", "/bin/sh") as at:
        at.expect("# ")
        at.line("ping 203.0.113.1")
        at.expect("64 bytes from 203.0.113.1")
        at.type("\x03")
        at.expect(" 0% packet loss")
        at.line("wget -O- http://203.0.113.1/")
        conn = vps.accept(server)
        assert conn.getpeername()[0] == VPS[4]
        assert conn.recv(1024).startswith(b"GET / HTTP/1.1\r\n")
        conn.sendall(b"HTTP/1.0 200 OK\r\n\r\nwelcome\n")
        conn.close()
        at.expect("welcome")
        at.line("exit")
    vps.run("jail", "-r", "nattest")


# --- the host's own traffic ---


@families
@protocols
def test_default_passes(vps, v, proto):
    pf(vps, "set skip on lo0\n")
    server = vps.listen("vps", proto, ANY[v], 7000)
    assert vps.seen("internet", proto, VPS[v], 7000, server) == NEAR[v]


@families
@protocols
def test_last_match_wins(vps, v, proto):
    pf(vps, ND + """
        block in all
        pass in proto { tcp udp } to port { 7000 7001 }
        block in proto { tcp udp } to port 7001
        """)
    one, two = (vps.listen("vps", proto, ANY[v], port) for port in (7000, 7001))
    assert vps.seen("internet", proto, VPS[v], 7000, one) == NEAR[v]
    assert blocked(vps, "internet", proto, VPS[v], 7001, two, ("internet", VPS[v], 7000, one))


@families
def test_quick_ends(vps, v):
    pf(vps, ND + """
        pass in quick proto tcp to port 7000
        block in quick proto tcp to port 7001
        pass in proto tcp to port 7001
        block in all
        """)
    one, two = (vps.listen("vps", "tcp", ANY[v], port) for port in (7000, 7001))
    assert vps.seen("internet", "tcp", VPS[v], 7000, one) == NEAR[v]
    assert blocked(vps, "internet", "tcp", VPS[v], 7001, two, ("internet", VPS[v], 7000, one))


@families
def test_state_lets_answers_back(vps, v):
    pf(vps, ND + "block all\npass out proto tcp to port 80\n")
    server = vps.listen("internet", "tcp", OUT[v], 80)
    assert vps.seen("vps", "tcp", OUT[v], 80, server) == VPS[v]


@families
def test_what_passes_without_state_has_its_answers_judged(vps, v):
    """No rule of the way out: the answer comes in without a state, and is blocked."""
    pf(vps, ND + "block in all\npass out proto tcp to port 80\n")
    server = vps.listen("internet", "udp", OUT[v], 53)
    tcp = vps.listen("internet", "tcp", OUT[v], 80)
    client = vps.connect("vps", "udp", OUT[v], 53)
    client.send(b"there")
    data, peer = server.recvfrom(64)
    server.sendto(b"back", peer)
    vps.seen("vps", "tcp", OUT[v], 80, tcp)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(64)


@families
def test_no_state(vps, v):
    pf(vps, ND + """
        block in all
        pass out quick proto udp to port 53 no state
        pass out quick proto udp to port 54 no state
        pass in quick proto udp from port 54 no state
        """)
    one, two = (vps.listen("internet", "udp", OUT[v], port) for port in (53, 54))
    assert vps.seen("vps", "udp", OUT[v], 54, two) == VPS[v]
    client = vps.connect("vps", "udp", OUT[v], 53)
    client.send(b"there")
    one.sendto(b"back", one.recvfrom(64)[1])
    vps.seen("vps", "udp", OUT[v], 54, two)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(64)


@families
@pytest.mark.parametrize("proto, code", [("tcp", errno.ECONNREFUSED), ("udp", errno.ECONNREFUSED)])
def test_block_return(vps, v, proto, code):
    pf(vps, "set block-policy return\n" + ND + "block in proto { tcp udp } to port 7000\n")
    vps.listen("vps", proto, ANY[v], 7000)
    assert vps.refused("internet", proto, VPS[v], 7000) == code


@families
@protocols
def test_block_return_of_what_leaves(vps, v, proto):
    pf(vps, "block return out proto { tcp udp } to port 7000\n")
    vps.listen("internet", proto, OUT[v], 7000)
    # Linux tells who sends a datagram at once that it may not.
    assert vps.refused("vps", proto, OUT[v], 7000) == \
        (errno.ECONNREFUSED if proto == "tcp" else errno.EPERM)


def test_answers_of_our_own_leave(vps):
    """block out all stops neither the reset nor the ICMP message that block return makes."""
    pf(vps, "block return in proto tcp to port 7000\nblock out all\n")
    vps.listen("vps", "tcp", "", 7000)
    assert vps.refused("internet", "tcp", VPS[4], 7000) == errno.ECONNREFUSED


@families
def test_set_skip(vps, v):
    pf(vps, "set skip on eth0\nblock all\n")
    server = vps.listen("vps", "tcp", ANY[v], 7000)
    assert vps.seen("internet", "tcp", VPS[v], 7000, server) == NEAR[v]


def test_loopback_is_judged_unless_skipped(vps):
    pf(vps, "block return on lo0 proto tcp to port 7000\n")
    server = vps.listen("vps", "tcp", "127.0.0.1", 7000)
    assert vps.refused("vps", "tcp", "127.0.0.1", 7000) == errno.ECONNREFUSED
    pf(vps, "set skip on lo0\nblock return on lo0 proto tcp to port 7000\n")
    assert vps.seen("vps", "tcp", "127.0.0.1", 7000, server) == "127.0.0.1"


@families
def test_table(vps, v):
    pf(vps, ND + f"""
        table <bad> {{ 198.51.100.0/24 !198.51.100.7 203.0.113.1 2001:db8::/32 !{OUT[6]} }}
        block in quick proto tcp from <bad>
        """)
    one = vps.listen("vps", "tcp", ANY[v], 7000)
    client = vps.connect("internet", "tcp", VPS[v], 7000, source=OUT[v])
    conn = vps.accept(one)
    assert conn.getpeername()[0] == OUT[v]
    client.close()
    two = vps.listen("vps", "tcp", ANY[v], 7001)
    again = vps.socket("internet", "tcp", VPS[v])
    again.setblocking(False)
    assert again.connect_ex((VPS[v], 7001)) == errno.EINPROGRESS  # from the router's address
    vps.connect("internet", "tcp", VPS[v], 7000, source=OUT[v])
    two.setblocking(False)
    with pytest.raises(BlockingIOError):
        two.accept()


def test_icmp_types(vps):
    pf(vps, "block in all\npass in inet proto icmp icmp-type echoreq\n")
    assert vps.ping("internet", VPS[4]) == 0


@families
def test_probability_of_all_and_labels(vps, v):
    pf(vps, ND + 'block in all\npass in proto tcp to port 7000 probability 100% label "all"\n')
    server = vps.listen("vps", "tcp", ANY[v], 7000)
    assert vps.seen("internet", "tcp", VPS[v], 7000, server) == NEAR[v]


def test_anchor(vps):
    pf(vps, """
        block in proto tcp
        anchor "web" in on eth0 {
            pass quick proto tcp to port 7000
            pass proto tcp to port 7001
            pass proto tcp to port 7002
        }
        block in proto tcp to port { 7000 7001 }
        """)
    one, two, three = (vps.listen("vps", "tcp", "", port) for port in (7000, 7001, 7002))
    vps.seen("internet", "tcp", VPS[4], 7000, one)
    vps.seen("internet", "tcp", VPS[4], 7002, three)
    assert blocked(vps, "internet", "tcp", VPS[4], 7001, two, ("internet", VPS[4], 7000, one))


def test_tags_of_rules_that_do_not_decide(vps):
    pf(vps, """
        block in on eth0 proto tcp tag SEEN
        pass in on eth0 proto tcp to port { 7000 7001 } tagged SEEN
        block in quick on eth0 proto tcp to port 7001 ! tagged OTHER
        """)
    one, two = (vps.listen("vps", "tcp", "", port) for port in (7000, 7001))
    vps.seen("internet", "tcp", VPS[4], 7000, one)
    assert blocked(vps, "internet", "tcp", VPS[4], 7001, two, ("internet", VPS[4], 7000, one))


@families
def test_user(vps, v):
    pf(vps, ND + "block return out proto tcp to port 7000 user 65534\n")
    server = vps.listen("internet", "tcp", OUT[v], 7000)
    vps.seen("vps", "tcp", OUT[v], 7000, server)
    tried = vps.run("setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                    f"import socket; print(socket.socket(socket.AF_INET{'6' if v == 6 else ''})"
                    f".connect_ex(('{OUT[v]}', 7000)))")
    assert int(tried.stdout) == errno.ECONNREFUSED


# --- overload ---


def test_overload(vps):
    pf(vps, """
        table <brute> persist
        block in quick from <brute>
        pass in on eth0 proto tcp to port 7000 keep state (max-src-conn-rate 3/60, overload <brute> flush global)
        """)
    server = vps.listen("vps", "tcp", "", 7000)
    first = vps.connect("internet", "tcp", VPS[4], 7000)
    conn = vps.accept(server)
    first.sendall(b"x")
    assert conn.recv(1) == b"x"
    for _ in range(2):
        vps.connect("internet", "tcp", VPS[4], 7000)
        vps.accept(server)
    last = vps.socket("internet", "tcp", VPS[4])
    last.setblocking(False)
    assert last.connect_ex((VPS[4], 7000)) == errno.EINPROGRESS
    other = vps.connect("internet", "tcp", VPS[4], 7000, source=OUT[4])
    assert vps.accept(server).getpeername()[0] == OUT[4]
    listed = vps.run("nft", "list", "set", "inet", "newgate", "pf_d4_brute").stdout
    assert "203.0.113.1 " in listed
    # What was established is cut, too; the other's is not.
    first.sendall(b"y")
    other.sendall(b"z")
    conn.setblocking(False)
    with pytest.raises(BlockingIOError):
        conn.recv(1)
    # A reload keeps what the table holds.
    pf(vps, vps.read("/etc/pf.conf") + "pass in proto tcp to port 9999\n")
    listed = vps.run("nft", "list", "set", "inet", "newgate", "pf_d4_brute").stdout
    assert "203.0.113.1 " in listed


def test_max_src_conn(vps):
    pf(vps, "pass in proto tcp to port 7000 keep state (max-src-conn 2)\n")
    server = vps.listen("vps", "tcp", "", 7000)
    for _ in range(2):
        vps.connect("internet", "tcp", VPS[4], 7000)
        vps.accept(server)
    third = vps.socket("internet", "tcp", VPS[4])
    third.setblocking(False)
    assert third.connect_ex((VPS[4], 7000)) == errno.EINPROGRESS
    vps.connect("internet", "tcp", VPS[4], 7000, source=OUT[4])
    assert vps.accept(server).getpeername()[0] == OUT[4]
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.accept()


# --- loading ---


def test_reload_keeps_connections(vps):
    pf(vps, "block in all\npass in proto tcp to port 7000\n")
    server = vps.listen("vps", "tcp", "", 7000)
    client = vps.connect("internet", "tcp", VPS[4], 7000)
    conn = vps.accept(server)
    pf(vps, "block in all\n")
    client.sendall(b"still there")
    assert conn.recv(64) == b"still there"
    conn.sendall(b"so am I")
    assert client.recv(64) == b"so am I"


def test_connections_from_before_have_no_state(vps):
    """As when pf is switched on: what is in the middle of a connection makes no state."""
    server = vps.listen("vps", "tcp", "", 7000)
    client = vps.connect("internet", "tcp", VPS[4], 7000)
    conn = vps.accept(server)
    pf(vps, "block in proto tcp\npass in proto tcp to port 7000\n")
    client.sendall(b"lost")
    vps.seen("internet", "tcp", VPS[4], 7000, server)
    conn.setblocking(False)
    with pytest.raises(BlockingIOError):
        conn.recv(64)


def test_what_is_loaded_is_not_loaded_again(vps):
    pf(vps, "block in proto tcp to port 7000\n")
    before = loaded(vps)
    assert "nothing to do" in vps.run("newgate", "up").stdout
    assert loaded(vps) == before
    vps.write("/etc/pf.conf", "# only a word\nblock in proto tcp to port 7000\n")
    assert "nothing to do" in vps.run("newgate", "up").stdout
    vps.write("/etc/pf.conf", "block in proto tcp to port 7001\n")
    assert "loads /etc/pf.conf" in vps.run("newgate", "up").stdout
    assert loaded(vps) != before


def test_a_fault_changes_nothing(vps):
    pf(vps, "block in proto tcp to port 7000\n")
    before = loaded(vps)
    vps.write("/etc/pf.conf", "block in\npass inn\n")
    told = vps.run("newgate", "up", status=1)
    assert "/etc/pf.conf:2" in told.stderr
    # What nftables cannot do is a fault, too.
    vps.write("/etc/pf.conf", "block in\nblock out from no-route\n")
    told = vps.run("newgate", "up", status=1)
    assert "/etc/pf.conf:2:1" in told.stderr and "in" in told.stderr
    assert loaded(vps) == before


def test_tables_keep_what_they_hold(vps, tmp_path):
    vps.write("/etc/bad", "203.0.113.1\n")
    text = 'table <kept> persist\ntable <given> persist file "/etc/bad"\n' \
           "block in quick proto tcp from {{ <kept> <given> }} to port {}\n"
    pf(vps, text.format(7000))
    assert "203.0.113.1" in vps.run("nft", "list", "set", "inet", "newgate", "pf_t4_given").stdout
    vps.write("/etc/bad", "203.0.113.0/24\n")
    pf(vps, text.format(7001))
    assert "203.0.113.0/24" in vps.run("nft", "list", "set", "inet", "newgate", "pf_t4_given").stdout


# --- jails: each of the five ways (src/pf/pf.h) ---


@families
def test_jail_to_jail_is_judged_by_rules_without_interface(vps, v):
    a, b = jails(vps, ND + "block all\npass proto tcp to port 80\n")
    one, two = (vps.listen(b, "tcp", ANY[v], port) for port in (80, 81))
    assert vps.seen(a, "tcp", B[v], 80, one) == A[v]
    assert blocked(vps, a, "tcp", B[v], 81, two, (a, B[v], 80, one))


@families
@pytest.mark.parametrize("name", ["lo0", "lo100", "lo"])
def test_jail_to_jail_is_judged_by_rules_of_lo0_and_of_their_interface(vps, v, name):
    a, b = jails(vps, f"block return in on {name} proto tcp to port 81\n"
                      "block return in on eth0 proto tcp to port 80\n")
    one = vps.listen(b, "tcp", ANY[v], 80)
    vps.listen(b, "tcp", ANY[v], 81)
    assert vps.seen(a, "tcp", B[v], 80, one) == A[v]
    assert vps.refused(a, "tcp", B[v], 81) == errno.ECONNREFUSED


@families
def test_jail_to_jail_is_judged_on_its_way_out_too(vps, v):
    a, b = jails(vps, f"block out on lo100 proto tcp to {B[v]} port 81\n")
    one, two = (vps.listen(b, "tcp", ANY[v], port) for port in (80, 81))
    assert vps.seen(a, "tcp", B[v], 80, one) == A[v]
    assert blocked(vps, a, "tcp", B[v], 81, two, (a, B[v], 80, one))


@families
def test_skipping_lo0_lets_jails_reach_each_other(vps, v):
    a, b = jails(vps, "set skip on lo0\n" + ND + "block all\n")
    server = vps.listen(b, "tcp", ANY[v], 80)
    host = vps.listen("vps", "tcp", ANY[v], 82)
    assert vps.seen(a, "tcp", B[v], 80, server) == A[v]
    assert vps.seen(a, "tcp", VPS[v], 82, host) == A[v]
    assert vps.seen("vps", "tcp", A[v], 83, vps.listen(a, "tcp", ANY[v], 83)) in (GATEWAY[v], VPS[v])


@families
def test_jail_to_host(vps, v):
    a, _ = jails(vps, "block return in proto tcp to port 81\nblock out on lo100 proto tcp to port 80\n")
    one = vps.listen("vps", "tcp", ANY[v], 80)
    vps.listen("vps", "tcp", ANY[v], 81)
    assert vps.seen(a, "tcp", VPS[v], 80, one) == A[v]
    assert vps.refused(a, "tcp", VPS[v], 81) == errno.ECONNREFUSED


@families
def test_host_to_jail(vps, v):
    a, _ = jails(vps, "block in on lo100 proto tcp to port 80\nblock return out proto tcp to port 81\n")
    one = vps.listen(a, "tcp", ANY[v], 80)
    vps.listen(a, "tcp", ANY[v], 81)
    assert vps.seen("vps", "tcp", A[v], 80, one) in (GATEWAY[v], VPS[v])
    assert vps.refused("vps", "tcp", A[v], 81) == errno.ECONNREFUSED


@families
def test_jail_to_elsewhere_is_the_hosts_own(vps, v):
    """Only rules of the outer interface count, and none on the way in from the jail."""
    a, _ = jails(vps, NAT.replace("nat pass", "nat") + ND +
                 "block all\npass out on eth0 proto tcp to port 80\n")
    one, two = (vps.listen("internet", "tcp", OUT[v], port) for port in (80, 81))
    assert vps.seen(a, "tcp", OUT[v], 80, one) == VPS[v]
    assert blocked(vps, a, "tcp", OUT[v], 81, two, (a, OUT[v], 80, one))


@families
def test_jail_to_elsewhere_by_rules_that_name_the_interface(vps, v):
    a, _ = jails(vps, NAT + "block return in on lo100 proto tcp to port 81\n"
                 "block return in on lo0 proto tcp to port 80\n")
    one = vps.listen("internet", "tcp", OUT[v], 80)
    vps.listen("internet", "tcp", OUT[v], 81)
    assert vps.seen(a, "tcp", OUT[v], 80, one) == VPS[v]
    assert vps.refused(a, "tcp", OUT[v], 81) == errno.ECONNREFUSED


@families
def test_elsewhere_to_jail(vps, v):
    """By rdr: judged where it comes in, with the jail's address; then only by rules of lo100."""
    rules = f"""
        rdr on eth0 proto tcp from any to {VPS[v]} port {{ 80 81 82 }} -> {A[v]}
        """ + ND + f"""
        block all
        pass in on eth0 proto tcp to {A[v]} port {{ 80 82 }}
        block out on lo100 proto tcp to port 82
        """
    a, _ = jails(vps, rules)
    one, two, three = (vps.listen(a, "tcp", ANY[v], port) for port in (80, 81, 82))
    assert vps.seen("internet", "tcp", VPS[v], 80, one) == NEAR[v]
    for port, server in ((81, two), (82, three)):
        assert blocked(vps, "internet", "tcp", VPS[v], port, server,
                       ("internet", VPS[v], 80, one))


# --- translation ---


@families
def test_rdr_pass_and_ports(vps, v):
    a, _ = jails(vps, f"""
        rdr pass on eth0 proto tcp from any to {VPS[v]} port 8080 -> {A[v]} port 80
        rdr pass on eth0 proto tcp from any to {VPS[v]} port 2000:2010 -> {A[v]} port 3000:*
        {ND}
        block all
        """)
    one, two = (vps.listen(a, "tcp", ANY[v], port) for port in (80, 3007))
    assert vps.seen("internet", "tcp", VPS[v], 8080, one) == NEAR[v]
    assert vps.seen("internet", "tcp", VPS[v], 2007, two) == NEAR[v]


def test_no_nat_and_no_rdr_end_the_search(vps):
    a, _ = jails(vps, f"""
        no nat on eth0 from 10.100.0.0/24 to {NEAR[4]}
        nat on eth0 from 10.100.0.0/24 to any -> (eth0)
        no rdr on eth0 proto tcp from {OUT[4]} to any
        rdr on eth0 proto tcp from any to {VPS[4]} port 80 -> {A[4]}
        """)
    vps.run("ip", "-n", "internet", "route", "add", "10.100.0.0/24", "via", VPS[4])
    near = vps.listen("internet", "udp", NEAR[4], 53)
    far = vps.listen("internet", "udp", OUT[4], 53)
    assert vps.seen(a, "udp", NEAR[4], 53, near) == A[4]
    assert vps.seen(a, "udp", OUT[4], 53, far) == VPS[4]
    server, host = vps.listen(a, "tcp", "", 80), vps.listen("vps", "tcp", "", 80)
    assert vps.seen("internet", "tcp", VPS[4], 80, server) == NEAR[4]
    assert vps.seen("internet", "tcp", VPS[4], 80, host, source=OUT[4]) == OUT[4]


def test_binat(vps):
    vps.run("ip", "address", "add", "203.0.113.11/24", "dev", "eth0")
    a, _ = jails(vps, f"binat on eth0 from {A[4]} to any -> 203.0.113.11\n")
    out = vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.seen(a, "tcp", OUT[4], 80, out) == "203.0.113.11"
    server = vps.listen(a, "tcp", "", 80)
    assert vps.seen("internet", "tcp", "203.0.113.11", 80, server) == NEAR[4]


def test_nat_pool_takes_turns(vps):
    vps.run("ip", "address", "add", "203.0.113.11/24", "dev", "eth0")
    a, _ = jails(vps, "nat on eth0 from 10.100.0.0/24 to any -> { 203.0.113.10 203.0.113.11 }\n")
    server = vps.listen("internet", "tcp", OUT[4], 80)
    seen = {vps.seen(a, "tcp", OUT[4], 80, server) for _ in range(4)}
    assert seen == {"203.0.113.10", "203.0.113.11"}


def test_nat_ports(vps):
    a, _ = jails(vps, "nat on eth0 from 10.100.0.0/24 to any -> (eth0) port 60000:60100\n")
    server = vps.listen("internet", "udp", OUT[4], 53)
    client = vps.connect(a, "udp", OUT[4], 53)
    client.send(b"there")
    assert 60000 <= server.recvfrom(64)[1][1] <= 60100


def test_rdr_to_loopback(vps):
    pf(vps, f"rdr pass on eth0 inet proto tcp from any to {VPS[4]} port 80 -> 127.0.0.1 port 8080\n"
            "block in all\n")
    server = vps.listen("vps", "tcp", "127.0.0.1", 8080)
    assert vps.seen("internet", "tcp", VPS[4], 80, server) == NEAR[4]
    knob = "/proc/sys/net/ipv4/conf/eth0/route_localnet"
    assert vps.run("cat", knob).stdout == "1\n"
    pf(vps, "block in all\n")
    assert vps.run("cat", knob).stdout == "0\n"


def test_rdr_on_lo0(vps):
    a, _ = jails(vps, f"rdr on lo0 inet proto tcp from any to {VPS[4]} port 80 -> {A[4]}\n")
    server = vps.listen(a, "tcp", "", 80)
    assert vps.seen("vps", "tcp", VPS[4], 80, server) == VPS[4]


def test_set_skip_stops_translation_too(vps):
    a, _ = jails(vps, f"set skip on eth0\nnat on eth0 from {A[4]} to any -> (eth0)\n"
                      f"rdr on eth0 inet proto tcp from any to {VPS[4]} port 80 -> {A[4]}\n")
    vps.run("ip", "-n", "internet", "route", "add", "10.100.0.0/24", "via", VPS[4])
    out = vps.listen("internet", "udp", OUT[4], 53)
    assert vps.seen(a, "udp", OUT[4], 53, out) == A[4]
    host = vps.listen("vps", "tcp", "", 80)
    assert vps.seen("internet", "tcp", VPS[4], 80, host) == NEAR[4]


@pytest.mark.parametrize("group", ["egress", "eth"])
def test_groups(vps, group):
    pf(vps, f"set skip on lo0\nblock return in on {group} proto tcp to port 7000\n")
    vps.listen("vps", "tcp", "", 7000)
    assert vps.refused("internet", "tcp", VPS[4], 7000) == errno.ECONNREFUSED


def test_group_that_nobody_is_in(vps):
    pf(vps, "block return in on wg proto tcp to port 7000\n")
    server = vps.listen("vps", "tcp", "", 7000)
    assert vps.seen("internet", "tcp", VPS[4], 7000, server) == NEAR[4]


def test_urpf_and_antispoof(vps):
    pf(vps, "set skip on lo0\nblock in quick from urpf-failed\nantispoof quick for lo100\n", jail("a", A))
    vps.run("ip", "-n", "internet", "address", "add", "10.100.0.99/32", "dev", "wan")
    server = vps.listen("vps", "udp", "", 7000)
    vps.connect("internet", "udp", VPS[4], 7000, source="10.100.0.99").send(b"spoofed")
    assert vps.seen("internet", "udp", VPS[4], 7000, server) == NEAR[4]


def test_max_mss(vps):
    pf(vps, "scrub in on eth0 max-mss 600\n")
    server = vps.listen("vps", "tcp", "", 7000)
    client = vps.connect("internet", "tcp", VPS[4], 7000)
    conn = vps.accept(server)
    assert 0 < conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 600
    assert client


def test_warns_where_neighbours_would_be_lost(vps):
    vps.write("/etc/rc.conf", textwrap.dedent(RC))
    vps.write("/etc/pf.conf", "block all\n")
    assert "neighbour discovery" in vps.run("newgate", "up", "-n", status=2).stderr
    vps.write("/etc/pf.conf", "block all\n" + ND)
    assert "neighbour discovery" not in vps.run("newgate", "up", "-n", status=2).stderr


def test_what_is_blocked_is_logged(vps):
    pf(vps, "block return in log proto tcp to port 7000\n")
    vps.listen("vps", "tcp", "", 7000)
    # Group 1 of nfnetlink_log: one message to bind, one for the packets' beginnings.
    with vps.within("vps"):
        log = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    with contextlib.closing(log):
        log.settimeout(20)
        log.bind((0, 0))

        def config(kind, data):
            attribute = struct.pack("=HH", 4 + len(data), kind) + data.ljust((len(data) + 3) & ~3, b"\0")
            body = struct.pack("!BBH", 0, 0, 1) + attribute
            log.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
            assert struct.unpack_from("=i", log.recv(4096), 16)[0] == 0

        config(1, b"\1")  # NFULNL_CFG_CMD_BIND
        config(2, struct.pack("!IBx", 64, 2))  # copy packets
        assert vps.refused("internet", "tcp", VPS[4], 7000) == errno.ECONNREFUSED
        assert b"rule 0.0 block in" in log.recv(65536)


# --- jail.conf's own, by the anchor newgate/* ---

NEWGATE = """
    nat-anchor "newgate/*"
    rdr-anchor "newgate/*"
"""


@families
def test_newgate_anchor(vps, v):
    a, b = jails(vps, NEWGATE + ND + 'block return all\npass out on eth0\nanchor "newgate/*"\n',
                 a='rdr = "tcp 80"; allow.connect = "b tcp 81", "internet";')
    web, other = vps.listen(a, "tcp", ANY[v], 80), vps.listen(b, "tcp", ANY[v], 81)
    vps.listen(b, "tcp", ANY[v], 82)
    out = vps.listen("internet", "tcp", OUT[v], 80)
    mail = vps.listen("internet", "tcp", OUT[v], 25)
    assert vps.seen("internet", "tcp", VPS[v], 80, web) == NEAR[v]
    assert vps.seen(a, "tcp", B[v], 81, other) == A[v]
    assert vps.seen(a, "tcp", OUT[v], 80, out) == VPS[v]
    assert vps.refused(a, "tcp", OUT[v], 25) == errno.ECONNREFUSED
    assert vps.refused(a, "tcp", B[v], 82) == errno.ECONNREFUSED
    assert vps.refused(b, "tcp", A[v], 80) == errno.ECONNREFUSED
    assert vps.refused(b, "tcp", GATEWAY[v], 22) == errno.ECONNREFUSED
    assert mail


@families
def test_what_comes_behind_the_newgate_anchor_wins(vps, v):
    a, b = jails(vps, NEWGATE + 'anchor "newgate/*"\n'
                 "pass in on lo100 proto tcp to port 82\n"
                 "block return in on lo100 proto tcp to port 81\n", a='allow.connect = "b tcp 81";')
    vps.listen(b, "tcp", ANY[v], 81)
    open_ = vps.listen(b, "tcp", ANY[v], 82)
    assert vps.refused(a, "tcp", B[v], 81) == errno.ECONNREFUSED
    assert vps.seen(a, "tcp", B[v], 82, open_) == A[v]


def test_without_the_anchor_jail_conf_says_nothing(vps):
    vps.write("/etc/pf.conf", "pass all\n")
    vps.configure(jail("a", A, 'rdr = "tcp 80";') + jail("b", B), rc=RC)
    a, b = vps.start("a", "b")
    server = vps.listen(a, "tcp", "", 80)
    host = vps.listen("vps", "tcp", "", 80)
    assert vps.seen("internet", "tcp", VPS[4], 80, host) == NEAR[4]
    assert vps.seen(b, "tcp", A[4], 80, server) == B[4]
    vps.write("/etc/pf.conf", "pass all\n# and more\npass in proto tcp to port 1\n")
    assert 'jail "a" has rdr' in vps.run("newgate", "up").stderr


def test_a_jail_sends_only_from_its_own_address(vps):
    """Whatever pf.conf passes."""
    a, b = jails(vps, "pass quick all\n")
    vps.run_in(a, "ip", "address", "add", "10.100.0.9/32", "dev", "eth0")
    server = vps.listen(b, "udp", "", 53)
    vps.connect(a, "udp", B[4], 53, source="10.100.0.9").send(b"spoofed")
    assert vps.seen(a, "udp", B[4], 53, server) == A[4]


# --- never locked out ---


@contextlib.contextmanager
def sshd(vps):
    """Somebody called sshd, who listens at port 22 and has one session from the router."""
    name = vps.path("/sshd")
    name.symlink_to("/usr/bin/python3")
    server = vps.popen(name, "-c", textwrap.dedent("""
        import socket, sys
        s = socket.create_server(("::", 22), family=socket.AF_INET6, dualstack_ipv6=True)
        print("ready", flush=True)
        session, _ = s.accept()
        print("connected", flush=True)
        session.recv(1)
        """))
    assert server.stdout.readline() == "ready\n"
    client = vps.connect("internet", "tcp", VPS[4], 22)
    assert server.stdout.readline() == "connected\n"
    yield
    client.close()
    server.communicate(timeout=20)


def test_warns_of_a_cut_session(vps):
    with sshd(vps):
        vps.write("/etc/rc.conf", textwrap.dedent(RC))
        vps.write("/etc/pf.conf", "pass all\nblock in proto tcp to port 22\n")
        told = vps.run("newgate", "up", "-n", status=2).stderr
        assert "/etc/pf.conf:2:1: warning: this cuts the SSH session from 203.0.113.1" in told
        told = vps.run("newgate", "check").stdout + vps.run("newgate", "check").stderr
        assert re.search(r"pf\.conf:2:1: .*this cuts the SSH session from 203\.0\.113\.1", told), told
        # Whoever is connected has no state yet: a rule that keeps states does not match.
        vps.write("/etc/pf.conf", "block all\npass in proto tcp to port 22\n")
        told = vps.run("newgate", "up", "-n", status=2).stderr
        assert "/etc/pf.conf:1:1: warning: this cuts the SSH session from 203.0.113.1" in told
        assert "connect to sshd again" not in told
        vps.write("/etc/pf.conf", "pass all no state\n")
        assert "SSH" not in vps.run("newgate", "up").stderr


def test_warns_of_an_sshd_that_nobody_reaches(vps):
    listener = vps.listen("vps", "tcp", "", 22)
    vps.write("/etc/rc.conf", textwrap.dedent(RC))
    vps.write("/etc/pf.conf", "block in on eth0\n")
    told = vps.run("newgate", "up", "-n", status=2).stderr
    assert "/etc/pf.conf:1:1: warning: this lets nobody on the internet reach sshd at port 22" in told
    vps.write("/etc/pf.conf", "block in on eth0\npass in on eth0 proto tcp to port ssh\n")
    assert "sshd" not in vps.run("newgate", "up", "-n", status=2).stderr
    assert listener


def test_confirm_goes_back(vps):
    pf(vps, "block return in proto tcp to port 7000\n")
    server = vps.listen("vps", "tcp", "", 7000)
    before = vps.run("nft", "list", "chain", "inet", "newgate", "pf_in_rules").stdout
    vps.write("/etc/pf.conf", "block return in proto tcp to port 7001\n")
    vps.run("newgate", "up", "--confirm", "3600")
    assert vps.seen("internet", "tcp", VPS[4], 7000, server) == NEAR[4]
    vps.run("newgate", "confirm", "--back")
    assert vps.refused("internet", "tcp", VPS[4], 7000) == errno.ECONNREFUSED
    after = vps.run("nft", "list", "chain", "inet", "newgate", "pf_in_rules").stdout
    assert re.sub("counter packets .* bytes \\d+", "", after) == \
        re.sub("counter packets .* bytes \\d+", "", before)


def test_confirm_of_the_first_load_switches_off(vps):
    server = vps.listen("vps", "tcp", "", 7000)
    vps.write("/etc/rc.conf", textwrap.dedent(RC))
    vps.write("/etc/pf.conf", "block return all\n")
    vps.run("newgate", "up", "--confirm", "3600")
    assert vps.refused("internet", "tcp", VPS[4], 7000) == errno.ECONNREFUSED
    vps.run("newgate", "confirm", "--back")
    assert vps.seen("internet", "tcp", VPS[4], 7000, server) == NEAR[4]


def test_confirmed_rules_stay(vps):
    pf(vps, "pass all\n")
    vps.write("/etc/pf.conf", "block return in proto tcp to port 7001\n")
    vps.run("newgate", "up", "--confirm", "3600")
    vps.run("newgate", "confirm")
    vps.listen("vps", "tcp", "", 7001)
    assert vps.refused("internet", "tcp", VPS[4], 7001) == errno.ECONNREFUSED
    assert "nothing to do" in vps.run("newgate", "up").stdout


def test_an_interface_that_comes_later(vps):
    """The rules are made again when the first jail hangs on an interface that they name."""
    pf(vps, "set skip on lo0\nnat on eth0 inet from 10.0.0.0/8 to any -> (eth0)\n"
            "block return in on later0 proto tcp to port 81\n")
    vps.configure('c { interface = "later0"; ip4.addr = "10.9.0.2/24"; }\n', rc=RC)
    c = vps.start("c")
    one = vps.listen("internet", "tcp", OUT[4], 80)
    vps.listen("internet", "tcp", OUT[4], 81)
    assert vps.seen(c, "tcp", OUT[4], 80, one) == VPS[4]
    assert vps.refused(c, "tcp", OUT[4], 81) == errno.ECONNREFUSED


def test_rules_of_two_interfaces_of_jails(vps):
    """Each is told by the networks behind it."""
    rc = RC.replace('"lo100"', '"lo100 lo101"') + '    ifconfig_lo101_alias0="inet 10.101.0.1/24"\n'
    vps.write("/etc/pf.conf", "block return in on lo101 proto tcp to port 81\n"
                              "block return in on lo100 proto tcp to port 82\n")
    vps.configure(jail("a", A) + 'd { interface = "lo101"; ip4.addr = "10.101.0.2"; }\n', rc=rc)
    vps.run("newgate", "up")
    a, d = vps.jail("a"), vps.jail("d")
    servers = {port: vps.listen("vps", "tcp", "", port) for port in (81, 82)}
    assert vps.seen(a, "tcp", VPS[4], 81, servers[81]) == A[4]
    assert vps.refused(a, "tcp", VPS[4], 82) == errno.ECONNREFUSED
    assert vps.seen(d, "tcp", VPS[4], 82, servers[82]) == "10.101.0.2"
    assert vps.refused(d, "tcp", VPS[4], 81) == errno.ECONNREFUSED


def test_a_table_that_somebody_took_away_comes_back(vps):
    a, _ = jails(vps, "block return in on lo100 proto tcp to port 81\n")
    vps.listen("vps", "tcp", "", 81)
    vps.run("nft", "delete", "table", "inet", "newgate")
    # What was loaded counts, not what the file says by now.
    vps.write("/etc/pf.conf", "pass all\n")
    vps.configure(jail("a", A) + jail("b", B) + jail("c", {4: "10.100.0.5", 6: "fd00:64::5"}), rc=RC)
    vps.start("c")
    assert vps.refused(a, "tcp", VPS[4], 81) == errno.ECONNREFUSED


def test_switched_off_in_rc_conf(vps):
    a, b = jails(vps, "pass all\n")
    server = vps.listen(b, "tcp", "", 80)
    assert vps.seen(a, "tcp", B[4], 80, server) == A[4]
    vps.write("/etc/rc.conf", textwrap.dedent(RC).replace('pf_enable="YES"', 'pf_enable="NO"'))
    vps.run("newgate", "up")
    assert vps.refused(a, "tcp", B[4], 80) == errno.ECONNREFUSED  # allow.connect's default


def test_no_jail_starts_before_a_pf_conf_that_cannot_be_read(vps):
    vps.write("/etc/pf.conf", "pass\nblok in\n")
    vps.configure(jail("a", A), rc=RC)
    told = vps.run("jail", "-c", "a", status=1)
    assert "/etc/pf.conf:2:1" in told.stderr
    vps.write("/etc/pf.conf", "pass\n")
    vps.start("a")
