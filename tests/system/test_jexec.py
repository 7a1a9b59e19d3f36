"""jexec(8): what it runs, as whom, where and with what; and how it feels at a terminal."""

import signal
import subprocess

import pytest

from terminal import Terminal
from vps import CGROUPS, PATIENCE


@pytest.fixture
def web(vps):
    root = vps.busybox("/var/jails/web")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                     "www:x:80:80:Web:/srv:/bin/ash\n"
                                     "nohome:x:81:81::/nowhere:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwww:x:80:\nlog:x:90:www,x\n")
    (root / "srv").mkdir()
    vps.write("/etc/jail.conf", 'web { path = "/var/jails/web"; persist; }')
    vps.run("jail", "-qc", "web")
    return vps


def sh(vps, script, *options, **how):
    return vps.run("jexec", *options, "web", "/bin/sh", "-c", script, **how)


# --- what it runs -------------------------------------------------------------------------------


def test_by_name_and_by_number(web):
    jid = web.run("jls", "-j", "web", "jid").stdout.strip()
    for who in ("web", jid):
        assert web.run("jexec", who, "hostname").stdout == "web\n"


def test_unknown_jail(web):
    got = web.run("jexec", "mail", "true", status=1)
    assert (got.stdout, got.stderr) == ("", 'jexec: jail "mail" not found\n')


def test_unknown_command(web):
    got = web.run("jexec", "web", "no-such-program", status=1)
    assert got.stderr == "jexec: execvp: no-such-program: No such file or directory\n"


@pytest.mark.parametrize("args", [[], ["-u", "root", "-U", "root", "web", "true"], ["-x", "web"],
                                  ["-e", "novalue", "web", "true"]])
def test_usage(web, args):
    assert "usage: jexec " in web.run("jexec", *args, status=1).stderr


def test_arguments_input_and_output(web):
    got = web.run("jexec", "web", "sh", "-c", 'cat; echo "$0 $1" >&2', "a b", "-c", input="in\n")
    assert (got.stdout, got.stderr) == ("in\n", "a b -c\n")


@pytest.mark.parametrize("status", [0, 1, 3, 127, 255])
def test_exit_status(web, status):
    sh(web, f"exit {status}", status=status)


@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "SEGV", "HUP"])
def test_ends_by_the_same_signal(web, name):
    number = getattr(signal, f"SIG{name}")
    # A shell shows it as 128 + N; a shell is what stands between us and jexec.
    got = web.run("sh", "-c", f"jexec web sh -c 'kill -{name} $$'; echo $?")
    assert got.stdout == f"{128 + number}\n"


def test_without_command_a_shell(web):
    for shell in ("/bin/ash", "/usr/bin/zsh-of-the-host", ""):
        got = web.run("jexec", "web", input="echo shell $0 in $PWD\n", env={"SHELL": shell})
        want = "/bin/ash" if shell == "/bin/ash" else "/bin/sh"
        assert f"shell {want} in /\n" in got.stdout


# --- as whom, where, with what ------------------------------------------------------------------


def test_user_of_the_jail(web):
    assert sh(web, "id").stdout == "uid=0(root) gid=0(root)\n"
    got = sh(web, "id; pwd", "-U", "www").stdout
    assert got == "uid=80(www) gid=80(www) groups=80(www),90(log)\n/\n"


def test_user_of_the_host(web):
    # The host's nobody is not in the jail's passwd; its ids are used.
    assert sh(web, "id -u; id -g", "-u", "nobody").stdout == "65534\n65534\n"


def test_unknown_user(web):
    for option in ("-u", "-U"):
        got = sh(web, "true", option, "no-such-user", status=1)
        assert got.stderr == "jexec: no-such-user: no such user\n"


