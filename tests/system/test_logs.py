"""newgate logs: the end of a jail's log, and following it."""

import os
import select

import pytest

from terminal import Terminal
from vps import PATIENCE, Failed

LOG = "/var/log/jail_web_console.log"


@pytest.fixture
def web(vps):
    vps.busybox("/var/jails/web")
    vps.write("/etc/jail.conf", f"""
        path = "/var/jails/$name"; persist;
        web {{ exec.consolelog = "{LOG}"; exec.start = "echo started"; }}
        quiet {{ }}""")
    vps.path("/var/log").mkdir(parents=True)
    return vps


class Lines:
    """What a program that goes on prints, line by line."""

    def __init__(self, process):
        self.process, self.seen = process, ""

    def expect(self, *lines):
        want = "".join(line + "\n" for line in lines)
        while len(self.seen) < len(want):
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                raise Failed(f"got {self.seen!r}, not {want!r}")
            more = os.read(self.process.stdout.fileno(), 4096).decode()
            if not more:
                raise Failed(f"ended: {self.seen!r} {self.process.stderr.read()}")
            self.seen += more
        assert self.seen[:len(want)] == want
        self.seen = self.seen[len(want):]

    def end(self):
        self.process.stdout.close()  # newgate notices: nobody reads any more
        assert self.process.wait(PATIENCE) == 0
        err = self.process.stderr.read()
        self.process.stderr.close()
        return err


def follow(vps, *argv):
    return Lines(vps.popen("newgate", "logs", "-f", *argv))


def append(vps, text):
    with open(vps.path(LOG), "a") as f:
        f.write(text)


def test_the_end_of_the_log(web):
    web.run("jail", "-qc", "web")
    assert web.run("newgate", "logs", "web").stdout == "started\n"
    append(web, "".join(f"{i}\n" for i in range(200)))
    assert web.run("newgate", "logs", "web").stdout.splitlines() == [str(i) for i in range(100, 200)]
    assert web.run("newgate", "logs", "-n", "2", "web").stdout == "198\n199\n"
    assert web.run("newgate", "logs", "-n", "0", "web").stdout == ""
    assert len(web.run("newgate", "logs", "-n", "all", "web").stdout.splitlines()) == 201
    append(web, "unfinished")
    assert web.run("newgate", "logs", "-n", "2", "web").stdout == "199\nunfinished"
    # By number as well, and when it does not run.
    assert web.run("newgate", "logs", "-n1", "1").stdout == "unfinished"
    web.run("jail", "-qr", "web")
    assert web.run("newgate", "logs", "-n1", "web").stdout == "unfinished"


def test_lines_longer_than_any_buffer(web):
    text = "".join(f"{i}" * 30000 + "\n" for i in range(10))
    web.write(LOG, text)
    for n in (1, 2, 5, 9, 10, 11):
        got = web.run("newgate", "logs", "-n", n, "web").stdout
        assert got == "".join(text.splitlines(True)[-n:])


def test_no_log_and_why(web):
    got = web.run("newgate", "logs", "web", status=1)
    assert got.stderr == f"newgate logs: web has written nothing yet: there is no {LOG}\n"
    got = web.run("newgate", "logs", "quiet", status=1)
    assert got.stderr.startswith("newgate logs: quiet keeps no log: ")
    got = web.run("newgate", "logs", "wbe", status=1)
    assert got.stderr == 'newgate logs: jail "wbe" is neither configured nor running\n'
    assert "not \"x\"" in web.run("newgate", "logs", "-n", "x", "web", status=1).stderr


def test_a_service_has_a_log_without_asking(vps):
    root = vps.busybox("/var/jails/web")
    os.mkfifo(root / "up")
    up = os.open(root / "up", os.O_RDONLY | os.O_NONBLOCK)
    vps.write("/etc/jail.conf", """web { path = "/var/jails/web";
        service = "sh -c 'echo ready; echo >/up; exec sleep 1000'"; }""")
    vps.run("jail", "-qc", "web")
    assert select.select([up], [], [], PATIENCE)[0]
    os.close(up)
    assert "ready\n" in vps.run("newgate", "logs", "web").stdout


def test_follow(web):
    web.write(LOG, "old\nfirst\n")
    tail = follow(web, "-n1", "web")
    tail.expect("first")
    append(web, "second\n")
    tail.expect("second")
    web.run("jail", "-qc", "web")
    tail.expect("started")
    assert tail.end() == ""


def test_follow_a_log_that_is_not_there_yet(web):
    tail = follow(web, "web")
    assert tail.process.stderr.readline() == f"newgate logs: {LOG} is not there yet: waiting for it\n"
    web.run("jail", "-qc", "web")
    tail.expect("started")
    tail.end()


