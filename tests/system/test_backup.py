"""newgate backup and restore: all jails and their configuration, into a folder and back."""

import fcntl
import hashlib
import os
import shutil
import subprocess

import pytest

import disks
from test_streams import fill, look, other
from test_store import NEWGATE, PATIENCE, Host, host  # noqa: F401  (a fixture)

JAIL_CONF = """\
# mine
exec.clean;
path = "/srv/$name";
persist;
.include "/etc/jails/more.conf";
web {
    host.hostname = "www.example.org";   # and so on
    mount.fstab = "/etc/fstab.web";
}
bare { }
"""
FILES = {
    "/etc/jail.conf": JAIL_CONF,
    "/etc/jails/more.conf": "mail { ip4.addr = auto; interface = lo100; }\n",
    "/etc/jail.conf.d/dns.conf": "dns { path = /srv/dns; persist; }\n",
    "/etc/rc.conf": 'jail_enable="YES"\npf_enable="YES"\npf_rules="/etc/pf.mine"\n',
    "/etc/pf.mine": 'table <bad> persist file "/etc/pf.bad"\ninclude "/etc/pf.d/more.conf"\npass all\n',
    "/etc/pf.bad": "192.0.2.1\n",
    "/etc/pf.d/more.conf": "block in from <bad>\n",
    "/etc/fstab.web": "/data /srv/web/data nullfs rw 0 0\n",
    "/var/lib/newgate/leases": "net lo100 10.100.0.1/24\njail lo100 10.100.0.7/24 mail\n",
}


def write_files(host):
    for name, text in FILES.items():
        path = host.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    host.path("/etc/rc.conf").chmod(0o600)


@pytest.fixture
def busy(host):  # noqa: F811
    """A host with jails made by newgate and by hand."""
    write_files(host)
    host.base()
    host.newgate("clone", "_base", "mail")
    host.newgate("create", "made", "rdr=tcp 80", "ip4.addr=10.100.0.9", "interface=lo100")
    for name in ("web", "dns"):
        root = host.path(f"/srv/{name}")
        (root / "etc").mkdir(parents=True)
        (root / "etc/hostname").write_text(f"{name}\n")
    fill(host.path("/srv/web"))
    fill(host.path("/var/lib/newgate/jails/mail/upper"))
    return host


def runs(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != "id")


def test_an_empty_host_becomes_what_was_there(busy):
    folder = busy.root / "backup"
    out = busy.newgate("backup", str(folder))
    assert "4 jails, 9 files of the configuration" in out and "web: whole" in out
    assert folder.stat().st_mode & 0o777 == 0o700
    there = other(busy)
    there.path("/etc").rmdir()
    out = there.newgate("restore", str(folder))
    assert f"{there.root}/etc/jail.conf: restored" in out
    for name in [*FILES, "/etc/jail.conf"]:
        assert there.read(name) == busy.read(name), name
    assert there.path("/etc/rc.conf").stat().st_mode & 0o777 == 0o600
    for name in ("web", "dns"):
        assert look(there.path(f"/srv/{name}")) == look(busy.path(f"/srv/{name}"))
    upper = busy.path("/var/lib/newgate/jails/mail/upper")
    assert look(there.path("/srv/mail/srv")) == look(upper / "srv")
    assert there.read("/srv/mail/etc/machine-id") == (upper / "etc/machine-id").read_text()
    assert there.read("/srv/made/etc/hostname") == "made\n"
    assert there.trees() == ["dns", "made", "mail", "web"]
    there.newgate("check")
    # What it says now is what it was; a second time there is nothing to do.
    assert there.newgate("restore", str(folder)) == ""
    assert there.half_made() == []


def test_what_is_there_is_never_overwritten(busy):
    folder = busy.root / "backup"
    busy.newgate("backup", str(folder))
    there = other(busy)
    mine = "web { path = /elsewhere/web; persist; }\n"
    there.conf(mine)
    there.path("/etc/rc.conf").write_text("# nothing\n")
    root = there.path("/srv/dns")
    root.mkdir(parents=True)
    (root / "precious").write_text("x")
    got = subprocess.run(["unshare", "-m", NEWGATE, "restore", folder], env=there.env, capture_output=True,
                         text=True, timeout=PATIENCE)
    assert got.returncode == 1
    assert f"{there.root}/etc/jail.conf: there is another already, which stays" in got.stdout
    assert "exists and is not empty" in got.stderr and "dns" in got.stderr
    assert there.read("/etc/rc.conf") == "# nothing\n" and (root / "precious").read_text() == "x"
    assert there.conf().startswith(mine)
    # The one that is configured here went where it belongs here, the others brought their blocks.
    assert look(there.path("/elsewhere/web")) == look(busy.path("/srv/web"))
    assert "# newgate begin mail" in there.conf() and "# newgate begin made" in there.conf()
    assert there.trees() == ["made", "mail", "web"] and there.half_made() == []


