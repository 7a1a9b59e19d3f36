"""newgate rename: all of a jail under another name, or nothing."""

import shutil
import subprocess

import pytest

from test_store import NEWGATE, host  # noqa: F401 (a fixture)
from test_up import RC

CONF = """\
# old is the one that old-timers know: old
path = "/var/jails/$name";
persist;
exec.prestart = "echo old";
db { }
old {
    depend = db;
    allow.connect = "db tcp 5432";   # not old
}
"web" { depend = "old", db; allow.connect = internet, "old tcp 80 443", older; }
older { depend = 'old'; depend += old; allow.connect = old; meta.old = "old"; }
"""
MORE = """\
other { depend = old; path = /srv/other; }
# newgate begin old
# newgate end old
# newgate begin older
"""
RENAMED = """\
# old is the one that old-timers know: old
path = "/var/jails/$name";
persist;
exec.prestart = "echo old";
db { }
new {
    depend = db;
    allow.connect = "db tcp 5432";   # not old
}
"web" { depend = "new", db; allow.connect = internet, "new tcp 80 443", older; }
older { depend = 'new'; depend += new; allow.connect = new; meta.old = "old"; }
"""
RENAMED_MORE = """\
other { depend = new; path = /srv/other; }
# newgate begin new
# newgate end new
# newgate begin older
"""
LIST = 'jail_enable="YES"\n# jail_list="old"\njail_list="db old  older"\n'


@pytest.fixture
def files(host):  # noqa: F811
    host.conf(CONF)
    (host.root / "etc/jail.conf.d").mkdir()
    (host.root / "etc/jail.conf.d/more.conf").write_text(MORE)
    (host.root / "etc/rc.conf").write_text(LIST)
    (host.root / "var/lib/newgate").mkdir(parents=True)
    return host


