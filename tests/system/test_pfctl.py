"""pfctl: its command line, its forms, what it does and does not change."""

import errno
import json
import re

import pytest

from terminal import Terminal

CONF = """
ext = "eth0"
table <brute> persist
table <friends> const { 198.51.100.0/24, !198.51.100.9 }
set skip on lo
nat on $ext inet from 10.100.0.0/24 to any -> ($ext)
rdr on $ext inet proto tcp to port 8080 -> 10.100.0.2 port 80
block in all
pass out all
block in quick from <brute>
pass in on $ext proto tcp to port { 22 80 } label "$dstport" keep state
pass in inet proto icmp icmp-type echoreq label ping
anchor "f2b/*"
"""


@pytest.fixture
def host(vps):
    vps.write("/etc/rc.conf", 'pf_enable="YES"\n')
    vps.write("/etc/pf.conf", CONF)
    vps.run("pfctl", "-f", "/etc/pf.conf")
    return vps


def show(host, *argv):
    return host.run("pfctl", *argv).stdout.splitlines()


def ping(host, status=0):
    host.run("ping", "-c", "1", "-W", "1", "203.0.113.10", where="internet", status=status)


def test_rules_in_the_form_of_pfctl(host):
    assert show(host, "-sr") == [
        "block drop in all",
        "pass out all flags S/SA keep state",
        "block drop in quick from <brute> to any",
        'pass in on eth0 proto tcp from any to any port = ssh flags S/SA keep state label "22"',
        'pass in on eth0 proto tcp from any to any port = http flags S/SA keep state label "80"',
        'pass in inet proto icmp all icmp-type echoreq keep state label "ping"',
        'anchor "f2b/*" all']
    assert show(host, "-s", "nat") == [
        "nat on eth0 inet from 10.100.0.0/24 to any -> (eth0) round-robin",
        "rdr on eth0 inet proto tcp from any to any port = http-alt -> 10.100.0.2 port 80"]


def test_counters_and_labels(host):
    ping(host)
    lines = show(host, "-vvsr")
    at = next(i for i, line in enumerate(lines) if "echoreq" in line)
    assert lines[at].startswith("@5 ")
    assert re.search(r"Packets: 1 +Bytes: 84 ", lines[at + 1])
    assert "ping - 1 84" in show(host, "-sl")
    rule = next(r for r in json.loads(host.run("pfctl", "-sr", "--json").stdout)["rules"]
                if r["label"] == "ping")
    assert rule["packets"] == 1 and rule["line"] == 12 and rule["file"].endswith("pf.conf")


def test_only_reading_changes_nothing(host):
    host.write("/etc/other.conf", "block all\n")
    before = show(host, "-sr")
    assert show(host, "-nvf", "/etc/other.conf") == ["block drop all"]
    assert show(host, "-sr") == before


def test_a_fault_is_told_with_its_place_and_changes_nothing(host):
    host.write("/etc/other.conf", "pass in\npass in from <\n")
    before = show(host, "-sr")
    got = host.run("pfctl", "-f", "/etc/other.conf", status=1)
    assert re.search(r"other\.conf:2:\d+: syntax error", got.stderr)
    assert "pfctl: Syntax error in config file: pf rules not loaded" in got.stderr
    assert show(host, "-sr") == before
    ping(host)


def test_a_macro_of_the_command_line_wins(host):
    host.write("/etc/other.conf", 'port = "25"\npass in proto tcp to port $port\n')
    assert "port = imap" in show(host, "-nvf", "/etc/other.conf", "-D", "port=143")[0]


def test_switching_off_and_on(host):
    host.write("/etc/pf.conf", "block all\n")
    host.run("pfctl", "-f", "/etc/pf.conf")
    ping(host, status=1)
    assert host.run("pfctl", "-d").stderr == "pf disabled\n"
    ping(host)
    assert "pf not enabled" in host.run("pfctl", "-d", status=1).stderr
    assert show(host, "-si")[0].startswith("Status: Disabled")
    assert host.run("pfctl", "-e").stderr.endswith("pf enabled\n")
    assert "pf already enabled" in host.run("pfctl", "-e", status=1).stderr
    ping(host, status=1)


def test_switching_on_what_is_loaded_with_it(host):
    host.run("pfctl", "-d")
    host.write("/etc/pf.conf", "block all\n")
    host.run("pfctl", "-ef", "/etc/pf.conf")
    ping(host, status=1)


