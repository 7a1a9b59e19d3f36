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


# ---- killed, or out of room, at every step ----

# What changes something, and what starts zfs(8).
STEPS = ("mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,fsetxattr,fremovexattr,"
         "syncfs,fsync,ioctl,vfork,clone,clone3,linkat,fchmod")


def steps_of(disk, *command):
    """[(system call, the how manieth of it), …] where the command is to be killed: not each of the
    many that copy files. It is run to its end for that."""
    disk.vps.run("strace", "-qq", "-o", "/run/steps", "-e", f"trace={STEPS}", "newgate", *command)
    seen, steps = {}, []
    for call in re.findall(r"^(\w+)\(", disk.vps.run("cat", "/run/steps").stdout, re.M):
        seen[call] = seen.get(call, 0) + 1
        steps.append((call, seen[call]))
    n = len(steps)
    assert n > 6
    few = {0, 2, n // 3, n // 2, 2 * n // 3, *range(max(0, n - 6), n)}
    return [steps[i] for i in sorted(few)]


@pytest.fixture(params=["signal=KILL", "error=ENOSPC"])
def end(request, disk):
    if disk.kind == "xfs" or (disk.kind == "zfs" and "ENOSPC" in request.param):
        pytest.skip("dir on ext4 is the same; zfs(8) does the writing")
    return request.param


def ended(disk, end, step, *command):
    """Runs it with that end; whether it had one."""
    call, n = step
    got = disk.vps.run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                       "-e", f"inject={call}:{end}:when={n}", "newgate", *command, status=None)
    if "ENOSPC" in end:
        # What is only tidied up may fail without harm.
        assert got.returncode in (0, 1), got.stderr
        return True
    assert got.returncode in (0, -9, 137), got.stderr
    return got.returncode != 0


def test_a_clone_that_is_cut_short(cloned, end):
    disk = cloned
    disk.in_jail("a", "echo one >etc/mine")
    steps = steps_of(disk, "clone", "a", "b")
    disk.newgate("destroy", "-y", "b")
    for n in steps:
        assert ended(disk, end, n, "clone", "a", "b"), n
        assert disk.look("a", "etc/mine") == "one\n"
        again = disk.vps.run("newgate", "clone", "a", "b", status=None)
        assert again.returncode == 0 or "has a tree already" in again.stderr, (n, again.stderr)
        assert disk.look("b", "etc/mine") == "one\n" and disk.look("b", "etc/hostname") == "b\n", n
        disk.newgate("destroy", "-y", "b")
        assert disk.half_made() == [], n


def test_a_snapshot_that_is_cut_short(cloned, end):
    disk = cloned
    disk.in_jail("a", "echo one >etc/mine")
    steps = steps_of(disk, "snapshot", "a@s")
    disk.newgate("snapshot", "destroy", "a@s")
    for n in steps:
        assert ended(disk, end, n, "snapshot", "a@s"), n
        if "s" in snapshots(disk, "a"):
            assert changes(disk, "a@s") == {}, n
        else:
            disk.newgate("snapshot", "a@s")
        disk.newgate("snapshot", "destroy", "a@s")
        assert disk.half_made() == [], n
        assert disk.look("a", "etc/mine") == "one\n"
    disk.newgate("snapshot", "a@s")
    steps = steps_of(disk, "snapshot", "destroy", "a@s")
    for n in steps:
        disk.newgate("snapshot", "a@s")
        assert ended(disk, end, n, "snapshot", "destroy", "a@s"), n
        if "s" in snapshots(disk, "a"):
            assert changes(disk, "a@s") == {}, n
            disk.newgate("snapshot", "destroy", "a@s")
        disk.newgate("snapshot", "a@s")
        disk.newgate("snapshot", "destroy", "a@s")
        assert disk.half_made() == [], n


