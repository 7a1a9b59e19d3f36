"""newgate console: a terminal of the jail's own."""

import os
import select
import signal
import termios

import pytest

from terminal import Terminal
from vps import PATIENCE

CONF = 'web { path = "/var/jails/web"; persist; stop.timeout = 1; }'


@pytest.fixture
def web(vps):
    root = vps.busybox("/var/jails/web")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nwww:x:80:80:Web:/srv:/bin/ash\n")
    (root / "etc/group").write_text("root:x:0:\ntty:x:5:\nwww:x:80:\n")
    (root / "srv").mkdir()
    vps.write("/etc/jail.conf", CONF)
    vps.run("jail", "-qc", "web")
    return vps


def console(vps, *argv, **options):
    return Terminal(vps, "newgate", "console", *argv, **options)


def shell(t):
    t.line("PS1='in''side> '")
    t.expect(r"inside> ")


def ended(t, status=0):
    assert t.process.wait(PATIENCE) == status


def test_the_terminal_is_the_jail_s_own(web):
    with console(web, "web") as t:
        shell(t)
        t.line("tty; ls -l $(tty); pwd")
        assert t.expect(r"(/dev/pts/\d+)\r")[1] == "/dev/pts/0"
        assert t.expect(r"crw--w----\s+1 (\S+)\s+(\S+)").groups() == ("root", "tty")
        t.expect("/root\r")
        t.line("echo here >/dev/tty")
        t.expect("\nhere\r")
        t.line("for n in 0 1 2; do readlink /proc/$$/fd/$n; done | uniq -c | tr -s ' '")
        t.expect("\n 3 /dev/pts/0\r")
        t.line("exit 3")
        ended(t, 3)


def test_as_a_user(web):
    with console(web, "-U", "www", "web") as t:
        shell(t)
        t.line("id -un; stat -c %U $(tty); pwd")
        t.expect("www\r\nwww\r\n/srv\r")
        t.line("exit")
        ended(t)


def test_a_command_and_its_end(web):
    with console(web, "web", "sh", "-c", "seq 20000; exit 7") as t:
        t.expect("\n20000\r")  # to the last byte
        ended(t, 7)
    with console(web, "web", "sh", "-c", "kill -TERM $$") as t:
        ended(t, -signal.SIGTERM)
    with console(web, "web", "no-such-program") as t:
        t.expect("newgate console: execvp: no-such-program: No such file or directory")
        ended(t, 1)


def test_job_control(web):
    with console(web, "web") as t:
        shell(t)
        t.line("sh -c 'echo rea''dy; while read x; do echo got $x; done'")
        t.expect("ready\r")
        t.type("\x1a")
        t.expect("Stopped.*sh -c")
        t.line("fg")
        t.line("this")
        t.expect("got this\r")
        t.type("\x03")
        t.expect("inside> ")
        t.line("echo $?")
        t.expect("\n130\r")
        t.line("exit")
        ended(t, 0)


def test_the_size_follows(web):
    with console(web, "web", rows=30, columns=101) as t:
        shell(t)
        t.line("stty size")
        t.expect("\n30 101\r")
        t.line("sh -c 'trap \"stty size\" WINCH; echo rea''dy; while :; do read x; done'")
        t.expect("ready\r")
        t.resize(41, 132)
        t.expect("41 132\r")


def attributes(t):
    return termios.tcgetattr(t.master)


