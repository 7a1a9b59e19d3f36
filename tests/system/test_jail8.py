"""jail(8): what it does, in which order, what it says, and what is left when it fails."""

import ctypes
import os
import re
import select
import signal
import struct
import subprocess

import pytest

from terminal import Terminal
from vps import PATIENCE

ROOT = "/var/jails/r"


@pytest.fixture
def host(vps):
    """A VPS with one busybox root, which the jails of a test share, and a log of what hooks say. A test
    that waits for a fifo for ever fails in the end."""
    def too_long(*_):
        raise TimeoutError("the test waits for something that does not come")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(3 * PATIENCE)
    vps.busybox(ROOT)
    vps.log = vps.write("/log", "")
    yield vps
    signal.alarm(0)


def conf(host, text):
    host.write("/etc/jail.conf", f'path = "{ROOT}";\n$log = "{host.log}";\n{text}\n')


def said(host):
    return host.log.read_text().split()


def names(host):
    return host.run("jls", "name").stdout.split()


def left(host):
    run = host.path("/run/newgate")
    return [p for d in ("jails", "jids", "slots", "ctl") for p in os.listdir(run / d)]


# --- FreeBSD's own test script, in short ---

def test_create_query_remove_by_name(host):
    conf(host, "a { persist; }")
    got = host.run("jail", "-c", "a")
    assert (got.stdout, got.stderr) == ("a: created\n", "")
    assert names(host) == ["a"]
    got = host.run("jail", "-r", "a")
    assert (got.stdout, got.stderr) == ("a: removed\n", "")
    assert names(host) == [] and left(host) == []


def test_create_from_arguments_and_remove_by_jid(host):
    got = host.run("jail", "-i", "-c", "name=b", f"path={ROOT}", "persist")
    jid = got.stdout.strip()
    assert got.stdout == f"{jid}\n" and int(jid) > 0
    assert host.run("jls", "-j", jid, "name").stdout == "b\n"
    # A single jail that no file describes goes without a word.
    assert host.run("jail", "-r", jid).stdout == ""
    assert names(host) == []


def test_a_jail_without_a_name_is_called_by_its_number(host):
    jid = host.run("jail", "-i", "-c", f"path={ROOT}", "persist").stdout.strip()
    assert host.run("jls", "jid", "name").stdout == f"{jid} {jid}\n"
    host.run("jail", "-r", jid)


def test_jid_as_configured(host):
    conf(host, "a { persist; jid = 77; }  78 { persist; }")
    host.run("jail", "-c")
    assert host.run("jls", "jid", "name").stdout == "77 a\n78 78\n"
    got = host.run("jail", "-c", "name=c", "jid=77", f"path={ROOT}", "persist", status=1)
    assert got.stderr == "jail: c: jid 77 is in use by another jail\n"
    host.run("jail", "-r", "78")
    assert names(host) == ["a"]


def test_numbers_are_not_given_again_at_once(host):
    first = int(host.run("jail", "-i", "-c", f"path={ROOT}", "persist", "name=a").stdout)
    host.run("jail", "-r", "a")
    assert int(host.run("jail", "-i", "-c", f"path={ROOT}", "persist", "name=a").stdout) == first + 1


def test_exists_and_not_found(host):
    conf(host, "a { persist; }")
    host.run("jail", "-c", "a")
    for args, text in ((["-c", "a"], '"a" already exists'), (["-c", "x"], '"x" not found'),
                       (["-r", "x"], '"x" not found'), (["-m", "x"], '"x" not found'),
                       (["-rc", "x"], '"x" not found'), (["-R", "x"], '"x" not found')):
        got = host.run("jail", *args, status=1)
        assert (got.stdout, got.stderr) == ("", f"jail: {text}\n"), args
    assert host.run("jail", "-q", "-r", "x", status=1).stderr == ""
    # All, or a wildcard, passes over those that are there already.
    assert host.run("jail", "-c").stdout == ""
    assert host.run("jail", "-c", "*").stdout == ""


@pytest.mark.parametrize("args", [[], ["-r"], ["-R"], ["-r", "a=b"], ["-rR", "a"], ["-e", "|", "-c"], ["-x"],
                                  ["-c", "a", "b"], ["-l", "-r", "a"], ["-p", "x", "-c"]])
