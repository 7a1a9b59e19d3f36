"""newgate host upgrade, without downloads: see test_host.py. A new version of a template is what
somebody made of a changed root."""

import json

import pytest

from test_host import JAILS, host, mail, told  # noqa: F401
from test_host_backup import killed, new  # noqa: F401

# What the checks ask of each service, put before what stands for it.
CHECKS = {
    "dkim": {"opendkim": '[ "$1" = -n ] && exit {status}\n'},
    "dovecot": {"doveconf": "exit {status}\n", "openssl": "echo '* OK'\n", "bash": "exit 0\n"},
    "postfix": {"postfix": '[ "$1" = check ] && {{ echo "bad main.cf"; exit {status}; }}\n', "bash": "exit 0\n"},
    "web": {"nginx": '[ "$1" = -t ] && exit {status}\n', "php-fpm8.2": '[ "$1" = -t ] && exit {status}\n',
            "bash": "exit 0\n"},
}


def change(vps, jail, status=0):
    """A new root: what it is called, and whether its configuration can be read."""
    root = vps.path(f"/src/{jail}")
    (root / "etc/version").write_text("new\n")
    for name, text in CHECKS[jail].items():
        path = root / "usr/bin" / name
        lines = path.read_text().splitlines(True)[1:] if path.exists() else []
        kept = [line for line in lines if "exit" not in line or "exec" in line]
        path.write_text("#!/bin/sh\n" + text.format(status=status) + "".join(kept))
        path.chmod(0o755)


def newer(vps, *jails, **options):
    for jail in jails:
        change(vps, jail, **options)
        vps.run("newgate", "template", "update", f"host-{jail}")


def versions(vps):
    rows = json.loads(vps.run("newgate", "template", "list", "--json").stdout)["templates"]
    return {(row["name"], row["version"]) for row in rows}


def is_new(vps, jail):
    got = vps.jail(jail).run("cat", "/etc/version", status=None)
    return got.stdout == "new\n"


def clean(vps):
    """Nothing is left of a trial."""
    assert names(vps) == sorted(JAILS)
    assert not list(vps.path("/var/lib/newgate/roots").glob(".upgrade*"))
    assert not list(vps.path("/var/lib/newgate/jails").glob("upgrade*"))


def names(vps):
    return sorted(vps.run("jls", "-h", "name").stdout.split()[1:])


def test_up_to_date(mail):  # noqa: F811
    pids = {jail: mail.jail(jail).pid for jail in JAILS}
    assert host(mail, "upgrade").stdout == "".join(
        f"{jail}: up to date\n" for jail in (*JAILS, "acme"))
    assert {jail: mail.jail(jail).pid for jail in JAILS} == pids


def test_new_versions(mail):  # noqa: F811
    pids = {jail: mail.jail(jail).pid for jail in JAILS}
    newer(mail, "dovecot", "postfix")
    said = host(mail, "upgrade", "--check").stdout
    assert said == ("dkim: up to date\nweb: up to date\nacme: up to date\n"
                    "dovecot: host-dovecot@2 does what it should\npostfix: host-postfix@2 does what it should\n")
    assert {jail: mail.jail(jail).pid for jail in JAILS} == pids
    clean(mail)
    assert not list(mail.path("/var/log").glob("*upgrade*"))

    said = host(mail, "upgrade").stdout
    assert "dovecot: from host-dovecot to host-dovecot@2 (newgate rollback dovecot@rebase-" in said
    for jail in JAILS:
        assert is_new(mail, jail) == (jail in ("dovecot", "postfix"))
        assert (mail.jail(jail).pid == pids[jail]) == (jail in ("dkim", "web"))
    clean(mail)
    assert "-f" in mail.jail("postfix").run("cat", "/var/spool/postfix/done").stdout
    assert host(mail, "upgrade").stdout.count("up to date") == 5
    # There is a way back.
    back = said.split("dovecot@rebase-")[1].split(" ")[0]
    mail.run("newgate", "down", "dovecot")
    mail.run("newgate", "rollback", "-y", f"dovecot@rebase-{back}")
    mail.run("newgate", "up")
    assert not is_new(mail, "dovecot")


@pytest.mark.parametrize("how", ["check", "port", "start", "owner"])
def test_a_version_that_fails(mail, how):  # noqa: F811
    """It is tried beside what runs, which nobody notices."""
    pids = {jail: mail.jail(jail).pid for jail in JAILS}
    newer(mail, "dkim")
    change(mail, "postfix", status=3 if how == "check" else 0)
    postfix = mail.path("/src/postfix/usr/bin/postfix")
    if how == "port":
        postfix.write_text(postfix.read_text().replace("25 465 587", "25 587"))
    if how == "start":
        mail.path("/src/postfix/usr/bin/postmap").write_text("#!/bin/sh\nexit 9\n")
    if how == "owner":
        passwd = mail.path("/src/postfix/etc/passwd")
        passwd.write_text(passwd.read_text().replace("dovecot:x:101:", "dovecot:x:107:"))
    mail.run("newgate", "template", "update", "host-postfix")
    got = host(mail, "upgrade", status=1, timeout=90)
    assert {"check": "its check ended with status 3:\nbad main.cf", "start": "it does not start",
            "port": "does not listen on port 465",
            "owner": "user dovecot is number 101 in the jail and 107 in host-postfix@2"}[how] in got.stderr
    log = mail.path("/var/log/jail_upgrade_postfix_console.log")
    assert f"postfix stays as it is: host-postfix@2 did not do what it should; what it printed is in {log}" in got.stderr
    assert how not in ("port", "check") or "postfix started" in log.read_text()
    # None of them changed, not even the one that would do.
    assert {jail: mail.jail(jail).pid for jail in JAILS} == pids
    clean(mail)


