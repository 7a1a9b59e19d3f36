"""newgate host backup and restore, without downloads: see test_host.py."""

import os
import shutil
import stat
import struct
import subprocess

import pytest

from test_fault import FAULT
from test_host import DATA, ETC, JAILS, fresh, host, listed, mail, refused, table  # noqa: F401
from vps import Failed

VMAIL = f"{DATA}/dovecot/vmail"
ALICE = f"{VMAIL}/example.org/alice"
OWN = [DATA, ETC, "/etc/newgate/host.conf", "/etc/jail.conf.d/host.conf"]
# What newgate makes anew: each of these follows from the rest.
MADE = {f"{ETC}/postfix/{t}" for t in ("domains", "mailboxes", "aliases", "senders", "local")}


def put(vps, path, text, uid=0, gid=0, mode=0o600):
    at = vps.path(path)
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(text)
    os.chown(at, uid, gid)
    at.chmod(mode)
    return at


@pytest.fixture
def new(vps):
    """Of services that listen."""
    return fresh(vps, listens=True)


@pytest.fixture
def full(mail):  # noqa: F811
    """A host with what services write."""
    host(mail, "user", "add", "alice@example.org", "--quota", "3G", input="secret\n")
    host(mail, "alias", "add", "info@example.org", "alice@example.org")
    host(mail, "domain", "add", "example.net")
    host(mail, "site", "add", "www.example.org")
    for folder in ("new", "cur", "tmp", ".Sent/cur"):
        put(mail, f"{ALICE}/{folder}/keep", "", 5000, 5000)
        mail.path(f"{ALICE}/{folder}/keep").unlink()
        os.chown(mail.path(f"{ALICE}/{folder}"), 5000, 5000)
    os.chown(mail.path(ALICE), 5000, 5000)
    put(mail, f"{ALICE}/new/1700000000.M1P1.mail,S=5", "new\n", 5000, 5000)
    letter = put(mail, f"{ALICE}/cur/1600000000.M1P1.mail,S=5:2,SF", "read\n", 5000, 5000)
    os.utime(letter, (1600000000, 1600000000))
    os.setxattr(letter, "user.x", b"y")
    # A copy to another folder, as Dovecot makes it.
    os.link(letter, mail.path(f"{ALICE}/.Sent/cur/1600000001.M2P2.mail,S=5:2,S"))
    put(mail, f"{ALICE}/dovecot-uidlist", "3 V1700000001 N8 Gabc\n7 :1600000000.M1P1.mail,S=5\n", 5000, 5000)
    put(mail, f"{DATA}/postfix/spool/deferred/A/ABC123", "queued\n", 100, 100, 0o700)
    put(mail, f"{DATA}/web/roundcube/roundcube.db", "contacts\n", 33, 33)
    put(mail, f"{DATA}/web/sites/www.example.org/index.html", "hello", mode=0o644)
    return mail


def everything(vps, paths=OWN):
    """What the files are, by their names: type, owner, mode, time, text, attributes."""
    found = {}

    def look(path):
        st = os.lstat(path)
        if stat.S_ISSOCK(st.st_mode):
            return
        name = "/" + str(path.relative_to(vps.path("/")))
        text = path.read_text() if stat.S_ISREG(st.st_mode) else None
        attributes = {x: os.getxattr(path, x, follow_symlinks=False) for x in os.listxattr(path, follow_symlinks=False)}
        when = int(st.st_mtime) if "vmail" in name else None
        found[name] = (oct(st.st_mode), st.st_uid, st.st_gid, when, text, attributes)
        if stat.S_ISDIR(st.st_mode):
            for below in path.iterdir():
                if not below.name.startswith(".") or "vmail" in name:
                    look(below)

    for path in paths:
        look(vps.path(path))
    return found


def forget(vps):
    """The machine as it was before newgate host came, but for the templates."""
    vps.run("newgate", "down", *JAILS)
    vps.run("newgate", "destroy", "-y", *JAILS, status=None)
    shutil.rmtree(vps.path(DATA))
    shutil.rmtree(vps.path("/etc/newgate"))
    vps.path("/etc/jail.conf.d/host.conf").unlink(missing_ok=True)


