"""What becomes of letters when jails are killed, and when the disk is full."""

import base64
import collections
import contextlib
import imaplib
import itertools
import json
import os
import re
import smtplib
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import mail_host, no_names
from test_mail import HOST, OUTSIDE, smtp

SENDERS = 4
LETTERS = 1200


# What a service says when it is there; web and OpenDKIM say nothing.
READY = {"dovecot": "starting up", "postfix": "daemon started"}


@pytest.fixture(scope="module")
def host():
    with mail_host() as vps:
        no_names(vps)
        yield vps


class Flow:
    """Letters from outside, one after the other from each of some senders. Each try to send one has a
    number of its own, by which it is found again:

    taken    got a 250: is there in the end, once
    refused  got a 4xx, or the connection broke before the letter was whole: is never there
    unsure   the connection broke after the letter was whole and before its answer: there or not

    What was not taken is tried again as soon as all jails are there again, as mail servers do."""

    numbers = itertools.count()  # of tries, in all flows

    def __init__(self, vps, total, body="hello\r\n"):
        self.vps, self.left, self.body = vps, iter(range(total)), body
        self.taken, self.refused, self.unsure = set(), collections.Counter(), set()
        self.first = next(self.numbers)
        self.change = threading.Condition()
        self.healthy, self.faults = True, []
        self.threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]
        for t in self.threads:
            t.start()

    def _outcome(self, what, number, code=None):
        with self.change:
            if what == "taken":
                self.taken.add(number)
            elif what == "unsure":
                self.unsure.add(number)
            else:
                self.refused[code] += 1
            self.change.notify_all()
            if what != "taken":
                assert self.change.wait_for(lambda: self.healthy, 60), "the jails did not come back"

    def _send_all(self):
        try:
            connection = None
            for _ in self.left:
                sent = False
                while not sent:
                    connection, sent = self._send(connection, next(self.numbers))
            connection.quit()
        except BaseException as e:
            with self.change:
                self.faults.append(e)
                self.change.notify_all()

    def _send(self, s, number):
        """The connection, if it is still good, and whether the letter was taken."""
        whole = False
        try:
            if s is None:
                with self.vps.within("internet"):
                    s = smtplib.SMTP(HOST, 25, "remote.example", timeout=30, source_address=(OUTSIDE, 0))
                s.ehlo()
            for command in ("MAIL FROM:<x@remote.example>", "RCPT TO:<alice@example.org>", "DATA"):
                code, said = s.docmd(command)
                if code not in (250, 354):
                    raise smtplib.SMTPResponseException(code, said)
            s.send(f"From: x@remote.example\r\nTo: alice@example.org\r\nSubject: flow\r\nX-Try: {number}\r\n"
                   f"Message-ID: <{number}@remote.example>\r\n\r\n{self.body}".encode())
            whole = True
            s.send(b".\r\n")
            code, said = s.getreply()
            if code != 250:
                whole = False
                raise smtplib.SMTPResponseException(code, said)
            self._outcome("taken", number)
            return s, True
        except smtplib.SMTPResponseException as e:
            assert 400 <= e.smtp_code < 500, e
            self._outcome("refused", number, e.smtp_code)
        except (OSError, smtplib.SMTPServerDisconnected) as e:
            self._outcome("unsure" if whole else "refused", number, type(e).__name__)
        if s:
            s.close()
        return None, False

    def reached(self, count):
        """Waits until so many were taken."""
        with self.change:
            assert self.change.wait_for(lambda: self.faults or len(self.taken) >= count, 60)
            if self.faults:
                raise self.faults[0]

    @contextlib.contextmanager
    def broken(self):
        with self.change:
            self.healthy = False
        yield
        with self.change:
            self.healthy = True
            self.change.notify_all()

    def put_off(self, count):
        """Waits until so many were refused."""
        with self.change:
            assert self.change.wait_for(lambda: self.faults or self.refused.total() >= count, 60)

    def finish(self):
        for t in self.threads:
            t.join(90)
            assert not t.is_alive()
        if self.faults:
            raise self.faults[0]


def mailbox(vps):
    with vps.within("internet"):
        m = imaplib.IMAP4_SSL(HOST, 993, ssl_context=ssl._create_unverified_context(), timeout=180)
    m.login("alice@example.org", "secret of alice")
    m.select("INBOX")
    return m


