"""Roots and hosts that lack what one takes for granted. Each must work, or say what is to be done and
leave nothing behind, which the fixture looks at when the test ends."""

import fcntl
import shutil
import subprocess

import pytest

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def bare(vps, name, **programs):
    """A root with nothing but programs: /bin/NAME is a copy of busybox."""
    root = vps.path(f"/var/jails/{name}")
    (root / "bin").mkdir(parents=True)
    root.parent.chmod(0o700)
    for program in programs:
        shutil.copy2("/bin/busybox", root / "bin" / program)
    return root


# --- roots ---

def test_a_root_with_one_program(vps):
    bare(vps, "one", true=1)
    vps.configure("one { exec.clean; exec.start = /bin/true; }")
    assert vps.run("jail", "-c", "one").stdout == "one: created\n"
    vps.run("jexec", "-l", "one", "/bin/true")
    got = vps.run("jexec", "one", "sh", status=1)
    assert got.stderr == "jexec: execvp: sh: No such file or directory\n"


def test_a_root_with_users_and_without_groups(vps):
    root = bare(vps, "one", true=1)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("www:x:33:33::/:/bin/sh\n")
    vps.configure('one { exec.clean; exec.jail_user = www; exec.start = "/bin/true"; }')
    vps.run("jail", "-c", "one")


def test_a_root_without_a_shell(vps):
    bare(vps, "none")
    vps.configure('none { exec.start = "cd / && ls"; }')
    got = vps.run("jail", "-c", "none", status=1)
    assert got.stderr == "jail: none: exec /bin/sh: No such file or directory\n"


def test_a_root_of_another_architecture(vps):
    program = bare(vps, "alien", true=1) / "bin/true"
    with program.open("r+b") as f:
        f.seek(18)
        f.write(b"\xf3")
    vps.configure('alien { exec.start = "/bin/true"; }')
    got = vps.run("jail", "-c", "alien", status=1)
    assert got.stderr == "jail: alien: exec /bin/true: Exec format error\n"


def test_a_root_without_rc(vps):
    bare(vps, "bsd", sh=1)
    vps.configure('bsd { exec.start = "/bin/sh /etc/rc"; exec.stop = "/bin/sh /etc/rc.shutdown"; }')
    got = vps.run("jail", "-c", "bsd", status=1)
    assert "jail: bsd: /bin/sh /etc/rc: failed\n  this root has no /etc/rc, " in got.stderr
    assert "`service`" in got.stderr

    vps.configure('bsd { exec.stop = "/bin/sh /etc/rc.shutdown"; }')
    vps.run("jail", "-c", "bsd")
    got = vps.run("jail", "-r", "bsd", status=1)
    assert "jail: bsd: /bin/sh /etc/rc.shutdown: failed\n  this root has no /etc/rc.shutdown, " \
        in got.stderr


def test_an_overlay_is_no_other_jails(vps):
    vps.run("newgate", "template", "create", "base", "--from", "busybox")
    vps.write("/etc/jail.conf", 'mine { path = "/var/jails/mine"; persist; }')
    vps.run("newgate", "clone", "base", "mine")
    path = vps.path("/var/jails/mine")
    if any(path.iterdir()):
        pytest.skip("this file system has no overlays: clones are copies, which anybody can have")
    got = vps.run("jail", "-c", "name=other", "path=/var/jails/mine", "persist", status=1)
    assert got.stderr.startswith("jail: other: path /var/jails/mine is the clone of jail mine, ")
    vps.run("jail", "-c", "mine")


# --- changes ---

def test_what_could_not_come_up_again_stays_up(vps):
    vps.configure("web { }")
    vps.run("jail", "-c", "web")
    vps.configure("web { ip4.addr = 10.100.0.7; }", common='path = "/var/jails/$name";')
    for how in "-rc", "-mr", "-cmr":
        got = vps.run("jail", how, "web", status=1)
        assert "neither persist nor a command" in got.stderr, how
        assert vps.run("jls", "name").stdout == "web\n", how


# --- hosts ---

