#!/usr/bin/env python3
"""share/rc in a root of its own, by busybox's sh and by dash (TAP).

A service here is a script that notes in /log that it was called.
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback

SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
SHELLS = ["busybox", "dash"]
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")


class Root:
    """A small root file system; `start` and `stop` run rc and rc.shutdown in it."""

    def __init__(self, folder, shell):
        self.path = pathlib.Path(folder)
        for name in ("bin", "dev", "etc/init.d", "etc/rc.d", "usr/local/etc/rc.d", "usr/bin"):
            (self.path / name).mkdir(parents=True)
        os.mknod(self.path / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        shutil.copy("/bin/busybox", self.path / "bin")
        subprocess.run([CHROOT, self.path, "/bin/busybox", "--install", "-s", "/bin"], check=True)
        if shell == "dash":
            self.copy_program("/bin/dash")
            (self.path / "bin/sh").unlink()
            (self.path / "bin/sh").symlink_to("dash")
        for name in ("rc", "rc.shutdown"):
            shutil.copy(SOURCE / "share/rc" / name, self.path / "etc")
        self.write("log", "")

    def copy_program(self, program):
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        for name in [program, *re.findall(r"(/\S+) \(", libraries.stdout)]:
            target = self.path / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, target)

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def service(self, name, header="", folder="etc/init.d", body="", mode=0o755):
        note = f'echo "{name} $1" >>/log\n'
        self.write(f"{folder}/{name}", "#!/bin/sh\n" + header + note + body, mode)

    def lsb(self, name, provides=None, **fields):
        lines = [f"# Provides: {provides or name}"]
        lines += [f"# {key.replace('_', '-')}:\t{value}" for key, value in fields.items()]
        self.service(name, "### BEGIN INIT INFO\n" + "\n".join(lines) + "\n### END INIT INFO\n")

    def run(self, script, **options):
        done = subprocess.run([CHROOT, self.path, "/bin/sh", script], capture_output=True,
                              text=True, timeout=60, env=options.pop("env", {}), **options)
        return done.returncode, done.stderr, done.stdout

    def start(self, conf=None, **options):
        if conf is not None:
            self.write("etc/rc.conf", conf)
        return self.run("/etc/rc", **options)

    def stop(self):
        return self.run("/etc/rc.shutdown")

    def log(self):
        """What was called since the last look."""
        lines = (self.path / "log").read_text().split("\n")[:-1]
        self.write("log", "")
        return lines


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def quiet(result):
    same(result[:2], (0, ""))


def test_start_and_stop(root):
    """what is enabled starts in the order of rc.conf and stops in reverse"""
    for name in ("one", "two", "three", "four"):
        root.service(name)
    quiet(root.start('two_enable="YES"\none_enable="YES"\nfour_enable="NO"\nthree_enable="YES"\n'))
    same(root.log(), ["two start", "one start", "three start"])
    quiet(root.stop())
    same(root.log(), ["three stop", "one stop", "two stop"])
    quiet(root.stop())
    same(root.log(), [])


def test_nothing(root):
    """without rc.conf nothing starts and nothing is wrong"""
    root.service("one")
    quiet(root.start())
    quiet(root.stop())
    same(root.log(), [])


def test_values(root):
    """yes in every form; anything strange is told and counts as no"""
    yes = ["YES", "yes", "Yes", "TRUE", "true", "ON", "on", "1"]
    no = ["NO", "no", "FALSE", "Off", "0", "NONE", ""]
    conf = ""
    for kind, values in (("y", yes), ("n", no)):
        for k, value in enumerate(values):
            root.service(f"{kind}{k}")
            conf += f'{kind}{k}_enable="{value}"\n'
    root.service("odd")
    quiet(root.start(conf))
    same(root.log(), [f"y{k} start" for k in range(len(yes))])
    status, err, _ = root.start('odd_enable="yess"\ny0_enable=YES\n')
    same(status, 0)
    same(err, 'rc: odd_enable="yess" is neither YES nor NO: taken for NO\n')
    same(root.log(), ["y0 start"])


def test_shell_text(root):
    """rc.conf is shell text: comments, quotes, substitution, several on a line, the last one wins"""
    for name in "abcdefg":
        root.service(name)
    quiet(root.start("# a_enable=YES\n"
                     "b_enable='YES' # of course\n"
                     "text=\"two\nc_enable=YES lines; with 'quotes' and \\$dollars\"\n"
                     'd_enable=$(echo YES)\n'
                     "\te_enable=YES; f_enable=YES\n"
                     "g_enable=YES\n"
                     "g_enable=NO\n"))
    same(root.log(), ["b start", "d start", "e start", "f start"])


def test_more_files(root):
    """rc.conf.local and rc.conf.d come after rc.conf"""
    for name in ("one", "two", "three"):
        root.service(name)
    root.write("etc/rc.conf.local", "two_enable=YES\none_enable=NO\n")
    root.write("etc/rc.conf.d/three", "three_enable=YES\n")
    quiet(root.start("one_enable=YES\n"))
    same(root.log(), ["two start", "three start"])


def test_environment(root):
    """the caller's variables enable nothing, its standard input stays its own"""
    root.service("one")
    root.service("two", body="read line && echo \"read $line\" >>/log; echo $PATH >>/log\n")
    quiet(root.start("two_enable=YES\n", env={"one_enable": "YES", "PATH": "/bin"}, input="text\n"))
    same(root.log(), ["two start", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])