def test_user_has_no_privileges(web):
    caps = sh(web, "grep Cap /proc/self/status", "-U", "www").stdout
    sets = dict(line.split(":\t") for line in caps.splitlines())
    assert {sets[k] for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


def test_environment(web):
    env = {"SECRET": "x", "SHELL": "/bin/bash"}
    assert "SECRET=x" in sh(web, "env", env=env).stdout
    clean = sh(web, "env; pwd", "-l", env=env).stdout.splitlines()
    assert clean.pop() == "/root"
    assert {line for line in clean if not line.startswith(("PWD=", "SHLVL=", "OLDPWD="))} == {
        "TERM=dumb", "HOME=/root", "SHELL=/bin/sh", "USER=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    www = sh(web, "env; pwd", "-l", "-U", "www", "-e", "A=1", "-e", "HOME=/x").stdout.splitlines()
    assert www[-1] == "/srv"
    assert {"A=1", "HOME=/x", "SHELL=/bin/ash", "USER=www"} <= set(www)


def test_directory(web):
    assert sh(web, "pwd", "-d", "/etc").stdout == "/etc\n"
    assert sh(web, "pwd", "-l", "-d", "/etc").stdout == "/etc\n"
    got = sh(web, "pwd", "-d", "/nowhere", status=1)
    assert got.stderr == "jexec: chdir: /nowhere: No such file or directory\n"
    got = sh(web, "pwd", "-l", "-U", "nohome", status=1)
    assert got.stderr == "jexec: chdir: /nowhere: No such file or directory\n"


# --- as much and as little as the jail ----------------------------------------------------------


def test_is_where_pid_1_is(web):
    """Every namespace, the root, the cgroup, the capabilities, the filter."""
    script = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/$0/status; cat /proc/$0/cgroup"
    mine = web.run("jexec", "web", "sh", "-c", script.replace("$0", "self")).stdout
    init = web.run("jexec", "web", "sh", "-c", script.replace("$0", "1")).stdout
    assert mine == init and "Seccomp:\t2" in mine
    # PID 1 does not show its own to anybody inside.
    script = "for n in user mnt pid uts ipc net cgroup; do readlink /proc/$0/ns/$n; done"
    mine = web.run("jexec", "web", "sh", "-c", script.replace("$0", "self")).stdout
    init = web.run("sh", "-c", script.replace("$0", web.record("web")["pid"].split()[0])).stdout
    assert mine == init


def test_counts_in_the_cgroup(web):
    with web.popen("jexec", "web", "sh", "-c", "echo; read x", stdin=subprocess.PIPE) as p:
        assert p.stdout.readline() == "\n"
        folder = web.cgroup() / "web"
        host_pids = (folder / "cgroup.procs").read_text().split()
        assert len(host_pids) == 2  # PID 1 and the shell
        p.communicate("\n")
    assert str(CGROUPS) in str(folder)


def test_no_stray_descriptors(web):
    script = "exec 7</etc/passwd 9</; jexec web ls /proc/self/fd"
    # ls itself has one open on the directory.
    assert web.run("sh", "-c", script).stdout.split() == ["0", "1", "2", "3"]


def test_refuses_a_directory_as_input(web):
    got = web.run("sh", "-c", "jexec web cat </etc", status=1)
    assert "jexec: descriptor 0 is a directory of the host" in got.stderr
    assert web.run("sh", "-c", "jexec web true <&-").returncode == 0


# Runs in the jail as its root: tries to look into every process that comes by. What it may look into
# must be a program of the jail. (Whoever may read exe may attach, and open fd, root and mem: the
# kernel asks the same of all.)
SPY = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	char path[64], exe[256];
	int next = getpid() + 1;

	puts("ready");
	fflush(stdout);
	while (access("/tmp/stop", F_OK)) {
		/* Numbers are given out in order. One that is not there yet costs a look only. */
		for (int pid = next; pid < next + 3; pid++) {
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			ssize_t n = readlink(path, exe, sizeof(exe) - 1);
			if (n > 0) {
				exe[n] = 0;
				if (strncmp(exe, "/bin/", 5))
					printf("exe %s\n", exe);
				next = pid + 1;
			}
		}
		while (next < 30000) {
			snprintf(path, sizeof(path), "/proc/%d", next + 1);
			if (access(path, F_OK))
				break;
			next++;
		}
	}
	return 0;
}
"""


def compile_into(web, name, source):
    """A static program of the jail."""
    root = web.path("/var/jails/web")
    (root / f"{name}.c").write_text(source)
    web.run("cc", "-O2", "-static", "-o", root / "bin" / name, root / f"{name}.c")


def test_jail_root_sees_nothing_of_the_entering_process(web):
    compile_into(web, "spy", SPY)
    with web.popen("jexec", "web", "spy") as spy:
        assert spy.stdout.readline() == "ready\n"
        for _ in range(300):
            web.run("jexec", "web", "true")
        sh(web, "touch /tmp/stop")
        seen, _ = spy.communicate()
    assert seen == ""


def test_executable_of_pid_1_cannot_be_changed(web):
    assert "ermission denied" in sh(web, "echo >>/proc/1/exe", status=1).stderr


def test_tiocsti_is_refused(web):
    """A command cannot type into the caller's terminal."""
    compile_into(web, "sti", '#include <sys/ioctl.h>\n'
                 'int main(void) { return ioctl(0, TIOCSTI, "x") == 0; }\n')
    with Terminal(web, "jexec", "web", "sti") as t:
        assert t.process.wait(20) == 0


def test_keeps_a_jail_alive_that_is_not_persist(vps):
    vps.busybox("/var/jails/job")
    vps.write("/etc/jail.conf", 'job { path = "/var/jails/job"; exec.start = "sleep 1000 >/dev/null 2>&1 &"; }')
    vps.run("jail", "-qc", "job")
    with vps.popen("jexec", "job", "sh", "-c", "echo; read x; hostname", stdin=subprocess.PIPE) as p:
        assert p.stdout.readline() == "\n"
        vps.run("jexec", "job", "sh", "-c", "kill $(pidof sleep)")
        assert vps.run("jls", "name").stdout == "job\n"
        out, _ = p.communicate("\n")
        assert out == "job\n"


def test_jail_that_is_removed_ends_the_command(web):
    with web.popen("jexec", "web", "sh", "-c", "echo; exec sleep 1000") as p:
        assert p.stdout.readline() == "\n"
        web.run("jail", "-R", "web")
        p.communicate()
    assert p.returncode in (128 + signal.SIGTERM, 128 + signal.SIGKILL, -signal.SIGTERM,
                            -signal.SIGKILL)


# --- signals ------------------------------------------------------------------------------------


TRAPS = "trap 'echo got term; exit 7' TERM; trap 'echo got usr1' USR1; trap 'echo got hup' HUP;" \
        " echo ready; while :; do sleep 1000 & wait; done"


def test_signals_are_passed_on(web):
    # The outer shell tells us jexec's pid, which is what users kill.
    script = f'jexec web sh -c "{TRAPS}" & echo $!; wait $!; echo status $?'
    with web.popen("sh", "-c", script) as p:
        pid = p.stdout.readline().strip()
        assert p.stdout.readline() == "ready\n"
        for name in ("usr1", "hup", "term"):
            web.run("kill", f"-{name.upper()}", pid)
            assert p.stdout.readline() == f"got {name}\n"
        assert p.stdout.readline() == "status 7\n"
    sh(web, "kill $(pidof sleep)")


def test_killed_with_jexec(web):
    script = 'jexec web sh -c "echo ready; exec sleep 1000" & echo $!; wait $!; echo status $?'
    with web.popen("sh", "-c", script) as p:
        pid = p.stdout.readline().strip()
        assert p.stdout.readline() == "ready\n"
        web.run("kill", "-KILL", pid)
        assert p.stdout.readline() == f"status {128 + signal.SIGKILL}\n"
        p.communicate(timeout=PATIENCE)  # returns once sleep, too, has let go of the pipe


def test_ignored_signals_stay_ignored(web):
    got = web.run("sh", "-c", "trap '' HUP; jexec web sh -c 'kill -HUP $$; echo alive'")
    assert got.stdout == "alive\n"


def test_stops_and_continues_with_the_command(web):
    script = """
import os, signal
pid = os.spawnvp(os.P_NOWAIT, "jexec", ["jexec", "web", "sh", "-c", "kill -STOP $$; exit 4"])
got, status = os.waitpid(pid, os.WUNTRACED)
assert os.WIFSTOPPED(status), status
os.kill(pid, signal.SIGCONT)
got, status = os.waitpid(pid, os.WUNTRACED)
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 4, status
"""
    web.run("/usr/bin/python3", "-c", script)


def test_caller_that_ignores_sigchld(web):
    script = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN);" \
             "os.execvp('jexec', ['jexec', 'web', 'sh', '-c', 'exit 3'])"
    web.run("/usr/bin/python3", "-c", script, status=3)