def test_one_jail_alone(busy):
    folder = busy.root / "backup"
    busy.newgate("backup", str(folder))
    before = busy.conf()
    busy.newgate("destroy", "-y", "made")
    assert "is there already, and stays as it is (newgate destroy" in busy.newgate(
        "restore", str(folder), "mail", fails=True)
    assert "holds no jail nobody" in busy.newgate("restore", str(folder), "nobody", fails=True)
    busy.newgate("restore", str(folder), "made")
    assert busy.read("/srv/made/etc/hostname") == "made\n"
    assert busy.conf().split() == before.split()


def test_each_run_is_kept_and_the_latest_is_meant(busy):
    folder = busy.root / "backup"
    busy.newgate("backup", str(folder))
    (busy.path("/srv/dns") / "later").touch()
    busy.newgate("backup", str(folder))
    first, second = runs(folder)
    for run, later in ((folder, True), (folder / first, False), (folder / second, True)):
        there = other(busy)
        there.newgate("restore", str(run))
        assert there.path("/srv/dns/later").exists() == later
        shutil.rmtree(there.root)


def test_a_run_that_was_killed_leaves_nothing_that_matters(busy):
    folder = busy.root / "backup"
    busy.newgate("backup", str(folder))
    left = folder / ".20200101T000000Z"
    left.mkdir()
    (left / "web.stream").write_text("half")
    got = subprocess.run([NEWGATE, "backup", folder], env=busy.env, capture_output=True, text=True,
                         timeout=PATIENCE)
    assert got.returncode == 0 and "removing what an interrupted run left" in got.stderr
    assert not left.exists() and len(runs(folder)) == 2


def test_what_fails_for_one_jail_is_told_and_the_others_are_kept(busy):
    folder = busy.root / "backup"
    busy.path("/srv/bare").write_text("no folder")
    said = busy.newgate("backup", str(folder), fails=True)
    assert "bare" in said and "Not a directory" in said
    [run] = runs(folder)
    assert sorted(p.name for p in (folder / run).glob("*.stream")) == [
        "dns.stream", "made.stream", "mail.stream", "web.stream"]
    there = other(busy)
    there.newgate("restore", str(folder))
    assert there.trees() == ["dns", "made", "mail", "web"]


def test_two_at_once_do_not_meet(busy):
    folder = busy.root / "backup"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert "another newgate backup writes there" in busy.newgate("backup", str(folder), fails=True)
    os.close(fd)
    assert runs(folder) == []


