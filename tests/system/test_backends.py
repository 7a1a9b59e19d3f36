"""The same over everything that keeps jails' trees: overlay, dir, btrfs, zfs, on real file systems."""

import json
import os
import re

import pytest

import disks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts file systems")


@pytest.fixture(params=list(disks.KINDS))
def disk(vps, request):
    d = disks.make(vps, request.param)
    try:
        yield d
        vps.remove_jails()
    finally:
        d.close()


CONF = """\
exec.clean;
path = "/var/jails/$name";
persist;
ip4 = inherit;
a { }
b { }
c { }
"""


@pytest.fixture
def cloned(disk):
    """Jail a, cloned from a template."""
    disk.vps.write("/etc/jail.conf", CONF)
    disk.base()
    disk.newgate("clone", "_base", "a")
    return disk


def changes(disk, *argv):
    return {c["path"]: c["change"] for c in json.loads(disk.newgate("diff", "--json", *argv))["changes"]}


def snapshots(disk, *jails):
    return [s["name"] for s in json.loads(disk.newgate("snapshot", "list", "--json", *jails))["snapshots"]]


def test_clone_and_destroy(cloned):
    disk = cloned
    assert disk.entry("a")["backend"] == disk.keeps
    assert disk.look("a", "etc/hostname") == "a\n"
    disk.in_jail("a", "echo mine >etc/mine; rm bin/vi; chmod 0700 tmp")
    assert "a: cloned" not in disk.newgate("clone", "_base", "a", fails=True)
    disk.newgate("clone", "a", "b")
    assert disk.look("b", "etc/mine") == "mine\n"
    assert disk.look("b", "bin/vi") is None
    assert disk.look("b", "etc/hostname") == "b\n"
    disk.in_jail("b", "echo other >etc/mine")
    assert disk.look("a", "etc/mine") == "mine\n"
    assert changes(disk, "a") == {"/etc/hostname": "changed", "/etc/machine-id": "changed",
                                  "/etc/mine": "added", "/bin/vi": "removed", "/tmp": "changed"}
    disk.newgate("destroy", "-y", "b")
    assert disk.look("a", "etc/mine") == "mine\n"
    disk.newgate("destroy", "-y", "a")
    assert not disk.path("/var/jails/a").exists()
    disk.newgate("template", "destroy", "-y", "_base")
    assert disk.half_made() == []
    if disk.fs == "zfs":
        assert not [v for v in disk.volumes() if "@" in v or v.count("/") > 2]


def test_snapshots_show_and_bring_back_what_was(cloned):
    disk = cloned
    disk.in_jail("a", "echo one >etc/mine; echo gone >etc/gone; mkdir -p srv/www; echo x >srv/www/x")
    assert "a@first: taken\n" == disk.newgate("snapshot", "a@first")
    assert "has a snapshot first already" in disk.newgate("snapshot", "a@first", fails=True)
    disk.in_jail("a", "echo two >etc/mine; rm etc/gone; rm -r srv/www; echo new >etc/new; ln -s x etc/l")
    assert changes(disk, "a@first") == {
        "/etc/mine": "changed", "/etc/gone": "removed", "/etc/new": "added", "/etc/l": "added",
        "/srv/www": "removed", "/srv/www/x": "removed"}
    disk.newgate("snapshot", "a@second")
    disk.in_jail("a", "echo three >etc/mine")
    assert changes(disk, "a@first", "@second")["/etc/gone"] == "removed"
    assert changes(disk, "a@second") == {"/etc/mine": "changed"}
    assert snapshots(disk, "a") == ["first", "second"] == snapshots(disk)
    disk.newgate("rollback", "-y", "a")
    assert disk.look("a", "etc/mine") == "two\n"
    if disk.keeps == "zfs":
        said = disk.newgate("rollback", "-y", "a@first", fails=True)
        assert "destroying them: second" in said and snapshots(disk, "a") == ["first", "second"]
        assert disk.look("a", "etc/mine") == "two\n"
        disk.newgate("rollback", "-y", "-r", "a@first")
        assert snapshots(disk, "a") == ["first"]
    else:
        disk.newgate("rollback", "-y", "a@first")
        assert snapshots(disk, "a") == ["first", "second"]
    assert disk.look("a", "etc/mine") == "one\n"
    assert disk.look("a", "srv/www/x") == "x\n" and disk.look("a", "etc/new") is None
    assert changes(disk, "a@first") == {}
    disk.newgate("snapshot", "destroy", "a@first")
    assert "first" not in snapshots(disk, "a")
    assert 'did you mean' in disk.newgate("rollback", "-y", "a@secondd" if disk.keeps != "zfs" else "a@x",
                                          fails=True) or disk.keeps == "zfs"
    assert disk.half_made() == []
    disk.newgate("destroy", "-y", "a")
    assert disk.half_made() == []


def test_a_running_jail(cloned):
    disk = cloned
    disk.vps.run("jail", "-c", "b", "path=/var/other", status=1)
    if disk.keeps == "zfs":
        # FUSE maps no owners: said at the start, and nothing is left of it.
        said = disk.newgate("up", "a", fails=True)
        assert "cannot map owners" in said and "zfs" in said, said
        return
    disk.newgate("up", "a")
    disk.vps.run("jexec", "a", "sh", "-c", "echo one >/etc/mine; sleep 1000 >/dev/null 2>&1 &")
    assert "while it runs" in disk.newgate("snapshot", "a@live")
    assert disk.vps.run("jexec", "a", "cat", "/etc/mine").stdout == "one\n"
    disk.vps.run("jexec", "a", "sh", "-c", "echo two >/etc/mine")
    pid = disk.vps.record("a")["pid"]
    assert changes(disk, "a@live") == {"/etc/mine": "changed"}
    assert "no snapshot nope" in disk.newgate("rollback", "-y", "a@nope", fails=True)
    assert disk.vps.record("a")["pid"] == pid
    said = disk.newgate("rollback", "-y", "a")
    assert "a: as it was at live" in said
    assert disk.vps.record("a")["pid"] != pid
    assert disk.vps.run("jexec", "a", "cat", "/etc/mine").stdout == "one\n"