def test_tables(host):
    say = lambda *argv, **k: host.run("pfctl", "-t", *argv, **k).stderr
    assert say("brute", "-T", "add", "192.0.2.1", "192.0.2.0/24") == "2/2 addresses added.\n"
    assert show(host, "-t", "brute", "-T", "show") == ["   192.0.2.0/24", "   192.0.2.1"]
    assert say("brute", "-T", "test", "192.0.2.9", "192.0.3.1", status=2) == "1/2 addresses match.\n"
    assert say("brute", "-T", "delete", "192.0.2.1") == "1/1 addresses deleted.\n"
    assert say("brute", "-T", "replace", "203.0.113.1") == \
        "1 addresses added.\n1 addresses deleted.\n"
    ping(host, status=1)
    assert say("brute", "-T", "flush") == "1 addresses deleted.\n"
    ping(host)
    assert say("new", "-T", "add", "192.0.2.1") == "1 table created.\n1/1 addresses added.\n"
    assert show(host, "-sT") == ["brute", "friends", "new"]
    assert say("new", "-T", "kill") == "1 table deleted.\n"
    assert "const" in say("friends", "-T", "add", "192.0.2.1", status=1)
    assert "does not exist" in say("nobody", "-T", "show", status=1)


def test_what_was_put_in_outlives_a_load(host):
    host.run("pfctl", "-t", "brute", "-T", "add", "192.0.2.1")
    host.write("/etc/pf.conf", CONF + "pass in proto udp to port 53\n")
    host.run("pfctl", "-f", "/etc/pf.conf")
    assert show(host, "-t", "brute", "-T", "show") == ["   192.0.2.1"]


def test_an_anchor_is_filled(host):
    host.run("pfctl", "-a", "f2b/ssh", "-f", "-", input="block drop quick from 203.0.113.1\n")
    ping(host, status=1)
    assert show(host, "-a", "f2b/ssh", "-sr") == ["block drop quick inet from 203.0.113.1 to any"]
    assert show(host, "-a", "f2b", "-sA") == ["  f2b/ssh"]
    host.run("pfctl", "-a", "f2b/ssh", "-F", "rules")
    ping(host)


def test_states_are_shown_and_ended(host):
    ping(host)
    assert any(re.match(r"all icmp 203\.0\.113\.10:\d+ <- 203\.0\.113\.1:\d+ ", s)
               for s in show(host, "-ss"))
    states = json.loads(host.run("pfctl", "-ss", "--json").stdout)["states"]
    assert [s["direction"] for s in states if s["label"] == "ping"] == ["in"]
    assert "killed 1 states from 1 sources" in host.run("pfctl", "-k", "203.0.113.1").stderr
    assert show(host, "-ss") == []


def test_flushing(host):
    assert "nat cleared" in host.run("pfctl", "-F", "nat").stderr
    assert show(host, "-sn") == [] and show(host, "-sr") != []
    host.run("pfctl", "-F", "all")
    assert show(host, "-sr") == []
    ping(host)


def test_without_a_pf_conf_the_built_in_policy_is_shown(vps):
    vps.configure('''
web { ip4.addr = "10.100.0.2"; rdr = "tcp 8080 -> 80"; allow.connect = "db tcp 5432"; }
db { ip4.addr = "10.100.0.3"; }
''', rc="""
        cloned_interfaces="lo100"
        ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
        """)
    rules, nat = show(vps, "-sr"), show(vps, "-sn")
    assert "pass in quick on lo100 inet proto tcp from 10.100.0.2 to 10.100.0.3 port = postgresql" \
        " flags S/SA keep state" in rules
    assert "block return in quick on lo100 proto tcp from any to any port = smtp" in rules
    assert any(rule.startswith("nat on eth0 inet from 10.100.0.0/24 to any -> (eth0:0)") for rule in nat)
    assert any("to (self) port = http-alt tag newgate_rdr -> 10.100.0.2 port 80" in rule for rule in nat)
    # It reads back as the same, and may be loaded.
    vps.write("/etc/printed.conf", "\n".join(nat + rules) + "\n")
    assert show(vps, "-nvf", "/etc/printed.conf") == nat + rules
    assert json.loads(vps.run("pfctl", "-sr", "--json").stdout)["rules"][0]["packets"] == 0


# --- newgate confirm ---


def refused(host, address="203.0.113.10", port=7000):
    return host.refused("internet", "tcp", address, port) == errno.ECONNREFUSED


@pytest.fixture
def waits(host):
    """Rules that refuse what the ones before let through; nobody has confirmed them yet."""
    server = host.listen("vps", "tcp", "", 80)
    host.write("/etc/other.conf", "block return all\npass out\n")
    got = host.run("pfctl", "-f", "/etc/other.conf", "--confirm", "3600")
    assert got.stderr == "goes back in 3600 s, unless confirmed: newgate confirm\n"
    assert refused(host, port=80)
    return server


def test_not_confirmed_the_rules_before_come_back(host, waits):
    got = host.run("newgate", "confirm", "--back").stdout
    assert got == "went back: pf holds what it held before; its file is as you left it\n"
    assert "anchor \"f2b/*\" all" in show(host, "-sr")
    assert host.seen("internet", "tcp", "203.0.113.10", 80, waits)
    assert "loads what pf held before" in host.read("/var/log/newgate.log")
    assert "nothing waits" in host.run("newgate", "confirm", status=1).stderr


