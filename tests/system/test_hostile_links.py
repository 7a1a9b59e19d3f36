"""The root of a jail puts links, pipes and rubbish where the host will look."""

import os
import re
import subprocess

import pytest

from hostile import ATTACK, arm, canary, holding
from vps import PATIENCE

EVIL = "/var/jails/evil"


@pytest.fixture
def root(vps):
    return arm(vps, EVIL)


def write_conf(vps, text):
    vps.write("/etc/jail.conf", text)


def evil_conf(more=""):
    return f'evil {{ path = "{EVIL}"; persist; ip4 = disable; mount.devfs; {more} }}\n'


def link(at, to):
    at.parent.mkdir(parents=True, exist_ok=True)
    if at.is_symlink() or at.exists():
        at.unlink()
    at.symlink_to(to)


# --- the console log ---

@pytest.mark.parametrize("where", ["var/log/console", "var/log"])
def test_the_log_in_the_tree_leads_nowhere_else(vps, root, where):
    file = canary(vps)
    host_log = vps.path("/host/console")
    vps.write("/host/console", "host\n")
    if where == "var/log":
        (root / "var/log").rmdir()
        link(root / "var/log", host_log.parent)
    else:
        link(root / where, file)
    write_conf(vps, evil_conf(f'exec.consolelog = "{EVIL}/var/log/console"; exec.start = "echo evil";'))
    vps.run("jail", "-c", "evil", status=1)
    assert vps.read("/canary") == "host\n" and host_log.read_text() == "host\n"
    # What an open by name would have done.
    vps.run("sh", "-c", f"echo evil >> {root}/var/log/console")
    assert "evil" in vps.read("/canary") + host_log.read_text()


def test_the_log_in_a_shared_folder_leads_nowhere_else(vps, root):
    file = canary(vps)
    shared = vps.path("/srv/shared")
    for way in ("link", "folder"):
        subprocess.run(["rm", "-rf", shared], check=True)
        (shared / "log").mkdir(parents=True)
        if way == "link":
            link(shared / "log/console", file)
        else:
            (shared / "log").rmdir()
            link(shared / "log", vps.root)
        log = "/srv/shared/log/" + ("console" if way == "link" else "canary")
        write_conf(vps, evil_conf(f'exec.consolelog = "{log}"; exec.start = "echo evil";'))
        assert "symbolic link" in vps.run("jail", "-c", "evil", status=1).stderr
        assert vps.read("/canary") == "host\n"
    vps.run("sh", "-c", f"echo evil >> {vps.path(log)}")
    assert "evil" in vps.read("/canary")


def test_the_log_may_be_a_pipe_that_nobody_reads(vps, root):
    os.mkfifo(root / "var/log/console")
    write_conf(vps, evil_conf(f'exec.consolelog = "{EVIL}/var/log/console"; exec.start = "echo evil";'))
    vps.run("jail", "-c", "evil", status=1)


# --- what is mounted ---

@pytest.mark.parametrize("name", ["hosts", "resolv.conf"])
@pytest.mark.parametrize("to", ["{root}/canary", "../../../../../../../../{root}/canary", "/proc/1/root/canary",
                                "/nowhere"])
def test_shared_files_are_mounted_in_the_jail_alone(vps, root, name, to):
    file = canary(vps)
    link(root / "etc" / name, to.format(root=vps.root))
    write_conf(vps, evil_conf().replace("ip4 = disable", 'ip4.addr = "lo100|10.100.0.2/24"'))
    # Through /proc nothing is followed: such a jail does not start.
    vps.run("jail", "-c", "evil", status=int(to.startswith("/proc")))
    assert vps.read("/canary") == "host\n"
    assert file not in vps.run("cat", "/proc/self/mountinfo").stdout
    assert "host\n" not in vps.run("jexec", "evil", "cat", f"/etc/{name}", status=None).stdout.splitlines()
    if "root" in to and not to.startswith("/proc"):
        # A link that leads to nothing inside was replaced. mount(8) covers what it leads to outside.
        link(root / "etc" / name, to.format(root=vps.root))
        vps.run("unshare", "-m", "sh", "-ec", f"mount --bind /dev/null {root}/etc/{name}; test ! -s {file}")


@pytest.mark.parametrize("part", ["mnt", "mnt/in"])
def test_a_mount_point_leads_nowhere_else(vps, root, part):
    """Of mount and mount.fstab: what is mounted would cover what the link leads to."""
    vps.write("/srv/data/file", "the host's\n")
    host = vps.path("/host")
    (host / "in").mkdir(parents=True)
    (root / "mnt/in").mkdir(parents=True)
    line = f"/srv/data {EVIL}/mnt/in nullfs rw"
    vps.write("/etc/fstab.evil", line + " 0 0\n")
    for how in (f'mount = "{line}";', 'mount.fstab = "/etc/fstab.evil";'):
        write_conf(vps, evil_conf(how))
        vps.run("jail", "-c", "evil")
        assert vps.run("jexec", "evil", "cat", "/mnt/in/file").stdout == "the host's\n"
        vps.run("jail", "-r", "evil")
    subprocess.run(["rm", "-rf", root / part], check=True)
    link(root / part, host if part == "mnt" else host / "in")
    for how in (f'mount = "{line}";', 'mount.fstab = "/etc/fstab.evil";'):
        write_conf(vps, evil_conf(how))
        assert "symbolic link" in vps.run("jail", "-c", "evil", status=1).stderr
    vps.run("unshare", "-m", "sh", "-ec", f"mount --bind {vps.path('/srv/data')} {root}/mnt/in; test -e {host}/in/file")


