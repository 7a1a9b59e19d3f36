"""jls(8): what it prints, for people, scripts and programs."""

import json

import pytest

CONF = """
path = "/var/jails/$name";
persist;
web {
    host.hostname = "www.example.org";
    ip4.addr = "10.100.0.2", "10.100.0.3";
    ip6.addr = "fd00:100::2";
    allow.raw_sockets;
    meta.owner = "a b";
    rdr = "tcp 80", "tcp 443 -> 8443";
}
a-jail-with-a-rather-long-name {
    host.hostname = "host.with.a.name.longer.than.its.column.example.org";
}
"""

# Kills a process and waits until it is gone.
KILL = """
import os, select, signal, sys
fd = os.pidfd_open(int(sys.argv[1]))
signal.pidfd_send_signal(fd, signal.SIGKILL)
select.select([fd], [], [])
"""


@pytest.fixture
def two(vps):
    vps.write("/etc/rc.conf", 'cloned_interfaces="lo100"\n'
              'ifconfig_lo100_alias0="inet 10.100.0.1/24"\n'
              'ifconfig_lo100_alias1="inet6 fd00:100::1/64"\n')
    vps.write("/etc/jail.conf", CONF.replace("ip4.addr", 'interface = "lo100"; ip4.addr'))
    vps.busybox("/var/jails/web")
    vps.busybox("/var/jails/a-jail-with-a-rather-long-name")
    vps.run("jail", "-c", "-p", "1")
    return vps


def out(vps, *args, **options):
    return vps.run("jls", *args, **options).stdout


def test_nothing_runs(vps):
    assert out(vps) == "   JID  IP Address      Hostname                      Path\n"
    assert json.loads(out(vps, "--libxo", "json")) == {
        "__version": "2", "jail-information": {"jail": []}}
    assert out(vps, "-n") == ""
    assert not vps.path("/run/newgate").exists()  # to look is not to make


def test_everybody_may_look(two):
    everybody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "jls", "name"]
    assert two.run(*everybody).stdout.splitlines()[0] == "web"


def test_usual_columns(two):
    assert out(two).splitlines() == [
        "   JID  IP Address      Hostname                      Path",
        "     1  10.100.0.2      www.example.org               /var/jails/web",
        "     2                  host.with.a.name.longer.than. /var/jails/a-jail-with-a-rather-long-name",
    ]


def test_names(two):
    assert out(two, "-N").splitlines() == [
        " JID             IP Address      Hostname                      Path",
        " web             10.100.0.2      www.example.org               /var/jails/web",
        " a-jail-with-a-rather-long-name                 host.with.a.name.longer.than."
        " /var/jails/a-jail-with-a-rather-long-name",
    ]


def test_verbose(two):
    assert out(two, "-v", "-j", "web").splitlines() == [
        "   JID  Hostname                      Path",
        "        Name                          State",
        "        CPUSetID",
        "        IP Address(es)",
        "     1  www.example.org               /var/jails/web",
        "        web                           ACTIVE",
        "        0",
        "        10.100.0.2",
        "        10.100.0.3",
        "        fd00:100::2",
    ]


def test_one_jail(two):
    assert out(two, "-j", "web", "jid") == "1\n"
    assert out(two, "-j", "2", "name") == "a-jail-with-a-rather-long-name\n"
    missing = two.run("jls", "-j", "mail", status=1)
    assert (missing.stdout, missing.stderr) == ("", 'jls: jail "mail" not found\n')


def test_check(two):
    for who, status in (("web", 0), ("1", 0), ("mail", 1), ("3", 1)):
        got = two.run("jls", "-c", "-j", who, status=status)
        assert got.stdout + got.stderr == ""
    two.run("jls", "-c", status=1)


@pytest.mark.parametrize("args,want", [
    (["name", "jid"], "web 1"),
    (["persist", "nopersist", "dying"], "true false false"),
    (["-n", "persist", "nopersist", "dying"], "persist persist nodying"),
    (["-n", "allow.raw_sockets", "allow.mount"], "allow.raw_sockets allow.nomount"),
    (["ip4.addr", "ip6.addr"], "10.100.0.2,10.100.0.3 fd00:100::2"),
    (["ip4", "ip6"], "new new"),
    (["meta.owner", "meta.other"], 'a b ""'),
    (["-q", "meta.owner", "meta.other"], '"a b" ""'),
    (["meta"], "owner=a b"),
    (["-n", "meta.owner"], "meta.owner=a b"),
    (["-h", "name", "persist"], "name persist\nweb true"),
    (["enforce_statfs", "children.max", "children.cur", "parent"], "2 0 0 0"),
    (["-v", "name"], "web"),
    (["-vn", "name"], "name=web"),
    (["rdr"], "tcp 80,tcp 443 -> 8443"),
])
def test_parameters(two, args, want):
    assert out(two, "-j", "web", *args) == want + "\n"


