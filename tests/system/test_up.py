"""newgate up and down: what runs is made equal to what is configured."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from test_network import OUT, VPS

RC = """
    jail_enable="YES"
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
"""


def block(name, address, more=""):
    return f'{name} {{ interface = "lo100"; ip4.addr = "{address}"; {more} }}\n'


DB = block("db", "10.100.0.2")
WEB = block("web", "10.100.0.3", 'depend = "db"; rdr = "tcp 80"; allow.connect = "db tcp 5432";')


def plan(vps, *argv):
    """What newgate up would do: its lines, the last of which say that nothing is."""
    got = vps.run("newgate", "up", "-n", *argv, status=None)
    lines = got.stdout.splitlines()
    if got.returncode == 0:
        assert len(lines) == 1 and lines[0].startswith("nothing to do: "), got.stdout
        return []
    assert got.returncode == 2, got.stdout + got.stderr
    return lines


def up(vps, *argv):
    lines = vps.run("newgate", "up", *argv).stdout.splitlines()
    return [] if lines and lines[0].startswith("nothing to do: ") else lines


def pids(vps, *names):
    return {name: vps.jail(name).pid for name in names}


def kill(vps, name):
    """Ends the jail's PID 1, as an accident would."""
    pid = vps.jail(name).pid
    vps.run("kill", "-KILL", pid)
    assert vps.ends(pid)


def running(vps):
    return vps.run("jls", "name").stdout.split()


@pytest.fixture
def two(vps):
    """web needs db; both are up."""
    vps.configure(DB + WEB, RC)
    up(vps)
    return vps


# --- starting and stopping ---


def test_starts_what_is_configured_in_order(vps):
    vps.configure(WEB + DB, RC)
    wanted = ["starts web; opens tcp 80", "starts db"]
    assert plan(vps) == wanted
    assert running(vps) == []
    assert up(vps) == wanted
    assert sorted(running(vps)) == ["db", "web"]
    assert vps.record("db")["jid"] < vps.record("web")["jid"], "web was made before db"


def test_leaves_alone_what_is_as_configured(two):
    before = pids(two, "db", "web")
    assert plan(two) == [] and up(two) == []
    assert pids(two, "db", "web") == before


def test_stops_what_is_no_longer_configured(two):
    two.configure(DB, RC)
    assert plan(two) == ["stops web: no longer configured"]
    up(two)
    assert running(two) == ["db"]


def test_leaves_alone_what_the_command_line_described(two):
    two.busybox("/var/jails/x")
    two.run("jail", "-c", "name=x", "path=/var/jails/x", "persist")
    assert plan(two) == []
    two.run("newgate", "down")
    assert running(two) == []


def test_a_name_brings_up_what_it_needs_and_nothing_else(vps):
    vps.configure(DB + WEB + block("other", "10.100.0.4"), RC)
    assert plan(vps, "web") == ["starts db: web needs it", "starts web; opens tcp 80"]
    up(vps, "web")
    assert sorted(running(vps)) == ["db", "web"]
    assert plan(vps, "web") == []
    assert plan(vps, "*") == ["starts other"]


def test_an_unknown_name_is_told(two):
    got = two.run("newgate", "up", "wep", status=1)
    assert got.stderr == 'newgate up: there is no jail "wep" (did you mean "web"?)\n'


def test_rc_conf_says_which_are_to_run(vps):
    vps.configure(DB + WEB + block("other", "10.100.0.4"), RC + 'jail_list="db"\n')
    assert up(vps) == ["starts db"]
    vps.run("jail", "-c", "other")
    assert plan(vps) == [], "one that was started by name stays"
    vps.write("/etc/rc.conf", RC.replace("YES", "NO"))
    got = vps.run("newgate", "up")
    assert got.stdout == "" and 'jail_enable is "NO"' in got.stderr
    vps.write("/etc/rc.conf", RC + 'jail_list="db nobody"\n')
    assert "jail_list: no jail \"nobody\" is configured" in vps.run("newgate", "up", status=1).stderr


def test_a_fault_in_the_configuration_changes_nothing(two):
    two.configure(DB + WEB.replace("tcp 80", "tcp 80000"), RC)
    assert "port 80000 is above 65535" in two.run("newgate", "up", status=1).stderr
    assert sorted(running(two)) == ["db", "web"]


