"""Streams and backups stopped at every one of their steps, by an error and by kill -9 (see
tests/fault/fault.c), and on disks that are full: nothing of a user's is lost, and what is half-made is
undone, or by the next command."""

import itertools
import os
import shutil
import subprocess

import pytest

import disks
from test_fault import FAULT
from test_streams import export, look, other
from test_store import NEWGATE, PATIENCE, Host, host  # noqa: F401  (a fixture)

CONF = 'web { path = /srv/web; persist; rdr = "tcp 80"; ip4.addr = 10.0.0.7; }\n'


def small(host):  # noqa: F811
    """A jail made by hand: a few files, so that there are few steps."""
    root = host.path("/srv/web")
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("web\n")
    os.link(root / "etc/hostname", root / "again")
    os.symlink("again", root / "link")
    os.setxattr(root / "etc", "user.x", b"y")
    host.conf(CONF)
    return root


def run(host, *argv, env=None):  # noqa: F811
    return subprocess.run([NEWGATE, *argv], env={**host.env, **(env or {})}, capture_output=True, text=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)


def stopped(host, kind, *argv):  # noqa: F811
    """The command stopped at each of its steps in turn, until it is not stopped any more; the caller
    puts back what it starts from."""
    report = host.root / "report"
    for step in itertools.count(1):
        report.write_bytes(bytes(64))
        got = run(host, *argv, env={"LD_PRELOAD": str(FAULT), "FAULT": f"{kind} {step} {report}"})
        call = report.read_bytes().partition(b"\0")[0].decode()
        if not call:
            assert got.returncode == 0, got
            assert step > 5
            return
        print(f"{kind} at step {step}, {call}: {got.returncode} {got.stdout}{got.stderr}")
        yield got