def test_follow_across_rotation_and_truncation(web):
    web.write(LOG, "first\n")
    tail = follow(web, "web")
    tail.expect("first")
    old = open(web.path(LOG), "a")
    os.rename(web.path(LOG), web.path(LOG + ".1"))
    append(web, "new\n")
    tail.expect("new")
    append(web, "more\n")
    tail.expect("more")
    old.close()
    os.truncate(web.path(LOG), 0)
    assert "is a new file" in tail.process.stderr.readline()
    assert "was cut" in tail.process.stderr.readline()
    append(web, "after\n")
    tail.expect("after")
    tail.end()


def test_follow_waits_without_polling(web):
    """Between two lines the process does nothing at all."""
    web.write(LOG, "first\n")
    tail = follow(web, "web")
    tail.expect("first")
    pid = next(p for p, command in web.processes().items() if command.startswith("newgate logs"))

    def switches():
        text = (web.proc / str(pid) / "status").read_text()
        return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])

    append(web, "second\n")
    tail.expect("second")
    before = switches()
    with Terminal(web, "newgate", "logs", "web") as t:  # somebody else's work, and time
        t.expect("second")
    # It may have been on its way back to sleep.
    assert switches() - before <= 1
    tail.end()


def test_a_terminal_sees_what_it_would_act_upon(web):
    web.write(LOG, "a\tb\x1b[2J\x1b]0;title\x07 gr\u00fcn\r\n\x9b31m \x7f\n")
    with open(web.path(LOG), "ab") as f:
        f.write(b"raw \x9b1m nul \0 end\n")
    with Terminal(web, "newgate", "logs", "web") as t:
        seen = t.expect(r"(?s).* end\r\n")[0]
    # The terminal itself puts a \r before every \n.
    assert seen == ("a\tb\\x1b[2J\\x1b]0;title\\x07 gr\u00fcn\r\r\n\\xc2\\x9b31m \\x7f\r\n"
                    "raw \\x9b1m nul \\x00 end\r\n")
    # In a pipe it is what was written.
    got = web.run("sh", "-c", f"newgate logs web | cmp - {web.path(LOG)}; echo $?")
    assert got.stdout == "0\n"


def test_ctrl_c_ends_it(web):
    web.write(LOG, "first\n")
    with Terminal(web, "newgate", "logs", "-f", "web") as t:
        t.expect("first")
        t.type("\x03")
        assert t.process.wait(PATIENCE) != 0


def test_a_log_of_the_jail_s_own_leads_nowhere_else(web):
    """exec.consolelog below the jail's path: links that its root puts there are not followed."""
    web.write("/etc/jail.conf", """web { path = "/var/jails/web"; persist;
        exec.consolelog = "/var/jails/web/var/log/console"; exec.start = "echo inside"; }""")
    web.run("jail", "-qc", "web")
    assert web.run("newgate", "logs", "web").stdout == "inside\n"
    web.write("/secret", "of the host\n")
    log = web.path("/var/jails/web/var/log/console")
    for target in (web.path("/secret"), "/proc/self/environ"):
        log.unlink()
        log.symlink_to(target)
        got = web.run("newgate", "logs", "web", status=1)
        assert got.stdout == "" and "symbolic links" in got.stderr
    log.unlink()
    os.mkfifo(log)
    assert "no file that could be read again" in web.run("newgate", "logs", "web", status=1).stderr


def test_a_large_log_is_put_aside_at_the_start(web):
    log = web.path(LOG)
    for size, rotated in ((16 << 20, False), ((16 << 20) + 1, True)):
        web.write(LOG, "")
        os.truncate(log, size)
        web.run("jail", "-qc", "web")
        assert web.path(LOG + ".old").exists() == rotated
        web.run("jail", "-qr", "web")
    assert log.read_text() == "started\n"
    assert web.path(LOG + ".old").stat().st_size == (16 << 20) + 1


# --- whose the file is ---

def test_a_service_opens_its_output_anew(vps):
    """As postfix, nginx and php-fpm do, which log to /dev/stdout or /dev/stderr by name."""
    vps.busybox("/var/jails/a")
    vps.write("/etc/jail.conf", """
        path = "/var/jails/$name"; stop.timeout = 0;
        a { service = "sh -c 'echo again >>/dev/stdout; echo and again >>/dev/stderr; exec sleep 100'"; }""")
    vps.run("jail", "-c", "a")
    follower = follow(vps, "a")
    follower.expect("again", "and again")
    follower.end()
    vps.run("jail", "-r", "a")


def test_a_log_that_may_be_shared_stays_the_hosts(vps):
    vps.busybox("/var/jails/a")
    vps.path("/var/log").mkdir(parents=True)
    vps.write("/etc/jail.conf", """
        path = "/var/jails/$name"; persist; exec.start = "echo started";
        a { exec.consolelog = "/var/log/jails.log"; }""")
    vps.run("jail", "-c", "a")
    assert os.stat(vps.path("/var/log/jails.log")).st_uid == 0