def test_down_stops_in_reverse(two):
    got = two.run("newgate", "down")
    assert got.stdout == "web: removed\ndb: removed\n"
    assert running(two) == []
    two.run("newgate", "up")
    assert two.run("newgate", "down", "db").stdout == "web: removed\ndb: removed\n"


# --- changing ---


def test_opens_and_closes(two):
    before = pids(two, "db", "web")
    two.configure(DB + WEB.replace('rdr = "tcp 80"', 'rdr = "tcp 443 -> 8443 from 198.51.100.0/24"')
                  .replace("tcp 5432", "tcp 5433"), RC)
    wanted = ["closes tcp 80 to web",
              "opens tcp 443 to web (its port 8443) from 198.51.100.0/24",
              "no longer lets web connect to db tcp 5432",
              "lets web connect to db tcp 5433"]
    assert plan(two) == wanted and up(two) == wanted
    assert pids(two, "db", "web") == before
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 8443)
    assert two.seen("internet", "tcp", VPS[4], 443, server, OUT[4]) == OUT[4]
    server = two.listen(two.jail("db"), "tcp", "10.100.0.2", 5433)
    assert two.seen(two.jail("web"), "tcp", "10.100.0.2", 5433, server) == "10.100.0.3"
    assert plan(two) == []


def test_what_is_no_longer_mentioned_is_the_default(two):
    two.configure(DB + block("web", "10.100.0.3", 'depend = "db"; host.hostname = "www"; '
                             'exec.stop = "true"; meta.owner = "me";'), RC)
    assert up(two) == [
        "closes tcp 80 to web", "no longer lets web connect to db tcp 5432",
        "lets web connect to internet", "names the host in web www (was web)",
        "changes meta of web", "changes exec.stop of web"]
    assert two.run("jexec", "web", "hostname").stdout == "www\n"
    two.configure(DB + block("web", "10.100.0.3", 'depend = "db";'), RC)
    assert up(two) == ["names the host in web web (was www)", "changes meta of web",
                       "changes exec.stop of web"]
    assert two.run("jexec", "web", "hostname").stdout == "web\n"
    assert plan(two) == []


def test_restarts_where_only_that_helps_and_those_that_depend_on_it(two):
    before = pids(two, "db", "web")
    two.configure(DB.replace("10.100.0.2", "10.100.0.9") + WEB, RC)
    wanted = ["restarts db: ip4.addr changed (10.100.0.2 -> 10.100.0.9)",
              "restarts web: it needs db, which restarts"]
    assert plan(two) == wanted and up(two) == wanted
    after = pids(two, "db", "web")
    assert after["db"] != before["db"] and after["web"] != before["web"]
    assert plan(two) == []
    server = two.listen(two.jail("db"), "tcp", "10.100.0.9", 5432)
    assert two.seen(two.jail("web"), "tcp", "10.100.0.9", 5432, server) == "10.100.0.3"


def test_permissions_follow_an_address(vps):
    """web names db in allow.connect, but does not depend on it."""
    web = block("web", "10.100.0.3", 'allow.connect = "db tcp 5432";')
    vps.configure(DB + web, RC)
    up(vps)
    vps.configure(DB.replace("10.100.0.2", "10.100.0.9") + web, RC)
    assert up(vps) == ["restarts db: ip4.addr changed (10.100.0.2 -> 10.100.0.9)",
                       "updates the permissions of web: an address in them has changed"]
    server = vps.listen(vps.jail("db"), "tcp", "10.100.0.9", 5432)
    assert vps.seen(vps.jail("web"), "tcp", "10.100.0.9", 5432, server) == "10.100.0.3"
    assert plan(vps) == []


def test_json(two):
    two.configure(DB, RC)
    got = two.run("newgate", "up", "-n", "--json", status=2)
    assert json.loads(got.stdout) == {"actions": [
        {"action": "stop", "jail": "web", "text": "stops web: no longer configured"}]}
    two.configure(DB + WEB, RC)
    assert json.loads(two.run("newgate", "up", "--json").stdout) == {"actions": []}


# --- repairing ---


def test_clears_up_after_a_jail_that_ended(two):
    kill(two, "db")
    assert plan(two) == ["clears up after db, which ended", "starts db"]
    up(two)
    assert sorted(running(two)) == ["db", "web"] and plan(two) == []


