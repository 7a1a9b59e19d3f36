"""Commands stopped at every one of their steps, by an error and by kill -9: see tests/fault/fault.c.

A command that met an error has undone all it had done and says so. One that was killed leaves
what the next command tells, and `newgate up` puts right. In the end nothing is left of either."""

import itertools

import pytest

from footprint import footprint, same
from test_up import RC, plan
from vps import BUILD

FAULT = BUILD / "tests" / "fault" / "fault.so"
# All that a jail can have outside of its own namespaces.
CONF = """
    persist; interface = "lo100";
    db { ip4.addr = 10.100.0.2; path = "/var/jails/db"; }
    web {
        path = "/var/jails/web";
        ip4.addr = auto, "eth0|203.0.113.50"; ip6.addr = "2001:db8:1::50";
        rdr = "tcp 80", "tcp 443 -> 8443"; allow.connect = "db tcp 5432", "internet";
        mount = "tmpfs /var/jails/web/tmp tmpfs rw,size=1m 0 0"; mount.devfs;
        exec.prestart = "true"; exec.start = "true"; exec.stop = "true"; exec.poststop = "true";
        service = "sleep 1000"; exec.consolelog = "/var/log/web.log";
    }
"""

@pytest.fixture
def host(vps):
    """db runs; web, an overlay, has run once."""
    vps.write("/etc/jail.conf", CONF)
    vps.write("/etc/rc.conf", RC)
    vps.path("/var/log").mkdir(parents=True)
    vps.busybox("/var/jails/db")
    vps.run("newgate", "template", "create", "_base", "--from", vps.path("/var/jails/db"))
    vps.run("newgate", "clone", "_base", "web")
    vps.run("newgate", "up")
    vps.run("jail", "-r", "web")
    return vps


class Walk:
    """A command, stopped at each of its steps in turn."""

    def __init__(self, vps, kind):
        self.vps, self.kind, self.base = vps, kind, footprint(vps, "db")
        self.report = vps.folder / "report"

    def steps(self, *argv):
        """Until the command ends without having been stopped."""
        for step in itertools.count(1):
            self.report.write_bytes(bytes(64))
            got = self.vps.run("env", f"LD_PRELOAD={FAULT}", f"FAULT={self.kind} {step} {self.report}",
                               *argv, status=None)
            call = self.report.read_bytes().partition(b"\0")[0].decode()
            if not call:
                assert got.returncode == 0, got
                return
            print(f"{self.kind} at step {step}, {call}: {got.returncode} {got.stdout}{got.stderr}")
            yield got

    def is_clean(self):
        """Nothing is left of the jail."""
        same(footprint(self.vps, "db"), self.base)

    def heals(self):
        """newgate up puts right what it says is wrong."""
        planned = plan(self.vps)
        assert self.vps.run("newgate", "up").stdout.splitlines()[:len(planned)] == planned
        assert plan(self.vps) == []

    def heals_and_goes(self):
        self.heals()
        self.vps.run("jail", "-r", "web")
        self.is_clean()


START = "starts web; opens tcp 80, tcp 443 -> 8443"
LEFT = ["clears up what is left of web: there is no record of it",
        "clears up after web, whose start was interrupted", "clears up after web, which ended"]


def test_errors_in_create(host):
    """Each is undone, all of it, and told; or the jail does without."""
    walk = Walk(host, "error")
    for got in walk.steps("jail", "-c", "web"):
        if got.returncode == 0:
            assert plan(host) == []
            host.run("jail", "-r", "web")
        else:
            assert got.stderr.startswith("jail: ")
        walk.is_clean()


def test_kills_in_create(host):
    walk = Walk(host, "kill")
    for got in walk.steps("jail", "-c", "web"):
        planned = plan(host)
        assert planned in [[], [START]] + [[left, START] for left in LEFT]
        walk.heals_and_goes()


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_remove(host, kind):
    walk = Walk(host, kind)
    host.run("jail", "-c", "web")
    for got in walk.steps("jail", "-r", "web"):
        if got.returncode == 0:
            walk.is_clean()
        elif got.returncode == 1:
            assert got.stderr.startswith("jail: ")
        walk.heals_and_goes()
        host.run("jail", "-c", "web")


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_change(host, kind):
    """newgate up, which changes what a running jail may."""
    walk = Walk(host, kind)
    host.run("jail", "-c", "web")
    changes = itertools.cycle([CONF.replace('"tcp 80"', '"tcp 81"').replace('"internet"', '"host tcp 22"'), CONF])
    host.write("/etc/jail.conf", next(changes))
    for got in walk.steps("newgate", "up"):
        if got.returncode == 1:
            assert got.stderr.startswith("newgate up: ")
        walk.heals()
        host.write("/etc/jail.conf", next(changes))
    host.write("/etc/jail.conf", CONF)
    walk.heals_and_goes()


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_clone(host, kind):
    """What is half made does not keep the next one, which takes it away, from being made."""
    host.run("newgate", "clone", "_base", "other")
    host.run("newgate", "destroy", "-y", "other")
    walk = Walk(host, kind)
    for got in walk.steps("newgate", "clone", "_base", "other"):
        configured = "other {" in host.read("/etc/jail.conf")
        assert not configured or got.returncode != 1
        host.run("newgate", "destroy", "-y", "other", status=0 if configured else None)
        host.run("newgate", "clone", "_base", "other")
        host.run("newgate", "destroy", "-y", "other")
        walk.is_clean()


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_rename(host, kind):
    """All of it or nothing; where it was killed, up says what finishes it."""
    host.write("/etc/jail.conf.d/more.conf", 'more { depend = web; path = "/var/jails/db"; }\n')
    walk = Walk(host, kind)
    for got in walk.steps("newgate", "rename", "web", "www"):
        begun = "newgate rename web www finishes it" in host.run("newgate", "up", "-n", status=None).stderr
        if got.returncode == 1 and not begun:
            walk.is_clean()
            continue
        if got.returncode != 0:
            done = not begun and "www {" in host.read("/etc/jail.conf")
            host.run("newgate", "rename", "web", "www", status=int(done))
        host.run("newgate", "rename", "www", "web")
        walk.is_clean()
