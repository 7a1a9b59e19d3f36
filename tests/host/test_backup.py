"""newgate host backup and restore with Debian's Postfix, Dovecot, OpenDKIM and Roundcube."""

import contextlib
import imaplib
import json
import re
import shutil
import ssl
import threading

import pytest

from conftest import mail_host
from test_mail import HOST, letter, smtp, wait_until

# acme only runs when it is needed.
JAILS = ("dkim", "dovecot", "postfix", "web")
DATA = "/var/lib/newgate/host"
ETC = "/etc/newgate/host"


@pytest.fixture(scope="module")
def own():
    """A host that these tests may destroy."""
    with mail_host() as vps:
        yield vps


@contextlib.contextmanager
def imap(vps, user="alice"):
    with vps.within("internet"):
        m = imaplib.IMAP4_SSL(HOST, 993, ssl_context=ssl._create_unverified_context(), timeout=30)
    m.login(f"{user}@example.org", f"secret of {user}")
    yield m
    m.logout()


def send(vps, *subjects, to="alice@example.org", user=None):
    with smtp(vps, 587 if user else 25, user) as s:
        for subject in subjects:
            sender = f"{user}@example.org" if user else "x@remote.example"
            s.sendmail(sender, [to], letter(subject, sender, to))


def wait_for(m, count):
    """Until the folder has so many letters."""
    m.select("INBOX")
    wait_until(m, lambda: len(m.search(None, "ALL")[1][0].split()) >= count)