def test_usage(host, args):
    got = host.run("jail", *args, status=1)
    assert got.stdout == "" and "usage: jail" in got.stderr


def test_restart(host):
    conf(host, "a { persist; exec.start = \"true\"; }")
    host.run("jail", "-c", "a")
    before = host.run("jls", "jid").stdout
    assert host.run("jail", "-rc", "a").stdout == "a: removed\na: created\n"
    assert host.run("jls", "jid").stdout != before
    # A wildcard makes those that are down, too.
    host.run("jail", "-r", "a")
    assert host.run("jail", "-rc", "*").stdout == "a: created\n"


def test_needs_a_reason_to_live(host):
    got = host.run("jail", "-c", "name=a", f"path={ROOT}", status=1)
    assert got.stderr.startswith("jail: a: jail_set: Invalid argument")
    assert left(host) == []


def test_bad_paths(host):
    conf(host, 'a { path = "/var/jails/none"; persist; }  b { path = "/etc/jail.conf"; persist; }')
    got = host.run("jail", "-c", "a", status=1)
    assert re.match(r"jail: a: .*/var/jails/none", got.stderr)
    got = host.run("jail", "-c", "b", status=1)
    assert "Not a directory" in got.stderr
    assert left(host) == []


# --- order, environment ---

def test_order_and_environment(host):
    """Every hook in its place; those on the host know which jail it is about."""
    conf(host, """
        exec.prepare   = "echo prepare $name \\$JID \\$JNAME \\$JPATH > $log";
        exec.prestart  = "echo prestart \\$JNAME >> $log", "echo second >> $log";
        exec.created   = "echo created \\$JID >> $log";
        exec.start     = "echo start > /tmp/log", "cat /tmp/log";
        exec.poststart = "echo poststart >> $log";
        exec.prestop   = "echo prestop >> $log";
        exec.stop      = "echo stop; rm /tmp/log";
        exec.poststop  = "echo poststop >> $log";
        exec.release   = "echo release >> $log";
        a { persist; }""")
    got = host.run("jail", "-c", "a")
    jid = host.run("jls", "jid").stdout.strip()
    assert got.stdout == "a: created\nstart\n"
    assert said(host) == ["prepare", "a", jid, "a", str(host.path(ROOT)), "prestart", "a", "second",
                          "created", jid, "poststart"]
    host.log.write_text("")
    assert host.run("jail", "-r", "a").stdout == "stop\na: removed\n"
    assert said(host) == ["prestop", "poststop", "release"]


def test_hooks_may_print_and_query(host):
    """Prints from hooks reach the caller; a jail can be seen from exec.created to exec.stop."""
    conf(host, """a { persist;
        exec.prestart = "jls name"; exec.created = "jls name"; exec.poststop = "jls name; echo done"; }""")
    assert host.run("jail", "-c", "a").stdout == "a: created\na\n"
    assert host.run("jail", "-r", "a").stdout == "a: removed\ndone\n"


def test_clean_environment(host):
    conf(host, """
        a { persist; exec.start = "env"; exec.prestart = "env"; }
        b { persist; exec.start = "env; pwd"; exec.prestart = "env"; exec.clean; }""")
    env = {"FOO": "bar", "TERM": "vt100"}
    dirty = host.run("jail", "-c", "a", env=env).stdout
    assert dirty.count("FOO=bar") == 2 and "JNAME=a" in dirty
    clean = host.run("jail", "-c", "b", env=env).stdout
    assert "FOO" not in clean and "JNAME" not in clean and clean.count("TERM=vt100") == 2
    inside = clean[clean.index("b: created"):]
    assert "HOME=/root\n" in inside and "USER=root\n" in inside and "SHELL=/bin/sh\n" in inside
    assert re.search(r"PATH=\S*/bin", inside) and inside.endswith("\n/root\n")


def test_users(host):
    conf(host, """
        a { persist; exec.jail_user = nobody; exec.system_user = nobody;
            exec.start = "id -un; id -Gn"; exec.prestart = "id -un"; }
        b { persist; exec.jail_user = mars; exec.start = "id"; }""")
    assert host.run("jail", "-c", "a").stdout == "nobody\na: created\nnobody\nnogroup\n"
    got = host.run("jail", "-c", "b", status=1)
    assert got.stderr == "jail: b: exec.jail_user: mars: no such user\n"
    assert names(host) == ["a"]