def test_bad_conf(root):
    """a syntax error in rc.conf is told, nothing starts, status 1"""
    root.service("one")
    status, err, _ = root.start('one_enable="YES"\nname="not closed\n')
    same(status, 1)
    assert "rc: /etc/rc.conf: not valid shell text" in err, err
    assert len(err.splitlines()) >= 2, err
    same(root.log(), [])


def test_missing(root):
    """a service without a script is told with what to do; the rest goes on, status 0"""
    root.service("one")
    status, err, _ = root.start("nginx_enable=YES\none_enable=YES\n")
    same(status, 0)
    same(root.log(), ["one start"])
    assert "rc: nginx is enabled (nginx_enable) but has no script" in err, err
    assert "/etc/rc.d/nginx that knows start and stop" in err and "service = " in err, err
    root.write("usr/bin/apt-get", "", 0o755)
    assert "apt-get" in root.start()[1]
    root.service("nginx-full")
    assert "is this meant? nginx_full_enable\n" in root.start()[1]
    root.write("lib/systemd/system/nginx.service", "[Service]\nExecStart=-/usr/sbin/nginx -g x\n")
    assert 'service = "/usr/sbin/nginx -g x";' in root.start()[1]
    root.write("lib/systemd/system/rsyslog.service", "ExecStart=/usr/sbin/rsyslogd -n\n")
    assert 'service = "/usr/sbin/rsyslogd -n";' in root.start("syslogd_enable=YES\n")[1]


def test_failures(root):
    """a script that fails or is not executable is told; the rest goes on, status 0"""
    root.service("one", body="exit 7\n")
    root.service("two", mode=0o644)
    root.service("three")
    status, err, _ = root.start("one_enable=YES\ntwo_enable=YES\nthree_enable=YES\n")
    same(status, 0)
    same(root.log(), ["one start", "three start"])
    same(err, "rc: one did not start: /etc/init.d/one start ended with status 7\n"
         "rc: two: /etc/init.d/two is not executable: chmod +x it in the jail\n")
    status, err, _ = root.stop()
    same((status, err), (0, "rc.shutdown: /etc/init.d/one stop ended with status 7\n"))
    same(root.log(), ["three stop", "one stop"])


def test_folders(root):
    """init.d before rc.d before /usr/local/etc/rc.d"""
    for folder in ("etc/rc.d", "usr/local/etc/rc.d"):
        root.service("one", folder=folder, body=f"echo {folder} >>/log\n")
    root.service("two", folder="usr/local/etc/rc.d")
    quiet(root.start("one_enable=YES\ntwo_enable=YES\n"))
    same(root.log(), ["one start", "etc/rc.d", "two start"])
    root.service("one")
    quiet(root.start())
    same(root.log(), ["one start", "two start"])


def test_names(root):
    """letters that a variable cannot hold, and FreeBSD's names; one script starts once"""
    for name in ("php8.2-fpm", "redis-server", "ssh", "apache2"):
        root.service(name)
    quiet(root.start("php8_2_fpm_enable=YES\nredis_enable=YES\nsshd_enable=YES\nssh_enable=YES\n"
                     "apache24_enable=YES\nphp_fpm_enable=YES\n"))
    same(root.log(), ["php8.2-fpm start", "redis-server start", "ssh start", "apache2 start"])