def mailboxes(m):
    """Of each folder what mail programs go by: its UIDVALIDITY, and UID, flags and text of the letters."""
    found = {}
    for line in m.list()[1]:
        name = line.decode().rsplit(" ", 1)[1].strip('"')
        m.select(name, readonly=True)
        (validity,) = m.response("UIDVALIDITY")[1]
        letters = {}
        for part in m.uid("fetch", "1:*", "(UID FLAGS BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                uid = re.search(rb"UID (\d+)", part[0])[1]
                flags = set(re.search(rb"FLAGS \(([^)]*)\)", part[0])[1].split()) - {b"\\Recent"}
                letters[uid] = (frozenset(flags), part[1])
        found[name] = (validity, letters)
    return found


def queued(vps):
    """Whom letters wait for; their ids are Postfix's to choose, by the numbers of files."""
    rows = json.loads(vps.run("newgate", "host", "queue", "--json").stdout)["letters"]
    return [recipient for row in rows for recipient in row["recipients"]]


def kept(vps):
    """Keys, hashes and the web mail's data, which nobody could make again."""
    return {p: vps.path(p).read_bytes() for p in (
        f"{ETC}/dkim/keys/example.org.pem", f"{ETC}/tls/key.pem", f"{ETC}/dovecot/users",
        f"{DATA}/web/roundcube/des_key", f"{DATA}/web/roundcube/roundcube.db")}


def destroy(vps):
    """The machine without a host, but for the templates."""
    vps.run("newgate", "down", *JAILS)
    vps.run("newgate", "destroy", "-y", *JAILS, "acme")
    shutil.rmtree(vps.path(DATA))
    shutil.rmtree(vps.path("/etc/newgate"))
    vps.path("/etc/jail.conf.d/host.conf").unlink()


def test_a_host_comes_back(own):
    send(own, "one", "two", "three")
    # Nobody knows where that is: it waits in the queue.
    send(own, "far", to="y@nowhere.example", user="alice")
    with imap(own) as m:
        wait_for(m, 3)
        m.store("1", "+FLAGS", "\\Seen")
        m.store("2", "+FLAGS", "(\\Flagged \\Answered)")
        m.create("Archive")
        m.copy("3", "Archive")
        m.store("3", "+FLAGS", "\\Deleted")
        m.expunge()
        before = mailboxes(m)
        secrets, waiting = kept(own), queued(own)
        assert len(before["INBOX"][1]) == 2 and len(before["Archive"][1]) == 1
        assert waiting == ["y@nowhere.example"]
        own.run("newgate", "host", "backup", own.path("/save"), timeout=60)
        # Who is connected stays so.
        assert m.noop()[0] == "OK"
    destroy(own)
    own.run("newgate", "host", "restore", own.path("/save"), timeout=120)
    assert kept(own) == secrets
    assert queued(own) == waiting
    with imap(own) as m:
        assert mailboxes(m) == before
        send(own, "four")
        wait_for(m, 3)
        # The numbers go on where they were.
        assert max(int(uid) for uid in mailboxes(m)["INBOX"][1]) == 4
    with smtp(own, 587, "bob"):
        pass


def test_letters_that_come_in_meanwhile(own):
    """Each that was taken before the backup began is in it, once."""
    taken, end = [], threading.Event()

    def flow():
        with smtp(own) as s:
            for i in range(1000):
                s.sendmail("x@remote.example", ["alice@example.org"],
                           letter(f"flow {i}", "x@remote.example", "alice@example.org"))
                taken.append(f"flow {i}")
                if i == 40:
                    begin.set()
                if end.is_set():
                    return

    begin = threading.Event()
    sender = threading.Thread(target=flow)
    sender.start()
    try:
        assert begin.wait(60)
        before = list(taken)
        said = own.run("newgate", "host", "backup", "--force", own.path("/save"), timeout=60)
        assert said.stderr == ""
    finally:
        end.set()
        sender.join()
    assert len(taken) > len(before) >= 40
    own.run("newgate", "host", "restore", "--force", own.path("/save"), timeout=120)
    own.jail("postfix").run("postqueue", "-f")
    with imap(own) as m:
        wait_for(m, len(before))
        while queued(own) != ["y@nowhere.example"]:
            wait_for(m, len(m.search(None, "ALL")[1][0].split()) + 1)
        subjects = [re.search(rb"Subject: (flow \d+)", text)[1].decode()
                    for _, text in mailboxes(m)["INBOX"][1].values() if b"Subject: flow" in text]
    assert len(subjects) == len(set(subjects)), "twice"
    assert set(before) <= set(subjects) <= set(taken)


def new_packages(vps, jail, script):
    """A new version of what Debian has for the jail, made by a script that runs in the old one."""
    vps.write("/script", f"#!/bin/sh -e\n{script}\n")
    vps.run("newgate", "template", "update", f"host-{jail}-packages", "--run", vps.path("/script"), timeout=120)


def test_a_broken_version_changes_nothing(own):
    """It is tried beside the jails, whose connections go on."""
    new_packages(own, "dkim", "touch /etc/new")
    new_packages(own, "postfix", "rm /usr/lib/postfix/sbin/smtpd")
    new_packages(own, "dovecot", "rm /usr/lib/dovecot/managesieve-login")
    pids = {jail: own.jail(jail).pid for jail in JAILS}
    with imap(own) as m:
        m.select("INBOX")
        got = own.run("newgate", "host", "upgrade", status=1, timeout=300)
        assert m.noop()[0] == "OK"
    assert "dkim: host-dkim@2 does what it should\n" in got.stdout
    # Postfix itself listens, and only then finds out.
    assert "postfix: its check ended with status 1:\n" in got.stderr
    assert "nobody greets on port 25\n" in got.stderr
    # Dovecot ends at once.
    assert re.search(r"dovecot: jail upgrade_dovecot does not listen on port \d+\n", got.stderr)
    assert {jail: own.jail(jail).pid for jail in JAILS} == pids
    send(own, "after the broken version")


def test_an_upgrade(own):
    for jail in ("postfix", "dovecot"):
        # What the host made of them and could not use is gone already.
        own.run("newgate", "template", "destroy", "-y", f"host-{jail}-packages@2")
        new_packages(own, jail, "touch /etc/new")
    new_packages(own, "web", "touch /etc/new")
    with imap(own) as m:
        before = mailboxes(m)
    got = own.run("newgate", "host", "upgrade", "--check", timeout=300)
    for jail in JAILS:
        assert f"{jail}: host-{jail}@2 does what it should\n" in got.stdout
    got = own.run("newgate", "host", "upgrade", timeout=300)
    for jail in JAILS:
        assert f"{jail}: from host-{jail} to host-{jail}@2" in got.stdout
        assert own.jail(jail).run("ls", "/etc/new").stdout
    with imap(own) as m:
        assert mailboxes(m) == before
        send(own, "after the upgrade")
        wait_for(m, len(before["INBOX"][1]) + 1)
    # Signed, sent and read by what is new.
    send(own, "between users", to="bob@example.org", user="alice")
    with imap(own, "bob") as m:
        wait_for(m, 1)