def test_console_log(host):
    conf(host, 'a { persist; exec.start = "echo out; echo err >&2"; exec.consolelog = "/var/log/a.log"; }')
    host.path("/var/log").mkdir(parents=True)
    for _ in range(2):
        assert host.run("jail", "-c", "a").stdout == "a: created\n"
        host.run("jail", "-r", "a")
    assert host.read("/var/log/a.log") == "out\nerr\n" * 2


def test_console_log_below_the_root_follows_no_link(host):
    """The jail's root could make it one."""
    conf(host, f'a {{ persist; exec.start = "echo out"; exec.consolelog = "{ROOT}/tmp/log"; }}')
    host.run("jail", "-c", "a")
    assert host.read(f"{ROOT}/tmp/log") == "out\n"
    host.run("jail", "-r", "a")
    host.path(f"{ROOT}/tmp/log").unlink()
    host.path(f"{ROOT}/tmp/log").symlink_to(host.write("/victim", "safe"))
    got = host.run("jail", "-c", "a", status=1)
    assert "exec.consolelog" in got.stderr and host.read("/victim") == "safe"


def test_background(host):
    """A command with an & at its end is not waited for, on the host or inside."""
    fifos = [host.path(f"{ROOT}/tmp/inside"), host.path("/fifo")]
    for fifo in fifos:
        os.mkfifo(fifo)
    conf(host, f'a {{ exec.start = "cat /tmp/inside &"; exec.poststart = "cat {fifos[1]} &"; persist; }}')
    # They keep the standard output that they were given: it must not be a pipe that we read to its end.
    p = host.popen("jail", "-c", "a", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert p.wait(PATIENCE) == 0
    for fifo in fifos:  # both still run: each is read
        with open(fifo, "w") as f:
            f.write("x")


def test_verbose(host):
    conf(host, 'a { persist; exec.prestart = "true"; exec.start = "true"; exec.jail_user = root; }')
    got = host.run("jail", "-v", "-c", "a").stdout
    assert got == "a: run command: true\na: created\na: run command in jail as root: true\n"
    assert "a: sent SIGTERM\n" in host.run("jail", "-v", "-r", "a").stdout


def test_quiet(host):
    conf(host, "a { persist; }")
    assert host.run("jail", "-q", "-c", "a").stdout == ""
    assert host.run("jail", "-q", "-r", "a").stdout == ""


def test_jid_file(host):
    conf(host, 'a { persist; host.hostname = "a.example.org"; }')
    host.run("jail", "-J", host.path("/ids"), "-c", "a")
    jid = host.run("jls", "jid").stdout.strip()
    assert host.read("/ids").startswith(f"jid={jid} ") and "host.hostname=a.example.org" in host.read("/ids")


def test_listing(host):
    host.write("/etc/jail.conf", 'a { path = "/srv/a"; host.hostname = pre; host.hostname += post;'
               ' exec.start = ""; }\n"*" { allow.mount; }\n')
    got = host.run("jail", "-e", "|").stdout
    assert got == 'name=a|path=/srv/a|host.hostname=pre,post|exec.start=""|allow.mount\n'


def test_standard_input(host):
    text = f'a {{ path = "{ROOT}"; persist; }}'
    assert host.run("jail", "-f", "-", "-c", "a", input=text).stdout == "a: created\n"


# --- command ---

def test_command_runs_and_the_jail_is_gone(host):
    got = host.run("jail", "-c", "name=a", f"path={ROOT}", "command=/bin/echo", "two words", "$HOME; *")
    assert got.stdout == "a: created\ntwo words $HOME; *\n"
    assert left(host) == []
    got = host.run("jail", "-c", "name=a", f"path={ROOT}", "command", "/bin/false", status=1)
    assert got.stderr == "jail: a: /bin/false: failed\n"
    assert left(host) == []


def test_old_form(host):
    got = host.run("jail", "-n", "a", ROOT, "old.example.org", "10.100.0.2", "/bin/hostname")
    assert got.stdout == "a: created\nold.example.org\n"


def test_lives_while_a_process_does(host):
    """Without persist: as long as somebody is inside, then everything of it goes."""
    fifo = host.path(f"{ROOT}/tmp/fifo")
    os.mkfifo(fifo)
    host.run("jail", "-c", "name=a", f"path={ROOT}", "exec.start=(cat /tmp/fifo) > /tmp/out 2>&1 &")
    assert names(host) == ["a"]
    pidfd = os.pidfd_open(host_pid(host, "a"))
    with open(fifo, "w") as f:
        f.write("x")
    assert select.select([pidfd], [], [], PATIENCE)[0]
    os.close(pidfd)
    assert names(host) == []
    # Nothing is in the way of the next one.
    host.run("jail", "-c", "name=a", f"path={ROOT}", "command=true")
    assert left(host) == []


def host_pid(host, name):
    """The jail's PID 1 as this test sees it: the one in its cgroup that is PID 1 in its own namespace."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cgroup") as f:
                    ours = f"/{host.cgroup_name()}/{name}\n" in f.read()
                with open(f"/proc/{entry}/status") as f:
                    if ours and re.search(r"^NSpid:.*\t1$", f.read(), re.M):
                        return int(entry)
            except (FileNotFoundError, ProcessLookupError):
                continue
    raise LookupError(name)


# --- failure ---

@pytest.mark.parametrize("where,ran", [
    ("exec.prepare", []), ("exec.prestart", ["prepare"]), ("exec.created", ["prepare", "prestart"]),
    ("exec.start", ["prepare", "prestart", "created"]),
    ("exec.poststart", ["prepare", "prestart", "created"])])
def test_a_failed_start_is_undone(host, where, ran):
    """Everything before it is taken back; of the list only what stands before the failure has run; the
    hooks of a stop have not."""
    conf(host, f"""
        exec.prepare += "echo prepare >> $log"; exec.prestart += "echo prestart >> $log";
        exec.created += "echo created >> $log"; exec.start += "true"; exec.poststart += "true";
        exec.prestop = "echo stop >> $log"; exec.stop = "true"; exec.poststop = "echo stop >> $log";
        exec.release = "echo stop >> $log";
        a {{ persist; ip4.addr = 10.100.0.2; rdr = "tcp 8080"; }}""")
    text = host.read("/etc/jail.conf").replace(f"{where} +=", f'{where} = "false", "echo never >> $log"; {where} +=', 1)
    host.write("/etc/jail.conf", text)
    got = host.run("jail", "-c", "a", status=1)
    assert got.stderr == "jail: a: false: failed\n"
    assert said(host) == ran
    assert ("a: removed" in got.stdout) == (where in ("exec.created", "exec.start", "exec.poststart"))
    assert names(host) == [] and left(host) == []
    assert "10.100.0.2" not in host.run("nft", "list", "ruleset").stdout


def test_how_a_command_failed(host):
    conf(host, """
        a { persist; exec.start = "kill -SEGV \\$\\$"; }
        b { persist; exec.start = "/no/such prog"; }
        c { persist; exec.prestart = "/no/such prog"; }
        d { persist; exec.prestart = "sh -c 'exit 3'"; }""")
    expect = {"a": r"kill -SEGV \$\$: exited on signal 11", "b": "exec /no/such: No such file or directory",
              "c": "exec /no/such: No such file or directory", "d": "sh -c 'exit 3': failed"}
    for name, text in expect.items():
        assert re.match(f"jail: {name}: {text}", host.run("jail", "-c", name, status=1).stderr), name


def test_tools_of_freebsd(host):
    """What fails because Linux does not have it says what newgate has instead."""
    conf(host, 'a { persist; exec.prestart = "jib addm a em0"; }')
    got = host.run("jail", "-c", "a", status=1).stderr
    assert "exec jib: No such file" in got and "ip4.addr" in got


def test_timeouts(host):
    conf(host, """exec.timeout = 1; persist;
        a { exec.prestart = "sleep 1000"; }
        b { exec.start = "sleep 1000"; }""")
    for name in "ab":
        got = host.run("jail", "-c", name, status=1)
        assert got.stderr == f"jail: {name}: sleep 1000: timed out\n"
    assert left(host) == []


def test_nothing_is_changed_before_all_is_checked(host):
    conf(host, 'a { persist; exec.prepare = "echo ran >> $log"; }\nb { exec.strat = "true"; }\nc { jid = x; }')
    got = host.run("jail", "-c", "a", status=1)
    assert got.stderr.count("\n") == 2
    assert 'jail.conf:4:' in got.stderr and 'did you mean "exec.start"' in got.stderr
    assert said(host) == [] and not host.path("/run/newgate/jails/a").exists()


def test_a_failure_to_stop(host):
    """Before the jail is gone it stays; after, the rest is done all the same."""
    conf(host, """persist;
        a { exec.stop = "false"; exec.poststop = "echo poststop >> $log"; }
        b { exec.poststop = "false", "echo poststop >> $log"; exec.release = "echo release >> $log"; }""")
    host.run("jail", "-c")
    assert host.run("jail", "-r", "a", status=1).stderr == "jail: a: false: failed\n"
    assert names(host) == ["a", "b"] and said(host) == []
    assert host.run("jail", "-r", "b", status=1).stderr == "jail: b: false: failed\n"
    assert names(host) == ["a"] and said(host) == ["poststop", "release"]
    # Without the configuration nothing of it is in the way.
    assert host.run("jail", "-R", "a").stdout == ""
    assert left(host) == []


# --- stopping ---

def test_orderly_stop(host):
    """exec.stop, then SIGTERM for everybody; who obeys is waited for."""
    conf(host, """a { persist;
        exec.start = "(trap 'echo bye > /tmp/bye; exit' TERM; echo > /tmp/up; while :; do sleep 1000; done) > /tmp/out 2>&1 &";
        exec.stop = "test ! -e /tmp/bye; echo stop"; }""")
    host.run("jail", "-c", "a")
    wait_for(host.path(f"{ROOT}/tmp"), "up")
    assert host.run("jail", "-r", "a").stdout == "stop\na: removed\n"
    assert host.read(f"{ROOT}/tmp/bye") == "bye\n"


@pytest.mark.parametrize("timeout", [0, 1])
def test_who_does_not_obey_is_killed(host, timeout):
    conf(host, f"""a {{ persist; stop.timeout = {timeout};
        exec.start = "(trap '' TERM; echo > /tmp/up; while :; do sleep 1000; done) > /tmp/out 2>&1 &"; }}""")
    host.run("jail", "-c", "a")
    wait_for(host.path(f"{ROOT}/tmp"), "up")
    host.run("jail", "-r", "a")
    assert left(host) == []


class Watch:
    """What happens in folders, one event after the other (inotify)."""

    def __init__(self, *folders):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        self.left = 0
        for folder in folders:  # IN_CREATE, IN_DELETE, IN_MOVED_TO
            assert libc.inotify_add_watch(self.fd, str(folder).encode(), 0x100 | 0x200 | 0x80) >= 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def next(self, *others):
        """Waits for an event; False where one of the other descriptors is ready first."""
        if self.left == 0:
            ready = select.select([self.fd, *others], [], [], PATIENCE)[0]
            assert ready, "nothing happened"
            if self.fd not in ready:
                return False
            data = os.read(self.fd, 65536)
            while data:
                size = struct.unpack_from("iIII", data)[3]
                data = data[16 + size:]
                self.left += 1
        self.left -= 1
        return True


def wait_for(folder, name):
    with Watch(folder) as watch:
        while not (folder / name).exists():
            watch.next()


def test_remove_all(host):
    """A wildcard means all, configured or not."""
    conf(host, "a { persist; }")
    host.run("jail", "-c", "a")
    host.run("jail", "-c", "name=b", f"path={ROOT}", "persist")
    assert sorted(host.run("jail", "-r", "*").stdout.split("\n")) == ["", "a: removed", "b: removed"]
    assert left(host) == []


def test_removal_without_configuration(host):
    """What runs under a configuration that is gone is stopped as its record says."""
    conf(host, 'a { persist; exec.stop = "echo stop"; exec.poststop = "echo poststop >> $log"; }')
    host.run("jail", "-c", "a")
    host.path("/etc/jail.conf").unlink()
    assert host.run("jail", "-r", "a").stdout == "stop\n"
    assert said(host) == ["poststop"] and left(host) == []


def test_service(host):
    """Kept running by the jail's PID 1; the jail lives by it alone."""
    host.path("/var/log").mkdir(parents=True)
    fifo = host.path(f"{ROOT}/tmp/fifo")
    os.mkfifo(fifo)
    conf(host, 'a { service = "echo a run > /tmp/fifo; exit 1"; }')
    host.run("jail", "-c", "a")
    for _ in range(2):  # it ends, and comes again
        assert fifo.read_text() == "a run\n"
    assert "again in 1 s" in host.read("/var/log/jail_a_console.log")
    assert names(host) == ["a"]
    host.run("jail", "-r", "a")
    assert left(host) == []


def test_a_service_that_cannot_start(host):
    conf(host, 'a { service = "/no/such"; }')
    host.path("/var/log").mkdir(parents=True)
    got = host.run("jail", "-c", "a", status=1)
    assert got.stderr == "jail: a: exec /no/such: No such file or directory\n" and left(host) == []


# --- several ---

DEPENDENT = """persist; exec.start = "true";
    exec.poststart = "echo +$name >> $log"; exec.poststop = "echo -$name >> $log";
    web { depend = db, cache; }  db { depend = cache; }  cache { }  other { }"""


def test_dependencies(host):
    conf(host, DEPENDENT)
    host.run("jail", "-c", "web")
    assert said(host) == ["+cache", "+db", "+web"]
    host.log.write_text("")
    host.run("jail", "-r", "cache")
    assert said(host) == ["-web", "-db", "-cache"] and names(host) == []


def test_restart_takes_along_who_depends(host):
    conf(host, DEPENDENT)
    host.run("jail", "-c", "web")
    host.log.write_text("")
    host.run("jail", "-rc", "db")
    assert said(host) == ["-web", "-db", "+db", "+web"]
    host.run("jail", "-r", "web")
    host.log.write_text("")
    host.run("jail", "-rc", "db")  # web is down and stays down
    assert said(host) == ["-db", "+db"]


def test_one_after_the_other(host):
    conf(host, 'persist; exec.start = "true"; exec.poststart = "echo $name >> $log"; d{} a{} c{} b{}')
    host.run("jail", "-p1", "-c")
    assert said(host) == ["d", "a", "c", "b"]
    host.log.write_text("")
    conf(host, 'persist; exec.poststop = "echo $name >> $log"; d{} a{} c{} b{}')
    host.run("jail", "-p1", "-r", "*")
    assert said(host) == ["b", "c", "a", "d"]


def test_all_at_once(host):
    """Each waits for the other, which only works side by side."""
    for name in "ab":
        os.mkfifo(host.path(f"{ROOT}/tmp/{name}"))
    conf(host, """persist;
        a { exec.start = "echo x > /tmp/a; cat /tmp/b"; }  b { exec.start = "cat /tmp/a; echo y > /tmp/b"; }""")
    got = host.run("jail", "-c")
    assert "x\n" in got.stdout and "y\n" in got.stdout


def test_who_waits_for_a_failure_is_skipped(host):
    conf(host, 'persist; a { depend = b; }  b { exec.start = "false"; }  c { }')
    got = host.run("jail", "-c", status=1)
    assert sorted(got.stderr.splitlines()) == ["jail: a: skipped", "jail: b: false: failed"]
    assert names(host) == ["c"]


def test_depend_on_the_command_line(host):
    got = host.run("jail", "-c", "name=a", f"path={ROOT}", "persist", "depend=b", status=1)
    assert got.stderr == 'jail: a: depends on nonexistent jail "b"\n'
    host.run("jail", "-c", "name=b", f"path={ROOT}", "persist")
    host.run("jail", "-c", "name=a", f"path={ROOT}", "persist", "depend=b")
    assert sorted(names(host)) == ["a", "b"]


def test_children(host):
    conf(host, "persist; a { children.max = 1; }  a.b { }  a.c { }  x.y { }")
    host.run("jail", "-c", "a.b")
    assert sorted(names(host)) == ["a", "a.b"]
    assert "children.max" in host.run("jail", "-c", "a.c", status=1).stderr
    assert "parent" in host.run("jail", "-c", "x.y", status=1).stderr
    host.run("jail", "-r", "a")
    assert names(host) == []


# --- changing ---

def test_modify(host):
    conf(host, 'a { persist; host.hostname = one; meta.note = old; }')
    host.run("jail", "-c", "a")
    assert host.run("jail", "-m", "name=a", "host.hostname=two", "meta.note=new text").stdout == "a: updated\n"
    assert host.run("jexec", "a", "hostname").stdout == "two\n"
    assert host.run("jls", "-j", "a", "host.hostname", "meta.note").stdout == "two new text\n"
    conf(host, 'a { persist; host.hostname = three; }')
    assert host.run("jail", "-m", "a").stdout == "a: updated\n"
    assert host.run("jexec", "a", "hostname").stdout == "three\n"


def test_modify_by_jid_and_create_or_modify(host):
    jid = host.run("jail", "-i", "-cm", "name=a", f"path={ROOT}", "persist", "host.hostname=x").stdout.strip()
    assert host.run("jail", "-cm", "name=a", f"path={ROOT}", "persist", "host.hostname=y").stdout == "a: updated\n"
    assert host.run("jls", "jid", "host.hostname").stdout == f"{jid} y\n"
    assert host.run("jail", "-m", f"jid={jid}", "host.hostname=z").stdout == "a: updated\n"
    assert host.run("jexec", jid, "hostname").stdout == "z\n"


def test_without_persist_nothing_keeps_it(host):
    host.run("jail", "-c", "name=a", f"path={ROOT}", "persist")
    host.run("jail", "-m", "name=a", "nopersist")
    assert names(host) == [] and left(host) == []


def test_what_cannot_change(host):
    conf(host, "a { persist; }")
    host.run("jail", "-c", "a")
    got = host.run("jail", "-m", "name=a", "path=/tmp", status=1)
    assert got.stderr == "jail: a: path cannot be changed after creation\n"
    got = host.run("jail", "-m", "name=a", "allow.raw_sockets", status=1)
    assert "restart it" in got.stderr
    before = host.run("jls", "jid").stdout
    conf(host, "a { persist; allow.raw_sockets; }")
    assert host.run("jail", "-mr", "a").stdout == "a: removed\na: created\n"
    assert host.run("jls", "jid").stdout != before
    assert host.run("jls", "allow.raw_sockets").stdout == "true\n"
    assert host.run("jail", "-mr", "a").stdout == "a: updated\n"


# --- interruption ---

@pytest.fixture
def slow(host):
    """A start that stays in exec.start until its fifo is written to."""
    os.mkfifo(host.path(f"{ROOT}/tmp/fifo"))
    conf(host, """a { persist; ip4.addr = 10.100.0.2; rdr = "tcp 8080";
        exec.start = "echo > /tmp/up; cat /tmp/fifo"; exec.poststop = "echo poststop >> $log"; }""")

    def start(quiet=False):
        (host.path(f"{ROOT}/tmp") / "up").unlink(missing_ok=True)
        # A killed one leaves a command with the standard output that it was given.
        out = subprocess.DEVNULL if quiet else subprocess.PIPE
        p = host.popen("jail", "-c", "a", stdout=out, stderr=out)
        wait_for(host.path(f"{ROOT}/tmp"), "up")
        return p
    host.slow_start = start
    return host


def jail_process(p):
    """nsenter(1) becomes the command where it need not fork; else its child is it."""
    with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
        children = f.read().split()
    return int(children[0]) if children else p.pid


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_is_undone(slow, sig):
    p = slow.slow_start()
    os.kill(jail_process(p), sig)
    out, err = p.communicate(timeout=PATIENCE)
    assert p.returncode == 1 and "interrupted" in err and "a: removed" in out
    assert names(slow) == [] and left(slow) == [] and said(slow) == []


def test_a_killed_start_is_cleared_by_the_next_command(slow):
    p = slow.slow_start(quiet=True)
    os.kill(jail_process(p), signal.SIGKILL)
    p.wait(PATIENCE)
    p = slow.slow_start()
    slow.write(f"{ROOT}/tmp/fifo", "x")
    out, err = p.communicate(timeout=PATIENCE)
    assert (p.returncode, err) == (0, "")
    assert names(slow) == ["a"]
    slow.run("jail", "-r", "a")
    assert left(slow) == [] and "8080" not in slow.run("nft", "list", "ruleset").stdout


def test_a_killed_start_is_cleared_by_a_command_about_all(slow):
    p = slow.slow_start(quiet=True)
    os.kill(jail_process(p), signal.SIGKILL)
    p.wait(PATIENCE)
    slow.run("jail", "-r", "*")
    assert left(slow) == [] and "8080" not in slow.run("nft", "list", "ruleset").stdout


def test_two_commands_on_one_jail(slow):
    """The second waits for the first."""
    first = slow.slow_start()
    second = slow.popen("jail", "-v", "-r", "a")
    line = second.stdout.readline()
    assert line == "a: waits for another command that works on it\n"
    slow.write(f"{ROOT}/tmp/fifo", "x")
    assert first.communicate(timeout=PATIENCE)[1] == "" and first.returncode == 0
    out, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, err) == (0, "") and "a: removed" in out
    assert left(slow) == []


