"""newgate host without downloads: roots of busybox in which small scripts stand for the services and
their tools, and everything else is as on a real host."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from vps import PATIENCE, Failed

JAILS = ("dkim", "dovecot", "postfix", "web")
SERVICES = {"dkim": "opendkim", "dovecot": "dovecot", "postfix": "postfix", "web": "nginx"}
ETC = "/etc/newgate/host"
DATA = "/var/lib/newgate/host"
HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$"

# A service: it stays, listens if it is to (listening), and says when it is there and when it was told to look again.
DAEMON = """trap "echo {name} reloaded" HUP USR1
[ ! -p /etc/host/slow ] || read -r _ </etc/host/slow
[ ! -e /etc/listens ] || for port in {ports}; do while nc -l -p $port </dev/null >/dev/null; do :; done & done
echo $$ >/run/{name}.pid
echo {name} started
while :; do tail -f /dev/null & wait $!; done
"""
# setpriv --reuid … --regid … --clear-groups COMMAND …
SETPRIV = 'shift 5; exec "$@"\n'
PROGRAMS = {
    "web": {
        "nginx": '[ "$3" = -s ] && exec kill -HUP "$(cat /run/nginx.pid)"\n'
                 + DAEMON.format(name="nginx", ports="80 443"),
        "php-fpm8.2": DAEMON.format(name="php-fpm", ports=""),
        "php": "touch roundcube.db.new\n",
    },
    "postfix": {
        "postfix": '[ "$1" = status ] && exec test -s /run/postfix.pid\n'
                   '[ "$1" = reload ] && exec kill -HUP "$(cat /run/postfix.pid)"\n'
                   + DAEMON.format(name="postfix", ports="25 465 587"),
        "postqueue": 'cd /var/spool/postfix; [ "$1" = -j ] && exec cat letters; echo "$@" >>done\n',
        "postsuper": 'echo "$1" $(cat) >>/var/spool/postfix/done\n',
        "postmap": 'cp "${1#lmdb:}" "${1#lmdb:}.lmdb"\n',
        "getent": 'grep -w "$2" /etc/hosts\n',
    },
    "dovecot": {
        "dovecot": DAEMON.format(name="dovecot/master", ports="24 993 4190")
        .replace("echo dovecot/master", "echo dovecot"),
        # It sees the password twice and nothing behind it.
        "doveadm": '[ "$1" = reload ] && exec kill -HUP "$(cat /run/dovecot/master.pid)"\n'
                   '[ "$3" = who ] && exit 0\n'
                   '[ "$3" = quota ] && exec cat /var/lib/dovecot/quota\n'
                   '[ "$*" = "pw -s ARGON2ID" ] || exit 64\n'
                   'read -r one; read -r two; [ "$one" = "$two" ] || exit 65; cat\n'
                   '[ "$one" != refused ] || { echo "no such password"; exit 3; }\n'
                   f"printf '%s%s\\n' '{HASH}' \"$(printf %s \"$one\" | md5sum | cut -d' ' -f1)\"\n",
        "sievec": 'cat >/dev/null; cp "$1" "${1%.sieve}.svbin"\n',
        "getent": 'grep -w "$2" /etc/hosts\n',
        # install -o root -g dovecot -m 640 FROM TO
        "install": 'cp "$7" "$8" && chown "$2:$4" "$8" && chmod "$6" "$8"\n',
    },
    "dkim": {
        "opendkim": DAEMON.format(name="opendkim", ports="8891"),
        "setpriv": SETPRIV,
    },
    "rspamd": {
        "rspamd": DAEMON.format(name="rspamd", ports="11332").replace("/run/rspamd.pid", "/run/rspamd/control.sock"),
        # rspamadm control -s SOCKET reload
        "rspamadm": 'kill -HUP "$(cat "$3")"\n',
        "redis-server": DAEMON.format(name="redis", ports=""),
        "setpriv": SETPRIV,
    },
}
FOLDERS = {
    "web": ("etc/host", "etc/tls", "srv/roundcube", "srv/sites", "srv/acme", "var/lib/nginx",
            "var/lib/roundcube/temp"),
    "postfix": ("etc/host", "etc/tls", "srv/maps", "var/spool/postfix/maildrop", "var/lib/postfix"),
    "dovecot": ("etc/host", "etc/tls", "srv/vmail", "var/lib/dovecot"),
    "dkim": ("etc/host",),
    "acme": ("etc/host", "srv/acme", "srv/state"),
    "rspamd": ("etc/host", "etc/dkim", "var/lib/rspamd", "var/lib/redis"),
}


def give_shell(root):
    """dash as /bin/sh: that of busybox runs its own applets in place of programs that are named alike."""
    (root / "bin/sh").unlink()
    shutil.copy("/bin/dash", root / "bin/sh")
    needs = subprocess.run(["ldd", "/bin/dash"], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(", needs):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])


def template(vps, jail, listens=False):
    root = vps.busybox(f"/src/{jail}")
    if listens:
        (root / "etc/listens").touch()
    for folder in FOLDERS[jail]:
        (root / folder).mkdir(parents=True)
    give_shell(root)
    for name, text in PROGRAMS.get(jail, {}).items():
        path = root / "usr/bin" / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
    with open(root / "etc/passwd", "a") as f:
        f.write("www-data:x:33:33::/:/bin/sh\ndovecot:x:101:101::/:/bin/sh\n")
    with open(root / "etc/group", "a") as f:
        f.write("www-data:x:33:\ndovecot:x:101:\n")
    if jail == "dovecot":
        os.chown(root / "srv/vmail", 5000, 5000)
    # As a path of this machine: NEWGATE_ROOT is not put before what a template is made of.
    vps.run("newgate", "template", "create", f"host-{jail}", "--from", root)


def fresh(vps, **options):
    for jail in FOLDERS:
        template(vps, jail, **options)
    # No name server there: it says so at once.
    vps.write("/etc/resolv.conf", "nameserver 203.0.113.10\n")
    return vps


@pytest.fixture
def new(vps):
    """A VPS with templates and nothing else."""
    return fresh(vps)


@pytest.fixture
def mail(new):
    host(new, "init", "example.org")
    for jail, service in SERVICES.items():
        told(new, jail, f"{service} started")
    return new


def told(vps, jail, line, times=1):
    """Waits until the jail's log has the line so often."""
    tail = vps.popen("timeout", "20", "newgate", "logs", "-f", "-n", "all", jail)
    seen = []
    with tail:
        while seen.count(line) < times:
            got = tail.stdout.readline()
            if not got:
                raise Failed(f"{jail} never said \"{line}\" {times} times: {seen}")
            seen.append(got.rstrip("\n"))
        tail.terminate()


