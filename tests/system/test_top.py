"""newgate top, and what looking at many jails costs."""

import json
import re
import shutil
import signal

import pytest

from terminal import Terminal
from vps import PATIENCE

CONF = """
    exec.clean; path = "/var/jails/$name"; persist; interface = "lo100";
    busy { ip4.addr = 10.100.0.2; service = "sh -c 'while :; do :; done'"; }
    idle { ip4.addr = 10.100.0.3; service = "sleep 1000", "sleep 2000"; }
"""


@pytest.fixture
def two(vps):
    vps.write("/etc/rc.conf", 'cloned_interfaces="lo100"\nifconfig_lo100="inet 10.100.0.1/24"\n')
    vps.write("/etc/jail.conf", CONF)
    for name in ("busy", "idle"):
        vps.busybox(f"/var/jails/{name}")
    vps.run("jail", "-qc")
    return vps


def looks(vps, *argv):
    """Each look of `newgate top`: its jails, in order."""
    out = vps.run("newgate", "top", "-d", "0.2", *argv, "--json").stdout
    decode, found = json.JSONDecoder(), []
    while out.strip():
        one, end = decode.raw_decode(out.lstrip())
        found.append(one["jails"])
        out = out.lstrip()[end:]
    return found


def test_json(two):
    got = looks(two, "-n", "2")
    assert len(got) == 2
    for look in got:
        assert [j["name"] for j in look] == ["busy", "idle"]
        busy, idle = look
        assert idle["processes"] == 3 and idle["memory"] > 4096 and idle["jid"] == 2
        assert busy["cpu_percent"] > 5 > idle["cpu_percent"]
        assert busy["cpu_percent"] <= 110  # one process


def test_sorting(two):
    assert [j["name"] for j in looks(two, "-n", "1", "-s", "processes")[0]] == ["idle", "busy"]
    assert [j["name"] for j in looks(two, "-n", "1", "-s", "cpu")[0]] == ["busy", "idle"]


def test_traffic_is_a_rate(two):
    """What goes out while top looks comes to its second look, divided by the time between."""
    idle = two.jail("idle")
    top = two.popen("newgate", "top", "--json", "-d", "1", "-n", "2")
    first = json.loads(next_object(top.stdout))
    sender = two.socket(idle, "udp", "10.100.0.1")
    for _ in range(100):
        sender.sendto(b"x" * 1000, ("10.100.0.1", 9))
    second = json.loads(next_object(top.stdout))
    assert top.wait(PATIENCE) == 0
    top.stdout.close()
    top.stderr.close()
    rates = [next(j for j in look["jails"] if j["name"] == "idle")["tx_rate"] for look in (first, second)]
    assert rates[0] < 1000 < 50_000 < rates[1] <= 110_000


def next_object(f):
    text = ""
    while not text.endswith("]}\n"):
        line = f.readline()
        assert line, text
        text += line
    return text


def test_batch_is_plain(two):
    out = two.run("newgate", "top", "-b", "-d", "0.1", "-n", "2").stdout
    assert "\033" not in out
    tables = [t.splitlines() for t in out.split("\n\n")]
    assert len(tables) == 2
    for header, *rows in tables:
        assert header.split() == ["NAME", "JID", "PROCS", "MEMORY", "CPU%", "IN/s", "OUT/s"]
        assert [r.split()[0] for r in rows] == ["busy", "idle"]


def test_no_jail(vps):
    assert vps.run("newgate", "top", "-b", "-d", "0.1", "-n", "1").stdout == "no jail is running\n"


@pytest.mark.parametrize("argv", [["-d", "0"], ["-d", "x"], ["-n", "0"], ["-s", "name"], ["-x"], ["web"]])
def test_usage(vps, argv):
    got = vps.run("newgate", "top", *argv, status=1)
    assert argv[0] in got.stderr or "usage: newgate top" in got.stderr


def test_on_a_terminal(two):
    with Terminal(two, "newgate", "top", "-d", "0.2", rows=10, columns=60) as t:
        t.expect(r"2 jails, \d+ processes, CPU [\d.]+%   by cpu")
        t.expect("busy .*\n.*idle ")
        t.type("p")
        t.expect("by processes")
        t.expect("idle .*\n.*busy ")
        t.resize(3, 20)
        # No more than fits: 20 columns of three lines.
        t.expect(r"\033\[H2 jails, \d+ process[es,]{0,3}\033\[K\r+\n\033\[K\r+\nNAME +JID +PROCS[^\n]*\033\[K\033\[J")
        t.type("q")
        t.expect(r"\033\[\?25h\033\[\?1049l")
        assert t.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("key, number", [("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)])
def test_the_terminal_is_given_back(two, key, number):
    with Terminal(two, "newgate", "top") as t:
        t.expect("by cpu")
        t.type(key)
        t.expect(r"\033\[\?25h\033\[\?1049l")
        assert t.process.wait(PATIENCE) == -number


# --- what it costs ------------------------------------------------------------------------------


def system_calls(vps, *argv):
    """How many of which a command makes."""
    trace = vps.folder / "calls"
    vps.run("strace", "-f", "-qq", "-o", trace, *argv, timeout=60)
    return len(re.findall(r"^\d+ +\w+\(", trace.read_text(), re.M))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("argv, most", [(["status"], 40), (["top", "-b", "-n", "1", "-d", "0.1"], 64)])
def test_system_calls_a_jail(vps, argv, most):
    """Counted, not timed: the difference that eight more jails make. top looks twice."""
    vps.busybox("/var/jails/one")
    vps.write("/etc/rc.conf", 'cloned_interfaces="lo100"\nifconfig_lo100="inet 10.100.0.1/24"\n')
    counts = []
    for n in (4, 12):
        vps.write("/etc/jail.conf", """path = "/var/jails/one"; persist; exec.clean;
            interface = "lo100"; ip4.addr = auto;\n""" + "".join(f"j{i} {{ }}\n" for i in range(n)))
        vps.run("jail", "-qc")
        counts.append(system_calls(vps, "newgate", *argv))
    few, many = counts
    assert (many - few) / 8 <= most, f"{few} for 4 jails, {many} for 12"
