"""The throw-away VPS for tests: what vps.sh makes, seen from Python.

A test gets one by the fixture `vps` (conftest.py) and need not clean up: when the test ends, every
jail is removed, nothing may be left of it, and the VPS goes.

    def test_it(vps):
        vps.write("/etc/jail.conf", 'web { path = "/var/jails/web"; persist; }')
        vps.busybox("/var/jails/web")
        vps.run("jail", "-c", "web")                     # as a command on the VPS; fails loudly
        web = vps.jail("web")                            # its PID 1, network namespace, addresses
        server = vps.listen("internet", "tcp", "198.51.100.7", 80)
        assert vps.seen(web, "tcp", "198.51.100.7", 80, server) == "203.0.113.10"

Paths given to write, read, path and busybox are as on the VPS; they lie below NEWGATE_ROOT, a folder
on a real file system. Sockets are made inside a network namespace and then used from here, so traffic
needs no helper processes, and waiting is waiting on a socket.

"Where" is "vps", "internet", or anything with an attribute `netns` (a jail)."""

import contextlib
import ctypes
import errno
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BUILD = Path(os.environ.get("NEWGATE_BUILD", SOURCE / "build")).resolve()
CGROUPS = Path("/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup")
LINKS = ("newgate", "jail", "jls", "jexec", "pfctl")
# Long enough for a slow machine; a test never waits this long unless it fails.
PATIENCE = 20

CLONE_NEWNET = 0x40000000
RTMGRP_LINK = 1
_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd, kind):
    if _libc.setns(fd, kind) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Failed(AssertionError):
    """A command that should have succeeded (or failed) did not."""


class Jail:
    """A running jail, as the host's view of it."""

    def __init__(self, vps, name, pid):
        self.vps, self.name, self.pid = vps, name, pid
        self.netns = vps.proc / str(pid) / "ns" / "net"

    def run(self, *argv, **options):
        """jexec NAME COMMAND …"""
        return self.vps.run("jexec", self.name, *argv, **options)

    def addresses(self, family=4):
        got = self.vps.run_in(self, "ip", "-j", f"-{family}", "address", "show", "scope", "global")
        return [a["local"] for link in json.loads(got.stdout or "[]") for a in link["addr_info"]]


