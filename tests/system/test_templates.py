"""newgate template: versions, scripts in a throw-away jail, and what is not made twice."""

import json
import os
import signal
import subprocess
import tarfile

import pytest

from test_debian import have_mirror
from test_jail8 import jail_process
from test_store import host  # noqa: F401 (a fixture)
from vps import BUILD

NEWGATE = BUILD / "src" / "cmd" / "newgate"
TEMPLATES = "/var/lib/newgate/templates"


def template(where, *argv, **options):
    """On a folder that newgate takes for the root of a machine, or in a VPS."""
    if hasattr(where, "newgate"):
        return where.newgate("template", *argv, **options)
    got = where.run("newgate", "template", *argv, status=1 if options.get("fails") else 0)
    return got.stderr if options.get("fails") else got.stdout


def listed(where):
    rows = json.loads(template(where, "list", "--json"))["templates"]
    return {f"{t['name']}@{t['version']}": t for t in rows}


def tree(where, name):
    return where.path(f"{TEMPLATES}/{name}/root")


@pytest.fixture
def folder(host):  # noqa: F811
    """A directory that templates are made of."""
    path = host.path("/src")
    (path / "etc").mkdir(parents=True)
    (path / "etc/release").write_text("one")
    return path


def test_a_new_version_stands_beside_the_old(host, folder):  # noqa: F811
    template(host, "create", "base", "--from", str(folder))
    host.newgate("create", "web", "path=/srv/web")
    assert "up to date" in template(host, "update", "base")
    (folder / "etc/release").write_text("two")
    assert template(host, "update", "base") == f"base@2: made from {folder}\n"
    host.newgate("clone", "base", "mail")
    host.newgate("clone", "base@1", "dns")
    assert (tree(host, "base") / "etc/release").read_text() == "one"
    assert (tree(host, "base@2") / "etc/release").read_text() == "two"
    rows = listed(host)
    assert [(k, t["clones"], t["from"]) for k, t in rows.items()] == [
        ("base@1", 2, str(folder)), ("base@2", 1, str(folder))]
    # Clones keep their version.
    text = template(host, "destroy", "-y", "base@1", fails=True)
    assert "web" in text and "dns" in text and "mail" not in text
    text = template(host, "destroy", "-y", "base", fails=True)
    assert all(jail in text for jail in ("web", "dns", "mail"))
    assert list(listed(host)) == ["base@1", "base@2"]
    host.newgate("destroy", "-y", "web", "dns")
    template(host, "destroy", "-y", "base@1")
    assert list(listed(host)) == ["base@2"]
    # What is left is the newest, and the next one gets the next number.
    host.newgate("clone", "base", "again")
    template(host, "update", "base", "--fresh")
    assert list(listed(host)) == ["base@2", "base@3"]
    host.newgate("destroy", "-y", "mail", "again")
    template(host, "destroy", "-y", "base")
    assert listed(host) == {}


def test_old_entries_are_the_first_version(host, folder):  # noqa: F811
    """What earlier newgates wrote: no backend, no key."""
    template(host, "create", "base", "--from", str(folder))
    host.newgate("create", "web", "path=/srv/web")
    host.path(f"{TEMPLATES}/base/meta").write_text(f"from {folder}\nbytes 5\nmade 1700000000\n")
    origin = host.path("/var/lib/newgate/jails/web/origin")
    origin.write_text("".join(line for line in origin.read_text().splitlines(True)
                              if not line.startswith("template ")))
    assert listed(host)["base@1"]["clones"] == 1
    assert template(host, "update", "base") == f"base@2: made from {folder}\n"
    assert "web" in template(host, "destroy", "-y", "base@1", fails=True)


