"""What somebody else took away or changed: the next command says so, newgate up puts it right, and
nothing is left of what was there before. (What up does of it in detail: test_up.py.)"""

import json

import pytest

from footprint import footprint, same
from test_network import OUT, VPS
from test_up import RC, block, kill, pids, plan, running, up

DB = block("db", "10.100.0.2", 'ip6.addr = "2001:db8:1::2";')
WEB = block("web", '10.100.0.3", "eth0|203.0.113.50', 'ip6.addr = "2001:db8:1::3"; depend = "db";'
            ' rdr = "tcp 80"; allow.connect = "db tcp 5432", "internet";')


@pytest.fixture
def two(vps):
    vps.configure(DB + WEB, RC)
    up(vps)
    vps.run("jail", "-r", "*")
    vps.before = footprint(vps)
    up(vps)
    return vps


def faults(vps):
    """What status says, to people and to programs."""
    got = vps.run("newgate", "status")
    listed = [fault["text"] for fault in json.loads(vps.run("newgate", "status", "--json").stdout)["faults"]]
    assert got.stderr.splitlines() == [f"newgate status: {text} (newgate up puts it right)" for text in listed]
    return listed


def works(vps, outside=VPS[4], leaves=VPS[4]):
    """Both run and do what they are to do."""
    assert plan(vps) == [] and faults(vps) == [] and sorted(running(vps)) == ["db", "web"]
    db, web = vps.jail("db"), vps.jail("web")
    for address in "10.100.0.2", "2001:db8:1::2":
        server = vps.listen(db, "tcp", address, 5432)
        assert vps.seen(web, "tcp", address, 5432, server) in ("10.100.0.3", "2001:db8:1::3")
        vps.refused(web, "tcp", address, 5433)
    server = vps.listen(web, "tcp", "10.100.0.3", 80)
    assert vps.seen("internet", "tcp", outside, 80, server, OUT[4]) == OUT[4]
    server = vps.listen("internet", "tcp", OUT[4], 8080)
    assert vps.seen(db, "tcp", OUT[4], 8080, server) == leaves


def goes(vps):
    """Of jails that are removed nothing is left."""
    vps.close_sockets()
    vps.run("jail", "-r", "*")
    same(footprint(vps), vps.before)


def heals(vps, planned, restarts=False):
    before = pids(vps, "web")
    assert sorted(plan(vps)) == sorted(planned)
    assert sorted(up(vps)) == sorted(planned)
    works(vps)
    assert (pids(vps, "web") != before) == restarts
    goes(vps)


@pytest.mark.parametrize("damage,seen", [
    ("nft delete table inet newgate", "table inet newgate is gone"),
    ("nft flush table inet newgate", "somebody changed the rules of table inet newgate"),
    ("nft delete rule inet newgate forward handle $(nft -a list chain inet newgate forward |"
     " sed -n 's/.* # handle //p' | sed -n 2p)", "somebody changed the rules of table inet newgate"),
    ("nft insert rule inet newgate input accept", "somebody changed the rules of table inet newgate"),
    ("nft 'add chain inet newgate mine'", "somebody changed the rules of table inet newgate"),
    ("nft flush map inet newgate rdr4", "elements of running jails are missing in the firewall "
     "(web: rdr4 tcp . 80 : 10.100.0.3 . 80)"),
    ("nft 'add element inet newgate rdr4 { tcp . 81 : 10.100.0.3 . 80 }'",
     "the firewall holds elements of no jail (rdr4)"),
    ("echo 0 >/proc/sys/net/ipv4/ip_forward", "forwarding is off (/proc/sys/net/ipv4/ip_forward)"),
    ("ip address delete 10.100.0.1/24 dev lo100", "interface lo100 has lost 10.100.0.1/24"),
])
def test_what_all_jails_share(two, damage, seen):
    two.run("sh", "-c", damage)
    assert faults(two) == [seen]
    heals(two, [f"repairs the network: {seen}"])


def test_a_lost_link(two):
    link = two.record("web")["link"]
    two.run("ip", "link", "delete", link)
    assert faults(two) == ["web: its link is gone"]
    heals(two, [f"repairs web: its link {link} is gone"])


def test_a_killed_jail(two):
    kill(two, "web")
    status = json.loads(two.run("newgate", "status", "--json").stdout)["jails"]
    assert {jail["name"]: jail["state"] for jail in status} == {"db": "running", "web": "ended"}
    assert plan(two) == ["clears up after web, which ended", "starts web; opens tcp 80"]
    up(two)
    works(two)
    goes(two)


def test_run_emptied_under_running_jails(two):
    two.run("rm", "-rf", two.path("/run/newgate"))
    heals_from_nothing(two)


def test_run_emptied_and_the_table_gone(two):
    two.run("rm", "-rf", two.path("/run/newgate"))
    two.run("nft", "delete", "table", "inet", "newgate")
    assert len(up(two)) == 4
    works(two)


def heals_from_nothing(vps):
    planned = ["clears up what is left of db: there is no record of it",
               "clears up what is left of web: there is no record of it",
               "starts db", "starts web; opens tcp 80"]
    assert sorted(plan(vps)) == planned and sorted(up(vps)) == planned
    works(vps)
    goes(vps)


def test_the_outside_address_changes(two):
    """The provider renumbers: nothing of newgate's knows the address."""
    two.run("sh", "-c", "ip -4 address flush dev eth0 && ip address add 203.0.113.20/24 dev eth0 &&"
            " ip route add default via 203.0.113.1")
    works(two, "203.0.113.20", "203.0.113.20")


def test_the_default_route_moves_to_another_interface(two):
    two.run("sh", "-c", "ip link add eth1 type veth peer name wan1 netns internet &&"
            " ip -n internet address add 192.0.2.1/24 dev wan1 && ip -n internet link set wan1 up &&"
            " ip address add 192.0.2.10/24 dev eth1 && ip link set eth1 up &&"
            " ip route replace default via 192.0.2.1 dev eth1")
    works(two, "192.0.2.10", "192.0.2.10")