class Vps:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="newgate-test.", dir="/var/tmp"))
        os.chmod(self.folder, 0o755)
        self.root = self.folder / "root"
        self.root.mkdir()
        bin = self.folder / "bin"
        bin.mkdir()
        for name in LINKS:
            (bin / name).symlink_to(BUILD / "src" / "cmd" / "newgate")
        self.env = {
            "PATH": f"{bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NEWGATE_ROOT": str(self.root),
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.outside = self._outside()
        self._sockets = []
        self._start()

    # --- making and ending it ---

    def _start(self):
        self.holder = subprocess.Popen(
            [HERE / "vps.sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)
        line = self.holder.stdout.readline()
        if line != "ready\n":
            raise Failed(f"vps.sh did not start: {line!r}")
        # vps.sh became unshare(1); its one child is PID 1 of the VPS.
        pid = self.holder.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 1, children
        self.pid = int(children[0])
        self.proc = Path(f"/proc/{self.pid}/root/proc")
        self.netns = Path(f"/proc/{self.pid}/ns/net")
        self.internet = Path(f"/proc/{self.pid}/root/run/netns/internet")
        assert os.stat(self.netns).st_ino != os.stat("/proc/self/ns/net").st_ino, \
            "the VPS shares the network of this machine"

    @staticmethod
    def _outside():
        """The network of this machine, which no test may change."""
        def get(*argv):
            return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

        def plain(text):
            return re.sub(r'"(valid_life_time|preferred_life_time|expires)":\d+', "", text)

        return {
            "addresses": plain(get("ip", "-j", "address")),
            "routes": plain(get("ip", "-j", "route", "show", "table", "all")),
            "routes6": plain(get("ip", "-6", "-j", "route", "show", "table", "all")),
            "ruleset": get("nft", "list", "ruleset"),
            "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        }

    def close_sockets(self):
        """Those that were made inside of jails keep their networks."""
        for s in self._sockets:
            # At once: a connection that says goodbye would keep its namespace for minutes.
            with contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self._sockets.clear()

    def close(self, links=PATIENCE):
        """Ends the VPS, then looks whether anything is left; links may take so many seconds to go."""
        self.close_sockets()
        try:
            left = self.leftovers(links) if self.holder.poll() is None else ["the VPS ended by itself"]
        finally:
            self.holder.stdin.close()
            try:
                self.holder.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.holder.pid, signal.SIGKILL)
                self.holder.wait()
            self.holder.stdout.close()
            # After a failure the folders of its jails may be left; nobody is in them any more.
            for path, _, _ in os.walk(CGROUPS / self.cgroup_name(), topdown=False):
                os.rmdir(path)
            mounts = [m for m in Path("/proc/self/mountinfo").read_text().splitlines()
                      if str(self.folder) in m]
            if not mounts:
                shutil.rmtree(self.folder)
        left += [f"mounted outside: {m}" for m in mounts]
        outside = self._outside()
        left += [f"{what} of this machine changed:\n{before}\n{outside[what]}"
                 for what, before in self.outside.items() if outside[what] != before]
        assert not left, "left behind: " + "; ".join(left)

    def remove_jails(self):
        """What the fixture does when the test is done."""
        jails = self.root / "run" / "newgate" / "jails"
        if jails.is_dir() and any(jails.iterdir()):
            self.run("jail", "-R", "*")

    def leftovers(self, links):
        left = [f"process {pid} ({command})" for pid, command in self.processes().items()
                if not self.ends(pid)]
        for folder in ("jails", "jids", "slots", "ctl"):
            path = self.root / "run" / "newgate" / folder
            if path.is_dir():
                left += [f"/run/newgate/{folder}/{name}" for name in os.listdir(path)
                         if not name.startswith(".")]
        mounts = (self.proc / "1" / "mountinfo").read_text()
        left += [m for m in mounts.splitlines() if str(self.root) in m]
        self.wait_links_gone(patience=links)
        base = self.cgroup()
        if base is not None:
            left += [f"cgroup {p}" for p in base.iterdir() if p.is_dir()]
        return left

    def processes(self):
        """Those of the VPS but PID 1, by their pid there, with their command lines."""
        found = {}
        for path in self.proc.iterdir():
            if path.name.isdigit() and path.name != "1":
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                    command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if state not in "ZX":
                        found[int(path.name)] = command.strip()
        return found

    def ends(self, pid):
        """Waits for a process that should be on its way out: some clean up when nobody waits."""
        wait = ("import os, select, sys\ntry: fd = os.pidfd_open(int(sys.argv[1]))\n"
                "except ProcessLookupError: sys.exit(0)\n"
                "sys.exit(not select.select([fd], [], [], 5)[0])")
        return self.run("/usr/bin/python3", "-c", wait, pid, status=None).returncode == 0

    def cgroup(self):
        """Newgate's cgroup for this root, or None."""
        path = CGROUPS / self.cgroup_name()
        return path if path.is_dir() else None

    def cgroup_name(self):
        """"newgate-HASH", as state/state.c has it: FNV-1a, 32 bits, of the root."""
        h = 0x811C9DC5
        for byte in str(self.root).encode():
            h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
        return f"newgate-{h:08x}"

    # --- commands ---

    def _enter(self):
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--uts", "--ipc", "--pid"]

    def popen(self, *argv, where="vps", env=None, **options):
        """A process on the VPS (or in `where`); the caller waits for it."""
        net = [] if where == "vps" else ["nsenter", f"--net={self._inside_path(where)}"]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([*self._enter(), *net, *map(str, argv)],
                                env={**self.env, **(env or {})}, text=True, **options)

    def run(self, *argv, status=0, input=None, where="vps", env=None, timeout=PATIENCE):
        """Runs to its end; `status` is what it must exit with (None: anything)."""
        p = self.popen(*argv, where=where, env=env,
                       stdin=subprocess.DEVNULL if input is None else subprocess.PIPE)
        try:
            out, err = p.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            # What it left in the background may hold the pipes open for ever.
            try:
                out, err = p.communicate(timeout=1)
            except subprocess.TimeoutExpired as e:
                out, err = (e.stdout or b"").decode(), (e.stderr or b"").decode()
            raise Failed(f"{' '.join(map(str, argv))}: still running, or a process that it left"
                         f" holds its output\n{out}{err}") from None
        if status is not None and p.returncode != status:
            raise Failed(f"{' '.join(map(str, argv))}: exit status {p.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(argv, p.returncode, out, err)

    def run_in(self, where, *argv, **options):
        """A program of the VPS with the network of `where`."""
        return self.run(*argv, where=where, **options)

    def json(self, *argv, where="vps"):
        return json.loads(self.run(*argv, where=where).stdout or "[]")

    # --- files ---

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def write(self, path, text):
        p = self.path(path)
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text)
        return p

    def read(self, path):
        return self.path(path).read_text()

    def busybox(self, path):
        """A small Linux root at `path`, all hard links: cheap enough for one a test."""
        root = self.path(path)
        root.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(root.parent, 0o700)  # as newgate clone does, and as jail -c wants it
        for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/log"):
            (root / name).mkdir(parents=True, exist_ok=True)
        os.chmod(root / "tmp", 0o1777)
        first = root / "bin" / "busybox"
        shutil.copy2("/bin/busybox", first)
        for applet in _applets():
            if applet != "busybox":
                os.link(first, root / "bin" / applet)
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
        (root / "etc" / "hosts").touch()
        (root / "etc" / "resolv.conf").touch()
        return root

    # --- jails ---

    def configure(self, text, rc=None, common='path = "/var/jails/$name"; persist;'):
        """Writes /etc/jail.conf (and rc.conf), with what tests have in common before it, and makes a
        root for each jail that has a block at the beginning of a line."""
        self.write("/etc/jail.conf", f"{common}\n{textwrap.dedent(text)}")
        if rc is not None:
            self.write("/etc/rc.conf", textwrap.dedent(rc))
        for name in re.findall(r"^(\w+) \{", textwrap.dedent(text), re.M):
            if not self.path(f"/var/jails/{name}").exists():
                self.busybox(f"/var/jails/{name}")

    def start(self, *names):
        """jail -c NAME …; the jails, or the one jail."""
        for name in names:
            self.run("jail", "-c", name)
        jails = [self.jail(name) for name in names]
        return jails[0] if len(jails) == 1 else jails

    def record(self, name):
        """/run/newgate/jails/NAME as a dictionary; a key that comes again makes a list."""
        out = {}
        for line in self.read(f"/run/newgate/jails/{name}").splitlines():
            key, _, value = line.partition(" ")
            out[key] = out[key] + [value] if key in out else [value]
        return {k: v[0] if len(v) == 1 else v for k, v in out.items()}

    def jail(self, name):
        return Jail(self, name, int(self.record(name)["pid"].split()[0]))

    # --- network ---

    def _netns_path(self, where):
        if where == "vps":
            return self.netns
        if where == "internet":
            return self.internet
        return where.netns

    def _inside_path(self, where):
        """The same, as a process on the VPS sees it."""
        text = str(self._netns_path(where))
        return text.removeprefix(f"/proc/{self.pid}/root")

    @contextlib.contextmanager
    def within(self, where):
        """The calling thread has the network of `where` meanwhile: for making sockets."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self._netns_path(where), os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(there, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(home, CLONE_NEWNET)
        finally:
            os.close(there)
            os.close(home)

    def socket(self, where, proto, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        with self.within(where):
            s = socket.socket(family, kind)
        self._sockets.append(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(PATIENCE)
        return s

    def listen(self, where, proto, address, port):
        """A server's socket; address "" and "::" stand for any."""
        s = self.socket(where, proto, address)
        if ":" in address:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # An address that is not there (any more) fails here, not later.
        s.bind((address, port))
        if proto == "tcp":
            s.listen(8)
        return s

    def connect(self, where, proto, address, port, source=None):
        """A client's socket, connected. Raises what connect(2) says."""
        s = self.socket(where, proto, address)
        if source:
            s.bind((source, 0))
        s.connect((address, port))
        return s

    def seen(self, where, proto, address, port, server, source=None):
        """Sends one message from `where` to address:port and back again through `server`, a socket of
        listen(). Returns the address from which the server sees it come. ConnectionRefusedError and
        other errors are those of the client."""
        client = self.connect(where, proto, address, port, source)
        if proto == "udp":
            client.send(b"there")
            self._readable(server, client)
            data, peer = server.recvfrom(64)
            server.sendto(b"back", peer)
        else:
            self._readable(server)
            conn, peer = server.accept()
            conn.settimeout(PATIENCE)
            self._sockets.append(conn)
            client.sendall(b"there")
            data = conn.recv(64)
            conn.sendall(b"back")
        assert data == b"there"
        assert client.recv(64) == b"back"
        client.close()
        if proto == "tcp":
            conn.close()
        return peer[0]

    def accept(self, server):
        """The next connection of a listening socket."""
        conn, _ = server.accept()
        conn.settimeout(PATIENCE)
        self._sockets.append(conn)
        return conn

    def refused(self, where, proto, address, port):
        """Tries, and returns the errno that the client gets. It must not get through."""
        try:
            client = self.connect(where, proto, address, port)
            if proto == "udp":
                client.send(b"there")
                client.recv(64)
        except TimeoutError:
            raise Failed(f"{proto} to {address}:{port}: neither answered nor refused") from None
        except OSError as e:
            return e.errno
        raise Failed(f"{proto} to {address}:{port} got through")

    def dropped(self, where, proto, address, port, server, after):
        """Tries, then calls after(), which sends something on the same way that arrives. By then the
        first must have neither arrived at the server nor been answered."""
        client = self.socket(where, proto, address)
        client.setblocking(False)
        if proto == "tcp":
            assert client.connect_ex((address, port)) == errno.EINPROGRESS
        else:
            client.sendto(b"there", (address, port))
        after()
        ready = select.select([server, client], [client] if proto == "tcp" else [], [], 0)
        return ready == ([], [], [])

    @staticmethod
    def _readable(server, client=None):
        """Waits until the server has something; an error at the client ends the wait."""
        watch = [server] + ([client] if client else [])
        ready, _, _ = select.select(watch, [], [], PATIENCE)
        if not ready:
            raise TimeoutError("nothing arrived")
        if client in ready:
            client.recv(64)

    def links(self, where="vps"):
        return {link["ifname"]: link for link in self.json("ip", "-j", "-d", "link", where=where)}

    def wait_links_gone(self, pattern=r"ng\d", patience=PATIENCE):
        """Host ends of jails' pairs vanish a little after the jail, by themselves."""
        with self.within("vps"):
            events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            events.bind((0, RTMGRP_LINK))
        with contextlib.closing(events):
            events.settimeout(patience)
            while any(re.match(pattern, name) for name in self.links()):
                events.recv(65536)

    def ping(self, where, address, identifier=1):
        """One ICMP echo from a raw socket in `where`: the type of the answer (0 or 129: echo reply)."""
        v6 = ":" in address
        family = socket.AF_INET6 if v6 else socket.AF_INET
        with self.within(where):
            s = socket.socket(family, socket.SOCK_RAW,
                              socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
        with contextlib.closing(s):
            s.settimeout(PATIENCE)
            body = struct.pack("!HH", identifier, 1) + b"newgate."
            head = struct.pack("!BBH", 128 if v6 else 8, 0, 0)
            if not v6:
                head = struct.pack("!BBH", 8, 0, checksum(head + body))
            s.sendto(head + body, (address, 0))
            while True:
                data = s.recv(2048)
                data = data if v6 else data[(data[0] & 15) * 4:]
                # Not our own request on its way, nor other housekeeping of IPv6.
                if data[0] not in (8, 128, 130, 131, 132, 133, 134, 135, 136, 143):
                    return data[0]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _applets():
    if not hasattr(_applets, "names"):
        _applets.names = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                                        check=True).stdout.split()
    return _applets.names