def host(vps, *argv, **options):
    return vps.run("newgate", "host", *argv, **options)


def refused(vps, *argv, **options):
    """What it says when it says no."""
    got = host(vps, *argv, status=1, **options)
    assert got.stdout == ""
    return got.stderr


def listed(vps, what):
    (rows,) = json.loads(host(vps, what, "list", "--json").stdout).values()
    return rows


def table(vps, name):
    """As postfix sees it."""
    return vps.jail("postfix").run("cat", f"/srv/maps/{name}.lmdb").stdout.splitlines()


# --- init ---


def test_init_makes_four_jails(new):
    said = host(new, "init", "Example.ORG").stdout
    assert "The mail host of example.org runs." in said
    assert "https://mail.example.org/" in said
    status = json.loads(new.run("newgate", "status", "--json").stdout)
    assert {j["name"]: j["state"] for j in status["jails"]} == dict.fromkeys(JAILS, "running")
    conf = dict(line.split(" = ") for line in new.read("/etc/newgate/host.conf").splitlines()[1:])
    assert (conf["domain"], conf["hostname"]) == ("example.org", "mail.example.org")
    assert (conf["address4"], conf["address6"]) == ("203.0.113.10", "2001:db8::10")
    for jail in JAILS:
        assert "Read-only" in new.jail(jail).run("touch", "/here", status=1).stderr
    # Each sees its own configuration, and cannot change it.
    postfix = new.jail("postfix")
    assert "mail.example.org" in postfix.run("cat", "/etc/host/main.cf").stdout
    assert "Read-only" in postfix.run("touch", "/etc/host/main.cf", status=1).stderr
    dkim = new.jail("dkim")
    assert dkim.run("ls", "/etc/host/keys", "/run/keys").stdout.count("example.org.pem") == 2
    assert "No such file" in dkim.run("ls", "/etc/tls", status=1).stderr
    # What it may write begins as the template has it.
    assert postfix.run("ls", "/var/spool/postfix").stdout == "maildrop\n"
    vmail = new.path(f"{DATA}/dovecot/vmail").stat()
    assert (vmail.st_uid, vmail.st_gid) == (5000, 5000)
    assert table(new, "domains") == ["example.org yes"]
    for secret in (f"{ETC}/tls/key.pem", f"{ETC}/dkim/keys/example.org.pem", f"{ETC}/dovecot/users"):
        assert stat.S_IMODE(new.path(secret).stat().st_mode) == 0o600, secret