def test_what_was_made_before_is_taken(host, folder):  # noqa: F811
    with tarfile.open(host.root / "a.tar", "w") as t:
        t.add(folder, arcname=".")
    for name, source in (("d", str(folder)), ("t", str(host.root / "a.tar")), ("b", "busybox")):
        assert template(host, "create", name, "--from", source) == f"{name}: made from {source}\n"
        assert f"as {name} was" in template(host, "create", name + "2", "--from", source)
        assert "as " not in template(host, "create", name + "3", "--from", source, "--fresh")
        host.newgate("clone", name + "2", "jail" + name)
    assert (tree(host, "d") / "etc/release").exists()
    os.truncate(host.root / "a.tar", 0)
    assert "holds no files" in template(host, "create", "t4", "--from", str(host.root / "a.tar"), fails=True)
    (folder / "new").touch()
    assert "as " not in template(host, "create", "d4", "--from", str(folder))
    assert host.half_made() == []


def test_one_template_is_another(host, folder):  # noqa: F811
    template(host, "create", "one", "--from", str(folder))
    template(host, "create", "two", "--from", "one")
    host.newgate("clone", "two", "web")
    assert listed(host)["two@1"]["from"] == "one"
    assert "template two was cloned from it" in template(host, "destroy", "-y", "one", fails=True)
    (folder / "etc/release").write_text("two")
    template(host, "update", "one")
    assert "as " not in template(host, "create", "three", "--from", "one@2")


@pytest.mark.parametrize("argv,text", [
    (["create", "x@2", "--from", "busybox"], "behind @ is a version's"),
    (["create", "x", "--from", "nothing"], "nor a template"),
    (["create", "x", "--from", "busybox", "--include", "vim"], "--include is for --from debian:SUITE"),
    (["create", "x", "--from", "busybox", "--run", "/etc/hostname"], "and busybox is none"),
    (["create", "x", "--from", "base", "--run", "/nonexistent"], "No such file"),
    (["create", "x", "--from", "base", "--run", "/dev/null"], "it is empty"),
    (["create", "x", "--from", "debian:bookworm", "--include", "vim,$(id)"], "is not the name of a package"),
    (["create", "base", "--from", "busybox"], "newgate template update base makes a new version"),
    (["update", "x"], "no such template"),
    (["update", "base@1"], "a version stays as it is"),
    (["update", "base", "--from", "busybox"], "usage"),
    (["destroy", "-y", "base@2"], "no such template"),
    (["create", "a/b", "--from", "busybox"], "cannot be called"),
])
def test_what_cannot_be_is_said(host, argv, text):  # noqa: F811
    host.base("base")
    assert text in template(host, *argv, fails=True)
    assert list(listed(host)) == ["base@1"] and host.half_made() == []


def script(vps, text, name="/root/script"):
    vps.path(name).parent.mkdir(parents=True, exist_ok=True)
    vps.path(name).write_text(text)
    return str(vps.path(name))


def no_jail_is_left(vps):
    assert vps.run("jls", "-q", "name").stdout == ""
    jails = vps.path("/var/lib/newgate/jails")
    assert [p.name for p in jails.iterdir() if p.name[0] != "."] == []
    assert list(vps.path("/var/lib/newgate").glob("*/.partial/*")) == []
    assert list(vps.path("/var/lib/newgate/roots").glob(".build*")) == []
    leases = vps.path("/var/lib/newgate/leases").read_text().splitlines()
    assert [line for line in leases if "build_" in line][-1:] in ([], ["free build_web"], ["free build_a"])


