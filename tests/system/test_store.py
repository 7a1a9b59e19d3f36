"""newgate template, create, clone, destroy: the trees of jails and their lines in jail.conf."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("NEWGATE_BUILD", Path(__file__).resolve().parents[2] / "build"))
NEWGATE = BUILD / "src" / "cmd" / "newgate"
PATIENCE = 30


class Host:
    """A folder that newgate takes for the root of the machine."""

    def __init__(self, root):
        self.root = root
        (root / "etc").mkdir()
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NEWGATE_ROOT": str(root)}

    def path(self, name):
        return self.root / name.lstrip("/")

    def read(self, name):
        return self.path(name).read_text()

    def conf(self, text=None):
        path = self.path("/etc/jail.conf")
        if text is not None:
            path.write_text(text)
        return path.read_text() if path.exists() else ""

    def newgate(self, *argv, fails=False, before="", **options):
        """Runs it in a mount namespace of its own, after the shell commands `before`."""
        command = ["unshare", "-m", "sh", "-ec", before + '\nexec "$0" "$@"', NEWGATE, *argv]
        options.setdefault("env", self.env)
        got = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                             stdin=subprocess.DEVNULL, **options)
        assert (got.returncode != 0) == fails, f"{argv}: {got.returncode}\n{got.stdout}{got.stderr}"
        return got.stderr if fails else got.stdout

    def base(self, name="_base"):
        self.newgate("template", "create", name, "--from", "busybox")

    def trees(self):
        folder = self.path("/var/lib/newgate/jails")
        return sorted(p.name for p in folder.iterdir() if p.name[0] != ".") if folder.is_dir() else []

    def half_made(self):
        return list(self.path("/var/lib/newgate").glob("*/.partial/*"))


@pytest.fixture
def host():
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes files of other owners and mounts")
    folder = Path(tempfile.mkdtemp(prefix="newgate-store.", dir="/var/tmp"))
    try:
        yield Host(folder)
    finally:
        shutil.rmtree(folder)


WALK_THROUGH = """\
exec.start = "/bin/sh /etc/rc";
exec.stop  = "/bin/sh /etc/rc.shutdown";
exec.clean;
mount.devfs;
path = "/var/jails/$name";
nattest {
    host.hostname = "nattest.example.org";
    interface = "lo100";
    ip4.addr = "10.100.0.2";
    allow.raw_sockets;
}
"""


def test_clone_of_a_configured_jail_makes_only_its_tree(host):
    host.conf(WALK_THROUGH)
    host.base()
    assert "to /var/jails/nattest" in host.newgate("clone", "_base", "nattest")
    assert host.conf() == WALK_THROUGH
    upper = host.path("/var/lib/newgate/jails/nattest/upper")
    assert (upper / "etc/hostname").read_text() == "nattest.example.org\n"
    assert re.fullmatch(r"[0-9a-f]{32}\n", (upper / "etc/machine-id").read_text())
    assert host.path("/var/jails/nattest").is_dir()
    assert "has a tree already" in host.newgate("clone", "_base", "nattest", fails=True)
    assert "jail.conf:6: nattest is configured already" in host.newgate(
        "clone", "_base", "nattest", "persist", fails=True)
    assert "jail.conf:6: nattest is configured already" in host.newgate("create", "nattest", fails=True)
    # Its lines are the user's.
    assert "line 6: remove it to forget the jail" in host.newgate("destroy", "-y", "nattest")
    assert host.conf() == WALK_THROUGH
    assert host.trees() == [] and not host.path("/var/jails/nattest").exists()


def test_create_adds_a_block_and_destroy_takes_it_away(host):
    host.base()
    before = "# mine\n$domain = example.org;\nother { path = /srv/other; persist; }"
    host.conf(before)
    os.chmod(host.path("/etc/jail.conf"), 0o640)
    out = host.newgate("create", "web", "rdr=tcp 80", "rdr=tcp 443", "meta.note=a \"b\" $c;d")
    assert "web: cloned from _base to /var/lib/newgate/roots/web" in out
    assert host.conf() == before + """

# newgate begin web
web {
	rdr = "tcp 80";
	rdr += "tcp 443";
	meta.note = "a \\"b\\" \\$c;d";
	host.hostname = web;
	ip4.addr = auto;
	exec.start = "/bin/sh /etc/rc";
	exec.stop = "/bin/sh /etc/rc.shutdown";
	exec.clean;
	mount.devfs;
	persist;
}
# newgate end web
"""
    assert os.stat(host.path("/etc/jail.conf")).st_mode & 0o7777 == 0o640
    host.newgate("create", "mail", "path=/srv/mail", "ip4=inherit", "command=/bin/true")
    block = host.conf().partition("# newgate begin mail\n")[2]
    assert "auto" not in block and "exec.start" not in block and "path = /srv/mail;" in block
    host.newgate("destroy", "-y", "web", "mail")
    assert host.conf() == before + "\n"
    assert host.trees() == []


def test_create_respects_what_the_file_says_for_all(host):
    host.base()
    host.conf(WALK_THROUGH)
    host.newgate("create", "web", "ip4.addr=10.100.0.9")
    assert host.conf() == WALK_THROUGH + """