def test_only_the_connections_that_are_listed(mail):
    got = mail.run("newgate", "explain", "*", "*", status=None, timeout=60).stdout.splitlines()[1:]
    pairs = [line.split()[:4] for line in got]
    assert sorted(p for p in pairs if p[0] != "host" and p[1] != "host") == sorted([
        ["web", "postfix", "tcp", "587"],
        ["web", "dovecot", "tcp", "993"], ["web", "dovecot", "tcp", "4190"],
        ["postfix", "dovecot", "tcp", "24"],
        ["postfix", "dovecot", "tcp", "12340"], ["postfix", "dovecot", "tcp", "12345"],
        ["postfix", "dkim", "tcp", "8891"],
        ["postfix", "internet", "tcp", "25"],
        ["postfix", "internet", "tcp", "53"], ["postfix", "internet", "udp", "53"],
        ["dkim", "internet", "tcp", "53"], ["dkim", "internet", "udp", "53"],
        ["internet", "web", "tcp", "80"], ["internet", "web", "tcp", "443"],
        ["internet", "postfix", "tcp", "25"], ["internet", "postfix", "tcp", "465"],
        ["internet", "postfix", "tcp", "587"],
        ["internet", "dovecot", "tcp", "993"], ["internet", "dovecot", "tcp", "4190"],
    ])
    # A jail has no way to the host itself.
    assert not [p for p in pairs if p[1] == "host" and p[0] != "internet" and p[0] != "host"]


def test_init_says_what_it_does(new):
    said = host(new, "init", "example.org").stdout
    steps = re.findall(r"^ +\d+\.\d s  (.*)$", said, re.M)
    assert steps == ["settings, keys and files in /etc/newgate/host",
                     *(f"jail {jail}: a tree of template host-{jail}" for jail in (*JAILS, "acme")),
                     "starting the jails", "they run"]
    # What newgate init would have one do next is done.
    assert "wrote /etc/rc.conf" in said and "next:" not in said and "newgate create" not in said
    left = said.split("What is left to do:\n")[1]
    assert "newgate host dns " in left and "203.0.113.10 is to be named mail.example.org (PTR)" in left
    assert "newgate host renew " in left and "newgate host user add you@example.org\n" in left
    assert "pf is on" not in left
    host(new, "user", "add", "alice@example.org", input="secret\n")
    said = host(new, "init", "example.org").stdout
    assert "jail " not in said.split("they run")[0] and "user add" not in said
    assert new.run("newgate", "check").stdout == "4 jails in 3 files: no fault\n"


def test_init_where_pf_is_on(new):
    """pf.conf stays as it is; what it lacks is told, and does."""
    new.write("/etc/rc.conf", 'cloned_interfaces="lo100"\nifconfig_lo100="inet 10.100.0.1/24"\npf_enable="YES"\n')
    mine = "block in\npass out\npass in proto tcp to port ssh\n"
    new.write("/etc/pf.conf", mine)
    said = host(new, "init", "example.org").stdout
    assert new.read("/etc/pf.conf") == mine
    lines = re.findall(r"^    (.*newgate/.*)$", said, re.M)
    assert lines == ['nat-anchor "newgate/*"', 'rdr-anchor "newgate/*"', 'anchor "newgate/*"']
    assert "pfctl -f /etc/pf.conf --confirm 60" in said
    assert new.run("newgate", "explain", "internet", "host:25", status=2).stdout.startswith("block")

    new.write("/etc/pf.conf", "\n".join([*lines[:2], mine, lines[2], ""]))
    new.run("pfctl", "-f", "/etc/pf.conf")
    assert "pf is on" not in host(new, "init", "example.org").stdout
    postfix, dovecot = new.jail("postfix"), new.jail("dovecot")
    server = new.listen(postfix, "tcp", "", 25)
    assert new.seen("internet", "tcp", "203.0.113.10", 25, server, "198.51.100.7") == "198.51.100.7"
    server = new.listen(dovecot, "tcp", "", 24)
    assert new.seen(postfix, "tcp", dovecot.addresses()[0], 24, server) == postfix.addresses()[0]
    with pytest.raises(OSError):
        new.connect(new.jail("web"), "tcp", dovecot.addresses()[0], 24)
    # The host is as closed as it was.
    assert new.run("newgate", "explain", "internet", "host:9999", status=2).stdout.startswith("block")