def test_a_rollback_that_is_cut_short(cloned, end):
    disk = cloned
    disk.in_jail("a", "echo one >etc/mine; rm bin/vi")
    disk.newgate("snapshot", "a@s")
    change = "echo two >etc/mine; mkdir etc/d; echo x >etc/d/x"
    disk.in_jail("a", change)
    steps = steps_of(disk, "rollback", "-y", "a@s")
    for n in steps:
        disk.in_jail("a", change)
        assert ended(disk, end, n, "rollback", "-y", "a@s"), n
        mine = disk.look("a", "etc/mine")
        if mine == "one\n":
            assert changes(disk, "a@s") == {}, n
        else:
            assert mine == "two\n", n
            assert changes(disk, "a@s") == {"/etc/mine": "changed", "/etc/d": "added", "/etc/d/x": "added"}, n
        disk.newgate("rollback", "-y", "a@s")
        assert disk.look("a", "etc/mine") == "one\n" and changes(disk, "a@s") == {}, n
        assert disk.half_made() == [], n


def test_a_destroy_that_is_cut_short(cloned, end):
    disk = cloned
    disk.newgate("destroy", "-y", "a")
    disk.newgate("clone", "_base", "a")
    disk.newgate("snapshot", "a@s")
    steps = steps_of(disk, "destroy", "-y", "a")
    for n in steps:
        disk.newgate("clone", "_base", "a")
        disk.in_jail("a", "echo one >etc/mine")
        disk.newgate("snapshot", "a@s")
        assert ended(disk, end, n, "destroy", "-y", "a"), n
        if "a" in [j["jail"] for j in json.loads(disk.newgate("df", "--json"))["jails"]]:
            assert disk.look("a", "etc/mine") == "one\n", n
            assert snapshots(disk, "a") == ["s"], n
            disk.newgate("destroy", "-y", "a")
        disk.newgate("clone", "_base", "b")
        disk.newgate("destroy", "-y", "b")
        assert disk.half_made() == [] and not disk.path("/var/jails/a").exists(), n


# ---- how much ----

def quota(disk, name):
    return {j["jail"]: j["quota"] for j in json.loads(disk.newgate("df", "--json"))["jails"]}[name]


def test_a_bound_on_the_disk(cloned):
    disk = cloned
    bounded = CONF.replace("a { }", 'a { rctl = "disk:deny=8m"; }')
    disk.vps.write("/etc/jail.conf", bounded)
    if disk.keeps == "zfs":
        disk.newgate("up", "a", fails=True)  # FUSE; but the bound is set by then
        assert disk.vps.run("zfs", "get", "-Hp", "-o", "value", "refquota",
                            "tank/newgate/jails/a").stdout == f"{8 << 20}\n"
        assert quota(disk, "a") == 8 << 20
        disk.vps.write("/etc/jail.conf", CONF)
        disk.newgate("up", "a", fails=True)
        assert quota(disk, "a") == 0
        return
    said = disk.newgate("up", "a", fails=True)
    if disk.keeps != "btrfs":
        assert f"is on {disk.fs} without project quotas" in said and "prjquota" in said, said
        return
    assert "btrfs quota enable" in said
    disk.vps.run("btrfs", "quota", "enable", disk.var)
    disk.newgate("up", "a")
    assert quota(disk, "a") == 8 << 20
    fill = 'dd if=/dev/urandom of=/big bs=1M count=20 conv=fsync 2>&1'
    assert "quota exceeded" in disk.vps.run("jexec", "a", "sh", "-c", fill, status=1).stdout
    disk.vps.run("jexec", "a", "rm", "/big")
    disk.newgate("snapshot", "a@s")
    disk.newgate("rollback", "-y", "a@s")
    assert "quota exceeded" in disk.vps.run("jexec", "a", "sh", "-c", fill, status=1).stdout
    disk.vps.run("jexec", "a", "rm", "/big")
    disk.vps.write("/etc/jail.conf", CONF)
    disk.newgate("up", "a")
    assert quota(disk, "a") == 0
    disk.vps.run("jexec", "a", "sh", "-c", fill)