# newgate begin web
web {
	ip4.addr = 10.100.0.9;
	host.hostname = web;
	persist;
}
# newgate end web
"""
    assert host.path("/var/jails/web").is_dir()


@pytest.mark.parametrize("conf,args,text", [
    ("", ["web", "ip4.addr=10.0.0.300"], "the new block:2:13: web: ip4.addr"),
    ("", ["web", "persits"], "persits"),
    ("web { path = ; }\n", ["mail"], "jail.conf:1:"),
    ("", ["*"], "is a pattern"),
    ("", ["12"], "a number is not the name of a jail"),
    ("", ["a/b"], "a/b"),
    ("", ["web", "path=relative"], "path"),
    ("", ["web", "template=missing"], "no template and no cloned jail"),
    ("web { persist; }\n", ["web"], "configured already"),
])
def test_nothing_is_made_from_what_is_wrong(host, conf, args, text):
    host.base()
    host.conf(conf)
    assert text in host.newgate("create", *args, fails=True)
    assert host.conf() == conf
    assert host.trees() == [] and host.half_made() == []


def test_create_chooses_the_template(host):
    assert "newgate template create _base --from busybox" in host.newgate("create", "web", fails=True)
    host.base("one")
    assert "cloned from one" in host.newgate("create", "web")
    host.base("two")
    assert "there are 2 templates" in host.newgate("create", "mail", fails=True)
    assert "cloned from two" in host.newgate("create", "mail", "template=two")
    assert "template = two;" in host.conf()
    host.base()
    assert "cloned from _base" in host.newgate("create", "dns")


def test_a_cloned_jail_shares_nothing_it_must_not(host):
    host.base()
    host.conf('path = "/var/jails/$name";\n'
              'web { jid = 7; host.hostname = www.example.org; host.hostuuid = 1-2-3; ip4.addr = 10.0.0.7;\n'
              '  rdr = "tcp 80"; allow.connect = "mail tcp 25"; allow.raw_sockets; $x = "y z";\n'
              '  exec.start = "/bin/echo $x"; exec.consolelog = /var/log/web.log; }\n'
              'mail { persist; }\n')
    host.newgate("clone", "_base", "web")
    host.path("/var/lib/newgate/jails/web/upper/etc/made").write_text("by web")
    host.newgate("clone", "web", "web2", "allow.mlock")
    assert host.conf().endswith("""