def snapshots(host):  # noqa: F811
    return host.newgate("snapshot", "list").splitlines()[1:]


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_import(host, kind):  # noqa: F811
    root = small(host)
    stream = host.root / "stream"
    export(host, "web", to=stream)
    there = other(host)
    conf = "# mine\nmail { path = /srv/mail; persist; }\n"
    there.conf(conf)
    block = None
    for got in stopped(there, kind, "import", str(stream)):
        whole = there.path("/srv/web").exists()
        if kind == "error" and got.returncode != 0:
            # All of it is undone, by itself.
            assert got.stderr.startswith("newgate import: ") and there.conf() == conf, got.stderr
            assert not whole and there.trees() == []
        assert there.conf() == conf or there.conf() == block or block is None
        if whole:
            assert look(there.path("/srv/web")) == look(root)
        # The same command again completes it, or says that it is complete.
        again = run(there, "import", str(stream))
        assert again.returncode == 0 or "web has a tree already" in again.stderr, again.stderr
        assert look(there.path("/srv/web")) == look(root)
        block = block or there.conf()
        assert there.conf() == block and block.startswith(conf) and "# newgate end web" in block
        assert there.half_made() == [] and there.trees() == ["web"]
        there.newgate("destroy", "-y", "web")
        assert there.conf() == conf and not there.path("/srv/web").exists()


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_import_of_changes(host, kind):  # noqa: F811
    root = small(host)
    stream, changes = host.root / "stream", host.root / "changes"
    export(host, "web", to=stream)
    there = other(host)
    there.newgate("import", str(stream))
    tree = there.path("/srv/web")
    before = look(tree)
    there.newgate("snapshot", "web@a")
    # The same happens to both.
    for at in (root, tree):
        (at / "again").unlink()
        (at / "etc/new").write_text("x")
        os.utime(at / "etc/new", ns=(1, 1))
        for folder in (at / "etc", at):
            os.utime(folder, ns=(1, 7))
    export(there, "--since", "a", "web", to=changes)
    after = look(tree)
    assert after == look(root)
    there.newgate("rollback", "-y", "web@a")
    assert look(tree) == before
    for got in stopped(there, kind, "import", str(changes)):
        now = look(tree)
        assert now in (before, after)
        if got.returncode == 0:
            assert now == after
        again = run(there, "import", str(changes))
        assert again.returncode == 0 or "not what they were then" in again.stderr, again.stderr
        assert look(tree) == after
        assert there.half_made() == []
        there.newgate("rollback", "-y", "web@a")
        assert look(tree) == before
        [line] = snapshots(there)
        assert line.split()[:2] == ["web", "a"]


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_backup(host, kind):  # noqa: F811
    root = small(host)
    folder = host.root / "backup"
    kept = look(root)
    host.newgate("backup", str(folder))
    [first] = [p.name for p in folder.iterdir() if p.name != "id"]
    whole = look(folder / first)
    for got in stopped(host, kind, "backup", str(folder)):
        assert got.returncode == 0 or kind == "kill" or got.stderr.startswith("newgate backup: ")
        assert look(root) == kept and look(folder / first) == whole and host.conf() == CONF
        host.newgate("backup", str(folder))
        names = sorted(p.name for p in folder.iterdir() if p.name not in ("id", first))
        assert all(not name.startswith(".") for name in names)
        # What has a name is complete, whether it was the one that was stopped or the next.
        for name in names:
            there = other(host)
            said = run(there, "restore", str(folder / name))
            if (folder / name / "web.stream").exists() and "web.stream" in (folder / name / "contents").read_text():
                assert said.returncode == 0 and look(there.path("/srv/web")) == kept, said
            shutil.rmtree(there.root)
            shutil.rmtree(folder / name)


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_restore(host, kind):  # noqa: F811
    root = small(host)
    host.path("/etc/rc.conf").write_text('jail_enable="YES"\n')
    folder = host.root / "backup"
    host.newgate("backup", str(folder))
    there = other(host)
    for got in stopped(there, kind, "restore", str(folder)):
        assert got.returncode == 0 or kind == "kill" or got.stderr.startswith("newgate restore: ")
        if there.path("/srv/web").exists():
            assert look(there.path("/srv/web")) == look(root)
        if there.path("/etc/jail.conf").exists() and "newgate begin" not in there.conf():
            assert there.conf() == CONF
        there.newgate("restore", str(folder))
        assert there.read("/etc/rc.conf") == 'jail_enable="YES"\n' and "web {" in there.conf()
        assert look(there.path("/srv/web")) == look(root)
        assert there.half_made() == [] and there.trees() == ["web"]
        assert [p.name for p in there.path("/etc").iterdir() if p.name[0] == "."] == [], "half a file"
        shutil.rmtree(there.root)
        there = other(host)
    shutil.rmtree(there.root)


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_destroy(host, kind):  # noqa: F811
    root = small(host)
    stream = host.root / "stream"
    export(host, "web", to=stream)
    there = other(host)
    there.newgate("import", str(stream))
    conf = there.conf()
    for got in stopped(there, kind, "destroy", "-y", "web"):
        if there.path("/srv/web").exists():
            assert look(there.path("/srv/web")) == look(root) and there.conf() == conf
        if got.returncode == 0:
            assert there.conf() == ""
        again = run(there, "destroy", "-y", "web")
        assert again.returncode == 0 or "there is no jail web" in again.stderr, again.stderr
        assert there.conf() == "" and there.trees() == [] and not there.path("/srv/web").exists()
        there.newgate("import", str(stream))
        assert there.half_made() == [] and there.conf() == conf


def test_export_of_a_snapshot(host):  # noqa: F811
    """Reads only."""
    small(host)
    stream = host.root / "stream"
    export(host, "web", to=stream)
    there = other(host)
    there.newgate("import", str(stream))
    there.newgate("snapshot", "web@a")
    before = look(there.root)
    export(there, "web@a")
    export(there, "--since", "a", "web")
    assert look(there.root) == before


# ---- a full disk ----

def leave(disk, room):
    """Takes all of the disk but so much. Removing a file works on a full one, cutting one need not."""
    ballast, hole = disk.vps.path("/var/ballast"), disk.vps.path("/var/hole")
    disk.vps.run("sh", "-c", f"rm -f {ballast}; head -c {room} /dev/zero >{hole}; cat /dev/zero >{ballast};"
                 f" sync -f {disk.var}; rm {hole}; sync -f {disk.var}")