def test_confirmed_the_rules_stay(host, waits):
    assert host.run("newgate", "confirm").stdout == "confirmed: these rules stay\n"
    assert refused(host, port=80)
    assert host.run("pfctl", "-f", "/etc/pf.conf").stderr == ""


def test_they_come_back_by_themselves(host):
    server = host.listen("vps", "tcp", "", 80)
    host.write("/etc/other.conf", "block all\n")
    host.run("pfctl", "-f", "/etc/other.conf", "--confirm", "1")
    assert all(host.ends(pid) for pid, command in host.processes().items() if "pfctl" in command)
    assert host.seen("internet", "tcp", "203.0.113.10", 80, server)


def test_going_back_passes_over_what_was_only_loaded_again(host, waits):
    host.run("nft", "delete", "table", "inet", "newgate")
    host.configure('a { ip4.addr = "10.100.0.2"; }')
    host.start("a")
    assert refused(host, port=80)
    host.run("newgate", "confirm", "--back")
    assert host.seen("internet", "tcp", "203.0.113.10", 80, waits)


def test_while_rules_wait_no_others_are_loaded(host, waits):
    for argv in (["-f", "/etc/pf.conf"], ["-F", "rules"], ["-d"], ["-e"],
                 ["-f", "/etc/pf.conf", "--confirm", "9"]):
        assert "a change waits to be confirmed" in host.run("pfctl", *argv, status=1).stderr
    assert "a change waits" in host.run("newgate", "up", status=1).stderr
    # But tables may be filled, and what waits looked at.
    host.run("pfctl", "-t", "new", "-T", "add", "192.0.2.1")
    assert show(host, "-sr")[0] == "block return all"
    host.run("newgate", "confirm", "--back")
    assert waits


def test_going_back_switches_off_what_was_off(host):
    """Though it held rules even then."""
    server = host.listen("vps", "tcp", "", 7000)
    host.run("pfctl", "-d")
    host.write("/etc/other.conf", "block return all\n")
    host.run("pfctl", "-e", "-f", "/etc/other.conf", "--confirm", "3600")
    assert refused(host)
    host.run("newgate", "confirm", "--back")
    assert show(host, "-si")[0].startswith("Status: Disabled")
    assert host.seen("internet", "tcp", "203.0.113.10", 7000, server)
    assert "anchor \"f2b/*\" all" in show(host, "-sr")


def test_going_back_does_not_need_jail_conf(host, waits):
    host.write("/etc/jail.conf", "}{")
    host.run("newgate", "confirm", "--back")
    assert host.seen("internet", "tcp", "203.0.113.10", 80, waits)


def test_what_is_loaded_needs_no_confirmation(host):
    got = host.run("pfctl", "-f", "/etc/pf.conf", "--confirm", "3600").stderr
    assert got == "these rules are loaded already: nothing waits to be confirmed\n"
    assert "nothing waits" in host.run("newgate", "confirm", status=1).stderr


def test_the_terminal_that_loads_may_be_cut_off(host):
    server = host.listen("vps", "tcp", "", 80)
    host.write("/etc/other.conf", "block all\n")
    with Terminal(host, "pfctl", "-f", "/etc/other.conf", "--confirm", "3600") as at:
        at.expect("goes back in 3600 s: press Enter to keep it ")
    host.run("newgate", "confirm", "--back")
    assert host.seen("internet", "tcp", "203.0.113.10", 80, server)


def test_enter_keeps_the_rules(host):
    host.write("/etc/other.conf", "block return all\n")
    with Terminal(host, "pfctl", "-f", "/etc/other.conf", "--confirm", "3600") as at:
        at.expect("press Enter to keep it ")
        at.line("")
        at.expect("confirmed: these rules stay")
    assert refused(host)


# --- the command line ---


@pytest.mark.parametrize("argv, text", [
    (["-s", "foo"], "-s foo: all, Anchors"), (["-F", "foo"], "-F foo: all, nat"),
    (["-t", "brute", "-T", "foo"], "-T foo: add, delete"), (["-t", "brute"], "usage: pfctl"),
    (["-k", "label"], "-k label: which?"), (["-k", "nonsense"], "an address or a network"),
    (["-f", "/nowhere"], "/nowhere: No such file"), ([], "usage: pfctl"), (["-a", "nix", "-sr"], "Anchor does not exist"),
    (["-sr", "--confirm", "9"], "usage: pfctl"), (["-f", "-", "--confirm", "0"], "1 to 86400"),
])
def test_wrong_command_lines(host, argv, text):
    assert text in host.run("pfctl", *argv, status=1).stderr