def test_init_again(mail):
    before = {p: mail.read(p) for p in (f"{ETC}/tls/key.pem", f"{ETC}/dkim/keys/example.org.pem")}
    pids = {jail: mail.jail(jail).pid for jail in JAILS}
    host(mail, "domain", "add", "example.net")
    host(mail, "init", "example.org", "--hostname", "mx.example.org", "--address", "198.51.100.99")
    assert {p: mail.read(p) for p in before} == before
    # Its own certificate is one of the new name, which the services were told.
    assert "DNS:mx.example.org" in mail.run("openssl", "x509", "-in", mail.path(f"{ETC}/tls/fullchain.pem"),
                                            "-noout", "-ext", "subjectAltName").stdout
    told(mail, "dovecot", "dovecot reloaded")
    assert not mail.path(f"{DATA}/acme/not-shown").exists()
    assert "address4 = 198.51.100.99\n" in mail.read("/etc/newgate/host.conf")
    assert "mx.example.org" in mail.read(f"{ETC}/postfix/main.cf")
    assert listed(mail, "domain") == [{"domain": "example.org"}, {"domain": "example.net"}]
    # The one whose hostname changed is another jail now, the others are not.
    assert all(mail.jail(jail).pid == pids[jail] for jail in ("dkim", "dovecot"))
    said = refused(mail, "init", "example.com")
    assert said == "newgate host: this host is set up for example.org: newgate host domain add example.com\n"


@pytest.mark.parametrize("argv,text", [
    (["example"], "is not a domain's name"),
    (["--hostname", "mail", "example.org"], '--hostname "mail" is not a domain\'s name'),
    (["--address", "1.2.3", "example.org"], "--address 1.2.3 is not an address"),
    (["--acme", "http://ca/", "example.org"], "--acme http://ca/: an address that begins with https://"),
    (["--ca", "/nowhere.pem", "example.org"], "/nowhere.pem: No such file"),
    (["--spam", "none", "example.org"], "--spam none: opendkim or rspamd"),
    ([], "usage: newgate host init"),
])
def test_init_says_what_is_wrong(vps, argv, text):
    assert text in refused(vps, "init", *argv)
    assert not vps.path("/etc/newgate").exists()


def test_before_init(vps):
    for argv in (["diff"], ["apply"], ["domain", "list"], ["user", "add", "a@example.org"], ["site", "list"]):
        assert "nothing is set up yet: newgate host init DOMAIN" in refused(vps, *argv)
    page = host(vps, "user", "add", "--help").stdout
    assert page.startswith("usage: newgate host init") and page == host(vps, "--help").stdout
    assert 'there is no "usr" (did you mean "user"?)' in refused(vps, "usr")
    assert 'newgate host user: there is no "ad" (did you mean "add"?)' in refused(vps, "user", "ad")


# --- lists ---


def test_users(mail):
    host(mail, "user", "add", "Alice@example.org", input="one secret\n")
    host(mail, "user", "add", "bob@example.org", "--quota", "2M", input="without a newline")
    assert listed(mail, "user") == [{"user": "alice@example.org", "quota": "1G"},
                                    {"user": "bob@example.org", "quota": "2M"}]
    lines = mail.read(f"{ETC}/dovecot/users").splitlines()
    assert lines[0].startswith("alice@example.org:" + HASH) and lines[0].endswith("::::::")
    assert lines[1].endswith("::::::userdb_quota_rule=*:storage=2M")
    # No password is kept, and dovecot alone reads the hashes.
    assert "secret" not in "".join(lines) and "newline" not in "".join(lines)
    dovecot = mail.jail("dovecot")
    assert dovecot.run("cat", "/run/users").stdout.splitlines() == lines
    assert dovecot.run("stat", "-c", "%a %u %g", "/run/users").stdout == "640 0 101\n"
    assert table(mail, "mailboxes") == ["alice@example.org yes", "bob@example.org yes"]
    told(mail, "dovecot", "dovecot reloaded", 2)
    told(mail, "postfix", "postfix reloaded", 2)

    host(mail, "user", "passwd", "bob@example.org", input="another\n")
    host(mail, "user", "quota", "alice@example.org", "500M")
    after = mail.read(f"{ETC}/dovecot/users").splitlines()
    assert after[0] == lines[0] + "userdb_quota_rule=*:storage=500M"
    assert after[1] != lines[1] and after[1].endswith("storage=2M")
    said = host(mail, "user", "remove", "alice@example.org").stdout
    assert said.endswith(f"The mail stays, in {DATA}/dovecot/vmail/example.org/alice\n")
    assert listed(mail, "user") == [{"user": "bob@example.org", "quota": "2M"}]
    assert table(mail, "mailboxes") == ["bob@example.org yes"]