def test_df_tells_own_from_shared(cloned):
    disk = cloned
    disk.newgate("clone", "_base", "b")
    disk.in_jail("a", "dd if=/dev/urandom of=big bs=1M count=9")
    disk.settle()
    of = {j["jail"]: j for j in json.loads(disk.newgate("df", "--json"))["jails"]}
    assert set(of) == {"a", "b"} and of["a"]["store"] == disk.keeps
    assert of["a"]["path"] == str(disk.vps.path("/var/jails/a"))
    assert of["a"]["own"] - of["b"]["own"] >= 9 << 20
    if disk.kind != "dir":
        assert of["b"]["shared"] > of["b"]["own"]
    before = of["a"]["own"]
    disk.newgate("snapshot", "a@s")
    disk.in_jail("a", "rm big")
    disk.settle()
    of = {j["jail"]: j for j in json.loads(disk.newgate("df", "--json"))["jails"]}
    assert of["a"]["own"] <= before - (9 << 20) + (1 << 20)
    assert of["a"]["snapshots"] >= 9 << 20
    assert "snapshot" in disk.newgate("df") .lower() and "a" in disk.newgate("df", "a")


def test_snapshots_by_themselves(cloned):
    disk = cloned
    disk.vps.write("/etc/jail.conf", CONF.replace("a { }", 'a { snapshot.keep = "hourly 1, daily 2"; }'))
    for name, when in (("auto-20200101-0000", "2020-01-01 00:00"), ("auto-20200101-0030", "2020-01-01 00:30"),
                       ("auto-20200102-0000", "2020-01-02 00:00"), ("mine", "2020-01-01 00:00")):
        disk.newgate("snapshot", f"a@{name}")
        meta = disk.path(f"/var/lib/newgate/jails/a/snapshots/{name}/meta")
        made = disk.vps.run("date", "-d", when, "+%s").stdout.strip()
        meta.write_text(re.sub(r"made \d+", f"made {made}", meta.read_text()))
    said = disk.newgate("snapshot", "auto", "-n")
    assert "would be taken" in said and "auto-20200101-0030: would be removed" in said
    said = disk.newgate("snapshot", "auto")
    assert len(snapshots(disk, "a")) == 3, said
    assert snapshots(disk, "a")[:2] == ["mine", "auto-20200102-0000"]
    assert "a@auto-20200101-0000: removed\n" in said and "a@auto-20200101-0030: removed\n" in said
    assert disk.newgate("snapshot", "auto", "a") == ""
    assert "b: jail.conf has no snapshot.keep" in disk.newgate("snapshot", "auto", "b", fails=True)


def test_a_full_clone_stands_alone(cloned):
    disk = cloned
    disk.in_jail("a", "dd if=/dev/urandom of=big bs=1M count=4; echo one >etc/mine")
    disk.newgate("clone", "--full", "a", "b")
    assert disk.look("b", "etc/mine") == "one\n" and disk.look("b", "etc/hostname") == "b\n"
    disk.settle()
    of = {j["jail"]: j for j in json.loads(disk.newgate("df", "--json"))["jails"]}
    assert of["b"]["shared"] == 0 and of["b"]["own"] > 4 << 20, of["b"]
    disk.newgate("clone", "a", "c")
    if disk.keeps == "zfs":
        # A clone of the plain kind needs what it was made of.
        assert "jails/c shares its blocks" in disk.newgate("destroy", "-y", "a", fails=True)
        disk.newgate("destroy", "-y", "c")
    disk.newgate("destroy", "-y", "a")
    assert disk.look("b", "etc/mine") == "one\n"
    if disk.path("/var/lib/newgate/jails/c").exists():
        disk.newgate("destroy", "-y", "c")
    disk.newgate("template", "destroy", "-y", "_base")
    assert disk.look("b", "etc/mine") == "one\n"
    disk.newgate("destroy", "-y", "b")
    assert disk.half_made() == []