# newgate begin web2
web2 {
	allow.connect = "mail tcp 25";
	allow.raw_sockets;
	${x} = "y z";
	exec.start = "/bin/echo ${x}";
	allow.mlock;
	host.hostname = web2;
	ip4.addr = auto;
}
# newgate end web2
""")
    upper = host.path("/var/lib/newgate/jails/web2/upper")
    assert (upper / "etc/made").read_text() == "by web"
    assert (upper / "etc/hostname").read_text() == "web2\n"
    ids = [host.read(f"/var/lib/newgate/jails/{j}/upper/etc/machine-id") for j in ("web", "web2")]
    assert ids[0] != ids[1]


def test_a_jail_made_by_hand_can_be_cloned_but_not_destroyed(host):
    root = host.path("/srv/hand")
    (root / "etc").mkdir(parents=True)
    (root / "etc/made").write_text("by hand")
    host.conf("hand { path = /srv/hand; persist; }\n")
    host.newgate("clone", "hand", "copy")
    assert host.read("/var/lib/newgate/roots/copy/etc/made") == "by hand"
    assert "/srv/hand is yours to remove" in host.newgate("destroy", "-y", "hand", fails=True)
    assert (root / "etc/made").exists()
    assert "there is no jail nobody" in host.newgate("destroy", "-y", "nobody", fails=True)


def test_templates_from_archives_keep_everything(host):
    tree = host.path("/tree")
    (tree / "bin").mkdir(parents=True)
    tool = tree / "bin/tool"
    tool.write_text("x" * 5000)
    os.chown(tool, 1000, 1001)
    tool.chmod(0o4755)
    os.link(tool, tree / "bin/again")
    os.setxattr(tool, "user.note", b"hello")
    cap = bytes.fromhex("0100000200200000000000000000000000000000")
    (tree / "bin/ping").write_text("ping")
    os.setxattr(tree / "bin/ping", "security.capability", cap)
    os.symlink("/nowhere", tree / "link")
    with open(tree / "sparse", "wb") as f:
        f.truncate(1 << 26)
    for end in ("tar", "tar.gz", "tar.xz", "tar.zst"):
        name = end.replace(".", "-")
        archive = host.root / f"root.{end}"
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-S", "-caf", archive, "-C", tree, "."],
                       check=True)
        host.newgate("template", "create", name, "--from", str(archive))
        root = host.path(f"/var/lib/newgate/templates/{name}/root")
        st = os.stat(root / "bin/tool")
        assert (st.st_uid, st.st_gid, st.st_mode & 0o7777, st.st_nlink) == (1000, 1001, 0o4755, 2)
        assert st.st_ino == os.stat(root / "bin/again").st_ino
        assert (root / "bin/tool").read_text() == "x" * 5000
        assert os.getxattr(root / "bin/tool", "user.note") == b"hello"
        assert os.getxattr(root / "bin/ping", "security.capability") == cap
        assert os.readlink(root / "link") == "/nowhere"
        assert os.stat(root / "sparse").st_size == 1 << 26
        assert os.stat(root / "sparse").st_blocks < 64
        assert (root / "etc/rc").stat().st_mode & 0o7777 == 0o755
    listed = json.loads(host.newgate("template", "list", "--json"))["templates"]
    assert [t["name"] for t in listed] == ["tar", "tar-gz", "tar-xz", "tar-zst"]
    assert all(t["clones"] == 0 and t["size"] > 5000 for t in listed)


def test_a_bad_archive_leaves_nothing(host):
    (host.root / "bad.tar.gz").write_bytes(b"\x1f\x8b\x08\0broken")
    assert "bad.tar.gz" in host.newgate("template", "create", "x", "--from", str(host.root / "bad.tar.gz"),
                                        fails=True)
    assert host.half_made() == []
    assert host.newgate("template", "list").strip().splitlines() in ([], ["NAME  FROM  SIZE  CLONES  MADE"])


def test_missing_programs_are_named(host):
    text = host.newgate("template", "create", "d", "--from", "debian:bookworm", fails=True,
                        before="PATH=/nonexistent")
    assert "mmdebstrap is missing: apt install mmdebstrap" in text
    assert host.half_made() == []


def test_template_destroy_names_its_clones(host):
    host.base()
    host.newgate("create", "web")
    assert "web was cloned from it" in host.newgate("template", "destroy", "-y", "_base", fails=True)
    assert "say -y" in host.newgate("template", "destroy", "_base", fails=True)
    host.newgate("destroy", "-y", "web")
    host.newgate("template", "destroy", "-y", "_base")
    assert "no such template" in host.newgate("template", "destroy", "-y", "_base", fails=True)


def test_destroy_refuses_what_is_mounted(host):
    host.base()
    host.newgate("create", "web")
    host.path("/data").mkdir()
    (host.path("/data") / "precious").write_text("x")
    at = host.path("/var/lib/newgate/roots/web")
    text = host.newgate("destroy", "-y", "web", fails=True,
                        before=f"mount --bind {host.path('/data')} {at}")
    assert f"something is mounted at {at}: umount it first" in text
    upper = host.path("/var/lib/newgate/jails/web/upper/mnt")
    upper.mkdir()
    text = host.newgate("destroy", "-y", "web", fails=True,
                        before=f"mount --bind {host.path('/data')} {upper}")
    assert str(upper) in text
    assert host.trees() == ["web"] and "newgate begin web" in host.conf()
    assert (host.path("/data") / "precious").exists()
    host.newgate("destroy", "-y", "web")
    assert (host.path("/data") / "precious").exists()


def test_destroy_refuses_what_others_need(host):
    host.base()
    host.newgate("create", "db")
    host.newgate("create", "web", "depend=db")
    before = host.conf()
    text = host.newgate("destroy", "-y", "db", fails=True)
    assert "web: depend" in text and "so db was not destroyed" in text
    assert host.conf() == before and host.trees() == ["db", "web"]
    host.newgate("destroy", "-y", "web", "db")
    assert host.conf() == "" and host.trees() == []


def test_a_block_whose_tree_a_killed_destroy_removed_goes_with_the_next(host):
    host.base()
    host.newgate("create", "web")
    shutil.rmtree(host.path("/var/lib/newgate/jails/web"))
    host.path("/var/lib/newgate/roots/web").rmdir()
    host.path("/var/lib/newgate/leases").write_text("net lo100 10.0.0.1/24\njail lo100 10.0.0.2/24 web\n")
    host.newgate("destroy", "-y", "web")
    assert host.conf() == "" and "jail lo100" not in host.read("/var/lib/newgate/leases").split("free web")[-1]


def answer(host, argv, keys):
    """Runs newgate on a terminal, and answers its question."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(NEWGATE, [NEWGATE, *argv], host.env)
    said = b""
    while b"[y/N]" not in said:
        assert select.select([fd], [], [], PATIENCE)[0], said
        said += os.read(fd, 4096)
    os.write(fd, keys)
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            piece = b""
        if not piece:
            break
        said += piece
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_destroy_asks(host):
    host.base()
    host.newgate("create", "web")
    assert "say -y" in host.newgate("destroy", "web", fails=True)
    status, said = answer(host, ["destroy", "web"], b"\n")
    assert status == 1 and "Destroy jail web with everything in" in said
    assert answer(host, ["destroy", "web"], b"no\n")[0] == 1
    assert host.trees() == ["web"]
    assert answer(host, ["destroy", "web"], b"y\n")[0] == 0
    assert host.trees() == []


