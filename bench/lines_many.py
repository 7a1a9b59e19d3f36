"""Lines about a thousand jails at once, and what each of them holds."""

import re
import select
import socket
import time
from pathlib import Path

import lines_start
import peers
from machine import BASE, run, run_quietly
from report import median


def configure_many(m, count):
    names = [f"many{i}" for i in range(count)]
    text = lines_start.KEPT + 'interface = "lo100";\nip4.addr = auto;\n'
    text += "".join(f'{name} {{ rdr = "tcp {10000 + i} -> 80"; }}\n' for i, name in enumerate(names))
    lines_start.configure(m, text)
    return names


def memory(key):
    """A line of /proc/meminfo, in kB."""
    return int(re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[1])


def await_links_gone(prefix):
    """Network namespaces go a while after their jails, by themselves."""
    def there():
        return any(name.startswith(prefix) for _, name in socket.if_nameindex())

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, 1))
        while there() and select.select([events], [], [], 20)[0]:
            # More may come than the queue holds: what counts is that something changed.
            try:
                events.recv(65536)
            except OSError:
                pass
    if there():
        raise TimeoutError(f"links {prefix}* are still there")


class Kept:
    """Jails that stay: how long their start takes, and what the kernel keeps of them."""

    def __init__(self, start, stop, links):
        self.start, self.stop, self.links = start, stop, links
        self.seconds, self.slab = [], []

    def measure(self, count, meanwhile=None):
        before = memory("Slab")
        begin = time.monotonic()
        run_quietly(*self.start)
        self.seconds.append(time.monotonic() - begin)
        self.slab.append((memory("Slab") - before) / count)
        if meanwhile:
            meanwhile()
        run(*self.stop)
        await_links_gone(self.links)


def pss(pid):
    return int(re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def pid_of(root, name):
    record = (root / "run/newgate/jails" / name).read_text()
    return int(re.search(r"^pid (\d+)", record, re.M)[1])


def many(m, report, rounds):
    count = min(1000, 40 * rounds)
    names = configure_many(m, count)
    m.layers(count)
    listed = BASE / "many.list"
    make = m.floor("-k", str(count), "-l", listed, command="/bin/idle")
    floor = Kept(make, [*make[:-1], "-x", listed], "f")
    newgate = Kept(["jail", "-q", "-c", *names], ["jail", "-q", "-r", *names],
                   "ng")
    shared = []
    # The first time every jail is cloned, and caches fill that stay: it does not count.
    for _ in range(1 + max(rounds // 8, 1)):
        floor.measure(count)
        newgate.measure(count, lambda: shared.append(median(pss(pid_of(m.ng, n)) for n in names[:50])))
    for kept in (floor, newgate):
        del kept.seconds[0], kept.slab[0]
    ours = report.times(f"newgate, {count} jails", newgate.seconds)
    bare = report.times(f"floor, {count} jails", floor.seconds)
    report.ratio("newgate / floor", ours / bare, 1.4)
    with report.peers():
        crun = crun_many(m, count)
        report.value(f"crun run -d, {count} without network", crun * 1e3, "ms")
        report.ratio("newgate / crun without network", ours / crun, 0.4)
    report.value(f"newgate-init's PSS beside {count} others", shared[0], "kB")
    report.value("slab a jail, floor", median(floor.slab), "kB")
    report.value("slab a jail, newgate", median(newgate.slab), "kB")
    report.ratio("slab, newgate / floor", median(newgate.slab) / median(floor.slab), 1.05)


def crun_many(m, count):
    peers.need("crun")
    folder = peers.bundle(BASE / "bundle-many", m.shifted, ["/bin/idle"])
    crun = " ".join(peers.crun())
    begin = time.monotonic()
    run_quietly("sh", "-ec", f"for i in $(seq {count}); do {crun} run -d -b {folder} many$i; done")
    took = time.monotonic() - begin
    run("sh", "-ec", f"for i in $(seq {count}); do {crun} delete -f many$i; done", timeout=300)
    return took


def idle(m, report, rounds):
    lines_start.configure(m, lines_start.KEPT + "idle { }")
    run("jail", "-q", "-c", "idle")
    report.bound("PSS of the one process of an idle jail, alone", pss(pid_of(m.ng, "idle")), 30, "kB")
    run("jail", "-q", "-r", "idle")