def test_lsb_order(root):
    """LSB headers: what is required starts first, if it is enabled; $all comes last"""
    root.lsb("last", Required_Start="$all")
    root.lsb("web", Required_Start="$remote_fs $syslog database absent", Should_Start="cache")
    root.lsb("cache", Required_Start="$network")
    root.lsb("db", provides="db database", Required_Start="$named")
    root.lsb("rsyslog")
    root.lsb("unbound", Required_Start="$syslog")
    root.lsb("off", provides="absent")
    root.lsb("plain")
    names = ("last", "web", "plain", "cache", "db", "rsyslog", "unbound")
    quiet(root.start("".join(f"{name}_enable=YES\n" for name in names)))
    want = ["plain", "cache", "rsyslog", "unbound", "db", "web", "last"]
    started = [line.split()[0] for line in root.log()]
    same(sorted(started), sorted(want))
    same(started[-1], "last")
    for before, after in (("rsyslog", "unbound"), ("unbound", "db"), ("db", "web"),
                          ("cache", "web"), ("rsyslog", "web")):
        assert started.index(before) < started.index(after), started
    quiet(root.stop())
    same([line.split()[0] for line in root.log()], started[::-1])


def test_rcorder(root):
    """rcorder's PROVIDE, REQUIRE and BEFORE"""
    root.service("web", "# PROVIDE: web\n# REQUIRE: database NETWORKING\n", folder="etc/rc.d")
    root.service("db", "# PROVIDE: database db2\n", folder="etc/rc.d")
    root.service("early", "# PROVIDE: early\n# BEFORE: database\n", folder="etc/rc.d")
    quiet(root.start("web_enable=YES\ndb_enable=YES\nearly_enable=YES\n"))
    same(root.log(), ["early start", "db start", "web start"])


def test_cycle(root):
    """services that wait for each other are told and start all the same"""
    root.lsb("one", Required_Start="two")
    root.lsb("two", Required_Start="one")
    root.lsb("three", Required_Start="three")
    status, err, _ = root.start("one_enable=YES\ntwo_enable=YES\nthree_enable=YES\n")
    same((status, err), (0, "rc: these wait for each other: one two; starting one\n"))
    same(root.log(), ["three start", "one start", "two start"])


def test_tree(root):
    """/run, /tmp and /var/run as after a boot; stale pid files go, live ones stay"""
    quiet(root.start())
    for name, mode in (("run", 0o755), ("tmp", 0o1777), ("run/lock", 0o1777)):
        same(stat.S_IMODE((root.path / name).stat().st_mode), mode)
    same(os.readlink(root.path / "var/run"), "/run")
    for name, text in (("gone", "999999999\n"), ("init", "1\n"), ("odd", "rubbish\n"), ("no", ""),
                       ("sub/x/gone", "999999999"), ("sub/live", f" {os.getpid()}\n")):
        root.write(f"run/{name}.pid", text)
    root.write("run/data", "1\n")
    root.write("tmp/.kept", "")
    root.write("run/nologin", "")
    quiet(root.start())
    left = sorted(str(p.relative_to(root.path)) for p in (root.path / "run").rglob("*")
                  if p.is_file())
    same(left, ["run/data", "run/sub/live.pid"])
    assert (root.path / "tmp/.kept").exists()
    quiet(root.start("clear_tmp_enable=YES\n"))
    same(list((root.path / "tmp").iterdir()), [])


def test_host_keys(root):
    """ssh gets host keys before it starts where there are none"""
    root.service("ssh")
    root.write("usr/bin/ssh-keygen", "#!/bin/sh\necho keygen $1 >>/log\n"
               "echo secret >/etc/ssh/ssh_host_rsa_key\n", 0o755)
    root.write("etc/ssh/sshd_config", "")
    quiet(root.start("ssh_enable=YES\n"))
    same(root.log(), ["keygen -A", "ssh start"])
    quiet(root.start())
    same(root.log(), ["ssh start"])


def test_local(root):
    """rc.local runs last, rc.shutdown.local first; their failures are told"""
    root.service("one")
    root.write("etc/rc.local", "echo local >>/log\n")
    root.write("etc/rc.shutdown.local", "echo local down >>/log\nexit 3\n")
    quiet(root.start("one_enable=YES\n"))
    same(root.log(), ["one start", "local"])
    status, err, _ = root.stop()
    same((status, err), (0, "rc.shutdown: /etc/rc.shutdown.local ended with status 3\n"))
    same(root.log(), ["local down", "one stop"])


def main():
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    if os.geteuid() != 0:
        print("1..0 # SKIP chroot(2) needs root")
        return
    print(f"1..{len(SHELLS) * len(tests)}")
    n = 0
    for shell in SHELLS:
        for test in tests:
            n += 1
            with tempfile.TemporaryDirectory(prefix="newgate-rc-") as folder:
                try:
                    test(Root(pathlib.Path(folder) / "root", shell))
                    print(f"ok {n} - {shell}: {test.__doc__}")
                except Exception:  # a case that breaks is a case that failed
                    lines = traceback.format_exc(limit=-2).splitlines()
                    print("\n".join(f"# {line}" for line in lines))
                    print(f"not ok {n} - {shell}: {test.__doc__}")


main()