def test_the_mail_of_who_goes(mail):
    """It stays, for the next of that name, or goes too; what the jail put in its place is not followed."""
    box = mail.path(f"{DATA}/dovecot/vmail/example.org/alice")

    def add():
        return host(mail, "user", "add", "alice@example.org", input="secret\n").stderr

    assert add() == ""
    mail.write(f"{box.relative_to(mail.root)}/mail/new/1", "a letter\n")
    host(mail, "user", "remove", "alice@example.org")
    assert add() == (f"newgate host: there is mail of an earlier alice@example.org, which this one gets: "
                     f"{DATA}/dovecot/vmail/example.org/alice\n")
    assert "nobody can confirm this: say -y" in refused(mail, "user", "remove", "--mail", "alice@example.org")
    assert listed(mail, "user") and box.exists()
    host(mail, "user", "remove", "--mail", "-y", "alice@example.org")
    assert listed(mail, "user") == [] and not box.exists()
    # None there, and a folder that leads elsewhere.
    assert add() == ""
    host(mail, "user", "remove", "--mail", "-y", "alice@example.org")
    mail.write("/elsewhere/alice/precious", "mine\n")
    add()
    shutil.rmtree(box.parent)
    box.parent.symlink_to(mail.path("/elsewhere"))
    assert "example.org/alice" in refused(mail, "user", "remove", "--mail", "-y", "alice@example.org")
    assert mail.read("/elsewhere/alice/precious") == "mine\n"


def test_users_that_are_refused(mail):
    host(mail, "user", "add", "alice@example.org", input="secret\n")
    host(mail, "alias", "add", "info@example.org", "alice@example.org")
    before = mail.read(f"{ETC}/dovecot/users")
    for address, why in {
            "alice": '"alice" is not a mail address: NAME@DOMAIN',
            "alice@example.com": "alice@example.com: example.com is no domain of this host: "
                                 "newgate host domain add example.com",
            "alice@example.org": "alice@example.org is a user already: "
                                 "newgate host user passwd alice@example.org",
            "info@example.org": "info@example.org is an alias: newgate host alias remove info@example.org",
            "a:b@example.org": 'has a byte before the "@"'}.items():
        assert why in refused(mail, "user", "add", address, input="secret\n")
    assert "no password was given" in refused(mail, "user", "add", "bob@example.org")
    assert "no password was given" in refused(mail, "user", "add", "bob@example.org", input="\n")
    assert "failed with status 3: no such password" in refused(
        mail, "user", "add", "bob@example.org", input="refused\n")
    for size in ("1K", "lots", "-5M"):
        assert "a size of at least 1M" in refused(mail, "user", "quota", "alice@example.org", size)
    for verb in (["passwd"], ["remove"]):
        assert "there is no user bob@example.org: newgate host user list" in refused(
            mail, "user", *verb, "bob@example.org", input="x\n")
    assert mail.read(f"{ETC}/dovecot/users") == before
    mail.run("newgate", "down", "dovecot")
    assert "jail dovecot does not run: newgate up dovecot" in refused(
        mail, "user", "passwd", "alice@example.org", input="x\n")


def test_aliases(mail):
    host(mail, "user", "add", "alice@example.org", input="secret\n")
    host(mail, "alias", "add", "Info@example.org", "alice@example.org", "bob@example.net")
    assert listed(mail, "alias") == [
        {"alias": "info@example.org", "targets": ["alice@example.org", "bob@example.net"]}]
    assert table(mail, "aliases") == ["info@example.org alice@example.org, bob@example.net"]
    assert table(mail, "senders")[1:] == ["info@example.org alice@example.org, bob@example.net"]
    # All that are left, but for those who have a mailbox.
    host(mail, "alias", "add", "@example.org", "alice@example.org")
    assert table(mail, "aliases")[0] == "alice@example.org alice@example.org"
    assert "alice@example.org is a user: mail for a user is not led elsewhere" in refused(
        mail, "alias", "add", "alice@example.org", "bob@example.net")
    assert "example.com is no domain of this host" in refused(
        mail, "alias", "add", "info@example.com", "bob@example.net")
    assert '"bob" is not a mail address' in refused(mail, "alias", "add", "new@example.org", "bob")
    assert "there is no alias new@example.org" in refused(mail, "alias", "remove", "new@example.org")
    host(mail, "alias", "remove", "@example.org")
    host(mail, "alias", "remove", "INFO@example.org")
    assert listed(mail, "alias") == [] and table(mail, "aliases") == []