def test_makes_a_lost_link_again(two):
    before = pids(two, "web")
    link = two.record("web")["link"]
    two.run("ip", "link", "delete", link)
    assert plan(two) == [f"repairs web: its link {link} is gone"]
    up(two)
    assert pids(two, "web") == before and plan(two) == []
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 80)
    assert two.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]
    server = two.listen(two.jail("db"), "tcp", "10.100.0.2", 5432)
    assert two.seen(two.jail("web"), "tcp", "10.100.0.2", 5432, server) == "10.100.0.3"


def test_makes_a_lost_route_again(two):
    two.run("ip", "route", "delete", "10.100.0.3")
    assert plan(two) == ["repairs web: no route leads to its address 10.100.0.3"]
    up(two)
    assert plan(two) == []
    two.run("ip", "link", "set", two.record("web")["link"], "down")
    assert f"its link {two.record('web')['link']} is down" in plan(two)[0]
    up(two)
    assert plan(two) == []
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 80)
    assert two.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]


@pytest.mark.parametrize("damage,seen", [
    ("delete table inet newgate", "table inet newgate is gone"),
    ("flush chain inet newgate forward", "somebody changed the rules of table inet newgate"),
    ("insert rule inet newgate forward accept", "somebody changed the rules of table inet newgate"),
    ("add chain inet newgate forward { policy drop; }",
     "somebody changed the rules of table inet newgate"),
    ("flush map inet newgate rdr4", "elements of running jails are missing in the firewall "
     "(web: rdr4 tcp . 80 : 10.100.0.3 . 80)"),
    ("add element inet newgate host4 { 10.100.0.3 }", "the firewall holds elements of no jail (host4)"),
])
def test_puts_the_table_right(two, damage, seen):
    before = pids(two, "db", "web")
    two.run("nft", damage)
    assert plan(two) == [f"repairs the network: {seen}"]
    up(two)
    assert plan(two) == [] and pids(two, "db", "web") == before
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 80)
    assert two.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]
    two.refused(two.jail("db"), "tcp", "10.100.0.3", 80)


def test_puts_interface_and_forwarding_right(two):
    two.run("ip", "link", "delete", "lo100")
    two.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    assert plan(two) == [
        "repairs the network: forwarding is off (/proc/sys/net/ipv4/ip_forward)",
        "repairs the network: interface lo100 has lost 10.100.0.1/24"]
    up(two)
    assert plan(two) == []
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 80)
    assert two.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]


def test_says_what_it_cannot_put_right(two):
    """The outside address has changed, and a jail is to leave with the old one."""
    two.run("ip", "address", "add", "203.0.113.77/24", "dev", "eth0")
    two.configure(block("db", "10.100.0.2", 'nat.source = "203.0.113.77";') + WEB, RC)
    up(two)
    two.run("ip", "address", "delete", "203.0.113.77/24", "dev", "eth0")
    got = two.run("newgate", "up", "-n", status=1)
    assert 'nat.source "203.0.113.77": not an address of this host' in got.stderr
    assert sorted(running(two)) == ["db", "web"]


def test_after_a_reboot(two):
    """/run is empty, nothing runs: what a restarted machine looks like."""
    for name in ("web", "db"):
        kill(two, name)
    two.run("rm", "-rf", two.path("/run/newgate"))
    two.run("nft", "delete", "table", "inet", "newgate")
    two.run("ip", "link", "delete", "lo100")
    for path in filter(Path.is_dir, two.cgroup().iterdir()):
        path.rmdir()
    assert plan(two) == ["starts db", "starts web; opens tcp 80"]
    up(two)
    assert plan(two) == []
    server = two.listen(two.jail("web"), "tcp", "10.100.0.3", 80)
    assert two.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]


# --- going back by itself ---

CHANGED = block("db", "10.100.0.2", 'exec.start = "true"; rdr = "udp 53";') + block("new", "10.100.0.4")
CHANGES = ["stops web: no longer configured", "opens udp 53 to db",
           "changes exec.start of db (from its next start on)", "starts new"]


def ups(vps):
    """newgate itself, without the children that become jails."""
    home = os.readlink(vps.proc / "1" / "ns" / "pid")
    return [pid for pid, command in vps.processes().items() if command.startswith("newgate up")
            and os.readlink(vps.proc / str(pid) / "ns" / "pid") == home]


