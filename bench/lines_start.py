"""Lines about starting, stopping and entering jails."""

import peers
from machine import BASE, run, run_quietly
from report import median, ratio_of

NO_NET = "user,net,overlay,cgroup,filter"

# The first start of a jail clones it by overlay: that is in the round that is not counted.
COMMON = """
exec.clean;
mount.devfs;
path = "/var/jails/$name";
template = bench;
"""
# A jail that ends with exec.start: nothing else runs in it and it is not persistent.
ONE_SHOT = COMMON + 'exec.start = "/bin/true";\n'
KEPT = COMMON + "persist;\n"
# Redirected to, and with a permission of its own: all that the firewall has to do with a jail.
NETWORKED = """
interface = "lo100";
ip4.addr = auto;
rdr = "tcp 8080 -> 80";
allow.connect = "internet";
"""


def configure(m, text):
    """jail.conf, on a host with a network of jails and a template."""
    etc = m.ng / "etc"
    if not etc.exists():
        etc.mkdir()
        (etc / "rc.conf").write_text('cloned_interfaces="lo100"\n'
                                     'ifconfig_lo100_alias0="inet 10.100.0.1/16"\n')
        run("newgate", "template", "create", "bench", "--from", m.root)
    (etc / "jail.conf").write_text(text)


def race(m, report, rounds, contestants):
    """Runs them in turn and reports what each took. {name: contestant} -> {name: seconds}."""
    times = dict(zip(contestants, m.spawn(rounds, contestants.values())))
    for name in contestants:
        report.times(name, times[name])
    return times


def create(m, report, rounds):
    configure(m, ONE_SHOT + NETWORKED + "net { }")
    contestants = {"floor": m.floor(), "newgate": ["jail", "-q", "-c", "net"]}
    with report.peers():
        peers.need("crun")
        contestants["crun without network"] = crun(m, "plain")
        contestants["crun + ip -batch + nft"] = crun_networked(m)
    times = race(m, report, rounds, contestants)
    own = times["newgate"]
    report.ratio("newgate / floor", ratio_of(own, times["floor"]), 1.5)
    for name, goal in (("crun without network", 0.4), ("crun + ip -batch + nft", 0.11)):
        if name in times:
            report.value(f"(floor / {name})", ratio_of(times["floor"], times[name]), "×")
            report.ratio(f"newgate / {name}", ratio_of(own, times[name]), goal)
    with report.peers():
        podman = peers.podman(m)
        slow = race(m, report, max(rounds // 5, 3), {"podman, bridge": podman})
        report.ratio("newgate / podman, bridge", median(own) / median(slow["podman, bridge"]), 0.015)


def crun(m, name, netns=None):
    folder = BASE / f"bundle-{name}"
    peers.bundle(folder, m.shifted, ["/bin/true"], netns=netns)
    return [*peers.crun(), "run", "-b", folder, f"{name}-{{}}"]


def crun_networked(m):
    """As somebody would write it who knows how to save processes."""
    script = BASE / "crun-networked"
    netns = "crun-bench"
    plain = " ".join(map(str, crun(m, "networked", f"/run/netns/{netns}")))
    script.write_text(f"""set -e
ip netns add {netns}
ip -batch - <<.
link add c$1 type veth peer name eth0 netns {netns}
link set c$1 up
address add 169.254.1.1/32 dev c$1
route add 10.9.0.2/32 dev c$1
.
ip -n {netns} -batch - <<.
link set lo up
address add 10.9.0.2/32 dev eth0
link set eth0 up
route add 169.254.1.1 dev eth0
route add default via 169.254.1.1
.
nft add element inet floor jails '{{ 10.9.0.2 }}'
{plain.replace("{}", "$1")}
nft delete element inet floor jails '{{ 10.9.0.2 }}'
ip netns del {netns}
""")
    return ["sh", script, "{}"]


def create_nonet(m, report, rounds):
    configure(m, ONE_SHOT + "plain { }")
    contestants = {"floor": m.floor(parts=NO_NET),
                   "newgate": ["jail", "-q", "-c", "plain"]}
    with report.peers():
        peers.need("bwrap")
        contestants["bwrap --unshare-all"] = peers.bwrap(m.root, "/bin/true")
    times = race(m, report, rounds, contestants)
    report.ratio("newgate / floor", ratio_of(times["newgate"], times["floor"]), 1.4)
    if "bwrap --unshare-all" in times:
        report.ratio("newgate / bwrap",
                     ratio_of(times["newgate"], times["bwrap --unshare-all"]), 1)


def stop(m, report, rounds):
    """The floor's way to stop is to kill and wait: what is above that is newgate's own."""
    configure(m, KEPT + NETWORKED + "net { }")
    floor_list = BASE / "floor.list"
    make = m.floor("-k", "1", "-l", floor_list, command="/bin/idle")
    times = race(m, report, rounds, {
        "floor": ([make], [*make[:-1], "-x", floor_list], []),
        "newgate": ([["jail", "-q", "-c", "net"]],
                    ["jail", "-q", "-r", "net"], []),
    })
    own = median(n - f for n, f in zip(times["newgate"], times["floor"]))
    report.bound("newgate's own (newgate - floor)", own * 1e3, 1, "ms")


def enter(m, report, rounds):
    configure(m, KEPT + NETWORKED + "net { }")
    contestants = {"newgate": ["jexec", "net", "/bin/true"]}
    with report.peers():
        peers.need("crun")
        folder = BASE / "bundle-kept"
        peers.bundle(folder, m.shifted, ["/bin/idle"])
        run_quietly(*peers.crun(), "run", "-d", "-b", folder, "kept")
        contestants["crun exec"] = [*peers.crun(), "exec", "kept", "/bin/true"]
    run("jail", "-q", "-c", "net")
    times = race(m, report, rounds, contestants)
    if "crun exec" in times:
        report.ratio("newgate / crun exec", ratio_of(times["newgate"], times["crun exec"]), 0.5)
        run(*peers.crun(), "delete", "-f", "kept")
    run("jail", "-q", "-r", "net")