def test_a_shared_folder_turned_into_a_link_is_not_mounted(vps, root):
    """One jail's folder is another's source: the first must not choose what the second gets."""
    arm(vps, "/var/jails/other")
    vps.path("/var/jails/other/mnt").mkdir()
    (root / "srv").mkdir()
    vps.write(f"{EVIL}/srv/www/file", "evil's own\n")
    canary(vps)
    write_conf(vps, evil_conf() + f"""other {{ path = "/var/jails/other"; persist; ip4 = disable;
        mount = "{EVIL}/srv/www /var/jails/other/mnt nullfs rw"; }}\n""")
    vps.run("jail", "-c", "other")
    assert vps.run("jexec", "other", "cat", "/mnt/file").stdout == "evil's own\n"
    vps.run("jail", "-r", "other")
    for part in ("srv/www", "srv"):
        subprocess.run(["rm", "-rf", root / part], check=True)
        link(root / part, vps.root if part == "srv/www" else vps.root.parent)
        if part == "srv":
            (vps.folder / "www").mkdir()
        assert "symbolic link" in vps.run("jail", "-c", "other", status=1).stderr
    # mount(8) goes where it leads.
    link(root / "www", vps.root)
    vps.run("unshare", "-m", "sh", "-ec", f"mount --bind {root}/www /mnt; test -e /mnt/canary")


def test_a_tree_inside_another_jail_is_not_exchanged(vps, root):
    arm(vps, f"{EVIL}/jails/child")
    file = canary(vps)
    write_conf(vps, evil_conf() + f'child {{ path = "{EVIL}/jails/child"; persist; ip4 = disable; }}\n')
    vps.run("jail", "-c", "child")
    vps.run("jail", "-r", "child")
    os.rename(root / "jails", root / "old")
    (vps.root / "child").mkdir()
    link(root / "jails", vps.root)
    got = vps.run("jail", "-c", "child", status=1)
    assert "symbolic link" in got.stderr and os.path.exists(file)


def test_a_folder_swapped_while_it_is_mounted(vps, root):
    """A link one moment, a folder the next: whatever is mounted, it is never the host's."""
    shared = vps.path("/srv/shared")
    (shared / "x").mkdir(parents=True)
    canary(vps)
    arm(vps, "/var/jails/other")
    vps.path("/var/jails/other/mnt").mkdir()
    write_conf(vps, """other { path = "/var/jails/other"; persist; ip4 = disable; exec.start = "test ! -e /mnt/canary";
        mount = "/srv/shared/x /var/jails/other/mnt nullfs rw"; }\n""")
    outcomes = set()
    with holding(vps.popen(ATTACK, "swap", shared / "x", vps.root, "x", 1 << 30)):
        for _ in range(30):
            got = vps.run("jail", "-c", "other", status=None)
            assert "test ! -e /mnt/canary: failed" not in got.stderr
            outcomes.add(got.returncode)
            if got.returncode == 0:
                vps.run("jail", "-R", "other")
    assert outcomes == {0, 1}


# --- what is read ---

def user_of(vps, *argv, status=None):
    return vps.run("jexec", *argv, "evil", "/bin/echo", "in", status=status, timeout=10)


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("to", ["{root}/etc/passwd", "../../../../../../../../{root}/etc/passwd", "/proc/self/root/etc/passwd"])
def test_users_are_looked_up_in_the_jail(vps, root, name, to):
    vps.write("/etc/passwd", "hostly:x:7:7::/:/bin/sh\n")
    write_conf(vps, evil_conf())
    vps.run("jail", "-c", "evil")
    link(root / "etc" / name, to.format(root=vps.root))
    got = user_of(vps, "-U", "hostly")
    assert got.returncode == 1 and "in" not in got.stdout.split()
    if name == "passwd" and not to.startswith("/proc"):
        assert "hostly" in vps.run("cat", root / "etc" / name).stdout  # who opens it by its name


RUBBISH = {
    "long": b"evil:x:1:1:" + b"A" * (10 << 20) + b":/:/bin/sh\n",
    "lines": b"a:b:c:d:e:f:g\n" * 800000,
    "zeros": b"\0" * (1 << 20),
    "numbers": b"evil:x:-1:99999999999999:::\n",
    "home": b"evil:x:1:1::" + b"/h" * 10000 + b":/bin/sh\n",
    "bytes": bytes(range(256)) * 100,
}


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_in_passwd_harms_nobody(vps, root, what):
    write_conf(vps, evil_conf())
    vps.run("jail", "-c", "evil")
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes(RUBBISH[what])
    assert user_of(vps, "-U", "evil").returncode == 1
    assert user_of(vps).returncode == 0  # without a user nobody is looked up


