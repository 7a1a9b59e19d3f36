"""Lines about pf.conf: how fast it is loaded, and what its rules cost a packet."""

import peers
from lines_net import PINGS, Path3, Routed, in_turn, inside_network
from machine import BASE, run
from report import median

CONNECTIONS = 2000


def sources(n):
    return [f"198.{18 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(n)]


class PfRouter(Path3):
    """A router whose firewall is pf.conf."""

    def __init__(self, m, name, number):
        super().__init__(m, name, number)
        self.root = m.add_root(BASE / f"ng-{name}")
        (self.root / "etc").mkdir()
        (self.root / "etc/rc.conf").write_text('pf_enable="YES"\ngateway_enable="YES"\n')
        (self.root / "etc/jail.conf").write_text("")
        self.inside = m.add_netns(f"{name}-inside")
        run("ip", "-n", self.router.name, "-batch", "-", input=f"""
            link add inner type veth peer name eth0 netns {self.inside.name}
            link set inner up
            address add 10.200.0.1/24 dev inner
            """)
        inside_network(self.inside.name, "10.200.0.2/24", "10.200.0.1")
        self.address, self.first = "10.200.0.2", 80

    def load(self, text):
        (self.root / "etc/pf.conf").write_text(text)
        self.on_router("pfctl", "-q", "-f", "/etc/pf.conf", env={"NEWGATE_ROOT": str(self.root)})


def pf_rules(n, port):
    """Nobody of these gets through; then what does."""
    return "".join([*(f"block in quick proto tcp from {a} to any port {port}\n" for a in sources(n)),
                    "pass\n"])


def nft_rules(n, port):
    return "".join(["flush ruleset\ntable inet filter {\n\tchain prerouting {\n",
                    "\t\ttype filter hook prerouting priority filter; policy accept;\n",
                    "\t\tct state established,related accept\n",
                    *(f"\t\tip saddr {a} tcp dport {port} counter drop\n" for a in sources(n)),
                    "\t}\n}\n"])


def iptables_rules(n, port):
    return "\n".join(["*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT",
                      "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                      *(f"-A FORWARD -s {a}/32 -p tcp -m tcp --dport {port} -j DROP"
                        for a in sources(n)), "COMMIT", ""])


def loading(m, report, rounds):
    """Two files in turn, so that each load changes something."""
    router = PfRouter(m, "pf-load", 6)
    within = ["nsenter", f"--net={router.router}"]
    env = ["env", f"NEWGATE_ROOT={router.root}"]
    for n in (10, 1000, 10000):
        files = []
        for k in range(2):
            (router.root / f"etc/{n}-{k}.conf").write_text(pf_rules(n, 80 + k))
            plain = BASE / f"{n}-{k}.nft"
            plain.write_text(nft_rules(n, 80 + k))
            files.append(plain)
        few = rounds if n < 10000 else max(rounds // 3, 3)
        pf = [[*within, *env, "pfctl", "-q", "-f", f"/etc/{n}-{k}.conf"] for k in range(2)]
        nft = [[*within, "nft", "-f", plain] for plain in files]
        ours, theirs = m.spawn(few, [([pf[1]], pf[0], []), ([nft[1]], nft[0], [])], gap=0)
        report.value(f"{n:,} rules, pfctl -f", median(ours) * 1e3, "ms")
        report.value(f"{n:,} rules, nft -f", median(theirs) * 1e3, "ms")
        if n < 1000:  # what serves jail.conf is loaded with them
            report.bound(f"{n:,} rules at once with the chains of jails", median(ours) * 1e3, 150,
                         "ms")
        else:
            report.ratio(f"{n:,} rules, pfctl -f / nft -f", median(ours) / median(theirs), 1.5)


def rules(m, report, rounds):
    """Every rule of them is asked about every new connection, and none of them is about it."""
    n, rounds = 1000, max(rounds // 3, 3)
    routed, pf = Routed(m, "pf-none", 7), PfRouter(m, "pf-many", 8)
    pf.load(pf_rules(n, 80))
    paths = {"no firewall": routed, f"{n:,} pf rules": pf}
    with report.peers():
        peers.need("iptables-nft-restore")
        tables = paths[f"{n:,} of iptables-nft"] = Routed(m, "pf-iptables", 9)
        tables.on_router("iptables-nft-restore", input=iptables_rules(n, 80))
    rate = in_turn(rounds, {name: lambda path=path: path.traffic(
        "connect", CONNECTIONS, path.inside, 80, path.outside, path.address, 80, 1)
        for name, path in paths.items()})
    # What is answered in turn is packets a second, too: two for each.
    trip = in_turn(rounds, {name: lambda path=path: path.traffic(
        "ping", PINGS, path.inside, 5002, path.outside, path.address, 5002)
        for name, path in paths.items()})
    for name in paths:
        report.value(f"connections through {name}", rate[name], "/s")
        report.value(f"packets through {name}, one after the other", 2e6 / trip[name], "/s")
    report.ratio(f"connections, {n:,} pf rules / no firewall",
                 rate[f"{n:,} pf rules"] / rate["no firewall"], 0.85, True)
    if f"{n:,} of iptables-nft" in paths:
        report.ratio(f"connections, {n:,} pf rules / of iptables-nft",
                     rate[f"{n:,} pf rules"] / rate[f"{n:,} of iptables-nft"], 1.2, True)
        report.ratio(f"packets, {n:,} pf rules / of iptables-nft",
                     trip[f"{n:,} of iptables-nft"] / trip[f"{n:,} pf rules"], 0.9, True)