def test_a_version_that_fails_in_its_place(mail):  # noqa: F811
    """Beside the jail it does what it should, in its place it does not: the jail goes back."""
    change(mail, "postfix")
    postfix = mail.path("/src/postfix/usr/bin/postfix")
    postfix.write_text(postfix.read_text().replace(
        "#!/bin/sh\n", '#!/bin/sh\n[ "$1" = check ] && [ -e /var/spool/postfix/mine ] && exit 4\n'))
    mail.run("newgate", "template", "update", "host-postfix")
    mail.path("/var/lib/newgate/host/postfix/spool/mine").touch()
    got = host(mail, "upgrade", status=1, timeout=90)
    assert "postfix: host-postfix@2 does what it should\n" in got.stdout
    assert "its check ended with status 4" in got.stderr
    assert "postfix: back on host-postfix" in got.stderr
    assert not is_new(mail, "postfix")
    told(mail, "postfix", "postfix started", 3)
    clean(mail)


def test_packages(new):  # noqa: F811
    """With a template of packages, whose newest version is taken, and the script over it."""
    new.run("newgate", "template", "destroy", "-y", "host-dkim")
    new.run("newgate", "template", "create", "host-dkim-packages", "--from", new.path("/src/dkim"))
    host(new, "init", "example.org")
    told(new, "dkim", "opendkim started")
    assert host(new, "upgrade").stdout.count("up to date") == 5
    change(new, "dkim")
    new.run("newgate", "template", "update", "host-dkim-packages")
    said = host(new, "upgrade").stdout
    assert "dkim: from host-dkim to host-dkim@2" in said
    assert is_new(new, "dkim")
    # The script of the template ran.
    assert new.jail("dkim").run("readlink", "/etc/opendkim.conf").stdout == "/etc/host/opendkim.conf\n"
    assert host(new, "upgrade").stdout.count("up to date") == 5
    # A version that this made and that fails is nobody's.
    change(new, "dkim", status=5)
    new.run("newgate", "template", "update", "host-dkim-packages")
    assert "its check ended with status 5" in host(new, "upgrade", status=1).stderr
    assert ("host-dkim", 3) not in versions(new) and ("host-dkim-packages", 3) in versions(new)
    clean(new)


MMDEBSTRAP = """#!/bin/sh
# The mirror is a folder of this machine.
[ -e {mirror} ] || {{ echo "no route to the mirror" >&2; exit 1; }}
for path; do :; done
cp -a {mirror}/. "$path"
echo fetched >>{mirror}.log
"""


def test_debian(new):  # noqa: F811
    """Packages are fetched where those that there are are in use already."""
    mirror = new.path("/src/dkim")
    (mirror / "var/lib/dpkg").mkdir(parents=True)
    status, log = mirror / "var/lib/dpkg/status", new.path("/src/dkim.log")
    status.write_text("1\n")
    tool = new.path("/tools/mmdebstrap")
    tool.parent.mkdir()
    tool.write_text(MMDEBSTRAP.format(mirror=mirror))
    tool.chmod(0o755)
    env = {"PATH": f"{tool.parent}:{new.env['PATH']}"}
    new.run("newgate", "template", "destroy", "-y", "host-dkim")
    host(new, "init", "example.org", env=env)
    assert log.read_text().count("fetched") == 1
    first = versions(new)
    assert host(new, "upgrade", env=env).stdout.count("up to date") == 5
    assert log.read_text().count("fetched") == 2 and versions(new) == first
    # One that fails: nothing stays of it, so that the next one is asked for again.
    change(new, "dkim", status=6)
    status.write_text("2\n")
    assert "its check ended with status 6" in host(new, "upgrade", status=1, env=env).stderr
    assert log.read_text().count("fetched") == 3 and versions(new) == first
    change(new, "dkim")
    status.write_text("3\n")
    host(new, "upgrade", "--check", env=env)
    assert log.read_text().count("fetched") == 4
    # What was fetched is used, without the mirror.
    mirror.rename(new.path("/src/gone"))
    assert "dkim: from host-dkim to host-dkim@2" in host(new, "upgrade", env=env).stdout
    assert is_new(new, "dkim")
    assert "no route to the mirror" in host(new, "upgrade", status=1, env=env).stderr


def test_killed(mail):  # noqa: F811
    newer(mail, "dkim")
    number = 2
    for step, run in killed(mail, "upgrade", points=8):
        change(mail, "dkim")
        (mail.path("/src/dkim") / "etc/number").write_text(f"{number}\n")
        mail.run("newgate", "template", "update", "host-dkim")
        run()
        print(step, names(mail))
        host(mail, "upgrade")
        mail.run("newgate", "up")
        assert mail.jail("dkim").run("cat", "/etc/number").stdout == f"{number}\n"
        clean(mail)
        number += 1
