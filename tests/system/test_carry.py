"""Streams of changes, and streams between the ways of keeping jails, on real file systems."""

import io
import os
import random
import tarfile

import pytest

import disks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts file systems")

CONF = """\
exec.clean;
path = "/var/jails/$name";
persist;
ip4 = inherit;
web { }
copy { }
"""


@pytest.fixture(params=list(disks.KINDS))
def disk(vps, request):
    d = disks.make(vps, request.param)
    try:
        vps.write("/etc/jail.conf", CONF)
        d.base()
        d.newgate("clone", "_base", "web")
        yield d
        vps.remove_jails()
    finally:
        d.close()


def export(disk, *argv, env=None):
    """The stream as bytes, plain."""
    to = disk.vps.folder / "exported"
    disk.vps.run("sh", "-c", f'exec newgate export --compress none "$@" >{to}', "sh", *argv, env=env)
    return to.read_bytes()


def contents(stream):
    """All that a stream says of the files, by name: the first name of a file stands for it."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        for one in tar:
            if not one.name.startswith("root"):
                continue
            xattrs = {k: v for k, v in one.pax_headers.items() if k.startswith("SCHILY.")}
            data = tar.extractfile(one).read() if one.isreg() else b""
            found[one.name] = (one.type, one.mode, one.uid, one.gid, one.pax_headers.get("mtime", one.mtime),
                               one.size, one.linkname, xattrs, data)
    return found


def put(disk, name, stream):
    path = disk.vps.folder / name
    path.write_bytes(stream)
    return path


FIRST = """
mkdir -p srv/a srv/b/c; echo one >srv/a/one; echo two >srv/a/two; ln srv/a/one srv/a/again
ln -s /nowhere srv/link; mkfifo srv/pipe; chown 1000:70000 srv/a/two; chmod 4755 srv/a/two
setfattr -n user.note -v x srv/a/one; setfattr -n user.folder -v x srv/b
truncate -s 1M srv/b/c/sparse; echo tail >>srv/b/c/sparse
"""
SECOND = """
echo more >>srv/a/one; rm srv/a/two; mkdir srv/a/two; echo in >srv/a/two/in
rm -r srv/b/c; echo file >srv/b/c; setfattr -x user.folder srv/b; setfattr -n user.other -v y srv/b
rm srv/link; ln -s /somewhere srv/link; rm bin/vi; touch etc/new; chmod 0700 tmp; mv srv/pipe srv/moved
"""


def test_changes_are_carried_to_a_copy(disk):
    disk.in_jail("web", FIRST)
    disk.newgate("snapshot", "web@first")
    whole = export(disk, "web@first")
    assert contents(whole) == contents(export(disk, "web"))
    disk.newgate("import", put(disk, "whole", whole), "copy")
    # Under another name it has another identity: what changes must fit, so it is made the same again.
    said = disk.newgate("import", put(disk, "none", export(disk, "--since", "first", "web")), "copy", fails=True)
    assert ("in one step" if disk.keeps == "zfs" else "the files here are not what they were then") in said
    disk.newgate("destroy", "-y", "copy")

    disk.in_jail("web", SECOND)
    disk.newgate("snapshot", "web@second")
    now = contents(export(disk, "web"))
    changes = export(disk, "--since", "first", "web@second")
    names = contents(changes)
    assert "root/bin/sh" not in names and "root/srv/a/again" in names and "root/etc/new" in names
    with tarfile.open(fileobj=io.BytesIO(changes)) as tar:
        gone = tar.extractfile("newgate/removed").read().split(b"\0")
    assert gone == [b"bin/vi", b"srv/a/two", b"srv/b/c", b"srv/pipe", b""]

    # Onto a jail elsewhere that is what the first snapshot was.
    there = {"NEWGATE_ROOT": str(disk.vps.folder / "there")}
    (disk.vps.folder / "there" / "etc").mkdir(parents=True)
    disk.newgate("import", put(disk, "whole", whole), env=there)
    said = disk.newgate("import", put(disk, "changes", changes), env=there)
    assert "what changed since web@first is in it" in said
    assert contents(export(disk, "web", env=there)) == now
    # A second time they do not fit any more, and nothing happens.
    assert "not what they were then" in disk.newgate("import", disk.vps.folder / "changes", fails=True, env=there)
    assert contents(export(disk, "web", env=there)) == now
    assert disk.newgate("snapshot", "list", env=there).splitlines()[1:] == []

    # And onto the jail itself, however it is kept.
    disk.newgate("rollback", "-y", *(["-r"] if disk.keeps == "zfs" else []), "web@first")
    if disk.keeps == "zfs":
        said = disk.newgate("import", disk.vps.folder / "changes", fails=True)
        assert "cannot be changed and go back in one step" in said
    else:
        disk.newgate("import", disk.vps.folder / "changes")
        assert contents(export(disk, "web")) == now
        bad = bytearray(changes)
        bad[len(bad) // 2] ^= 1
        disk.newgate("rollback", "-y", "web@first")
        before = contents(export(disk, "web"))
        assert "damaged" in disk.newgate("import", put(disk, "bad", bytes(bad)), fails=True)
        assert contents(export(disk, "web")) == before
    assert disk.half_made() == []


def test_a_stream_becomes_a_jail_of_every_kind(disk):
    disk.in_jail("web", FIRST)
    stream = export(disk, "web")
    disk.newgate("destroy", "-y", "web")
    disk.newgate("import", put(disk, "stream", stream))
    assert disk.entry("web")["backend"] == {"overlay": "dir"}.get(disk.keeps, disk.keeps)
    assert contents(export(disk, "web")) == contents(stream)
    cut = put(disk, "cut", stream[:len(stream) * 2 // 3])
    disk.newgate("destroy", "-y", "web")
    disk.newgate("import", cut, fails=True)
    assert disk.half_made() == [] and not disk.path("/var/jails/web").exists()


def script(rng):
    """Ten things that happen to a tree, at random."""
    names = [f"srv/{d}{n}" for d in ("", "x/", "y/", "x/z/") for n in "abc"]
    lines = ["mkdir -p srv/x/z srv/y"]
    for _ in range(10):
        a, b = rng.sample(names, 2)
        lines.append(rng.choice([
            f"rm -rf {a}; echo {rng.random()} >{a}",
            f"rm -rf {a}",
            f"rm -rf {a}; mkdir {a}; echo in >{a}/in",
            f"rm -rf {a}; ln -s {rng.random()} {a}",
            f"test -d {b} || {{ rm -rf {a}; ln {b} {a}; }}",
            f"rm -rf {a}; mv {b} {a}",
            f"chmod {rng.choice(['0700', '0644', '4755'])} {a}",
            f"chown {rng.randrange(70000)} {a}",
            f"setfattr -n user.x -v {rng.randrange(9)} {a}",
            f"setfattr -x user.x {a}",
            f"test -f {a} && touch -r {a} /tmp/t && echo {rng.randrange(10)} >{a} && touch -r /tmp/t {a}",
            f"touch -d @{rng.randrange(1 << 30)} {a}",
        ]))
    return "\n".join(f"({line}) 2>/dev/null || :" for line in lines)


@pytest.mark.parametrize("kind", ["overlay", "dir", "btrfs"])
def test_whatever_happens_to_a_tree_the_changes_make_it_of_what_it_was(vps, kind):
    seed = int(os.environ.get("NEWGATE_SEED", random.randrange(1 << 30)))
    print(f"NEWGATE_SEED={seed}")
    rng = random.Random(seed)
    disk = disks.make(vps, kind)
    try:
        vps.write("/etc/jail.conf", CONF)
        disk.base()
        disk.newgate("clone", "_base", "web")
        disk.in_jail("web", script(rng))
        for turn in range(6):
            disk.newgate("snapshot", f"web@s{turn}")
            disk.in_jail("web", script(rng))
            now = contents(export(disk, "web"))
            changes = put(disk, "changes", export(disk, "--since", f"s{turn}", "web"))
            disk.newgate("rollback", "-y", f"web@s{turn}")
            disk.newgate("import", changes)
            assert contents(export(disk, "web")) == now
        assert disk.half_made() == []
    finally:
        disk.close()


def test_a_running_jail_is_exported_from_a_snapshot(disk):
    if disk.keeps == "zfs":
        pytest.skip("FUSE maps no owners: such a jail cannot run")
    disk.in_jail("web", FIRST)
    disk.newgate("up", "web")
    disk.vps.run("jexec", "web", "sh", "-c", "echo while it runs >/etc/running")
    stream = contents(export(disk, "web"))
    assert stream["root/etc/running"][-1] == b"while it runs\n"
    assert stream["root/srv/a/two"][2:4] == (1000, 70000)
    assert disk.newgate("snapshot", "list", "web").splitlines()[1:] == []
    assert "root/etc/running" in contents(export(disk, "--live", "web"))
    live = put(disk, "live", export(disk, "--live", "web"))
    assert "its files may not fit together" in disk.vps.run("newgate", "import", live, "copy").stderr
    # What a killed export leaves goes with the next.
    disk.newgate("snapshot", "web@temporary.1.1")
    export(disk, "web")
    assert disk.newgate("snapshot", "list", "web").splitlines()[1:] == []
    assert disk.half_made() == []