def test_destroy_frees_the_lease(host):
    host.base()
    host.newgate("create", "web")
    leases = host.path("/var/lib/newgate/leases")
    leases.write_text("net lo100 10.0.0.1/24\njail lo100 10.0.0.2/24 web\n")
    host.newgate("destroy", "-y", "web")
    assert "free web\n" in leases.read_text() or " web" not in leases.read_text()


def test_many_at_once(host):
    """Each is there, with its block, and nothing is lost or half-made."""
    host.base()
    names = [f"jail{i}" for i in range(8)]
    failed = []

    def make(name):
        try:
            host.newgate("create", name)
        except AssertionError as e:
            failed.append(e)

    threads = [threading.Thread(target=make, args=[name]) for name in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    assert host.trees() == names
    assert all(host.conf().count(f"# newgate begin {name}\n") == 1 for name in names)
    host.newgate("destroy", "-y", *names)
    assert host.trees() == [] and host.conf() == ""


def test_a_linked_jail_conf_stays_a_link(host):
    host.base()
    host.path("/etc/kept").mkdir()
    (host.path("/etc/kept") / "jail.conf").write_text("# elsewhere\n")
    os.symlink("kept/jail.conf", host.path("/etc/jail.conf"))
    host.newgate("create", "web")
    assert os.readlink(host.path("/etc/jail.conf")) == "kept/jail.conf"
    assert "newgate begin web" in (host.path("/etc/kept") / "jail.conf").read_text()


def test_a_created_jail_runs_and_is_not_pulled_from_under(vps):
    """From nothing to two running jails, and back."""
    vps.run("newgate", "template", "create", "_base", "--from", "busybox")
    vps.run("newgate", "create", "web")
    vps.run("jail", "-c", "web")
    web = vps.jail("web")
    first = web.run("cat", "/etc/machine-id").stdout
    assert web.run("hostname").stdout == "web\n"
    assert web.run("cat", "/etc/hostname").stdout == "web\n"
    web.run("sh", "-c", "echo kept >/root/made && rm /etc/profile")
    for argv in (["destroy", "-y", "web"], ["clone", "web", "web2"]):
        got = vps.run("newgate", *argv, status=1)
        assert "web is running: stop it first (jail -r web)" in got.stderr
    assert "web was cloned from it" in vps.run("newgate", "template", "destroy", "-y", "_base",
                                                status=1).stderr
    vps.run("jail", "-r", "web")
    vps.run("newgate", "clone", "web", "web2")
    vps.run("jail", "-c", "*")
    web, web2 = vps.jail("web"), vps.jail("web2")
    assert web.run("cat", "/etc/machine-id").stdout == first
    assert web2.run("cat", "/etc/machine-id").stdout != first
    assert web2.run("cat", "/etc/hostname", "/root/made").stdout == "web2\nkept\n"
    assert web2.run("ls", "/etc/profile", status=1).stdout == ""
    assert web2.run("stat", "-c", "%u:%g %a", "/", "/etc", "/etc/hostname", "/root/made").stdout == \
        "0:0 755\n0:0 755\n0:0 644\n0:0 644\n"
    assert set(web.addresses()).isdisjoint(web2.addresses())
    vps.run("jail", "-r", "web", "web2")
    vps.run("newgate", "destroy", "-y", "web", "web2")
    vps.run("newgate", "template", "destroy", "-y", "_base")
    assert not vps.path("/var/lib/newgate/roots/web").exists()