def test_a_pipe_for_passwd_holds_nobody(vps, root):
    write_conf(vps, evil_conf())
    vps.run("jail", "-c", "evil")
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    assert user_of(vps, "-U", "evil").returncode == 1


ESCAPE = b"\x1b]0;owned\x07\x1b[2J\x9b31m"


def test_no_message_carries_escapes_to_the_terminal(vps, root):
    (root / "etc/passwd").write_bytes(b"evil:x:" + ESCAPE + b":1::/:/bin/sh\n")
    write_conf(vps, evil_conf())
    vps.run("jail", "-c", "evil")
    p = vps.popen("jexec", "-U", "evil", "evil", "/bin/true")
    p.stderr.reconfigure(errors="surrogateescape")
    said = p.communicate(timeout=PATIENCE)[1].encode(errors="surrogateescape")
    assert p.returncode == 1 and b"/etc/passwd" in said
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", said), said


# --- what is copied and removed ---

def clone_evil(vps):
    vps.run("newgate", "template", "create", "_base", "--from", "busybox")
    write_conf(vps, 'evil { path = "/var/lib/newgate/roots/evil"; persist; ip4 = disable; }\n')
    vps.run("newgate", "clone", "_base", "evil")
    return vps.path("/var/lib/newgate/jails/evil/upper")


def test_a_clone_of_a_hostile_jail_writes_into_the_clone(vps):
    upper = clone_evil(vps)
    host = vps.path("/host")
    (host / "ssh").mkdir(parents=True)
    for name in ("machine-id", "hostname", "ssh/ssh_host_rsa_key"):
        (host / name).write_text("host\n")
    for way in ("folder", "files"):
        subprocess.run(["rm", "-rf", upper / "etc"], check=True)
        if way == "folder":
            link(upper / "etc", host)
        else:
            for name in ("machine-id", "hostname", "ssh"):
                link(upper / "etc" / name, host / name)
        vps.run("newgate", "clone", "evil", f"copy{way}", status=None)
        for name in ("machine-id", "hostname", "ssh/ssh_host_rsa_key"):
            assert (host / name).read_text() == "host\n", (way, name)
        vps.run("sh", "-c", f"echo evil > {upper}/etc/hostname")
        assert (host / "hostname").read_text() == "evil\n"
        (host / "hostname").write_text("host\n")


def test_a_hostile_tree_is_removed_and_nothing_else(vps):
    upper = clone_evil(vps)
    file = canary(vps)
    deep = ["sh", "-c", f"cd {upper}; i=0; while [ $i -lt 3000 ]; do mkdir dddddddd && cd dddddddd; i=$((i+1)); done;"
                        f"ln -s {vps.root} out; ln -s / root; mkfifo pipe"]
    vps.run(*deep)
    link(upper / "out", vps.root)
    vps.run("newgate", "destroy", "-y", "evil", timeout=60)
    assert not upper.exists() and os.path.exists(file)


@pytest.mark.parametrize("store", ["dir", "overlay"])
def test_a_tree_that_was_moved_away_is_not_the_hosts(vps, root, store):
    """Where one jail's tree lies in another's, the other's root can put a link on the way to it."""
    host = vps.path("/host/inner")
    host.mkdir(parents=True)
    vps.run("newgate", "init", "--store", store)
    vps.run("newgate", "template", "create", "_base", "--from", "busybox")
    write_conf(vps, evil_conf() + f'inner {{ path = "{EVIL}/jails/inner"; persist; ip4 = disable; }}\n')
    vps.run("newgate", "clone", "_base", "inner")
    vps.run("newgate", "snapshot", "inner@s")
    os.rename(root / "jails", root / "away")
    link(root / "jails", host.parent)
    for folder in ("etc", "bin") if store == "dir" else ():
        (host / folder).mkdir()
    for command in ("destroy -y inner", "rollback -y inner@s", "clone inner copy", "export inner >/dev/null"):
        got = vps.run("sh", "-c", f"newgate {command}", status=None)
        assert host.exists() and len(list(host.iterdir())) == (2 if store == "dir" else 0), command
        # An overlay has nothing at its path.
        if store == "dir" or command.startswith("destroy"):
            assert got.returncode and "symbolic link" in got.stderr, (command, got)
    vps.run("rm", "-r", root / "jails/inner")  # by its name
    assert not host.exists()


def test_a_name_that_the_jail_gives_itself_is_not_shown(vps, root):
    """Nor what it calls its processes."""
    write_conf(vps, evil_conf("allow.set_hostname;"))
    vps.run("jail", "-c", "evil")
    vps.run("jexec", "evil", "/bin/sh", "-c", "hostname \"$(printf 'evil\\033]0;owned\\a')\"")
    for argv in (["jls"], ["jls", "-v"], ["jls", "-n"], ["jls", "--libxo", "json"], ["newgate", "status"]):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", vps.run(*argv).stdout), argv
    assert "\033]0;owned" in vps.run("jexec", "evil", "hostname").stdout
