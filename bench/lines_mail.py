"""A line about the mail host: the same Postfix, Dovecot and OpenDKIM with the same configuration, in
jails of newgate host and in plain chroots of one network namespace. Letters come from the far end of
a link, by SMTP, and are read there, by IMAP over TLS."""

import contextlib
import ctypes
import imaplib
import os
import select
import shutil
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

import lines_net
from machine import BASE, HERE, Failed, run
from report import median, ratio_of

TREES = HERE.parent / "tests/host/trees.py"
SERVICES = {"dkim": "opendkim -f -x /etc/host/opendkim.conf",
            "dovecot": "dovecot -F -c /etc/host/dovecot.conf",
            "postfix": "postfix start-fg"}
# What they say once they listen; OpenDKIM, who says nothing, writes its number then.
STARTED = {"dovecot": "starting up", "postfix": "daemon started"}
PASSWORD = "the password of alice"
# So many sessions that the processor is what they wait for; the mailbox is fetched a few times.
LETTERS, BYTES, SESSIONS, FETCHES = 200, 4000, 20, 20
LETTER = "(BODY.PEEK[])"
PATIENCE = 60
# One client sends more than strangers may, and nobody here tells its name.
LIMIT, NO_LIMIT = "rate_limit = 60\n", "rate_limit = 0\nsmtpd_peername_lookup = no\n"

_libc = ctypes.CDLL(None, use_errno=True)
IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100


def trees(build):
    """{jail: tar} of Debian's packages. Makes what is missing, which takes the network of this machine:
    to be called before anything is measured, too."""
    p = subprocess.run([sys.executable, TREES, *SERVICES, "web", "acme"], text=True, stdout=subprocess.PIPE,
                       env={**os.environ, "NEWGATE_BUILD": str(build)})
    if p.returncode != 0:
        return {}
    return dict(line.split(" ", 1) for line in p.stdout.splitlines())


class Watch:
    """inotify(7) on one file or folder."""

    def __init__(self, path, mask):
        self.path = path
        self.fd = _libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0 or _libc.inotify_add_watch(self.fd, os.fsencode(path), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(path))

    def wait(self):
        """How often it happened, once at least."""
        if not select.select([self.fd], [], [], PATIENCE)[0]:
            raise Failed(f"nothing came to {self.path}")
        got, at, count = os.read(self.fd, 65536), 0, 0
        while at < len(got):
            at += 16 + struct.unpack_from("I", got, at + 12)[0]
            count += 1
        return count

    def close(self):
        os.close(self.fd)


def wait_for(log, text):
    """Until a line of that log says it."""
    with contextlib.closing(Watch(log, IN_MODIFY)) as changed:
        while text not in log.read_text(errors="replace"):
            changed.wait()


class Host(lines_net.Path3):
    """outside -- router: `outside` sends and reads, with the programs of a tree that has smtp-source;
    where the services are is up to subclasses."""

    programs = None

    def ready(self):
        for service, said in STARTED.items():
            wait_for(self.log(service), said)
        # The first login makes the mailbox.
        self.login().logout()
        self.new = self.vmail / "example.org/alice/mail/new"
        self.deliver(1)
        self.expunge()

    def deliver(self, count=LETTERS):
        """Letters a second, from the first connection until the last is in the mailbox."""
        with contextlib.closing(Watch(self.new, IN_MOVED_TO | IN_CREATE)) as arrived:
            begin, there = time.monotonic(), 0
            sending = subprocess.Popen(
                ["nsenter", f"--net={self.outside}", "chroot", self.programs, "smtp-source", "-d",
                 "-s", str(min(SESSIONS, count)), "-m", str(count), "-l", str(BYTES), "-M", "remote.example",
                 "-f", "x@remote.example", "-t", "alice@example.org", f"{self.public}:25"])
            try:
                while there < count:
                    there += arrived.wait()
                return count / (time.monotonic() - begin)
            finally:
                if sending.wait(PATIENCE):
                    raise Failed("smtp-source could not send")

    def login(self):
        with self.m.within(self.outside):
            c = imaplib.IMAP4_SSL(self.public, 993, ssl_context=ssl._create_unverified_context(),
                                  timeout=PATIENCE)
        c.login("alice@example.org", PASSWORD)
        c.select("INBOX")
        return c

    def fetch(self):
        """Letters a second to one who is logged in, as a mail program fetches what it has not yet: all
        that the mailbox has, by one command."""
        c = self.login()
        begin = time.monotonic()
        for _ in range(FETCHES):
            _, got = c.fetch("1:*", LETTER)
            assert [len(g[1]) > BYTES for g in got[::2]] == [True] * LETTERS
        rate = LETTERS * FETCHES / (time.monotonic() - begin)
        c.logout()
        return rate

    def fetch_one(self):
        """Seconds for one letter, as somebody reads: it is asked for, and here."""
        c = self.login()
        begin = time.monotonic()
        for i in range(LETTERS):
            c.fetch(str(1 + i), LETTER)
        seconds = (time.monotonic() - begin) / LETTERS
        c.logout()
        return seconds

    def expunge(self):
        c = self.login()
        c.store("1:*", "+FLAGS", r"\Deleted")
        c.expunge()
        c.logout()