def test_domains(mail):
    host(mail, "domain", "add", "Example.NET")
    assert listed(mail, "domain") == [{"domain": "example.org"}, {"domain": "example.net"}]
    assert table(mail, "domains") == ["example.org yes", "example.net yes"]
    assert "example.net.pem" in mail.jail("dkim").run("ls", "/run/keys").stdout
    told(mail, "dkim", "opendkim reloaded")
    assert "*@example.net ng._domainkey.example.net" in mail.jail("dkim").run("cat", "/etc/host/signingtable").stdout
    assert "is a domain of this host already" in refused(mail, "domain", "add", "example.net")
    host(mail, "alias", "add", "info@example.net", "x@example.com")
    assert refused(mail, "domain", "remove", "example.net") == (
        "newgate host: example.net still has info@example.net: remove its users and aliases first\n")
    assert "example.com is no domain of this host" in refused(mail, "domain", "remove", "example.com")
    host(mail, "alias", "remove", "info@example.net")
    host(mail, "domain", "remove", "EXAMPLE.net")
    assert table(mail, "domains") == ["example.org yes"]
    assert mail.path(f"{ETC}/dkim/keys/example.net.pem").exists()


def test_a_service_that_is_only_starting(mail):
    """It is waited for, and then it looks again; one that never comes is told."""
    slow = mail.path(f"{ETC}/dkim/slow")
    mail.run("newgate", "down", "dkim", "postfix", "web")
    os.mkfifo(slow)
    mail.run("newgate", "up")
    adding = mail.popen("newgate", "host", "domain", "add", "example.net")
    slow.write_text("go\n")
    said = adding.communicate(timeout=PATIENCE)
    assert (adding.returncode, *said) == (0, "", "")
    told(mail, "dkim", "opendkim reloaded")
    mail.write(f"{ETC}/dkim/reload", "#!/bin/sh\necho nowhere; exit 75\n")
    assert "jail dkim: /etc/host/reload names no file to wait for" in refused(mail, "domain", "add", "example.com")


def test_sites(mail):
    said = host(mail, "site", "add", "www.example.org").stdout
    assert said == (f"www.example.org is served from {DATA}/web/sites/www.example.org\n"
                    "to have it in the certificate, once its name leads here: newgate host renew\n")
    mail.write(f"{DATA}/web/sites/www.example.org/index.html", "hello")
    web = mail.jail("web")
    assert web.run("cat", "/srv/sites/www.example.org/index.html").stdout == "hello"
    assert "Read-only" in web.run("touch", "/srv/sites/x", status=1).stderr
    assert "server_name www.example.org;" in web.run("cat", "/etc/host/sites/www.example.org.conf").stdout
    told(mail, "web", "nginx reloaded")

    assert refused(mail, "site", "add", "--proxy", "app:8080", "app.example.org") == (
        "newgate host: jail app has no address yet; to start it first: newgate up app\n")
    # What stands in the host's file is its jails' alone: this one has its own root.
    mail.busybox("/var/jails/app")
    mail.write("/etc/jail.conf.d/app.conf",
               'app { path = "/var/jails/app"; interface = lo100; ip4.addr = auto; exec.start = true; persist; }')
    mail.run("newgate", "up", "app")
    assert "newgate up web" in host(mail, "site", "add", "--proxy", "app:8080", "app.example.org").stdout
    assert listed(mail, "site") == [{"site": "www.example.org", "serves": "static"},
                                    {"site": "app.example.org", "serves": "proxy app 8080"}]
    assert '"app tcp 8080"' in mail.read("/etc/jail.conf.d/host.conf")
    for bad in ("app", "app:", ":80", "app:99999", "a b:80"):
        assert "JAIL:PORT, such as app:8080" in refused(mail, "site", "add", "--proxy", bad, "x.example.org")
    assert "is not a domain's name" in refused(mail, "site", "add", "../x")
    assert "there is no site x.example.org" in refused(mail, "site", "remove", "x.example.org")
    host(mail, "site", "remove", "app.example.org")
    host(mail, "site", "remove", "WWW.example.org")
    assert listed(mail, "site") == []
    assert os.listdir(mail.path(f"{ETC}/web/sites")) == []
    assert '"app tcp 8080"' not in mail.read("/etc/jail.conf.d/host.conf")
    assert mail.read(f"{DATA}/web/sites/www.example.org/index.html") == "hello"


