"""newgate rebase: jails onto a new version of their template, whatever keeps their trees."""

import io
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from test_backends import disk  # noqa: F401 (a fixture)
from test_jail8 import jail_process
from test_store import NEWGATE, host  # noqa: F401 (a fixture)


class Trees:
    """A folder that templates are made of, and what a jail's tree is then."""

    def __init__(self, host, store):  # noqa: F811
        self.host, self.store, self.folder = host, store, host.path("/src")
        host.newgate("init", "--store", store)
        for folder in ("etc", "lib", "opt/app", "old"):
            (self.folder / folder).mkdir(parents=True)
        for i in range(4):
            (self.folder / f"lib/{i}").write_text(f"one {i}")
        (self.folder / "etc/conf").write_text("one")
        (self.folder / "opt/app/run").write_text("one")
        (self.folder / "old/file").write_text("one")
        self.host.newgate("template", "create", "base", "--from", str(self.folder))
        host.conf("web { path = /srv/web; persist; }\n")
        host.newgate("clone", "base", "web")

    def write(self, path, text):
        """In the jail, by what it sees: of an overlay in its own layer."""
        to = self.root() / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text)

    def remove(self, path):
        at = self.root() / path
        if self.store == "overlay":
            at.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(at, 0o600 | 0o020000, 0)
        else:
            subprocess.run(["rm", "-rf", at], check=True)

    def root(self):
        return self.host.path("/var/lib/newgate/jails/web/upper" if self.store == "overlay" else "/srv/web")

    def origin(self):
        lines = self.host.read("/var/lib/newgate/jails/web/origin").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def update(self):
        return self.host.newgate("template", "update", "base")

    def rebase(self, *argv, **options):
        return self.host.newgate("rebase", *argv, "web", **options)


def files(t):
    """What the jail sees: {path: text}, None for a folder."""
    got = subprocess.run(["unshare", "-m", NEWGATE, "export", "--compress", "none", "web"], env=t.host.env,
                         capture_output=True, timeout=60)
    assert got.returncode == 0, got.stderr
    found = {}
    with tarfile.open(fileobj=io.BytesIO(got.stdout)) as tar:
        for member in tar:
            path = member.name.removeprefix("./").removeprefix("root/")
            if path.split("/")[0] in ("etc", "lib", "opt", "old", "new", "mine"):
                found[path] = tar.extractfile(member).read().decode() if member.isreg() else \
                    member.linkname if member.issym() else None
    return found


@pytest.fixture(params=["overlay", "dir"])
def trees(host, request):  # noqa: F811
    return Trees(host, request.param)


def test_what_only_one_changed(trees):
    trees.write("mine/a", "jail")
    trees.write("lib/0", "jail 0")
    trees.remove("lib/1")
    (trees.folder / "lib/2").write_text("two 2")
    (trees.folder / "lib/4").write_text("two 4")
    (trees.folder / "lib/3").unlink()
    (trees.folder / "old/file").unlink()
    (trees.folder / "old").rmdir()
    (trees.folder / "new").mkdir(mode=0o711)
    (trees.folder / "new/link").symlink_to("../lib/4")
    (trees.folder / "opt/app").chmod(0o700)
    trees.update()
    listed = trees.rebase("-n").splitlines()
    assert listed == ["web: from base to base@2", "M /lib/2", "- /lib/3", "+ /lib/4", "+ /new", "+ /new/link",
                      "- /old", "- /old/file", "M /opt/app"]
    rows = json.loads(trees.rebase("-n", "--json"))["changes"]
    assert [(r["path"], r["change"], r["conflict"]) for r in rows][:2] == [
        ("/lib/2", "changed", False), ("/lib/3", "removed", False)]
    assert trees.origin()["template"] == "base"
    said = trees.rebase()
    assert said.startswith("web: from base to base@2 (newgate rollback web@rebase-")
    got = files(trees)
    assert {k: got.get(k, "gone") for k in ("mine/a", "lib/0", "lib/1", "lib/2", "lib/3", "lib/4", "old", "new",
                                            "new/link", "opt/app/run", "etc/conf")} == {
        "mine/a": "jail", "lib/0": "jail 0", "lib/1": "gone", "lib/2": "two 2", "lib/3": "gone", "lib/4": "two 4",
        "old": "gone", "new": None, "new/link": "../lib/4", "opt/app/run": "one", "etc/conf": "one"}
    assert trees.origin()["template"] == "base@2"
    assert len(trees.host.read("/var/lib/newgate/jails/web/upper/etc/machine-id" if trees.store == "overlay"
                               else "/srv/web/etc/machine-id")) == 33
    assert trees.rebase() == "web: it is on base@2 already\n"
    # Back by the snapshot, and forward again.
    trees.host.newgate("rollback", "-y", "web")
    assert files(trees)["lib/2"] == "one 2" and trees.origin()["template"] == "base"
    # The version below is needed by that snapshot where it is a layer.
    if trees.store == "overlay":
        assert trees.origin()["lower"] == "base"
        assert "web" in trees.host.newgate("template", "destroy", "-y", "base@1", fails=True)