class Jails(Host):
    def __init__(self, m, number, tars):
        super().__init__(m, "mail-jails", number)
        self.root = m.add_root(BASE / "ng-mail")
        self.data = self.root / "var/lib/newgate"
        self.etc = self.root / "etc/newgate/host"
        self.vmail = self.data / "host/dovecot/vmail"
        for jail, tar in tars.items():
            self.newgate("template", "create", f"host-{jail}-packages", "--from", tar)
        self.newgate("host", "init", "example.org")
        self.newgate("host", "user", "add", "alice@example.org", input=PASSWORD + "\n")
        conf = self.etc / "postfix/main.cf"
        conf.write_text(conf.read_text().replace(LIMIT, NO_LIMIT))
        self.on_host("jexec", "postfix", "/etc/host/reload")

    def on_host(self, *argv, **options):
        return self.on_router(*argv, env={"NEWGATE_ROOT": str(self.root)}, **options)

    def newgate(self, *argv, **options):
        return self.on_host("newgate", *argv, **options)

    def log(self, service):
        return self.root / f"var/log/jail_{service}_console.log"

    def close(self):
        self.on_host("jail", "-q", "-R", "*")


class Plain(Host):
    """The trees and the configuration of those jails, without newgate."""

    def __init__(self, m, number, jails):
        super().__init__(m, "mail-plain", number)
        self.folder = BASE / "mail-plain"
        self.folder.mkdir()
        for service in ("postfix", "dovecot"):
            # As they were before the first letter.
            run("cp", "-a", jails.data / "host" / service, self.folder)
        self.vmail = self.folder / "dovecot/vmail"
        (self.folder / "hosts").write_text(
            f"127.0.0.1 localhost\n{self.public} mail.example.org postfix dovecot dkim web\n")
        self.running = []
        for service, command in SERVICES.items():
            self.start(service, command, jails)
        pid = self.folder / "run-dkim/opendkim.pid"
        with contextlib.closing(Watch(pid.parent, IN_CREATE)) as made:
            while not pid.exists():
                made.wait()
        self.programs = jails.programs = self.tree("postfix")

    def tree(self, service):
        return self.folder / f"root-{service}"

    def log(self, service):
        return self.folder / f"{service}.log"

    def start(self, service, command, jails):
        """In mounts and processes of its own, so that it ends as one."""
        tree, data = self.tree(service), self.folder / service
        layers = ":".join(str(jails.data / f"templates/host-{service}{of}/root") for of in ("", "-packages"))
        tree.mkdir()
        (self.folder / f"run-{service}").mkdir(mode=0o755)
        run("mount", "-t", "overlay", "-o", f"ro,userxattr,lowerdir={layers}", "overlay", tree)
        binds = [("/dev", "dev"), (self.folder / f"run-{service}", "run"),
                 (jails.etc / service, "etc/host"), (self.folder / "hosts", "etc/hosts")]
        if service != "dkim":
            binds.append((jails.etc / "tls", "etc/tls"))
        binds += {"postfix": [(data / "spool", "var/spool/postfix"), (data / "maps", "srv/maps"),
                              (data / "lib", "var/lib/postfix")],
                  "dovecot": [(data / "vmail", "srv/vmail"), (data / "lib", "var/lib/dovecot")],
                  "dkim": []}[service]
        script = "set -e\n" + "".join(f"mount --bind {what} {tree}/{where}\n" for what, where in binds)
        script += f"""mount -t tmpfs tmpfs {tree}/tmp
            mount -t proc proc {tree}/proc
            chroot {tree} /etc/host/start
            chroot {tree} {command}
            """
        with open(self.log(service), "w") as log:
            self.running.append(subprocess.Popen(
                ["nsenter", f"--net={self.router}", "unshare", "--mount", "--uts", "--pid", "--fork",
                 "--kill-child", "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def close(self):
        for p in self.running:
            p.kill()
            p.wait()
        for service in SERVICES:
            run("umount", self.tree(service))
        shutil.rmtree(self.folder)


def mail(m, report, rounds):
    tars = trees(m.build)
    if not tars:
        raise Failed("there are no trees of Debian's packages")
    jails = Jails(m, 6, tars)
    plain = Plain(m, 7, jails)
    try:
        for host in (jails, plain):
            host.ready()
        into, out, one = ({jails: [], plain: []} for _ in range(3))
        for i in range(max(rounds // 2, 3)):
            # Neither is always the first.
            for host in (jails, plain)[::1 if i % 2 else -1]:
                into[host].append(host.deliver())
                out[host].append(host.fetch())
                one[host].append(host.fetch_one())
                host.expunge()
        for what, got in (("SMTP to mailbox", into), ("IMAP", out)):
            for host, name in ((plain, "without jails"), (jails, "in jails")):
                report.value(f"{what}, {name}", median(got[host]), "letters/s")
            report.ratio(f"{what}, in jails / without", ratio_of(got[jails], got[plain]), 0.95, True)
        # A round trip and little else, and a jail is one hop further away: the line "through" judges that.
        for host, name in ((plain, "without jails"), (jails, "in jails")):
            report.times(f"one letter by IMAP, {name}", one[host])
    finally:
        plain.close()
        jails.close()
