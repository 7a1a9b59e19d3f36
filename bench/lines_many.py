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


def slab():
    """Bytes of the kernel's objects that are in use: what is free in their pages may be from before."""
    total = 0
    for line in Path("/proc/slabinfo").read_text().splitlines()[2:]:
        _, active, _, size = line.split()[:4]
        total += int(active) * int(size)
    return total


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
        self.begin, self.end, self.links = start, stop, links
        self.seconds, self.slab = [], []

    def start(self, count):
        before, begin = slab(), time.monotonic()
        run_quietly(*self.begin)
        self.seconds.append(time.monotonic() - begin)
        self.slab.append((slab() - before) / count / 1024)

    def stop(self):
        run(*self.end)
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
    newgate = Kept(["jail", "-q", "-c"], ["jail", "-q", "-r", "*"],
                   "ng")
    # The first time every jail is cloned, and caches fill that stay: it does not count.
    for _ in range(1 + max(rounds // 8, 1)):
        for kept in (floor, newgate):
            kept.start(count)
            kept.stop()
    for kept in (floor, newgate):
        del kept.seconds[0], kept.slab[:]
    ours = report.times(f"newgate, {count} jails", newgate.seconds)
    bare = report.times(f"floor, {count} jails", floor.seconds)
    report.ratio("newgate / floor", ours / bare, 1.4)
    with report.peers():
        crun = crun_many(m, count)
        report.value(f"crun run -d, {count} without network", crun * 1e3, "ms")
        report.ratio("newgate / crun without network", ours / crun, 0.4)
    held(m, report, count, floor, newgate, names)


def held(m, report, count, floor, newgate, names):
    """Both at once: so nothing that is taken down meanwhile counts."""
    time.sleep(2)  # what was taken down before is freed after grace periods that nothing announces
    for kept in (floor, newgate):
        kept.start(count)
    report.value(f"newgate-init's PSS beside {count} others",
                 median(pss(pid_of(m.ng, name)) for name in names[:50]), "kB")
    for kept in (floor, newgate):
        kept.stop()
    report.value("slab a jail, floor", floor.slab[-1], "kB")
    report.value("slab a jail, newgate", newgate.slab[-1], "kB")
    report.ratio("slab, newgate / floor", newgate.slab[-1] / floor.slab[-1], 1.05)


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
    """The median of several starts: where the kernel begins the stack is random, and with it how many
    pages that touches."""
    lines_start.configure(m, lines_start.KEPT + "idle { }")
    sizes = []
    for _ in range(max(rounds, 9)):
        run_quietly("jail", "-q", "-c", "idle")
        sizes.append(pss(pid_of(m.ng, "idle")))
        run("jail", "-q", "-r", "idle")
    report.bound("PSS of the one process of an idle jail, alone", median(sizes), 30, "kB")