def tries_in(m):
    """How often each try is in the mailbox."""
    _, parts = m.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-TRY)])")
    return collections.Counter(int(re.search(rb"X-Try: (\d+)", p[1])[1]) for p in parts
                               if isinstance(p, tuple) and b"X-Try" in p[1])


def queue(vps):
    got = vps.jail("postfix").run("postqueue", "-j").stdout
    return [json.loads(line) for line in got.splitlines()]


def delivered(vps, flow):
    """Waits until Postfix has handed over all that waits; how often each try of the flow is there."""
    vps.jail("postfix").run("postqueue", "-f")
    left = {entry["queue_id"] for entry in queue(vps)}
    with vps.popen("timeout", "150", "newgate", "logs", "-f", "-n", "all", "postfix") as log:
        while left:
            line = log.stdout.readline()
            assert line, f"{left} still wait"
            left -= set(re.findall(r" (\w+): removed$", line))
        log.terminate()
    m = mailbox(vps)
    found = tries_in(m)
    m.logout()
    return collections.Counter({n: times for n, times in found.items() if n > flow.first})


def judge(flow, found):
    print(f"{len(flow.taken)} taken, refused {dict(flow.refused)}, unsure {len(flow.unsure)}")
    assert flow.taken <= set(found) <= flow.taken | flow.unsure
    assert not [n for n, times in found.items() if times > 1]


@contextlib.contextmanager
def back(vps, jail):
    """At its end, waits until the jail's service started anew."""
    if jail not in READY:
        yield
        # Which waits for those that are only starting.
        vps.run("newgate", "host", "apply", timeout=60)
        return
    before = vps.run("newgate", "logs", "-n", "all", jail).stdout.count(READY[jail])
    yield
    with vps.popen("timeout", "60", "newgate", "logs", "-f", "-n", "all", jail) as log:
        assert any((before := before - (READY[jail] in line)) < 0 for line in log.stdout), f"{jail} did not come back"
        log.terminate()


def kill(vps, pid):
    vps.run("kill", "-9", pid)
    assert vps.ends(pid)


def service(vps, command):
    (pid,) = [pid for pid, line in vps.processes().items() if line.startswith(command)]
    return pid


