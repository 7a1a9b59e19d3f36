"""pfctl: its command line, its forms, what it does and does not change."""

import json
import re

import pytest

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


@pytest.mark.parametrize("argv, text", [
    (["-s", "foo"], "-s foo: all, Anchors"), (["-F", "foo"], "-F foo: all, nat"),
    (["-t", "brute", "-T", "foo"], "-T foo: add, delete"), (["-t", "brute"], "usage: pfctl"),
    (["-k", "label"], "-k label: which?"), (["-k", "nonsense"], "an address or a network"),
    (["-f", "/nowhere"], "/nowhere: No such file"), ([], "usage: pfctl"), (["-a", "nix", "-sr"], "Anchor does not exist"),
])
def test_wrong_command_lines(host, argv, text):
    assert text in host.run("pfctl", *argv, status=1).stderr
