"""Where everything is measured: namespaces of our own, on a tmpfs of our own. Nothing of it is visible
outside, and all but one cgroup ends with the processes."""

import contextlib
import ctypes
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# newgate names its cgroup by its root: two runs at once are not to have the same.
BASE = Path("/run/bench-" + secrets.token_hex(4))
CGROUP = Path("/sys/fs/cgroup") / BASE.name
# First id of the first jail's users, of newgate's as of the others' (state/state.h).
ID_BASE = 0x40000000
PUBLIC = "203.0.113.10"

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A command that should have succeeded did not."""


def enter_namespaces(argv):
    """Replaces this process by itself in new namespaces; returns where it is in them already. With
    them ends whatever was started there; until then the shell reaps it."""
    if os.environ.pop("NG_BENCH", None) == "inside":
        return
    os.environ["NG_BENCH"] = "inside"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--uts", "--ipc", "--propagation", "private",
                          "--pid", "--fork", "--kill-child", "--mount-proc",
                          "bash", "-c", '"$0" "$@" & wait $!', "/usr/bin/python3", *argv])


def run(*argv, input=None, timeout=120, env=None):
    p = subprocess.run([str(a) for a in argv], input=input, text=True, capture_output=True,
                       timeout=timeout, env={**os.environ, **(env or {})},
                       **({} if input is not None else {"stdin": subprocess.DEVNULL}))
    if p.returncode != 0:
        raise Failed(f"{p.stdout}{p.stderr}{argv[0]} ended with {p.returncode}")
    return p.stdout


def run_quietly(*argv, timeout=300):
    """The same for a command that leaves processes behind, which would keep a pipe open."""
    with tempfile.TemporaryFile() as said:
        status = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=said,
                                stderr=said, timeout=timeout).returncode
        if status != 0:
            said.seek(0)
            raise Failed(f"{said.read().decode()}{argv[0]} ended with {status}")


class Machine:
    def __init__(self, build):
        self.build = Path(build).resolve()
        self.tools = self.build / "bench"
        self.root = BASE / "tree"     # a small Linux tree, with the host's owners
        self.shifted = BASE / "shifted"  # the same with the jail's
        self.state = BASE / "state"
        self.ng = BASE / "ng"         # newgate's -R
        self.roots = []               # each of them that was used
        self._prepare()

    def _prepare(self):
        if run("ip", "-o", "link", "show", "up"):
            raise Failed("this network namespace is in use: nothing is measured here")
        os.environ["PATH"] = f"{BASE}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        os.environ["NEWGATE_ROOT"] = str(self.ng)
        for folder in ("/run", "/var/lib/containers"):
            if Path(folder).is_dir():
                run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        for folder in ("/run/netns", "/run/lock", BASE / "bin", self.state):
            Path(folder).mkdir(parents=True)
        # crun gives its standard input to the container's root: not the machine's /dev/null.
        os.mknod(BASE / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.chmod(BASE / "null", 0o666)
        run("mount", "--bind", BASE / "null", "/dev/null")
        self.add_root(self.ng)
        for name in ("newgate", "jail", "jls", "jexec", "pfctl"):
            (BASE / "bin" / name).symlink_to(self.build / "src" / "cmd" / "newgate")
        # As on a machine of today: one cgroup v2, and nothing else there.
        run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        CGROUP.mkdir()
        self._tree()
        run("nft", "add table inet floor; add set inet floor jails { type ipv4_addr; }")
        self._network()

    def _tree(self):
        for folder in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var/log"):
            (self.root / folder).mkdir(parents=True)
        busybox = self.root / "bin" / "busybox"
        shutil.copy2("/bin/busybox", busybox)
        for applet in ("true", "sh", "sleep", "ip", "cat", "ls", "mount"):
            os.link(busybox, self.root / "bin" / applet)
        if (self.tools / "idle").exists():
            shutil.copy2(self.tools / "idle", self.root / "bin" / "idle")
        (self.root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (self.root / "etc" / "group").write_text("root:x:0:\n")
        for name in ("hosts", "resolv.conf"):
            (self.root / "etc" / name).touch()
        shutil.copytree(self.root, self.shifted, symlinks=True)
        for path in [self.shifted, *self.shifted.rglob("*")]:
            os.chown(path, ID_BASE, ID_BASE)

    def _network(self):
        """eth0, with a public address and somebody behind it."""
        self.add_netns("internet")
        run("ip", "-batch", "-", input=f"""
            link set lo up
            link add eth0 type veth peer name wan netns internet
            link set eth0 up
            address add {PUBLIC}/24 dev eth0
            route add default via 203.0.113.1
            """)
        run("ip", "-n", "internet", "-batch", "-", input="""
            link set lo up
            link set wan up
            address add 203.0.113.1/24 dev wan
            """)

    def add_netns(self, name):
        run("ip", "netns", "add", name)
        return Path("/run/netns") / name

    def add_root(self, path):
        path.mkdir()
        self.roots.append(path)
        return path

    def close(self):
        """The cgroups; all else ends with the namespaces. What failed may have left jails behind."""
        for root in self.roots:
            if any((root / "run/newgate/jails").glob("*")):
                run("jail", "-q", "-R", "*", env={"NEWGATE_ROOT": str(root)})
            remove_cgroups(cgroup_of(root))
        remove_cgroups(CGROUP)

    # --- measuring ---

    def spawn(self, rounds, contestants, gap=30, warm=1):
        """Runs each contestant's command in turn. A contestant is (before, timed, after): lists of
        commands, one command, a list of commands; or one command alone. Returns a list of seconds
        for each."""
        argv = [self.tools / "spawn", "-g", gap, "-w", warm, rounds]
        for c in contestants:
            before, timed, after = c if isinstance(c, tuple) else ([], c, [])
            for word, commands in (("--before", before), ("--time", [timed]), ("--after", after)):
                for command in commands:
                    argv += [word, *command]
        lines = run(*argv, timeout=600).splitlines()
        return [[int(ns) / 1e9 for ns in column] for column in zip(*map(str.split, lines))]

    def floor(self, *options, parts="user,net,veth,element,overlay,cgroup,filter",
              command="/bin/true"):
        self.layers(1)
        return [self.tools / "floor", "-p", parts, "-r", self.root, "-s", self.state,
                "-c", CGROUP, *options, command]

    def layers(self, count):
        """What overlays of the floor's jails 0 to count - 1 change."""
        for i in range(count):
            for name in ("upper", "work", "root"):
                path = self.state / str(i) / name
                if not path.exists():
                    path.mkdir(parents=True)
                    os.chown(path, ID_BASE, ID_BASE)

    def within(self, netns):
        """The calling thread has that network meanwhile."""
        return _within(netns)


@contextlib.contextmanager
def _within(netns):
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for fd in (there, home):
            if _libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            if fd == there:
                yield
    finally:
        os.close(there)
        os.close(home)


def cgroup_of(root):
    """newgate's, by its -R: FNV-1a, 32 bits (state/state.c)."""
    h = 0x811C9DC5
    for byte in str(root).encode():
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    return Path(f"/sys/fs/cgroup/newgate-{h:08x}")


def remove_cgroups(path):
    if path.is_dir():
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)