def free(disk):
    disk.path("/var/ballast").unlink()
    disk.vps.run("sync", "-f", disk.var)


ROOMS = [0, 1 << 16, 1 << 18, 3 << 18, 3 << 19, 5 << 19, 4 << 20, 8 << 20]


@pytest.fixture(params=["overlay", "dir", "btrfs"])
def disk(vps, request, monkeypatch):
    # Else what the ballast took for data is metadata's again only after a while.
    monkeypatch.setitem(disks.MKFS, "btrfs", ["mkfs.btrfs", "-q", "--mixed"])
    d = disks.make(vps, request.param, 128 << 20)
    try:
        vps.write("/etc/jail.conf", 'path = "/var/jails/$name"; persist; ip4 = inherit;\nweb { }\ncopy { }\n')
        d.base()
        d.newgate("clone", "_base", "web")
        d.in_jail("web", "echo one >etc/mine; dd if=/dev/urandom of=etc/big bs=1M count=2 2>/dev/null")
        yield d
        vps.remove_jails()
    finally:
        d.close()


def fails_or_not(disk, *argv):
    got = disk.vps.run("newgate", *argv, status=None)
    print(argv, got.returncode, got.stderr)
    if got.returncode != 0:
        assert "No space left on device" in got.stderr, got.stderr
    return got.returncode == 0


def is_whole(disk, jail):
    return disk.look(jail, "etc/mine") == "one\n" and len(export_of(disk, jail)) > 2 << 20


def export_of(disk, jail):
    to = disk.vps.folder / "exported"
    disk.vps.run("sh", "-c", f"exec newgate export --compress none {jail} >{to}")
    return to.read_bytes()


def test_a_full_disk(disk):
    """Whatever fails for it leaves what was; with room again it succeeds."""
    stream = disk.vps.folder / "stream"
    disk.vps.run("sh", "-c", f"exec newgate export web >{stream}")
    backup = disk.vps.folder / "backup"
    disk.newgate("backup", backup)
    disk.newgate("destroy", "-y", "web")
    disk.newgate("restore", backup)
    done = {"import": set(), "clone": set(), "restore": set(), "backup": set()}
    for room in ROOMS:
        for what, argv in (("clone", ["clone", "web", "copy"]), ("import", ["import", stream, "copy"])):
            leave(disk, room)
            done[what].add(fails_or_not(disk, *argv))
            assert is_whole(disk, "web")
            free(disk)
            if True in done[what] and disk.path("/var/lib/newgate/jails/copy").exists():
                assert is_whole(disk, "copy")
                disk.newgate("destroy", "-y", "copy")
            assert not disk.path("/var/lib/newgate/jails/copy").exists()
            assert disk.half_made() == [], (what, room)
        leave(disk, room)
        if not fails_or_not(disk, "destroy", "-y", "web"):
            # btrfs makes no folder without room of its own: that is told, and nothing is lost.
            assert disk.fs == "btrfs"
            free(disk)
            assert is_whole(disk, "web")
            disk.newgate("destroy", "-y", "web")
        leave(disk, room)
        done["restore"].add(fails_or_not(disk, "restore", backup))
        free(disk)
        assert disk.half_made() == [], room
        disk.newgate("restore", backup)
        assert is_whole(disk, "web") and disk.half_made() == [], room
        leave(disk, room)
        inside = disk.vps.path("/var/backup")
        done["backup"].add(fails_or_not(disk, "backup", inside))
        free(disk)
        disk.newgate("backup", inside)
        assert all(p.name[0] != "." for p in disk.path("/var/backup").iterdir())
        disk.vps.run("rm", "-r", inside)
    # Both were met; how much btrfs needs for itself is not to be told beforehand.
    assert all(False in seen and (True in seen or disk.keeps == "btrfs") for seen in done.values()), done