def test_a_script_makes_a_template(vps):
    template(vps, "create", "base", "--from", "busybox")
    run = script(vps, """
        hostname; id -u
        wget -q -O /root/page http://203.0.113.1/ || true
        ip addr show | grep -q 'inet ' && echo networked >/root/net
        echo made >/root/made; rm /etc/profile; mkdir -p /etc/ssh; touch /etc/ssh/ssh_host_rsa_key
        echo changed >>/etc/shells; echo x >/tmp/x
        """)
    said = template(vps, "create", "web", "--from", "base", "--run", run)
    assert said == "build\n0\nweb: made from base\n"
    no_jail_is_left(vps)
    root = tree(vps, "web")
    meta = vps.path(f"{TEMPLATES}/web/meta").read_text()
    assert "backend overlay\n" in meta and "lower base\n" in meta
    assert (root / "root/made").read_text() == "made\n" and (root / "root/net").read_text() == "networked\n"
    # A layer: what the script did not touch is in the template below.
    assert not (root / "bin/busybox").exists()
    for name in ("machine-id", "hostname"):
        assert (root / "etc" / name).read_text() == ""
    assert not (root / "etc/ssh/ssh_host_rsa_key").exists()
    vps.run("newgate", "create", "www", "template=web")
    vps.run("jail", "-c", "www")
    www = vps.jail("www")
    assert www.run("cat", "/root/made").stdout == "made\n"
    assert www.run("ls", "/etc/profile", status=1).stdout == ""
    assert www.run("tail", "-n", "1", "/etc/shells").stdout == "changed\n"
    assert len(www.run("cat", "/etc/machine-id").stdout) == 33
    assert "template web was cloned from it" in template(vps, "destroy", "-y", "base", fails=True)
    vps.run("jail", "-r", "www")
    # A template on a template on a template.
    template(vps, "create", "more", "--from", "web", "--run", script(vps, "cat /root/made >/root/more"))
    vps.run("newgate", "create", "mail", "template=more")
    vps.run("jail", "-c", "mail")
    assert vps.jail("mail").run("cat", "/root/more").stdout == "made\n"


def test_a_script_is_not_run_twice(vps):
    template(vps, "create", "base", "--from", "busybox")
    run = script(vps, "echo ran; echo 1 >/root/x")
    assert "ran\n" in template(vps, "create", "a", "--from", "base", "--run", run)
    assert "ran\n" not in template(vps, "create", "b", "--from", "base", "--run", run)
    assert "up to date" in template(vps, "update", "a")
    assert "ran\n" in template(vps, "create", "c", "--from", "base", "--run", run, "--fresh")
    other = script(vps, "echo ran; echo 2 >/root/x")
    assert "ran\n" in template(vps, "create", "d", "--from", "base", "--run", other)
    # A new version below: the script is run again, in that.
    template(vps, "update", "base", "--run", script(vps, "echo new >/root/base", "/root/other"))
    assert template(vps, "update", "a") == "ran\na@2: made from base@2\n"
    assert "up to date" in template(vps, "update", "a")
    vps.run("newgate", "create", "www", "template=a")
    vps.run("jail", "-c", "www")
    assert vps.jail("www").run("cat", "/root/base", "/root/x").stdout == "new\n1\n"
    rows = listed(vps)
    assert rows["a@1"]["clones"] == 0 and rows["a@2"]["clones"] == 1


def test_the_first_line_names_the_shell(vps):
    template(vps, "create", "base", "--from", "busybox")
    run = script(vps, "#!/bin/ash -x\necho $0 $#\nfalse\necho end\n")
    got = vps.run("newgate", "template", "create", "a", "--from", "base", "--run", run)
    assert got.stdout == "script 0\nend\na: made from base\n" and "+ false" in got.stderr


@pytest.mark.parametrize("text,said", [
    ("echo before; false; echo after", "the script ended with status 1"),
    ("exit 7", "the script ended with status 7"),
    ("kill -9 $$", "the script was ended by signal 9"),
    ("#!/bin/nonesuch\n", "nonesuch"),
])
def test_a_script_that_fails_makes_nothing(vps, text, said):
    template(vps, "create", "base", "--from", "busybox")
    got = template(vps, "create", "a", "--from", "base", "--run", script(vps, text), fails=True)
    assert said in got
    no_jail_is_left(vps)
    assert list(listed(vps)) == ["base@1"]


