"""newgate status and metrics: what runs, what it uses, why something does not."""

import json
import os
import re
import select

import pytest

from vps import PATIENCE

CONF = """
    exec.clean; path = "/var/jails/$name"; interface = "lo100";
    web  { ip4.addr = 10.100.0.2; rdr = "tcp 80", "udp 53"; service = "sleep 1000"; }
    idle { ip4.addr = auto; persist; }
"""


@pytest.fixture
def two(vps):
    vps.write("/etc/rc.conf", 'cloned_interfaces="lo100"\nifconfig_lo100="inet 10.100.0.1/24"\n')
    vps.write("/etc/jail.conf", CONF)
    for name in ("web", "idle"):
        vps.busybox(f"/var/jails/{name}")
    return vps


def status(vps, *names):
    jails = json.loads(vps.run("newgate", "status", "--json", *names).stdout)["jails"]
    return {j["name"]: j for j in jails}


def test_configured_and_running_jails_are_shown(two):
    two.run("jail", "-c", "web")
    got = status(two)
    assert list(got) == ["web", "idle"]
    web, idle = got["web"], got["idle"]
    assert (web["state"], web["jid"], web["address"]) == ("running", 1, ["10.100.0.2"])
    assert web["rdr"] == ["tcp 80", "udp 53"]
    assert web["processes"] == 2  # PID 1 and sleep
    assert web["memory"] > 4096 and web["cpu_usec"] > 0
    assert (idle["state"], idle["jid"], idle["processes"], idle["failure"]) == ("stopped", 0, 0, None)


def test_traffic_is_counted_as_the_jail_sees_it(two):
    two.run("jail", "-c", "web")
    web = two.jail("web")
    before = status(two)["web"]
    got = two.listen("vps", "udp", "10.100.0.1", 9)
    sender = two.socket(web, "udp", "10.100.0.1")
    # The filter refuses it, but it has left the jail.
    sender.sendto(b"x" * 1000, ("10.100.0.1", 9))
    after = status(two)["web"]
    assert after["tx_packets"] - before["tx_packets"] == 1
    assert after["tx_bytes"] - before["tx_bytes"] >= 1000
    got.close()


def test_the_reason_of_a_failure_stays_until_it_starts(two):
    two.write("/etc/jail.conf", CONF + 'broken { exec.start = "/bin/false"; persist; }')
    two.busybox("/var/jails/broken")
    two.run("jail", "-c", "broken", status=1)
    got = status(two)["broken"]
    assert got["state"] == "failed"
    assert got["failure"] == "/bin/false: failed"
    two.write("/etc/jail.conf", CONF + 'broken { exec.start = "/bin/true"; persist; }')
    two.run("jail", "-c", "broken")
    got = status(two)["broken"]
    assert (got["state"], got["failure"]) == ("running", None)


def test_restarts_of_a_service_are_counted_with_the_last_reason(two):
    two.write("/etc/jail.conf", CONF + """
        flaky { persist; service = "sh -c 'test -e /second && { echo >/up; exec sleep 1000; }; : >/second; exit 7'"; }""")
    root = two.busybox("/var/jails/flaky")
    os.mkfifo(root / "up")
    up = os.open(root / "up", os.O_RDONLY | os.O_NONBLOCK)
    two.run("jail", "-c", "flaky")
    assert select.select([up], [], [], PATIENCE)[0]
    os.close(up)
    got = status(two)["flaky"]
    assert (got["services"], got["restarts"]) == (1, 1)
    assert got["failure"].startswith("sh: exit status 7 after ")


def test_unknown_names_are_told(two):
    got = two.run("newgate", "status", "web", "wbe", status=1)
    assert 'newgate status: jail "wbe" is neither configured nor running' in got.stderr
    assert "web" in got.stdout and "idle" not in got.stdout


def test_the_table_is_plain_in_a_pipe(two):
    two.run("jail", "-c")
    out = two.run("newgate", "status").stdout
    assert "\033" not in out
    header, *rows = out.splitlines()
    assert header.split()[:6] == ["NAME", "STATE", "ADDRESS", "PORTS", "PROCS", "MEMORY"]
    assert [r.split()[:2] for r in rows] == [["web", "running"], ["idle", "running"]]


def test_metrics_are_in_prometheus_text_form(two):
    two.run("jail", "-c", "web")
    out = two.run("newgate", "metrics").stdout
    sample = re.compile(r'[a-z_]+\{jail="(web|idle)"\} [0-9.e+]+')
    names = set()
    for line in out.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert kind == ("counter" if name.endswith("_total") else "gauge")
            names.add(name)
        elif not line.startswith("# HELP "):
            assert sample.fullmatch(line), line
            assert line.split("{")[0] in names
    assert 'newgate_jail_up{jail="web"} 1\n' in out
    assert 'newgate_jail_up{jail="idle"} 0\n' in out
    assert 'newgate_jail_redirects{jail="web"} 2\n' in out