def test_conflicts_are_listed_before_anything_is_done(trees):
    trees.write("etc/conf", "jail")
    trees.remove("lib/1")
    trees.write("lib/2", "alike")
    trees.write("lib/9", "jail 9")
    trees.write("opt/app/mine", "jail")
    (trees.folder / "etc/conf").write_text("two")
    (trees.folder / "lib/1").write_text("two 1")
    (trees.folder / "lib/2").write_text("alike")
    (trees.folder / "lib/9").write_text("two 9")
    (trees.folder / "lib/3").write_text("two 3")
    subprocess.run(["rm", "-r", trees.folder / "opt/app"], check=True)
    (trees.folder / "opt/app").symlink_to("/lib")
    trees.update()
    before = files(trees)
    text = trees.rebase(fails=True)
    assert "--force keeps what the jail has" in text
    assert [line.strip() for line in text.splitlines()[1:]] == ["/etc/conf", "/lib/1", "/lib/9", "/opt/app"]
    assert files(trees) == before and trees.origin()["template"] == "base"
    assert trees.host.newgate("snapshot", "list", "web").count("\n") <= 1
    got = subprocess.run(["unshare", "-m", NEWGATE, "rebase", "-n", "web"], env=trees.host.env, capture_output=True,
                         text=True, timeout=60)
    assert got.returncode == 2 and "M /etc/conf  (conflict)\n" in got.stdout
    assert "opposites" in trees.rebase("--force", "--overwrite", fails=True)
    trees.rebase("--force")
    got = files(trees)
    assert {k: got.get(k, "gone") for k in ("etc/conf", "lib/1", "lib/2", "lib/3", "lib/9", "opt/app", "opt/app/mine")} == {
        "etc/conf": "jail", "lib/1": "gone", "lib/2": "alike", "lib/3": "two 3", "lib/9": "jail 9", "opt/app": None,
        "opt/app/mine": "jail"}


def test_the_template_may_win(trees):
    trees.write("etc/conf", "jail")
    trees.remove("lib/1")
    trees.remove("opt/app")
    trees.write("lib/9", "jail 9")
    (trees.folder / "etc/conf").write_text("two")
    (trees.folder / "lib/1").write_text("two 1")
    (trees.folder / "lib/9").write_text("two 9")
    (trees.folder / "opt/app/new").write_text("two")
    trees.update()
    assert "/opt/app/new" in trees.rebase(fails=True)
    trees.rebase("--overwrite")
    got = files(trees)
    assert {k: got.get(k, "gone") for k in ("etc/conf", "lib/1", "lib/9", "opt/app/new", "opt/app/run")} == {
        "etc/conf": "two", "lib/1": "two 1", "lib/9": "two 9", "opt/app/new": "two", "opt/app/run": "gone"}


def test_what_was_touched_and_not_changed_follows(trees):
    """Written anew with the same contents: the jail changed nothing."""
    trees.write("lib/2", "one 2")
    trees.write("old/file", "one")
    (trees.folder / "lib/2").write_text("two 2")
    subprocess.run(["rm", "-r", trees.folder / "old"], check=True)
    trees.update()
    trees.rebase()
    got = files(trees)
    assert got["lib/2"] == "two 2" and "old/file" not in got and "old" not in got


