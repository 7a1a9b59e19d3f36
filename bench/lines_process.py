"""Lines about what happens in one process: elements, clones, configuration."""

from machine import BASE, HERE, run
from report import median


def element(m, report, rounds):
    netns = m.add_netns("elements")
    within = ["nsenter", f"--net={netns}"]
    run(*within, "nft", "-f", HERE.parent / "src/net/rules.nft")
    # A line for each number of redirects that are there already.
    got = {int(n): (float(a), float(d)) for n, a, d in
           map(str.split, run(*within, m.tools / "elements").splitlines())}
    for others, (add, delete) in got.items():
        report.bound(f"adding a redirect beside {others:,}", add, 10, "µs")
        report.bound(f"removing a redirect beside {others:,}", delete, 10, "µs")
    # Flat: what differs is the noise of two measurements.
    report.ratio("both beside 10,000 / beside 1,000", sum(got[10000]) / sum(got[1000]), 1.25)


def cloning(m, report, rounds):
    root = m.add_root(BASE / "ng-clones")
    run("newgate", "template", "create", "bench", "--from", m.root,
        env={"NEWGATE_ROOT": str(root)})
    clone, destroy = map(float, run(m.tools / "clones", root, "bench", 4 * rounds).split())
    report.bound("clone by overlay, in process", clone, 1, "ms")
    report.value("destroying it", destroy, "ms")


def configuration(m, report, rounds):
    conf = BASE / "jails.conf"
    jails = 10000
    conf.write_text("".join([
        'exec.start = "/bin/sh /etc/rc";\nexec.stop = "/bin/sh /etc/rc.shutdown";\nexec.clean;\n'
        'mount.devfs;\npath = "/var/jails/$name";\nhost.hostname = "$name.example.org";\n'
        'interface = "lo100";\n',
        *(f'jail{i} {{\n\tip4.addr = 10.{100 + i // 65536}.{i // 256 % 256}.{i % 256};\n'
          f'\trdr = "tcp {10000 + i} -> 80";\n'
          f'\tallow.connect = "internet", "jail{(i + 1) % jails} tcp 25";\n}}\n'
          for i in range(jails))]))
    [seconds] = m.spawn(rounds, [[m.tools / "readconf", conf]], gap=0)
    report.bound("reading, resolving, checking 10,000 jails", median(seconds) * 1e3, 150, "ms")