def sessions(vps):
    """Those of them that lead a session."""
    found = []
    for pid in ups(vps):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stat = (vps.proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            found += [pid] if stat[3] == str(pid) else []
    return found


def waiter(vps):
    """The process that waits for a word: the last of those in a session of their own."""
    return max(sessions(vps))


def is_as_before(vps):
    assert sorted(running(vps)) == ["db", "web"]
    assert "rdr=udp 53" not in vps.record("db")["param"]
    server = vps.listen(vps.jail("web"), "tcp", "10.100.0.3", 80)
    assert vps.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]


def is_changed(vps):
    assert sorted(running(vps)) == ["db", "new"]
    assert "rdr=udp 53" in vps.record("db")["param"]


@pytest.fixture
def changed(two):
    """A change that is made and waits."""
    two.configure(CHANGED, RC)
    got = two.run("newgate", "up", "--confirm", "600")
    assert got.stdout.splitlines() == CHANGES
    assert got.stderr == "goes back in 600 s, unless confirmed: newgate confirm\n"
    is_changed(two)
    return two


def test_confirmed_it_stays(changed):
    pid = waiter(changed)
    assert changed.run("newgate", "confirm").stdout == "confirmed: what runs now stays\n"
    assert changed.ends(pid)
    is_changed(changed)
    assert plan(changed) == []
    assert "nothing waits" in changed.run("newgate", "confirm", status=1).stderr


def test_asked_to_it_goes_back_at_once(changed):
    before = changed.jail("db").pid
    pid = waiter(changed)
    got = changed.run("newgate", "confirm", "--back")
    assert got.stdout == "went back: what ran before runs again; jail.conf is as you left it\n"
    assert changed.ends(pid)
    is_as_before(changed)
    assert changed.jail("db").pid == before, "db had not to be restarted"
    assert plan(changed) == CHANGES
    log = changed.read("/var/log/newgate.log")
    for line in ["stops new: it did not run before", "closes udp 53 to db", "starts web; opens tcp 80"]:
        assert line in log


def test_goes_back_by_itself(two):
    two.configure(CHANGED, RC)
    two.run("newgate", "up", "--confirm", "1")
    assert all(two.ends(pid) for pid in sessions(two))
    is_as_before(two)


def test_only_one_change_at_a_time(changed):
    got = changed.run("newgate", "up", status=1)
    assert "a change waits to be confirmed" in got.stderr and got.stdout == ""
    changed.run("newgate", "confirm", "--back")


def test_the_killed_waiter_is_told(changed):
    pid = waiter(changed)
    changed.run("kill", "-KILL", pid)
    assert changed.ends(pid)
    got = changed.run("newgate", "up", status=1)
    assert "was killed: `newgate confirm` keeps" in got.stderr
    is_changed(changed)
    changed.run("newgate", "confirm", "--back")
    is_as_before(changed)
    assert plan(changed) == CHANGES


@pytest.fixture
def terminal(two):
    """newgate up --confirm on a terminal, waiting; its master end, and the process."""
    two.configure(CHANGED, RC)
    master, slave = os.openpty()
    p = two.popen("setsid", "--ctty", "newgate", "up", "--confirm", "600", stdin=slave, stdout=slave,
                  stderr=slave)
    os.close(slave)
    said = b""
    while b"press Enter" not in said:
        said += os.read(master, 4096)
    is_changed(two)
    yield two, master, p
    os.close(master)
    p.wait()


def test_enter_confirms(terminal):
    vps, master, p = terminal
    os.write(master, b"\n")
    assert p.wait(20) == 0
    assert plan(vps) == []


def test_the_terminal_may_go(terminal):
    vps, master, p = terminal
    command, = set(ups(vps)) - {waiter(vps)}
    vps.run("kill", "-HUP", command)
    assert p.wait(20) != 0
    pid = waiter(vps)
    vps.run("kill", "-HUP", pid)
    assert vps.run("newgate", "confirm", "--back").stdout.startswith("went back")
    assert vps.ends(pid)
    is_as_before(vps)


def test_the_command_may_be_killed_while_it_works(two):
    """Then the time begins, and what was half done goes back."""
    fifo = two.path("/fifo")
    two.run("mkfifo", fifo)
    two.configure(CHANGED + block("slow", "10.100.0.5", f'exec.prestart = "cat {fifo}";'), RC)
    p = two.popen("newgate", "up", "--confirm", "1")
    # Opening it for writing waits for the one who reads.
    with open(fifo, "w"):
        command, = set(ups(two)) - {waiter(two)}
        pid = waiter(two)
        two.run("kill", "-KILL", command)
    p.communicate()
    assert two.ends(pid)
    is_as_before(two)