# Everything that a file can have.
ODD = """
    umask 0; mkdir x; cd x
    echo data >file; chown 1000:1001 file; chmod 4755 file
    ln file name; ln -s /nowhere link; chown -h 7:8 link; mkfifo -m 640 pipe
    dd if=/dev/zero of=hole bs=1 count=1 seek=9M 2>&1; setfattr -n user.note -v 'a b' file
    setfacl -m u:1234:rw- file; mkdir -m 2770 dir; setfacl -d -m g:99:r-x dir
    cp /bin/true tool; setcap cap_net_raw+ep tool
    touch -h -d '2001-02-03 04:05:06.789 UTC' file link dir tool
"""
SHOW = "find x -printf '%P %y %m %U %G %s %T@ %n %l\n' | grep -v '^ ' | sort; " \
       "getfattr -R -h -d -m 'user|system|security|trusted' x; test $(du -k x/hole | cut -f1) -lt 1000"


def test_everything_a_file_has_is_kept(cloned):
    disk = cloned
    disk.in_jail("a", ODD)
    before = disk.in_jail("a", SHOW)
    for word in ("user.note", "posix_acl_access", "posix_acl_default", "security.capability", "789"):
        assert word in before or (word == "789" and disk.keeps == "zfs"), before
    assert re.search(r"^file f 47[57]5 1000 1001 5 \S+ 2 $", before, re.M), before
    disk.newgate("clone", "a", "b")
    assert disk.in_jail("b", SHOW) == before
    disk.newgate("clone", "--full", "a", "c")
    assert disk.in_jail("c", SHOW) == before
    disk.newgate("snapshot", "a@s")
    disk.in_jail("a", "rm -r x")
    disk.newgate("rollback", "-y", "a@s")
    assert disk.in_jail("a", SHOW) == before


def test_a_template_built_on_a_template(cloned):
    disk = cloned
    if disk.keeps == "zfs":
        disk.newgate("template", "create", "second", "--from", "_base")
    else:
        script = disk.vps.write("/script", "#!/bin/sh\necho second >/etc/layer; rm /bin/vi\n")
        disk.newgate("template", "create", "second", "--from", "_base", "--run", str(script))
    disk.newgate("template", "create", "third", "--from", "second")
    disk.newgate("clone", "third", "b")
    disk.newgate("clone", "b", "c")
    if disk.keeps == "overlay":
        assert disk.entry("b")["lower"] == "third"
        assert disk.entry("third", "templates", "meta")["lower"] == "second"
    for jail in "bc":
        assert disk.look(jail, "etc/hostname") == f"{jail}\n"
        assert disk.look(jail, "bin/sh") is not None
        if disk.keeps != "zfs":
            assert disk.look(jail, "etc/layer") == "second\n" and disk.look(jail, "bin/vi") is None
    if disk.keeps in ("overlay", "zfs"):
        said = disk.newgate("template", "destroy", "-y", "second", fails=True)
        assert "third" in said, said
    disk.in_jail("b", "echo mine >etc/layer")
    assert changes(disk, "b")["/etc/layer"] == ("changed" if disk.keeps != "zfs" else "added")
    if disk.keeps != "zfs":
        disk.newgate("up", "b")
        assert disk.vps.run("jexec", "b", "cat", "/etc/layer").stdout == "mine\n"
        disk.vps.run("jail", "-r", "b")
    for jail in "cba":
        disk.newgate("destroy", "-y", jail)
    for template in ("third", "second", "_base"):
        disk.newgate("template", "destroy", "-y", template)
    assert disk.half_made() == []


def test_a_jail_goes_on_when_its_snapshot_is_killed(cloned):
    disk = cloned
    if disk.keeps not in ("overlay", "dir") or disk.kind == "xfs":
        pytest.skip("only copies need a jail to stand still")
    disk.newgate("up", "a")
    assert ended(disk, "signal=KILL", ("syncfs", 1), "snapshot", "a@s")
    # It would wait for ever in one that stands still.
    disk.vps.run("jexec", "a", "true")
    frozen = disk.vps.cgroup() / "a" / "cgroup.freeze"
    assert frozen.read_text() == "0\n"
    disk.newgate("snapshot", "a@s")
    assert frozen.read_text() == "0\n" and snapshots(disk, "a") == ["s"]
    assert disk.half_made() == []