def test_there_and_back(full):
    before = everything(full)
    users = listed(full, "user")
    said = host(full, "backup", full.path("/save")).stdout
    assert "private keys" in said and "the host of example.org" in said
    assert everything(full) == before
    assert stat.S_IMODE(full.path("/save").stat().st_mode) == 0o600
    names = subprocess.run(["tar", "--zstd", "-tf", full.path("/save")], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    assert f"root{ALICE}/cur/1600000000.M1P1.mail,S=5:2,SF" in names
    assert not os.listdir(full.path(f"{DATA}/.backup"))

    forget(full)
    assert "nothing is set up yet" in refused(full, "user", "list")
    said = host(full, "restore", full.path("/save")).stdout
    assert "The mail host of example.org runs." in said
    assert everything(full) == before
    assert os.stat(full.path(f"{ALICE}/cur/1600000000.M1P1.mail,S=5:2,SF")).st_nlink == 2
    assert listed(full, "user") == users
    assert table(full, "domains") == ["example.org yes", "example.net yes"]
    assert host(full, "diff").stdout == ""
    # Nothing is left over.
    assert sorted(os.listdir(full.path(DATA))) == sorted({p.split("/")[5] for p in before if p.startswith(DATA + "/")})
    assert sorted(os.listdir(full.path("/etc/newgate"))) == ["host", "host.conf"]


def test_what_newgate_import_says(full):
    host(full, "backup", full.path("/save"))
    got = full.run("newgate", "import", full.path("/save"), status=1)
    assert got.stderr == "newgate import: this is no jail but what newgate host backup wrote: newgate host restore\n"
    full.run("sh", "-c", f"newgate export --live dkim >{full.path('/jail')}")
    forget(full)
    assert "it is jail dkim: newgate import" in refused(full, "restore", full.path("/jail"))
    assert not full.path(DATA).exists() or os.listdir(full.path(DATA)) == []


def test_names_of_files(full):
    full.run("sh", "-c", f"cd {full.folder}; newgate host backup")
    (made,) = full.folder.glob("example.org-2*Z.tar.zst")
    before = made.read_bytes()
    assert refused(full, "backup", made) == f"newgate host: {made} is there already: another name, or --force\n"
    assert made.read_bytes() == before
    host(full, "backup", "--force", made)
    # To a pipe, and from one.
    full.run("sh", "-c", f"newgate host backup - | newgate host restore --force - && rm {made}")
    assert "No such file" in refused(full, "restore", made)
    # Never over what is no file, or through somebody's.
    full.path("/save").symlink_to(full.path("/other"))
    assert "is no file" in refused(full, "backup", "--force", full.path("/save"))
    full.path("/save").unlink()
    full.write("/other", "mine")
    os.link(full.path("/other"), full.path("/save.part"))
    assert "is somebody else's: another name" in refused(full, "backup", full.path("/save"))
    full.path("/save.part").unlink()
    assert full.read("/other") == "mine"
    # What a killed one left is no obstacle.
    full.write("/save.part", "half")
    host(full, "backup", full.path("/save"))
    assert not full.path("/save.part").exists()


@pytest.mark.parametrize("how", ["cut", "altered", "another"])
def test_damaged(full, how):
    save = full.path("/save")
    host(full, "backup", save)
    good = save.read_bytes()
    half = len(good) // 2
    save.write_bytes({"cut": good[:-100], "another": b"hello\n" * 1000,
                      "altered": good[:half] + bytes([good[half] ^ 1]) + good[half + 1:]}[how])
    before = everything(full)
    pids = [full.jail(jail).pid for jail in JAILS]
    said = refused(full, "restore", "--force", save)
    assert str(save) in said
    assert everything(full) == before
    assert [full.jail(jail).pid for jail in JAILS] == pids
    assert not full.path(f"{DATA}/.restore").exists()


def test_over_another(full):
    save = full.path("/save")
    host(full, "backup", save)
    put(full, f"{ALICE}/new/1800000000.M9P9.mail,S=5", "late\n", 5000, 5000)
    host(full, "user", "add", "bob@example.org", input="secret\n")
    before = everything(full)
    assert "there is a host already" in refused(full, "restore", save)
    assert everything(full) == before
    said = host(full, "restore", "--force", save).stdout
    assert [u["user"] for u in listed(full, "user")] == ["alice@example.org"]
    # It is not lost.
    (data,) = full.path(DATA).glob(".before-*")
    (etc,) = full.path("/etc/newgate").glob("before-*")
    assert data.name in said and str(etc.name) in said
    assert (data / "dovecot/vmail/example.org/alice/new/1800000000.M9P9.mail,S=5").read_text() == "late\n"
    assert "bob@example.org" in (etc / "newgate/host/dovecot/users").read_text()
    assert (etc / "jail.conf.d/host.conf").exists() and (etc / "newgate/host.conf").exists()
    # And no part of the next one.
    host(full, "backup", "--force", save)
    assert "before-" not in subprocess.run(["tar", "--zstd", "-tf", save], capture_output=True, text=True).stdout


def test_on_another_machine(full):
    save = full.path("/save")
    host(full, "backup", save)
    forget(full)
    rc = full.read("/etc/rc.conf").replace("lo100", "lo7")
    full.write("/etc/rc.conf", rc)
    host(full, "restore", "--address", "198.51.100.99", "--hostname", "mx.example.org", save)
    conf = full.read("/etc/newgate/host.conf")
    assert "address4 = 198.51.100.99\n" in conf and "address6" not in conf and "interface = lo7\n" in conf
    assert "mx.example.org" in full.read(f"{ETC}/postfix/main.cf")
    assert 'interface = "lo7"' in full.read("/etc/jail.conf.d/host.conf")
    assert host(full, "diff").stdout == ""
    for argv, text in ((["--address", "1.2.3", "x"], "--address 1.2.3 is not an address"),
                       (["--hostname", "mx", "x"], '--hostname "mx" is not a domain'), ([], "usage:")):
        assert text in refused(full, "restore", *argv)


def test_users_with_other_numbers(full):
    """Debian gives its services the next free number: those of the new tree count."""
    save = full.path("/save")
    put(full, f"{DATA}/dovecot/lib/state", "x", 101, 101)
    put(full, f"{DATA}/dovecot/lib/other", "x", 33, 0)
    host(full, "backup", save)
    forget(full)
    root = full.path("/src/dovecot")
    for file in ("passwd", "group"):
        text = (root / "etc" / file).read_text()
        assert ":101:" in text
        (root / "etc" / file).write_text(text.replace(":101:", ":33:").replace("www-data:x:33:", "www-data:x:101:"))
    full.run("newgate", "template", "destroy", "-y", "host-dovecot")
    full.run("newgate", "template", "create", "host-dovecot", "--from", root)
    host(full, "restore", save)

    def owner(path):
        st = full.path(path).stat()
        return st.st_uid, st.st_gid

    assert owner(f"{DATA}/dovecot/lib/state") == (33, 33)
    assert owner(f"{DATA}/dovecot/lib/other") == (101, 0)
    assert owner(ALICE) == (5000, 5000)
    # Another jail's have nothing to do with it.
    assert owner(f"{DATA}/web/roundcube/roundcube.db") == (33, 33)


def test_jails_stand_still_and_go_on(full):
    """While it is written the services are the same processes, and what comes meanwhile is not lost."""
    pids = [full.jail(jail).pid for jail in JAILS]
    fifo = full.path("/fifo")
    os.mkfifo(fifo)
    with full.popen("sh", "-c", f"newgate host backup - >{fifo}") as writer:
        with open(fifo, "rb") as out:
            begun = out.read(4)
            # It writes: so the jails go on, and can be told things.
            host(full, "user", "add", "bob@example.org", input="secret\n")
            put(full, f"{ALICE}/new/1800000000.M9P9.mail,S=5", "late\n", 5000, 5000)
            full.path(f"{ALICE}/cur/1600000000.M1P1.mail,S=5:2,SF").unlink()
            rest = out.read()
    assert writer.returncode == 0
    assert [full.jail(jail).pid for jail in JAILS] == pids
    full.path("/save").write_bytes(begun + rest)
    names = subprocess.run(["tar", "--zstd", "-tf", full.path("/save")], capture_output=True, text=True,
                           check=True).stdout
    assert "1600000000.M1P1" in names and "1800000000" not in names


# --- killed ---


def killed(vps, *argv, points=9):
    """The command ended by kill -9 at so many of its steps; the caller puts back what it starts from."""
    report = vps.folder / "report"

    def run(step):
        report.write_bytes(bytes(64))
        got = vps.run("env", f"LD_PRELOAD={FAULT}", f"FAULT=kill {step} {report}", "newgate", "host", *argv,
                      status=None, timeout=60)
        return got, report.read_bytes()

    got, said = run(1 << 40)
    assert got.returncode == 0, got
    (steps,) = struct.unpack("l", said[-8:])
    for point in range(points):
        step = 1 + steps * point // points
        yield step, lambda: run(step)


def test_backup_killed(full):
    save = full.path("/save")
    before = everything(full)
    pids = [full.jail(jail).pid for jail in JAILS]
    for step, run in killed(full, "backup", "--force", save):
        good = save.read_bytes()
        run()
        print(step, sorted(p.name for p in full.folder.iterdir()))
        # The file that was there is whole, and the jails go on.
        assert save.read_bytes() == good or subprocess.run(["tar", "--zstd", "-tf", save], check=True)
        assert [full.jail(jail).pid for jail in JAILS] == pids
        full.jail("postfix").run("true")
        host(full, "backup", "--force", save)
        assert not full.path("/save.part").exists() and os.listdir(full.path(f"{DATA}/.backup")) == []
        assert everything(full) == before


def test_restore_killed(full):
    save = full.path("/save")
    host(full, "backup", save)
    before = everything(full)
    host(full, "user", "add", "bob@example.org", input="secret\n")
    letter = f"{ALICE}/new/1800000000.M9P9.mail,S=5"
    put(full, letter, "late\n", 5000, 5000)
    for step, run in killed(full, "restore", "--force", save):
        put(full, letter, "late\n", 5000, 5000)
        for old in [*full.path(DATA).glob(".before-*"), *full.path("/etc/newgate").glob("before-*")]:
            shutil.rmtree(old)
        run()
        print(step, sorted(os.listdir(full.path(DATA))))
        # The letter that came after the backup is somewhere, whatever happened.
        places = [full.path(letter), *full.path(DATA).glob(
            ".before-*/dovecot/vmail/example.org/alice/new/1800000000.M9P9.mail,S=5")]
        assert any(p.exists() for p in places), step
        half = not full.path("/etc/newgate/host.conf").exists()
        if half:
            for argv in (["user", "list"], ["init", "example.org"]):
                assert "a restore was interrupted: newgate host restore FILE goes on" in refused(full, *argv)
        host(full, "restore", *([] if half else ["--force"]), save)
        assert everything(full) == before
        assert not full.path(f"{DATA}/.restore").exists()
        for jail in JAILS:
            full.jail(jail).run("true")