def test_killed(host):
    """Jails, which newgate up brings back, and services, which their jails start again."""
    flow = Flow(host, LETTERS)
    jails = ("web", "dkim", "dovecot", "postfix")
    services = {"dovecot": "/usr/sbin/dovecot -F", "postfix": "/usr/lib/postfix/sbin/master"}
    parts = len(jails) + len(services) + 1
    for i, jail in enumerate(jails):
        flow.reached((i + 1) * LETTERS // parts)
        with flow.broken(), back(host, jail):
            kill(host, host.jail(jail).pid)
            host.run("newgate", "up", timeout=60)
    for i, (jail, command) in enumerate(services.items(), len(jails)):
        flow.reached((i + 1) * LETTERS // parts)
        with flow.broken(), back(host, jail):
            kill(host, service(host, command))
    flow.finish()
    judge(flow, delivered(host, flow))


def hand_over(vps, number, second):
    """As Postfix gives a letter to Dovecot, which it got in that second."""
    received = f"Received: from remote.example (remote.example [{OUTSIDE}])\r\n\tby mail.example.org (Postfix) with ESMTP" \
               f" id 5C0FFEE{number}\r\n\tfor <alice@example.org>; Mon, 23 Nov 2026 10:00:{second:02} +0000 (UTC)\r\n"
    with vps.within("vps"):
        s = smtplib.LMTP(vps.jail("dovecot").addresses()[0], 24)
    with s:
        s.sendmail("x@remote.example", ["alice@example.org"],
                   f"{received}From: x@remote.example\r\nX-Try: {number}\r\n\r\n\tid 5C0FFEE{number}\r\n")


def test_handed_over_twice(host):
    """A letter that Postfix gives once more, since it does not know that Dovecot has it, is there once,
    also where Dovecot was killed before it noted that itself."""
    kept = Path(f"/proc/{host.pid}/root{host.path('/var/lib/newgate/host/dovecot/vmail')}/example.org/alice/.dovecot.lda-dupes")
    first = next(Flow.numbers)
    second = next(Flow.numbers)
    for number, at in ((first, 1), (first, 1), (second, 1), (second, 2)):
        hand_over(host, number, at)
    with back(host, "dovecot"):
        kill(host, host.jail("dovecot").pid)
        kept.unlink()
        host.run("newgate", "up", timeout=60)
    third = next(Flow.numbers)
    for number, at in ((first, 1), (second, 2), (second, 3), (third, 1)):
        hand_over(host, number, at)
    m = mailbox(host)
    found = tries_in(m)
    m.logout()
    assert (found[first], found[second], found[third]) == (1, 3, 1)


def login(s):
    return s.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0alice@example.org\0secret of alice").decode())[0]


def let_in(vps):
    """Whether one who connects can log in; if not, for no other reason than that it is to come again."""
    try:
        with smtp(vps, 587, "alice"):
            return True
    except smtplib.SMTPServerDisconnected:
        return False
    except smtplib.SMTPResponseException as e:
        assert e.smtp_code == 454, e
        return False


def test_logins_while_dovecot_is_away(host):
    """Who is connected is told to come again, who connects is not let in: nobody hears that the password
    is wrong."""
    with smtp(host, 587) as s:
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        with back(host, "dovecot"):
            kill(host, host.jail("dovecot").pid)
            assert login(s) == 454
            assert not let_in(host)
            host.run("newgate", "up", timeout=60)
    # A process of Postfix that lost Dovecot says so once before it looks for it again.
    assert let_in(host) or let_in(host)


@contextlib.contextmanager
def small_disk(vps, folder, size):
    """What the jail postfix or dovecot writes to, on a file system of its own."""
    image, data = vps.folder / "disk", vps.path(f"/var/lib/newgate/host/{folder}")
    with open(image, "wb") as f:
        f.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    vps.run("newgate", "down", timeout=60)
    vps.run("sh", "-ec", f"mount -o loop {image} /mnt; cp -a {data}/. /mnt; umount /mnt; mount -o loop {image} {data}")
    try:
        with back(vps, "postfix"):
            vps.run("newgate", "up", timeout=60)
        yield Path(f"/proc/{vps.pid}/root{data}")
    finally:
        vps.run("newgate", "down", timeout=60)
        vps.run("sh", "-ec", f"mount -o loop {image} /mnt; umount {data}; rm -rf {data}/* {data}/.[!.]*;"
                             f" cp -a /mnt/. {data}; umount /mnt")
        image.unlink()
        with back(vps, "postfix"):
            vps.run("newgate", "up", timeout=60)


def fill(folder):
    """Leaves nothing."""
    with open(folder / "filler", "wb") as f, contextlib.suppress(OSError):
        disk = os.statvfs(folder)
        os.posix_fallocate(f.fileno(), 0, disk.f_bfree * disk.f_bsize * 9 // 10)
        f.seek(0, os.SEEK_END)
        while True:
            f.write(b"x" * 65536)
            f.flush()


def test_full_queue(host):
    with small_disk(host, "postfix/spool", 256 << 20) as disk:
        flow = Flow(host, 400)
        flow.reached(20)
        with flow.broken():
            fill(disk)
            flow.put_off(SENDERS)
            (disk / "filler").unlink()
        flow.finish()
        assert flow.refused.total() == SENDERS and set(flow.refused) <= {451, 452}
        judge(flow, delivered(host, flow))


def test_full_mailboxes(host):
    """What was taken waits in the queue."""
    with small_disk(host, "dovecot/vmail", 64 << 20) as disk:
        before = Flow(host, 20)
        before.finish()
        judge(before, delivered(host, before))
        fill(disk)
        old = host.run("newgate", "logs", "-n", "all", "postfix").stdout.count("\n")
        flow = Flow(host, 40, ("x" * 70 + "\r\n") * 50)
        flow.finish()
        with host.popen("timeout", "60", "newgate", "logs", "-f", "-n", "all", "postfix") as log:
            new, put_off = itertools.islice(log.stdout, old, None), 0
            while put_off < 40:
                line = next(new)
                assert "status=bounced" not in line, line
                put_off += "status=deferred" in line
            log.terminate()
        (disk / "filler").unlink()
        judge(flow, delivered(host, flow))