# --- at a terminal ------------------------------------------------------------------------------


@pytest.fixture
def desk(web):
    """Somebody logged in on the host."""
    with Terminal(web, "bash", "--norc", "--noprofile", "-i", env={"PS1": "host> "}) as t:
        t.expect("host> ")
        yield t


def test_interrupt(desk):
    desk.line("jexec web sh -c 'echo ready; exec sleep 1000'")
    desk.expect("\nready")
    desk.type("\x03")
    desk.expect("host> ")
    desk.line("echo status $?")
    desk.expect(f"\nstatus {128 + signal.SIGINT}\r")


def talks(terminal, word):
    """`cat` has the terminal: it says what is typed, after the terminal itself did."""
    terminal.line(word)
    terminal.expect(f"{word}\r\n{word}\r\n")


def test_suspend_and_resume(desk):
    desk.line("jexec web sh -c 'echo rea\"\"dy; exec cat'")
    desk.expect("ready")
    for i in range(3):
        talks(desk, f"hello{i}")
        desk.type("\x1a")
        desk.expect("Stopped")
        desk.expect("host> ")
        desk.line("fg")
        desk.expect("exec cat'\r\n")
    talks(desk, "goodbye")
    desk.type("\x04")
    desk.expect("host> ")
    desk.line("jobs; echo none left")
    desk.expect("jobs; echo none left\r\n[^\n]*none left\r")