def test_a_jail_that_ended_by_itself(host):
    """Its number, address and redirect are free for the next one."""
    host.run("jail", "-c", "name=a", f"path={ROOT}", "persist", "ip4.addr=10.100.0.2", "rdr=tcp 8080", "jid=5")
    pid = host_pid(host, "a")
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([pidfd], [], [], PATIENCE)[0]
    os.close(pidfd)
    assert names(host) == []
    host.run("jail", "-c", "name=b", f"path={ROOT}", "persist", "ip4.addr=10.100.0.2", "rdr=tcp 8080", "jid=5")
    assert host.run("jls", "jid", "name").stdout == "5 b\n"
    host.run("jail", "-r", "b")
    assert left(host) == []


def kill_at(host, event, *argv):
    """Runs a command and kills it when it has changed the state for the event-th time. False where it
    ended before."""
    run = host.path("/run/newgate")
    with Watch(*(run / d for d in ("jails", "jids", "slots", "ctl"))) as watch:
        p = host.popen(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pidfd = os.pidfd_open(p.pid)
        try:
            for _ in range(event):
                if not watch.next(pidfd):
                    return p.wait(PATIENCE) < 0
            p.kill()
            p.wait(PATIENCE)
            return True
        finally:
            os.close(pidfd)


def test_killed_at_any_moment(host):
    """Whatever a killed command leaves, the next one clears it, and works."""
    conf(host, """persist; exec.start = "true"; exec.stop = "true"; interface = lo100;
        a { ip4.addr = 10.100.0.2; rdr = "tcp 8080"; }  b { depend = a; ip4.addr = 10.100.0.3; }""")
    host.run("jail", "-c")
    host.run("jail", "-r", "*")
    for argv in (["-c"], ["-rc"], ["-r", "*"]):
        for event in range(1, 100):
            if not kill_at(host, event, "jail", *argv):
                break
            host.run("jail", "-c" if event % 2 else "-rc")
            assert sorted(names(host)) == ["a", "b"], (argv, event)
            if argv == ["-c"]:
                host.run("jail", "-r", "*")
                assert left(host) == []
        assert event > 5
    host.run("jail", "-r", "*")
    assert left(host) == [] and "8080" not in host.run("nft", "list", "ruleset").stdout


# --- trees ---

def test_hooks_write_into_an_overlay(host):
    """Its root exists in the jail only; for hooks before that it is at path."""
    host.run("newgate", "template", "create", "_base", "--from", host.path(ROOT))
    host.write("/etc/jail.conf", """
        path = "/var/jails/$name"; persist;
        exec.prestart = "echo from-hook > \\$JPATH/etc/hook";
        web { exec.start = "cat /etc/hook"; }
        bad { exec.prestart += "false"; }""")
    for name in ("web", "bad"):
        host.run("newgate", "clone", "_base", name)
    assert host.run("jail", "-c", "web").stdout == "web: created\nfrom-hook\n"
    host.run("jail", "-r", "web")
    host.run("jail", "-c", "bad", status=1)
    assert left(host) == [] and os.listdir(host.path("/var/jails/bad")) == []


def test_template_at_the_first_start(host):
    host.run("newgate", "template", "create", "_base", "--from", host.path(ROOT))
    host.write("/etc/jail.conf", 'web { path = "/var/jails/web"; template = _base; persist; exec.start = "touch /kept"; }')
    host.run("jail", "-c", "web")
    host.run("jail", "-r", "web")
    host.run("jail", "-c", "web")
    assert host.run("jexec", "web", "ls", "/kept").stdout == "/kept\n"


# --- at a terminal ---

def test_ctrl_c_reaches_the_command(host):
    with Terminal(host, "bash", "--norc", "--noprofile", "-i", env={"PS1": "host> "}) as t:
        t.expect("host> ")
        t.line(f"jail -c name=job path={ROOT} command=sh -c 'echo re''ady; sleep 1000'")
        t.expect("\nready")
        t.type("\x03")
        t.expect("jail: job: sh: exited on signal 2")
        t.expect("host> ")
    assert host.run("jls", "name").stdout == ""