def test_back_to_an_older_version(trees):
    (trees.folder / "lib/2").write_text("two 2")
    trees.update()
    trees.rebase()
    trees.write("mine/a", "jail")
    trees.rebase("--to", "base@1")
    got = files(trees)
    assert got["lib/2"] == "one 2" and got["mine/a"] == "jail" and trees.origin()["template"] == "base"
    assert "no template base@7" in trees.rebase("--to", "base@7", fails=True)
    assert "no template nothing" in trees.rebase("--to", "nothing", fails=True)


def test_who_has_no_template(host):  # noqa: F811
    host.path("/srv/hand/etc").mkdir(parents=True)
    host.conf("hand { path = /srv/hand; persist; }\n")
    assert "no tree for it" in host.newgate("rebase", "hand", fails=True)
    host.newgate("clone", "hand", "copy")
    assert "not made from a template" in host.newgate("rebase", "copy", fails=True)


def test_a_version_that_is_gone(host):  # noqa: F811
    trees = Trees(host, "dir")
    (trees.folder / "lib/2").write_text("two 2")
    trees.update()
    host.newgate("template", "destroy", "-y", "base@1")
    assert "base of its template is not there any more" in trees.rebase(fails=True)


# strace(1) kills newgate at the Nth call of a kind; the calls that change something.
CALLS = "rename,renameat,renameat2,unlinkat,mkdirat,symlinkat,fchmod,fsetxattr,syncfs,fsync,mknodat,linkat"