def snapshot(host):
    """Every file's name and content, every folder's name; locks and what runs aside."""
    return {str(p.relative_to(host.root)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
            for p in sorted(host.root.rglob("*")) if not str(p.relative_to(host.root)).startswith("run")}


def is_renamed(host):
    assert host.conf() == RENAMED
    assert host.read("/etc/jail.conf.d/more.conf") == RENAMED_MORE
    assert host.read("/etc/rc.conf") == LIST.replace('"db old ', '"db new ')
    assert not host.path("/var/lib/newgate/rename").exists()


def test_every_place_that_names_it(files):
    said = files.newgate("rename", "old", "new")
    is_renamed(files)
    assert said.splitlines()[-1] == "old: renamed to new"
    assert sorted(line.replace(str(files.root), "") for line in said.splitlines()[:-1]) == [
        "/etc/jail.conf.d/more.conf: 3 places changed", "/etc/jail.conf: 6 places changed",
        "/etc/rc.conf: 1 place changed"]
    # And back again, byte for byte.
    files.newgate("rename", "new", "old")
    assert files.conf() == CONF and files.read("/etc/jail.conf.d/more.conf") == MORE
    assert files.read("/etc/rc.conf") == LIST


def test_a_name_that_needs_quotes(files):
    files.newgate("rename", "old", "a=b")
    assert '"a=b" {' in files.conf() and 'depend = "a=b", db' in files.conf()
    assert 'depend += "a=b";' in files.conf()
    files.newgate("rename", "a=b", "new")
    assert '"new" {' in files.conf()


def test_a_child_keeps_its_parent(files):
    files.path("/etc/jail.conf.d/more.conf").unlink()
    files.conf('path = "/x/$name"; persist; a { children.max = 2; b { } c { } }\n'
               '"a.d" { depend = "a.b"; }')
    files.newgate("rename", "a.b", "a.x")
    assert files.conf() == ('path = "/x/$name"; persist; a { children.max = 2; x { } c { } }\n'
                            '"a.d" { depend = "a.x"; }')
    files.newgate("rename", "a.d", "a.e")
    assert '"a.e" {' in files.conf()
    assert "begins with \"a.\"" in files.newgate("rename", "a.x", "z.x", fails=True)
    assert "a.x belongs to a" in files.newgate("rename", "a", "z", fails=True)


def test_tree_and_addresses_follow(files):
    files.base()
    files.newgate("clone", "_base", "old")
    (files.path("/var/lib/newgate/leases")).write_text(
        "net lo100 10.100.0.1/24\njail lo100 10.100.0.7 old\njail lo100 10.100.0.8 db\n")
    files.newgate("rename", "old", "new")
    is_renamed(files)
    assert files.trees() == ["new"]
    assert files.path("/var/jails/new").is_dir() and not files.path("/var/jails/old").exists()
    assert f"path {files.path('/var/jails/new')}\n" in files.read("/var/lib/newgate/jails/new/origin")
    leases = files.read("/var/lib/newgate/leases").splitlines()
    assert leases[-2:] == ["jail lo100 10.100.0.7 new", "free old"]
    # The store knows it by its new name alone.
    assert "made no tree" in files.newgate("destroy", "-y", "db", fails=True)
    files.newgate("destroy", "-y", "new")
    assert files.trees() == [] and not files.path("/var/jails/new").exists()


def test_a_tree_at_a_path_of_its_own_stays(files):
    files.conf(CONF.replace("old {", 'old {\n    path = /srv/tree;'))
    files.path("/srv/tree").mkdir(parents=True)
    files.newgate("rename", "old", "new")
    assert files.path("/srv/tree").is_dir()


def test_a_tree_made_by_hand_follows(files):
    files.path("/var/jails/old/bin").mkdir(parents=True)
    files.newgate("rename", "old", "new")
    assert files.path("/var/jails/new/bin").is_dir() and not files.path("/var/jails/old").exists()


# --- or nothing ---


@pytest.mark.parametrize("change,argv,message", [
    (None, ("nobody", "new"), 'there is no jail "nobody"'),
    (None, ("olt", "new"), 'there is no jail "olt" (did you mean "old"?)'),
    (None, ("old", "db"), "db is configured already"),
    (None, ("old", "a b"), "a jail's name has at most"),
    (None, ("old", "7"), "a number is not the name of a jail"),
    (None, ("old", "old"), "old is its name already"),
    (None, ("old", "host"), "it means something else in allow.connect"),
    (("old {", '"\\x6fld" {'), ("old", "new"), "is written there in a way that newgate does not change"),
    (('"old tcp', '"\\x6fld tcp'), ("old", "new"), "is written there in a way that newgate does not change"),
    (("depend = db;", "$who = old; depend = db;\n    meta.x = \"$who\";"), None, None),
    (('"old", db', "$peer; $peer = old"), ("old", "new"), "so nothing was renamed"),
])
def test_refused(files, change, argv, message):
    if change:
        files.conf(CONF.replace(*change))
    before = snapshot(files)
    if argv is None:
        files.newgate("rename", "old", "new")
        return
    assert message in files.newgate("rename", *argv, fails=True)
    assert snapshot(files) == before


def test_what_is_in_the_way_of_the_tree(files):
    files.base()
    files.newgate("clone", "_base", "old")
    files.path("/var/jails/new").mkdir()
    before = snapshot(files)
    assert "/var/jails/new exists already" in files.newgate("rename", "old", "new", fails=True)
    assert snapshot(files) == before
    files.path("/var/jails/new").rmdir()
    assert "something is mounted at" in files.newgate(
        "rename", "old", "new", fails=True, before=f"mount -t tmpfs tmpfs {files.path('/var/jails/old')}")
    del before["var/jails/new"]
    assert snapshot(files) == before


def test_another_tree_of_the_new_name(files):
    files.base()
    files.conf(CONF + 'spare { }\n')
    files.newgate("clone", "_base", "spare")
    files.conf(CONF)
    assert "a tree of a jail spare already" in files.newgate("rename", "old", "spare", fails=True)


# --- killed on the way ---


@pytest.mark.parametrize("steps", range(5))
def test_the_same_command_finishes_what_was_begun(files, steps):
    """What a kill leaves behind each of the steps."""
    files.base()
    files.newgate("clone", "_base", "old")
    files.path("/var/lib/newgate/leases").write_text("jail lo100 10.100.0.7 old\n")
    files.path("/var/lib/newgate/rename").write_text(f"old\nnew\n{files.path('/var/jails/old')}\n")
    if steps > 0:
        files.conf(RENAMED)
    if steps > 1:
        files.path("/etc/jail.conf.d/more.conf").write_text(RENAMED_MORE)
        files.path("/etc/rc.conf").write_text(LIST.replace('"db old ', '"db new '))
    if steps > 2:
        files.path("/var/jails/old").rename(files.path("/var/jails/new"))
    if steps > 3:
        files.path("/var/lib/newgate/jails/old").rename(files.path("/var/lib/newgate/jails/new"))
    remedy = "renaming old to new was interrupted: newgate rename old new finishes it"
    for argv in ("rename", "db", "x"), ("up", "-n"):
        assert remedy in files.newgate(*argv, fails=True)
    check = subprocess.run([NEWGATE, "check"], env=files.env, capture_output=True, text=True)
    assert check.returncode == 1 and check.stdout.splitlines()[0] == remedy
    files.newgate("rename", "old", "new")
    is_renamed(files)
    assert files.trees() == ["new"] and files.path("/var/jails/new").is_dir()
    assert f"path {files.path('/var/jails/new')}\n" in files.read("/var/lib/newgate/jails/new/origin")
    assert "jail lo100 10.100.0.7 new\n" in files.read("/var/lib/newgate/leases")


def test_half_a_journal_means_nothing_was_done(files):
    files.path("/var/lib/newgate/rename").write_text("db\nx")
    files.newgate("rename", "old", "new")
    is_renamed(files)


# --- and it runs ---


def test_it_runs_under_its_new_name_at_its_old_address(vps):
    text = 'path = "/var/jails/$name"; persist; interface = "lo100"; ip4.addr = auto;\n' \
           'first { } web { depend = first; }\n'
    vps.write("/etc/jail.conf", text)
    vps.write("/etc/rc.conf", RC)
    for name in ("first", "web"):
        vps.busybox(f"/var/jails/{name}")
    vps.run("newgate", "up")
    address = vps.record("web")["ip4"]
    assert "web is running: stop it first" in vps.run("newgate", "rename", "web", "www", status=1).stderr
    vps.run("newgate", "down")
    vps.run("newgate", "rename", "web", "www")
    vps.run("newgate", "rename", "first", "zeroth")
    assert vps.run("newgate", "up").stdout == "starts zeroth\nstarts www\n"
    assert vps.record("www")["ip4"] == address
    assert not vps.path("/var/jails/web").exists()
    shutil.rmtree(vps.path("/var/lib/newgate"))