# --- what the user changed ---


def test_diff_and_apply(mail):
    assert host(mail, "diff").stdout == ""
    main = f"{ETC}/postfix/main.cf"
    mine = mail.read(main) + "always_bcc = archive@example.org\n"
    mail.write(main, mine)
    mail.path(f"{ETC}/dkim/opendkim.conf").unlink()
    conf = mail.read("/etc/newgate/host.conf").replace("quota = 1G", "quota = 3G")
    mail.write("/etc/newgate/host.conf", conf)
    said = host(mail, "diff").stdout
    assert f"+++ {main}\n" in said and "\n+always_bcc = archive@example.org\n" in said
    assert f"{ETC}/dkim/opendkim.conf is missing: newgate host apply\n" in said
    assert re.search(r"^-.*3G", said, re.M) and re.search(r"^\+.*1G", said, re.M)

    got = host(mail, "apply")
    assert got.stderr == f"newgate host: {main} is yours and stays as it is: newgate host diff\n"
    assert mail.read(main) == mine
    assert "3G" in mail.read(f"{ETC}/dovecot/dovecot.conf")
    assert mail.path(f"{ETC}/dkim/opendkim.conf").exists()
    told(mail, "postfix", "postfix reloaded")
    said = host(mail, "diff").stdout
    assert said.count("+++ ") == 1 and main in said
    mail.write("/etc/newgate/host.conf", conf + "qouta = 5G\n")
    assert 'unknown setting "qouta" (did you mean "quota"?)' in refused(mail, "apply")


def test_another_filter(mail):
    """The settings name it, apply puts it in the place of the other."""
    conf = mail.read("/etc/newgate/host.conf")
    pids = {jail: mail.jail(jail).pid for jail in ("dovecot", "postfix", "web")}
    mail.write("/etc/newgate/host.conf", conf.replace("spam = opendkim", "spam = rspamd"))
    host(mail, "apply")
    told(mail, "rspamd", "rspamd started")
    told(mail, "postfix", "postfix reloaded")
    status = json.loads(mail.run("newgate", "status", "--json").stdout)
    assert sorted(j["name"] for j in status["jails"]) == ["dovecot", "postfix", "rspamd", "web"]
    assert {jail: mail.jail(jail).pid for jail in pids} == pids
    assert "smtpd_milters = inet:rspamd:8891" in mail.jail("postfix").run("cat", "/etc/host/main.cf").stdout
    got = mail.run("newgate", "explain", "postfix", "rspamd:8891").stdout
    assert got.startswith("pass: postfix to rspamd tcp 8891\n"), got
    assert host(mail, "diff").stdout == ""
    # It signs with the same keys, and learns of new ones.
    host(mail, "domain", "add", "example.net")
    assert mail.jail("rspamd").run("ls", "/run/keys").stdout.split() == ["example.net.pem", "example.org.pem"]
    told(mail, "rspamd", "rspamd reloaded")
    mail.write("/etc/newgate/host.conf", conf)
    host(mail, "apply")
    told(mail, "dkim", "opendkim started", 2)
    status = json.loads(mail.run("newgate", "status", "--json").stdout)
    assert sorted(j["name"] for j in status["jails"]) == sorted(JAILS)


def test_lists_by_hand(mail):
    """Comments and order are the user's; apply takes over what was written by hand."""
    text = "# for everybody\ninfo@example.org   x@example.net\n\n# the boss\nboss@example.org y@example.net\n"
    mail.write(f"{ETC}/aliases", text)
    host(mail, "apply")
    assert table(mail, "aliases") == ["info@example.org x@example.net", "boss@example.org y@example.net"]
    host(mail, "alias", "add", "info@example.org", "z@example.net")
    assert mail.read(f"{ETC}/aliases") == text.replace("   x@", " z@")
