"""newgate host ban: who may not reach the jails for a time, with and without a pf.conf."""

import json
import select
import time

import pytest

from test_network import OUT, VPS

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    ifconfig_lo100_ipv6="inet6 fd00:64::1 prefixlen 64"
"""
WEB = """
web {
    interface = "lo100"; ip4.addr = "10.100.0.2"; ip6.addr = "fd00:64::2";
    rdr = "tcp 80", "udp 80"; allow.connect = "internet", "internet tcp 25";
}
"""
PF = {
    None: None,
    "anchor": 'nat-anchor "newgate/*"\nrdr-anchor "newgate/*"\nanchor "newgate/*"\n',
    "rdr": "nat pass on eth0 inet from 10.100.0.0/24 to any -> (eth0)\n"
           "nat pass on eth0 inet6 from fd00:64::/64 to any -> (eth0)\n"
           "rdr pass on eth0 inet proto { tcp udp } to port 80 -> 10.100.0.2\n"
           "rdr pass on eth0 inet6 proto { tcp udp } to port 80 -> fd00:64::2\npass all\n",
}
OTHER = {4: "198.51.100.8", 6: "2001:db8:52::8"}
SAME = {4: OUT[4], 6: "2001:db8:51:0:ffff::9"}  # banned with OUT
families = pytest.mark.parametrize("v", [4, 6])


def start(vps, pf=None):
    if PF[pf]:
        vps.write("/etc/pf.conf", PF[pf])
    vps.configure(WEB, RC + ('    pf_enable="YES"\n' if PF[pf] else ""))
    for address in (*OTHER.values(), SAME[6]):
        vps.run("ip", "address", "add", address, "dev", "lo", where="internet")
    vps.run("newgate", "up")
    return vps.jail("web")


@pytest.fixture
def web(vps):
    return start(vps)


def ban(vps, *argv, **options):
    return vps.run("newgate", "host", "ban", *argv, **options)


def bans(vps):
    return json.loads(ban(vps, "list", "--json").stdout)["bans"]


def element(vps, v=4):
    """The one that the kernel has, with the seconds that are left; or None."""
    got = vps.json("nft", "-j", "list", "set", "inet", "newgate", f"ban{v}")["nftables"][1]["set"]
    elem = [e["elem"] for e in got.get("elem", [])]
    assert len(elem) <= 1
    return (elem[0]["val"], elem[0]["expires"]) if elem else None


@families
@pytest.mark.parametrize("pf", PF)
def test_who_is_banned_reaches_no_jail(vps, pf, v):
    web = start(vps, pf)
    any_ = "" if v == 4 else "::"
    server, datagrams = (vps.listen(web, proto, any_, 80) for proto in ("tcp", "udp"))
    own = vps.listen("vps", "tcp", any_, 22)
    before = vps.connect("internet", "tcp", VPS[v], 80, OUT[v])
    there = vps.accept(server)
    ban(vps, "add", OUT[v])

    def passes():
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OTHER[v]) == OTHER[v]
        assert vps.seen("internet", "udp", VPS[v], 80, datagrams, OTHER[v]) == OTHER[v]
    # What was connected is cut, too.
    before.sendall(b"still there?")
    for proto, s in (("tcp", server), ("udp", datagrams)):
        client = vps.socket("internet", proto, VPS[v])
        client.setblocking(False)
        client.bind((SAME[v], 0))
        if proto == "udp":
            client.sendto(b"there", (VPS[v], 80))
        else:
            client.connect_ex((VPS[v], 80))
    passes()
    assert select.select([server, datagrams, there], [], [], 0) == ([], [], [])
    # The host's own services are as open as they were, and so is who is banned to the jails.
    assert vps.seen("internet", "tcp", VPS[v], 22, own, OUT[v]) == OUT[v]
    remote = vps.listen("internet", "tcp", OUT[v], 25)
    assert vps.seen(web, "tcp", OUT[v], 25, remote) == VPS[v]
    # And in he comes at once.
    ban(vps, "remove", SAME[v])
    assert there.recv(64) == b"still there?"
    assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]
    assert bans(vps) == [] and element(vps, v) is None


@families
def test_the_list(vps, web, v):
    shown = OUT[4] if v == 4 else "2001:db8:51::/64"
    assert ban(vps, "add", "--for", "2h", OUT[v]).stdout == f"{shown} is banned for 2h0m\n"
    (one,) = bans(vps)
    assert 7190 <= one.pop("left") <= 7200 and one.pop("since")
    assert one == {"address": shown, "failures": 0, "times": 1, "why": "by hand"}
    line = ban(vps, "list").stdout.splitlines()[1]
    assert line.split()[0] == shown and ("1h59m" in line or "2h0m" in line) and line.endswith("by hand")
    # Banned by as much as it takes, and found by any address of it.
    assert ban(vps, "add", "--for", "1m", SAME[v]).stdout == f"{shown} is banned for 1m0s\n"
    assert [b["left"] <= 60 for b in bans(vps)] == [True]
    assert ban(vps, "remove", shown).stdout == f"{shown} may come again\n"
    assert f"{OUT[v]} is not banned" in ban(vps, "remove", OUT[v], status=1).stderr


@pytest.mark.parametrize("pf", [None, "anchor"])
@pytest.mark.parametrize("what", [
    "nft delete table inet newgate; newgate up",
    "nft flush set inet newgate ban4; newgate host ban add 192.0.2.7; newgate host ban remove 192.0.2.7",
    "rm -r $NEWGATE_ROOT/run/newgate/pf; newgate up; jail -r web; jail -c web",
    "echo 'pass in proto tcp to port 81' >>$NEWGATE_ROOT/etc/pf.conf; pfctl -f /etc/pf.conf; newgate up",
    "pfctl -e; pfctl -d; newgate up",
])
def test_it_outlives_whatever_becomes_of_the_rules(vps, pf, what):
    start(vps, pf)
    ban(vps, "add", "--for", "1h", OUT[4])
    was, left = element(vps)
    assert was == OUT[4] and 3590 <= left <= 3600
    before = bans(vps)[0]["left"]
    vps.run("sh", "-c", what, status=None)
    assert element(vps)[0] == OUT[4] and before - 60 < element(vps)[1] <= before
    assert bans(vps)[0]["address"] == OUT[4]


def test_a_ban_without_a_table_counts_once_there_is_one(vps):
    ban(vps, "add", OUT[4])
    start(vps)
    assert element(vps)[0] == OUT[4]


def test_it_ends_by_itself(vps, web):
    server = vps.listen(web, "tcp", "", 80)
    ban(vps, "add", "--for", "1", OUT[4])
    # TCP sends its first packet again after a second, and after two more.
    assert vps.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]
    assert bans(vps) == []


def test_a_broken_file_bans_whom_it_can(vps, web):
    now = int(time.time())
    vps.write("/var/lib/newgate/bans",
              f"nonsense\n{OUT[4]} {now} {now + 600} 2 5 imap\n198.51.100.0/24 {now} {now + 600} 1 1 imap\n"
              f"{OTHER[4]} {now} {now - 5} 1 1 imap\n{OTHER[4]} {now} {now + 600} 0 1 imap\n{OTHER[4]} {now}")
    assert [(b["address"], b["times"], b["failures"], b["why"]) for b in bans(vps)] == [(OUT[4], 2, 5, "imap")]


@pytest.mark.parametrize("address,why", [
    ("10.100.0.2", "of a network of jails"),
    ("10.100.0.77", "of a network of jails"),
    ("fd00:64::2", "of a network of jails"),
    ("203.0.113.10", "this host's own"),
    ("2001:db8::99", "this host's own"),  # its neighbour in 64 bits
    ("203.0.113.1", "the router by which this host reaches the internet"),
    ("127.0.0.1", "no address that anybody comes from"),
    ("::1", "no address that anybody comes from"),
    ("224.0.0.5", "no address that anybody comes from"),
    ("192.0.2.9", "among those that are never banned (ban.except)"),
    ("2001:db8:77::1", "among those that are never banned (ban.except)"),
    ("198.51.100.22", "where your SSH session comes from"),
])
def test_who_is_never_banned(vps, web, address, why):
    vps.write("/etc/newgate/host.conf", "domain = example.org\nhostname = mail.example.org\n"
              "ban.except = 192.0.2.0/24, 2001:db8:77::/48\n")
    got = ban(vps, "add", address, status=1, env={"SSH_CONNECTION": "198.51.100.22 40000 203.0.113.10 22"})
    assert f"is not banned: it is {why}\n" in got.stderr
    assert bans(vps) == [] and element(vps) is None and element(vps, 6) is None


def test_a_jail_s_public_address_is_never_banned(vps):
    vps.configure('pub { ip4.addr = "eth0|203.0.113.50"; }\n', RC)
    vps.start("pub")
    got = ban(vps, "add", "203.0.113.50", status=1)
    assert 'it is the address of jail "pub"' in got.stderr


@pytest.mark.parametrize("argv,said", [
    (("add", "198.51.100.300"), '"198.51.100.300" is not an address'),
    (("add", "198.51.100.0/24"), "198.51.100.0/24 is more than one address"),
    (("add", "2001:db8::/48"), "2001:db8::/48 is more than one address"),
    (("add", "--for", "soon", "198.51.100.7"), '--for takes a time such as 90s, 10m, 1h, 2d, 1w: not "soon"'),
    (("add",), "usage:"), (("remove",), "usage:"), (("lift", "198.51.100.7"), 'there is no "lift"'),
])
def test_what_is_refused(vps, argv, said):
    assert said in ban(vps, *argv, status=1).stderr


def test_settings_that_make_no_sense(vps):
    vps.write("/etc/newgate/host.conf", "domain = a.org\nhostname = a.org\nban = 5 times\n")
    assert "ban = 5 times is not" in ban(vps, "add", OUT[4], status=1).stderr