def test_not_root(vps):
    vps.configure("""
        web { ip4.addr = auto; }
        db { }
    """)
    vps.run("jail", "-c", "web")
    # The build may lie where nobody else comes.
    copy = vps.folder / "copy"
    copy.mkdir()
    shutil.copy2((vps.folder / "bin/jail").resolve(), copy / "newgate")
    for link in "jail", "jls", "jexec":
        (copy / link).symlink_to("newgate")

    def run(program, *args, status):
        return vps.run(*NOBODY, copy / program, *args, status=status)

    assert run("jls", "name", status=0).stdout == "web\n"
    assert ": no fault" in run("newgate", "check", status=0).stdout
    for argv in (("jail", "-c", "db"), ("jail", "-r", "web"), ("jexec", "web", "true"),
                 ("newgate", "clone", "web", "new")):
        got = run(*argv, status=1)
        assert got.stderr.endswith(": Permission denied (are you root?)\n"), argv
        assert got.stderr.count("\n") == 1
    assert vps.run("jls", "name").stdout == "web\n"


def full(vps, path):
    """A small file system there without room for another byte."""
    vps.path(path).mkdir(parents=True, exist_ok=True)
    vps.run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", vps.path(path))
    vps.run("dd", "if=/dev/zero", f"of={vps.path(path)}/fill", status=1)


def test_a_full_disk_for_what_runs(vps):
    vps.configure("web { ip4.addr = auto; }")
    full(vps, "/run")
    got = vps.run("jail", "-c", "web", status=1)
    assert got.stderr.endswith(": No space left on device\n")
    assert vps.run("jls", "name").stdout == ""
    vps.run("rm", vps.path("/run/fill"))
    vps.run("jail", "-c", "web")
    vps.run("jail", "-r", "web")
    vps.run("umount", vps.path("/run"))


def test_a_full_disk_for_roots(vps):
    full(vps, "/var/lib/newgate")
    got = vps.run("newgate", "template", "create", "base", "--from", "busybox", status=1)
    assert got.stderr.endswith(": No space left on device\n")
    assert vps.run("newgate", "template", "list").stdout.count("\n") <= 1
    vps.run("umount", vps.path("/var/lib/newgate"))


def test_run_is_read_only(vps):
    vps.configure("web { }")
    vps.path("/run").mkdir()
    vps.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", vps.path("/run"))
    got = vps.run("jail", "-c", "web", status=1)
    assert got.stderr.endswith("/run/newgate: Read-only file system\n")
    assert vps.run("jls", "name").stdout == ""
    vps.run("umount", vps.path("/run"))


def test_no_nft(vps):
    vps.configure("web { ip4.addr = auto; }")
    got = vps.run("unshare", "--mount", "sh", "-c",
                  "mount -t tmpfs none /usr/sbin; PATH=${PATH%%:*}:/usr/bin exec jail -c web", status=1)
    assert "install the package nftables" in got.stderr
    assert vps.run("jls", "name").stdout == ""
    assert not [link for link in vps.links() if link.startswith("ng")]


def test_no_cgroups(vps):
    vps.configure('web { rctl = "memoryuse:deny=100m", "pcpu:deny=50"; }')
    got = vps.run("unshare", "--mount", "sh", "-c",
                  "for m in $(findmnt -rno TARGET -t cgroup2); do umount -l $m; done; jail -c web")
    assert got.stdout.count("no cgroup v2 controller for memory, cpu: those limits are not") == 1
    vps.run("jail", "-r", "web")


# --- locks ---

def test_nobody_else_can_make_newgate_wait(vps):
    """A lock is for everybody who can open the file, in a jail or on the host."""
    vps.configure("""
        web { ip4.addr = auto; }
        db { ip4.addr = auto; }
    """)
    web = vps.start("web")
    files = (f"$(find {vps.root}/run/newgate {vps.root}/var/lib/newgate -type f -readable"
             " ! -name hosts ! -name resolv.conf)")
    nobody = vps.popen(*NOBODY, "bash", "-c", f"for f in {files}; do exec {{n}}<$f && flock -x $n "
                       "|| exit; done; echo held; read x", stdin=subprocess.PIPE)
    assert nobody.stdout.readline() == "held\n"
    etc = vps.proc / str(web.pid) / "root/etc"
    with (etc / "hosts").open() as hosts, (etc / "resolv.conf").open() as resolv:
        for f in hosts, resolv:  # as anybody in the jail could
            fcntl.flock(f, fcntl.LOCK_EX)
        vps.run("jail", "-c", "db")
        vps.run("jail", "-r", "db")
        vps.run("jail", "-r", "web")
    nobody.communicate()