def test_killed_anywhere(trees):
    """kill -9 at every step: the jail is as it was, or on the new version, and says which."""
    for path in ("lib/1", "mine/a"):
        trees.write(path, "jail")
    (trees.folder / "lib/2").write_text("two 2")
    (trees.folder / "lib/3").unlink()
    (trees.folder / "new").mkdir()
    (trees.folder / "new/file").write_text("two")
    trees.update()
    before = files(trees)
    steps = after = 0
    for call in CALLS.split(","):
        for n in range(1, 200):
            argv = ["unshare", "-m", "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                    f"inject={call}:signal=KILL:when={n}", NEWGATE, "rebase", "web"]
            got = subprocess.run(argv, env=trees.host.env, capture_output=True, text=True, timeout=60)
            steps += 1
            # Whatever takes the jail next puts it right, or it is right.
            now = files(trees)
            assert trees.origin()["template"] in ("base", "base@2")
            if trees.origin()["template"] == "base":
                assert now == before, (call, n)
                assert not trees.host.path("/var/lib/newgate/jails/web/rebase").exists()
            else:
                after += 1
                assert now["lib/2"] == "two 2" and "lib/3" not in now and now["new/file"] == "two", (call, n)
                assert now["lib/1"] == now["mine/a"] == "jail"
            for snap in json.loads(trees.host.newgate("snapshot", "list", "--json", "web"))["snapshots"]:
                if trees.origin()["template"] == "base@2":
                    trees.host.newgate("rollback", "-y", f"web@{snap['name']}")
                    assert files(trees) == before
                trees.host.newgate("snapshot", "destroy", f"web@{snap['name']}")
            if got.returncode == 0:
                break
        else:
            raise AssertionError(f"{call} does not come to an end")
    assert steps > 30 and after > len(CALLS.split(","))


@pytest.fixture(params=["overlay", "dir"])
def running(vps, request):
    """A jail that runs, and a template whose new version has a program more."""
    vps.run("newgate", "init", "--store", request.param, status=None)
    vps.run("newgate", "template", "create", "base", "--from", "busybox")
    vps.run("newgate", "create", "web", "template=base")
    vps.run("jail", "-c", "web")
    web = vps.jail("web")
    web.run("sh", "-c", "echo jail >/root/mine")
    script = vps.path("/root/script")
    script.parent.mkdir(exist_ok=True)
    script.write_text("echo two >/root/version; rm /etc/profile\n")
    vps.run("newgate", "template", "update", "base", "--run", str(script))
    return vps


def template_of(vps):
    return dict(line.split(" ", 1) for line in vps.read("/var/lib/newgate/jails/web/origin").splitlines())["template"]


def test_a_running_jail_is_moved_and_tested(running):
    got = running.run("newgate", "rebase", "web", "--test", "echo testing; grep two /root/version && cat /root/mine")
    assert got.stdout.splitlines()[-4:] == ["testing", "two", "jail", "web: from base to base@2"]
    web = running.jail("web")
    assert web.run("cat", "/root/version", "/root/mine").stdout == "two\njail\n"
    web.run("ls", "/etc/profile", status=1)
    # Tested: nothing is kept to go back to.
    assert json.loads(running.run("newgate", "snapshot", "list", "--json", "web").stdout)["snapshots"] == []


@pytest.mark.parametrize("test,said", [("exit 3", "the test ended with status 3"),
                                       ("kill -9 $$", "the test was ended by signal 9")])
def test_a_test_that_fails_takes_it_back(running, test, said):
    web = running.jail("web")
    first = web.run("cat", "/etc/machine-id").stdout
    got = running.run("newgate", "rebase", "web", "--test", f"echo spoilt >/root/mine; {test}", status=1)
    assert said in got.stderr and "web: back on base" in got.stderr
    web = running.jail("web")
    assert web.run("cat", "/root/mine", "/etc/machine-id").stdout == "jail\n" + first
    web.run("ls", "/etc/profile")
    web.run("ls", "/root/version", status=1)
    assert template_of(running) == "base"
    assert json.loads(running.run("newgate", "snapshot", "list", "--json", "web").stdout)["snapshots"] == []
    assert not running.path("/var/lib/newgate/jails/web/rebase").exists()


def test_a_jail_that_does_not_start_goes_back(running):
    conf = running.read("/etc/jail.conf")
    # It starts on the old version alone.
    running.write("/etc/jail.conf", conf.replace('exec.start = "', 'exec.start = "test -e /etc/profile && '))
    got = running.run("newgate", "rebase", "web", status=1)
    assert "web: back on base" in got.stderr
    assert running.jail("web").run("cat", "/root/mine").stdout == "jail\n"
    assert template_of(running) == "base"


def test_a_stopped_jail_runs_for_its_test_alone(running):
    running.run("jail", "-r", "web")
    got = running.run("newgate", "rebase", "web", "--test", "cat /root/version")
    assert "two\n" in got.stdout
    assert running.run("jls", "-q", "name").stdout == ""
    assert template_of(running) == "base@2"


def test_an_interrupted_test_takes_it_back(running):
    p = running.popen("newgate", "rebase", "web", "--test", "echo started; sleep 1000")
    while p.stdout.readline() != "started\n":
        pass
    os.kill(jail_process(p), signal.SIGTERM)
    assert p.wait(timeout=60) == 1
    assert running.jail("web").run("cat", "/root/mine").stdout == "jail\n"
    assert template_of(running) == "base"


def test_a_start_puts_right_what_was_cut_off(running):
    """As a power cut leaves it: the mark is there, and half of the changes."""
    running.jail("web").run("sh", "-c", "echo kept >/root/mine")
    running.run("jail", "-r", "web")
    running.run("newgate", "snapshot", "web@before")
    running.write("/var/lib/newgate/jails/web/rebase", "apply before\n")
    root = running.path("/var/lib/newgate/jails/web")
    path = dict(line.split(" ", 1) for line in (root / "origin").read_text().splitlines())["path"]
    ((root / "upper" if (root / "upper").exists() else Path(path)) / "root/mine").write_text("half")
    running.run("jail", "-c", "web")
    assert running.jail("web").run("cat", "/root/mine").stdout == "kept\n"
    assert not (root / "rebase").exists() and not (root / "snapshots/before").exists()


def test_killed_while_it_is_tested(running):
    p = running.popen("newgate", "rebase", "web", "--test", "echo started; sleep 1000")
    while p.stdout.readline() != "started\n":
        pass
    os.kill(jail_process(p), signal.SIGKILL)
    p.wait()
    running.jail("web").run("sh", "-c", "echo since >/root/mine")
    # It may have written what must not be lost: it stays where it is, and that is said.
    running.run("jail", "-rc", "web")
    assert running.jail("web").run("cat", "/root/mine").stdout == "since\n"
    got = running.run("newgate", "rebase", "web")
    assert "its last rebase was cut off" in got.stderr and "newgate rollback web@rebase-" in got.stderr
    assert got.stdout == "web: it is on base@2 already\n"
    assert "cut off" not in running.run("newgate", "rebase", "web").stderr


def test_on_every_file_system(disk):  # noqa: F811
    """A script's template, a jail on it, its new version, a test that fails and one that passes."""
    vps = disk.vps
    if disk.fs == "zfs":
        pytest.skip("owners cannot be mapped on ZFS in FUSE, so no jail runs on it")

    def script(text):
        vps.write("/root/script", text)
        return str(vps.path("/root/script"))

    disk.base("base")
    disk.newgate("template", "create", "app", "--from", "base", "--run", script("echo one >/root/v; rm /etc/profile"))
    disk.newgate("create", "web", "template=app", "path=/var/jails/web")
    vps.run("jail", "-c", "web")
    vps.jail("web").run("sh", "-c", "echo jail >/root/mine; test $(cat /root/v) = one && ! test -e /etc/profile")
    disk.newgate("template", "update", "app", "--run", script("echo two >/root/v; mkdir /opt; echo x >/opt/x"))
    assert "the test ended with status 1" in disk.newgate(
        "rebase", "web", "--test", "grep two /root/v && rm /root/mine && false", fails=True)
    web = vps.jail("web")
    assert web.run("cat", "/root/v", "/root/mine").stdout == "one\njail\n"
    assert disk.entry("web")["template"] == "app"
    assert disk.newgate("rebase", "web", "--test", "grep two /root/v").endswith("web: from app to app@2\n")
    web = vps.jail("web")
    assert web.run("cat", "/root/v", "/root/mine", "/opt/x").stdout == "two\njail\nx\n"
    assert web.run("ls", "/etc/profile", status=1).stdout == ""
    assert disk.entry("web")["template"] == "app@2"
    vps.run("jail", "-r", "web")
    # Without a test the way back stays.
    disk.newgate("rebase", "web", "--to", "app@1")
    assert disk.look("web", "root/v") == "one\n" and disk.look("web", "root/mine") == "jail\n"
    disk.newgate("rollback", "-y", "web")
    assert disk.look("web", "root/v") == "two\n" and disk.entry("web")["template"] == "app@2"
    disk.newgate("destroy", "-y", "web")
    disk.newgate("template", "destroy", "-y", "app")
    disk.newgate("template", "destroy", "-y", "base")
    assert disk.half_made() == []


def test_stopped_on_every_file_system(disk):  # noqa: F811
    vps = disk.vps
    vps.write("/src/etc/conf", "one")
    vps.write("/src/lib/gone", "one")
    vps.write("/src/lib/both", "one")
    disk.newgate("template", "create", "base", "--from", str(vps.path("/src")))
    disk.newgate("create", "web", "path=/var/jails/web")
    disk.in_jail("web", "echo jail >etc/mine; echo jail >lib/both")
    vps.write("/src/etc/conf", "two")
    vps.write("/src/etc/new", "two")
    vps.write("/src/lib/both", "two")
    vps.path("/src/lib/gone").unlink()
    disk.newgate("template", "update", "base")
    assert "  /lib/both\n" in disk.newgate("rebase", "web", fails=True)
    assert disk.newgate("snapshot", "list", "web").count("rebase") == 0
    disk.newgate("rebase", "--force", "web")
    assert [disk.look("web", path) for path in ("etc/conf", "etc/new", "etc/mine", "lib/both", "lib/gone")] == \
        ["two", "two", "jail\n", "jail\n", None]
    disk.newgate("rollback", "-y", "web")
    assert [disk.look("web", path) for path in ("etc/conf", "etc/new", "etc/mine", "lib/both", "lib/gone")] == \
        ["one", None, "jail\n", "jail\n", "one"]
    assert disk.entry("web")["template"] == "base"
    disk.newgate("rebase", "--overwrite", "web")
    assert disk.look("web", "lib/both") == "two" and disk.look("web", "etc/mine") == "jail\n"
    disk.newgate("destroy", "-y", "web")
    disk.newgate("template", "destroy", "-y", "base")
    assert disk.half_made() == []
