"""The root of a jail reaches for processes: the host's, another jail's, those that come in, and his
own PID 1."""

import subprocess

import pytest

from hostile import ATTACK, arm, attack, canary, hold, holding, outside, start, unguarded_init
from vps import PATIENCE


@pytest.fixture
def jail(vps):
    return start(vps, "evil")


def test_another_jail_is_not_there(vps, jail):
    other = start(vps, "other")
    for pid in (other.pid, vps.pid, int(vps.record("other")["pid"].split()[0])):
        assert not attack(jail, "foreign", pid).won
    assert outside(vps, "foreign", 1).won


def test_no_namespace_is_entered_or_made(vps, jail):
    spaces = [f"/proc/1/ns/{n}" for n in ("mnt", "pid", "net", "user", "cgroup")]
    assert not attack(jail, "setns", *spaces).won
    assert outside(vps, "setns", *spaces).won


def test_pid_1_is_not_traced(vps, jail):
    assert not attack(jail, "silent").won
    assert not attack(jail, "suicide").won
    assert vps.jail("evil").pid == jail.pid
    weak = start(vps, "weak", env=unguarded_init(vps))
    # It is gone, and with it the command: "won".
    assert weak.run("/bin/attack", "suicide", status=None).returncode not in (10, 20)


def test_pid_1_does_not_hear_what_it_did_not_ask_for(vps, jail):
    jail.run("/bin/sh", "-c", "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -QUIT 1")
    assert jail.run("/bin/echo", "there").stdout == "there\n"
    vps.run("kill", "-QUIT", str(jail.pid))  # blocked
    assert jail.run("/bin/echo", "there").stdout == "there\n"
    vps.run("kill", "-9", str(jail.pid))  # from outside nothing protects it
    assert jail.run("/bin/echo", "there", status=1)


SECRET = "kEpTfRoMjAiLs"
ROUNDS = 60


def ambushed(vps, jail, enter):
    """What an attacker that waits for each process that comes in got hold of, or ""."""
    file = canary(vps)
    mark = vps.path(f"/{SECRET}")
    mark.mkdir(exist_ok=True)
    vps.run("mount", "-t", "tmpfs", SECRET, mark)
    attacker = vps.popen("jexec", jail.name, "/bin/attack", "ambush", SECRET, file, 60)
    try:
        with holding(attacker):
            for _ in range(ROUNDS):
                vps.run(*enter, "/bin/true", env={"SECRET": SECRET})
                if attacker.poll() is not None:
                    return attacker.stdout.read()
        return ""
    finally:
        vps.run("umount", mark)


def test_who_comes_in_by_jexec_shows_nothing_of_the_host(vps, jail):
    assert ambushed(vps, jail, ["jexec", "-l", jail.name]) == ""
    assert "won" in ambushed(vps, jail, [ATTACK, "naive", vps.record("evil")["pid"].split()[0]])


def test_a_jail_that_does_not_want_to_stop_is_stopped(vps, jail):
    with hold(vps, jail, "stubborn"):
        vps.write("/etc/jail.conf", vps.read("/etc/jail.conf").replace("persist", "persist; stop.timeout = 1"))
        vps.run("jail", "-r", "evil", timeout=15)
    again = start(vps, "again")
    with hold(vps, again, "stubborn"):
        vps.run("jail", "-R", "again", timeout=15)


def test_a_stop_command_that_never_ends_holds_nobody(vps):
    arm(vps, "/var/jails/evil")
    jail = start(vps, "evil", 'exec.stop = "sleep 1000"', "exec.timeout = 1", "stop.timeout = 1",
                 root=vps.path("/var/jails/evil"))
    stop = vps.popen("jail", "-r", "evil", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert stop.wait(PATIENCE) == 1 and vps.jail("evil").pid == jail.pid
    vps.run("jail", "-R", "evil", timeout=15)