def test_empty_lists(two):
    long = "a-jail-with-a-rather-long-name"
    assert out(two, "-j", long, "ip4.addr", "ip4") == "- disable\n"
    assert out(two, "-j", long, "-q", "ip4.addr") == '""\n'
    assert out(two, "-j", long, "-n", "ip4.addr") == "ip4.addr=\n"


def test_all(two):
    names = out(two, "-h", "-j", "web").splitlines()[0].split(" ")
    assert names == sorted(names, key=lambda n: ("." in n, n))
    for name in ("jid", "name", "path", "allow.raw_sockets", "cpuset.id", "children.cur", "ip6.addr"):
        assert name in names
    for name in ("lastjid", "exec.start", "mount.devfs", "depend"):
        assert name not in names
    shown = out(two, "-n", "-j", "web", "all").rstrip("\n")
    assert "allow.nochflags" in shown.split(" ") and "host.hostname=www.example.org" in shown.split(" ")


@pytest.mark.parametrize("name,said", [
    ("pesrist", 'jls: unknown parameter: pesrist (did you mean "persist"?)\n'),
    ("xyzzyx", "jls: unknown parameter: xyzzyx\n"),
    ("exec.start", "jls: unknown parameter: exec.start (it is jail.conf's alone; a running jail "
     "does not keep it)\n"),
])
def test_unknown_parameter(two, name, said):
    got = two.run("jls", name, status=1)
    assert (got.stdout, got.stderr) == ("", said)


def test_input_for_jail(two):
    """What -s prints makes the same jail again."""
    line = out(two, "-j", "web", "-s").rstrip("\n")
    for part in ('meta="owner=a b"', 'rdr="tcp 80"', 'rdr="tcp 443 -> 8443"', "persist"):
        assert part in line
    assert " dying" not in line and "cpuset.id" not in line
    before = out(two, "-j", "web", "-n")
    two.run("jail", "-r", "web")
    two.run("sh", "-c", f"jail -c {line}")
    assert out(two, "-j", "web", "-n") == before


def test_json(two):
    usual = json.loads(out(two, "--libxo", "json"))["jail-information"]["jail"]
    assert usual[0] == {"jid": 1, "ipv4": "10.100.0.2", "hostname": "www.example.org",
                        "path": "/var/jails/web"}
    assert usual[1]["ipv4"] == ""
    verbose = json.loads(out(two, "--libxo=json", "-v"))["jail-information"]["jail"]
    assert verbose[0] == {"jid": 1, "hostname": "www.example.org", "path": "/var/jails/web",
                          "name": "web", "state": "ACTIVE", "cpusetid": 0,
                          "ipv4_addrs": ["10.100.0.2", "10.100.0.3"], "ipv6_addrs": ["fd00:100::2"]}
    params = json.loads(out(two, "--json", "-j", "web", "jid", "persist", "ip4.addr", "rdr"))
    assert params["jail-information"]["jail"] == [
        {"jid": "1", "persist": "true", "ip4.addr": ["10.100.0.2", "10.100.0.3"],
         "rdr": ["tcp 80", "tcp 443 -> 8443"]}]
    named = json.loads(out(two, "-n", "--libxo:J", "-j", "web", "persist", "allow.mount"))
    assert named["jail-information"]["jail"] == [{"persist": True, "allow.mount": False}]
    every = json.loads(out(two, "--json", "all"))["jail-information"]["jail"]
    assert len(every) == 2 and every[0]["name"] == "web"
    bad = two.run("jls", "--libxo", "xml", status=1)
    assert bad.stderr == 'jls: --libxo: "xml" is not known; there are json and text\n'


def test_dead_jails_are_dying(two):
    """A jail whose processes were killed behind newgate's back."""
    two.run("/usr/bin/python3", "-c", KILL, str(two.jail("web").pid))
    assert out(two, "name") == "a-jail-with-a-rather-long-name\n"
    assert out(two, "-d", "name", "dying").splitlines() == [
        "web true", "a-jail-with-a-rather-long-name false"]
    assert "DYING" in out(two, "-dv")
    two.run("jls", "-j", "web", status=1)
    assert out(two, "-d", "-j", "web", "jid") == "1\n"


def test_names_that_look_like_numbers(vps):
    vps.write("/etc/jail.conf", 'path = "/var/jails/a"; persist; 17 {} five { jid = 5; }')
    vps.busybox("/var/jails/a")
    vps.run("jail", "-c")
    assert out(vps, "-j", "17", "name") == "17\n"
    assert out(vps, "-j", "5", "name") == "five\n"


def test_wrong_options(vps):
    got = vps.run("jls", "-x", status=1)
    assert got.stderr.splitlines()[1].startswith("usage: jls ")
    assert "usage: jls " in out(vps, "--help")


def test_full_disk(two):
    got = two.run("sh", "-c", "jls >/dev/full", status=1)
    assert got.stderr == "jls: standard output: No space left on device\n"