def test_a_build_that_is_killed_is_cleared_up(vps):
    """kill -9 while the script runs: the next build ends the jail, and makes what was wanted."""
    template(vps, "create", "base", "--from", "busybox")
    p = vps.popen("newgate", "template", "create", "a", "--from", "base", "--run",
                  script(vps, "echo started; while :; do :; done"))
    assert p.stdout.readline() == "started\n"
    text = template(vps, "create", "a", "--from", "busybox", fails=True)
    assert "another newgate is making or removing a" in text
    os.kill(jail_process(p), signal.SIGKILL)
    p.wait()
    assert "build_a" in vps.run("jls", "name").stdout
    template(vps, "create", "a", "--from", "base", "--run", script(vps, "echo 2 >/root/x", "/root/second"))
    no_jail_is_left(vps)
    assert (tree(vps, "a") / "root/x").read_text() == "2\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_ends_its_jail(vps, how):
    template(vps, "create", "base", "--from", "busybox")
    p = vps.popen("newgate", "template", "create", "a", "--from", "base", "--run",
                  script(vps, "echo started; exec sleep 1000"))
    assert p.stdout.readline() == "started\n"
    os.kill(jail_process(p), how)
    assert p.wait(timeout=30) != 0
    no_jail_is_left(vps)


# The calls that change something; strace(1) kills newgate at the Nth of a kind.
CALLS = "renameat2,unlinkat,mkdirat,symlinkat,fchmod,fchown,syncfs,copy_file_range,linkat"


def test_killed_anywhere(host, folder):  # noqa: F811
    """kill -9 at every step of an update: the version is there whole, or not at all; what is left goes
    with the next."""
    for i in range(5):
        (folder / f"etc/{i}").write_text(str(i))
    os.link(folder / "etc/0", folder / "etc/again")
    os.symlink("0", folder / "etc/link")
    template(host, "create", "base", "--from", str(folder))
    steps = 0
    for call in CALLS.split(","):
        for n in range(1, 100):
            argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                    f"inject={call}:signal=KILL:when={n}", NEWGATE, "template", "update", "base", "--fresh"]
            got = subprocess.run(argv, env=host.env, capture_output=True, text=True, timeout=60)
            steps += 1
            newest = max(t["version"] for t in listed(host).values())
            for version in range(1, newest + 1):
                root = tree(host, "base" if version == 1 else f"base@{version}")
                assert sorted(os.listdir(root / "etc"))[:6] == ["0", "1", "2", "3", "4", "again"]
                assert (root / "etc/4").read_text() == "4"
                assert (root / "etc/machine-id").read_text() == "" and (root / "etc/rc").exists()
            if got.returncode == 0:
                break
        else:
            raise AssertionError(f"{call} does not come to an end")
        template(host, "update", "base", "--fresh")
        assert host.half_made() == []
        # No more than a few at a time.
        for name in list(listed(host))[1:]:
            template(host, "destroy", "-y", name)
    assert steps > 30


def test_debian_with_packages(host):  # noqa: F811
    if not have_mirror():
        pytest.skip("no Debian mirror can be reached")
    argv = ["unshare", "-m", NEWGATE, "template", "create", "d12", "--from", "debian:bookworm",
            "--include", "less,ncdu", "--include", "less"]
    got = subprocess.run(argv, env=host.env, capture_output=True, text=True, timeout=600)
    assert got.returncode == 0, got.stderr
    root = tree(host, "d12")
    assert (root / "usr/bin/ncdu").exists() and (root / "usr/bin/less").exists()
    # In whatever order they are named.
    got = template(host, "create", "again", "--from", "debian:bookworm", "--include", "ncdu less")
    assert "as d12 was" in got
    # The mirror has nothing newer than a minute ago.
    got = subprocess.run(["unshare", "-m", NEWGATE, "template", "update", "d12"], env=host.env,
                         capture_output=True, text=True, timeout=600)
    assert got.returncode == 0 and "up to date" in got.stdout, got.stdout + got.stderr
    assert list(listed(host)) == ["again@1", "d12@1"] and host.half_made() == []