def test_in_the_background(desk):
    desk.line("set -b")  # tells at once what becomes of jobs
    desk.line("jexec web cat &")
    desk.expect("Stopped")  # it wants to read
    desk.line("fg")
    desk.expect("\njexec web cat\r\n")
    talks(desk, "hello")


def test_shell_with_jobs_of_its_own(desk):
    desk.line("PS1='jail''> ' jexec web /bin/sh")
    desk.expect("jail> ")
    desk.line("sh -c 'echo rea\"\"dy; exec cat'")
    desk.expect("ready")
    talks(desk, "hello")
    desk.type("\x1a")
    desk.expect("Stopped")
    desk.expect("jail> ")
    desk.line("fg")
    desk.expect("exec cat[\"']\r\n")
    talks(desk, "again")
    desk.type("\x03")
    desk.expect("jail> ")
    desk.line("exit 5")
    desk.expect("host> ")
    desk.line("echo status $?")
    desk.expect("\nstatus 5\r")


def test_window_size(desk):
    desk.line("PS1='jail''> ' jexec web /bin/sh")
    desk.expect("jail> ")
    desk.line("stty size")
    desk.expect("\n24 80\r")
    desk.line("sh -c 'trap \"stty size; exit\" WINCH; echo wai''ting; while :; do sleep 1; done'")
    desk.expect("waiting")
    desk.resize(40, 132)
    desk.expect("\n40 132\r")
    desk.expect("jail> ")
    desk.line("exit")
    desk.expect("host> ")


def test_in_a_pipeline(desk):
    desk.line("echo x | jexec web cat | jexec web tr x y")
    desk.expect("\ny\r")
    desk.expect("host> ")


def test_script_has_its_terminal_back(desk):
    """A script is no shell with job control: nobody but jexec returns the terminal to it."""
    desk.line("bash -c 'PS1=\"jail\"\"> \" jexec web /bin/sh; read x; echo \"got\" $x'")
    desk.expect("jail> ")
    desk.line("sleep 1000 &")
    desk.expect("jail> ")
    desk.line("kill %1; exit")
    desk.line("hello")
    desk.expect("\ngot hello\r")


def test_hangup_ends_the_command(web):
    with Terminal(web, "bash", "--norc", "--noprofile", "-i", env={"PS1": "host> "}) as t:
        t.expect("host> ")
        t.line("jexec web sh -c 'echo ready; exec sleep 1000'")
        t.expect("\nready")
    sh(web, "pidof sleep", status=1)