@pytest.mark.parametrize("way", ["exit", "leave", "signal", "hangup", "killed inside", "jail removed"])
def test_the_terminal_is_restored(web, way):
    with console(web, "web") as t:
        shell(t)
        raw = attributes(t)
        assert not raw[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
        pid = next(p for p, command in web.processes().items() if command.startswith("newgate console"))
        if way == "exit":
            t.line("exit")
            ended(t)
        elif way == "leave":
            t.type("\r~.")
            t.expect("newgate console: left web")
            ended(t)
        elif way == "signal":
            web.run("kill", "-TERM", pid)
            ended(t, -signal.SIGTERM)
        elif way == "hangup":
            web.run("kill", "-HUP", pid)
            ended(t, -signal.SIGHUP)
        elif way == "killed inside":
            t.line("kill -KILL $$")
            ended(t, -signal.SIGKILL)
        else:
            web.run("jail", "-qr", "web")
            t.process.wait(PATIENCE)
        now = attributes(t)
        assert now[3] & termios.ICANON and now[3] & termios.ECHO and now[3] & termios.ISIG
        assert now[0] & termios.ICRNL and now[1] & termios.OPOST


def test_the_escape_character(web):
    with console(web, "web") as t:
        shell(t)
        t.line("echo a~.b")  # not at the start of a line
        t.expect("\na~.b\r")
        t.line("~~echo typed")  # one ~ arrives, which ash does not know
        t.expect("~echo.* not found")
        t.line("~x")
        t.expect("~x.* not found")
        t.type("~.")
        ended(t)
    with console(web, "-e", "^]", "web") as t:
        shell(t)
        t.line("~.")
        t.expect("not found")
        t.type("\x1d.")
        ended(t)
    with console(web, "-e", "none", "web") as t:
        shell(t)
        t.line("~.")
        t.expect("not found")
        t.line("exit")
        t.process.wait(PATIENCE)
    assert 'not "ab"' in web.run("newgate", "console", "-e", "ab", "web", status=1).stderr


def test_leaving_hangs_up_what_runs_inside(web):
    fifo = web.path("/var/jails/web/told")
    os.mkfifo(fifo)
    told = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with console(web, "web", "sh", "-c", "trap 'echo hup >/told; exit' HUP; echo rea''dy; read x") as t:
        t.expect("ready")
        t.type("~.")
        ended(t)
    assert select.select([told], [], [], PATIENCE)[0]
    os.close(told)


def test_leaving_does_not_wait_for_who_ignores_it(web):
    with console(web, "web", "sh", "-c", "trap '' HUP; echo rea''dy; while :; do sleep 1000; done") as t:
        t.expect("ready")
        t.type("~.")
        ended(t)


def test_a_program_that_reads_nothing_can_be_left(web):
    with console(web, "web", "sh", "-c", "stty raw -echo; echo rea''dy; exec sleep 1000") as t:
        t.expect("ready")
        for _ in range(8):  # more than a terminal holds
            t.type("x" * 4000)
        t.type("\r~.")
        ended(t)


def test_suspending(web):
    with Terminal(web, "bash", "--norc", "-i", env={"PS1": "outside> "}) as t:
        t.expect(r"outside> ")
        t.line("newgate console web")
        shell(t)
        t.type("~\x1a")
        t.expect(r"Stopped.*newgate console web")
        t.line("stty -a | grep -o ' icanon'; fg")
        t.expect(r" icanon\r")
        t.expect("newgate console web\r\n")
        t.line("tty")
        t.expect("/dev/pts/0\r\ninside> ")
        t.line("exit")
        t.expect(r"outside> ")
        t.line("exit")


def test_without_a_terminal(web):
    got = web.run("newgate", "console", "web", status=1)
    assert got.stderr == ("newgate console: standard input and output must be a terminal; without one,"
                          " use jexec\n")


@pytest.mark.parametrize("trick", ["echo file >/tmp/x", "mkfifo /tmp/x", "mkdir /tmp/x",
                                   "ln -s /dev/null /tmp/x", "ln -s /proc/1/root /tmp/x"])
def test_a_false_ptmx(web, trick):
    """Whatever the jail's root might put at /dev/ptmx: nothing hangs, only an error comes. He cannot
    (/dev is read-only), so it is put there for him."""
    pid = web.jail("web").pid
    web.jail("web").run("sh", "-c", trick)
    web.run("nsenter", f"--target={pid}", "--user", "--mount", "--pid", "--root",
            "/bin/sh", "-c", "mount -o remount,rw /dev; rm -f /dev/ptmx; cp -a /tmp/x /dev/ptmx")
    with console(web, "web") as t:
        t.expect("/dev/ptmx in the jail")
        ended(t, 1)