def test_what_was_altered_is_not_restored(busy):
    folder = busy.root / "backup"
    busy.newgate("backup", str(folder))
    [run] = runs(folder)
    at = folder / run

    def refused(path, *changes):
        whole = path.read_bytes()
        for change in changes:
            path.write_bytes(change(whole))
            there = other(busy)
            text = there.newgate("restore", str(folder), fails=True)
            assert there.half_made() == []
            yield there, text
            shutil.rmtree(there.root)
        path.write_bytes(whole)

    cut, flip = lambda b: b[:len(b) // 2], lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:]  # noqa: E731
    for there, text in refused(at / "contents", cut, flip, lambda b: b""):
        assert "contents: " in text and there.trees() == [] and there.conf() == ""
    for there, text in refused(at / "files/etc/jail.conf", cut, flip):
        assert "/etc/jail.conf in the backup was altered" in text and "begin" in there.conf()
    for there, text in refused(at / "web.stream", cut, flip):
        assert "the stream is damaged" in text and "web" not in there.trees() and "dns" in there.trees()
        assert not there.path("/srv/web").exists()
    shutil.rmtree(at)
    assert "there is no backup in it" in busy.newgate("restore", str(folder), fails=True)
    assert "No such file" in busy.newgate("restore", str(busy.root / "none"), fails=True)


FORGED = [
    ("file 0644 {sum} /etc/../../evil", "makes no sense"),
    ("file 0644 {sum} evil", "makes no sense"),
    ("file 99999 {sum} /etc/evil", "makes no sense"),
    ("jail ../evil web.stream - -", "makes no sense"),
    ("jail web ../../evil - -", "makes no sense"),
    ("jail web web.stream - ../..", "makes no sense"),
    ("jail web web.stream - -\njail web web.stream - -", "makes no sense"),
    ("evil", "makes no sense"),
    ("jail web web.stream - 20200101T000000Z", "go in a circle"),
    ("jail web web.stream - 20190101T000000Z", "No such file or directory"),
]


@pytest.mark.parametrize("line,text", FORGED)
def test_a_table_by_a_stranger(host, line, text):  # noqa: F811
    at = host.root / "backup" / "20200101T000000Z"
    at.mkdir(parents=True)
    (at / "web.stream").touch()
    body = f"newgate-backup 1\nmade 1\n{line.format(sum='0' * 64)}\n".encode()
    (at / "contents").write_bytes(body + f"end {hashlib.sha256(body).hexdigest()}\n".encode())
    assert text in host.newgate("restore", str(at.parent), fails=True)
    assert host.trees() == [] and host.half_made() == [] and not list(host.root.rglob("evil"))


@pytest.mark.parametrize("kind", ["btrfs", "zfs"])
def test_what_changed_since_is_enough(vps, kind):
    """Where a snapshot costs nothing; each run can be restored."""
    disk = disks.make(vps, kind)
    try:
        vps.write("/etc/jail.conf", 'path = "/var/jails/$name"; persist; ip4 = inherit;\na { }\n')
        disk.base()
        disk.newgate("clone", "_base", "a")
        disk.newgate("create", "b")
        folder = vps.folder / "backup"
        sizes = []
        for turn in range(4):
            disk.in_jail("a", f"echo {turn} >etc/turn; rm -f etc/t*[0-9]; touch etc/t{turn}")
            whole = ["--whole"] if turn == 2 else []
            out = disk.newgate("backup", *whole, folder)
            assert ("a: whole" in out) == (turn in (0, 2)), out
            sizes.append((folder / runs(folder)[-1] / "a.stream").stat().st_size)
        assert sizes[1] < sizes[0] / 20 and sizes[3] < sizes[2] / 20
        # One snapshot a jail, of the last run.
        listed = [line.split()[1] for line in disk.newgate("snapshot", "list").splitlines()[1:]]
        assert len(listed) == 2 and all(name.endswith(runs(folder)[-1]) for name in listed)
        for turn, run in enumerate(runs(folder)):
            there = vps.folder / f"there{turn}"
            there.mkdir()
            disk.newgate("restore", folder / run, env={"NEWGATE_ROOT": str(there)})
            etc = there / "var/jails/a/etc"
            assert (etc / "turn").read_text() == f"{turn}\n"
            assert [p.name for p in etc.glob("t[0-9]")] == [f"t{turn}"]
        # Its snapshot being gone, the next is whole again.
        disk.newgate("snapshot", "destroy", f"a@{listed[0]}")
        out = disk.newgate("backup", folder)
        assert "a: whole" in out and "b: what changed since" in out
        # A run that others continue is missed.
        shutil.rmtree(folder / runs(folder)[2])
        there = vps.folder / "missed"
        there.mkdir()
        assert "No such file" in disk.newgate("restore", folder / runs(folder)[2], fails=True,
                                              env={"NEWGATE_ROOT": str(there)})
        assert disk.half_made() == []
    finally:
        disk.close()


def test_running_jails_are_kept_as_a_power_cut_would_leave_them(vps):
    disk = disks.make(vps, "overlay")
    try:
        vps.write("/etc/jail.conf", 'path = "/var/jails/$name"; persist; ip4 = inherit;\na { }\n')
        disk.base()
        disk.newgate("clone", "_base", "a")
        disk.newgate("up", "a")
        vps.run("jexec", "a", "touch", "/etc/while")
        disk.newgate("backup", vps.folder / "backup")
        assert disk.newgate("snapshot", "list", "a").splitlines()[1:] == []
        there = vps.folder / "there"
        there.mkdir()
        disk.newgate("restore", vps.folder / "backup", env={"NEWGATE_ROOT": str(there)})
        assert (there / "var/jails/a/etc/while").exists()
        vps.remove_jails()
    finally:
        disk.close()
