"""Fixtures of the tests of newgate host with real software. Run as root:
/usr/bin/python3 -m pytest tests/host"""

import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

import trees  # noqa: E402
from vps import Vps  # noqa: E402
from world import World  # noqa: E402

NAMES = "203.0.113.53"


def packages_tar(name):
    try:
        return trees.packages_tar(name)
    except trees.Unavailable as e:
        pytest.skip(str(e))


@contextlib.contextmanager
def mail_host(*options, jails=trees.JAILS):
    """A VPS on which newgate host init was run, with alice and bob, who has 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes namespaces")
    tars = {jail: packages_tar(jail) for jail in jails}
    vps = Vps()
    try:
        for jail, tar in tars.items():
            vps.run("newgate", "template", "create", f"host-{jail}-packages", "--from", tar, timeout=120)
        vps.run("newgate", "host", "init", *options, "example.org", timeout=180)
        for name, quota in (("alice", ()), ("bob", ("--quota", "2M"))):
            vps.run("newgate", "host", "user", "add", *quota, f"{name}@example.org",
                    input=f"secret of {name}\n")
        yield vps
        vps.remove_jails()
    finally:
        # A connection that was cut keeps its jail's network until the kernel gives it up.
        vps.close(links=150)


def no_names(vps):
    """A name server where the host looks for one, which knows of no name: without it, each connection to
    the host waits for a while."""
    vps.run("ip", "address", "add", NAMES, "dev", "lo", where="internet")
    server = vps.listen("internet", "udp", NAMES, 53)
    server.settimeout(None)

    def answer():
        with contextlib.suppress(OSError):
            while True:
                q, peer = server.recvfrom(4096)
                question = q[12:q.index(b"\0", 12) + 5]
                server.sendto(q[:2] + b"\x81\x83\0\1" + b"\0" * 6 + question, peer)

    threading.Thread(target=answer, daemon=True).start()


@contextlib.contextmanager
def world_of(vps):
    """The rest of the internet around that VPS, to which it published its records."""
    world = World(vps, packages_tar("remote"))
    try:
        world.publish()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="session")
def mail_and_world():
    with mail_host() as vps, world_of(vps) as world:
        yield vps, world


@pytest.fixture(scope="session")
def mail(mail_and_world):
    """The one that all tests share which only send and read."""
    return mail_and_world[0]


@pytest.fixture(scope="session")
def world(mail_and_world):
    """The internet around it, which is there whoever asks for it: Postfix looks up every client's name."""
    return mail_and_world[1]
