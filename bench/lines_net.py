"""Lines about packets: what redirects, translation and policy cost."""

import peers
from lines_many import pid_of
from machine import BASE, run
from report import median

CONNECTIONS, PINGS, MEBIBYTES = 2000, 4000, 256
PORT = 20000  # the first redirected port; the server behind all of them has 80


class Path3:
    """outside -- router -- inside, each a network namespace; subclasses make what is inside."""

    def __init__(self, m, name, number):
        self.m, self.name = m, name
        self.router = m.add_netns(f"{name}-router")
        self.outside = m.add_netns(f"{name}-outside")
        self.public = f"198.51.{100 + number}.1"
        self.client = f"198.51.{100 + number}.2"
        run("ip", "-n", self.router.name, "-batch", "-", input=f"""
            link set lo up
            link add eth0 type veth peer name eth0 netns {self.outside.name}
            link set eth0 up
            address add {self.public}/24 dev eth0
            route add default via {self.client}
            """)
        run("ip", "-n", self.outside.name, "-batch", "-", input=f"""
            link set lo up
            link set eth0 up
            address add {self.client}/24 dev eth0
            route add default via {self.public}
            """)
        self.on_router("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.address, self.first = self.public, PORT

    def on_router(self, *argv, **options):
        return run("nsenter", f"--net={self.router}", *argv, **options)

    def traffic(self, what, count, server, listen, client, address, port, *ports):
        return float(run(self.m.tools / "traffic", what, count, server, listen, client, address, port,
                         *ports))

    def connections(self, ports):
        """Into the jail, through the redirects."""
        return self.traffic("connect", CONNECTIONS, self.inside, 80, self.outside, self.address,
                            self.first, ports)

    def throughput(self):
        """Out of the jail."""
        return self.traffic("stream", MEBIBYTES, self.outside, 5001, self.inside, self.client, 5001)

    def round_trip(self):
        return self.traffic("ping", PINGS, self.outside, 5002, self.inside, self.client, 5002)

    def close(self):
        pass


class Routed(Path3):
    """No firewall at all."""

    def __init__(self, m, name, number):
        super().__init__(m, name, number)
        self.inside = m.add_netns(f"{name}-inside")
        run("ip", "-n", self.router.name, "-batch", "-", input=f"""
            link add jail type veth peer name eth0 netns {self.inside.name}
            link set jail up
            address add 10.100.0.1/24 dev jail
            """)
        inside_network(self.inside.name, "10.100.0.2/24", "10.100.0.1")
        self.address, self.first = "10.100.0.2", 80


def inside_network(netns, address, gateway):
    run("ip", "-n", netns, "-batch", "-", input=f"""
        link set lo up
        link set eth0 up
        address add {address} dev eth0
        route add default via {gateway}
        """)


class Newgate(Path3):
    """A jail with `ports` redirects."""

    def __init__(self, m, name, number, ports):
        super().__init__(m, name, number)
        self.root = m.add_root(BASE / f"ng-{name}")
        tree = self.root / "tree"
        (self.root / "etc").mkdir()
        run("cp", "-a", m.root, tree)
        (self.root / "etc/rc.conf").write_text(
            'cloned_interfaces="lo100"\nifconfig_lo100_alias0="inet 10.100.0.1/24"\n')
        redirects = ", ".join(f'"tcp {PORT + i} -> 80"' for i in range(ports))
        (self.root / "etc/jail.conf").write_text(
            f"""exec.clean; mount.devfs; persist;
            path = "/tree"; interface = "lo100"; ip4.addr = 10.100.0.2;
            jail {{ rdr = {redirects}; }}\n""")
        self.jail("-c")
        self.inside = f"/proc/{pid_of(self.root, 'jail')}/ns/net"

    def jail(self, *options):
        self.on_router("jail", "-q", *options, "jail", env={"NEWGATE_ROOT": str(self.root)})

    def close(self):
        self.jail("-r")


class Docker(Path3):
    """A bridge and the rules that Docker writes for `ports` containers, each with an address of its
    own and one published port. One namespace stands for all the containers."""

    def __init__(self, m, name, number, ports):
        peers.need("iptables-nft-restore")
        super().__init__(m, name, number)
        self.inside = m.add_netns(f"{name}-inside")
        run("ip", "-n", self.router.name, "-batch", "-", input=f"""
            link add docker0 type bridge
            link set docker0 up
            address add 172.17.0.1/16 dev docker0
            link add veth0 type veth peer name eth0 netns {self.inside.name}
            link set veth0 master docker0
            link set veth0 up
            """)
        inside_network(self.inside.name, "172.17.0.2/16", "172.17.0.1")
        run("ip", "-n", self.inside.name, "route", "add", "local", "172.17.16.0/20", "dev", "lo")
        self.on_router("iptables-nft-restore", input=docker_rules(ports))


def docker_rules(ports):
    containers = [(f"172.17.{16 + i // 250}.{2 + i % 250}", PORT + i) for i in range(ports)]
    nat = [f"-A DOCKER ! -i docker0 -p tcp -m tcp --dport {port} -j DNAT --to-destination {ip}:80"
           for ip, port in containers]
    hairpin = [f"-A POSTROUTING -s {ip}/32 -d {ip}/32 -p tcp -m tcp --dport 80 -j MASQUERADE"
               for ip, _ in containers]
    accept = [f"-A DOCKER -d {ip}/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"
              for ip, _ in containers]
    return "\n".join([
        "*nat", ":PREROUTING ACCEPT", ":INPUT ACCEPT", ":OUTPUT ACCEPT", ":POSTROUTING ACCEPT",
        ":DOCKER -",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", *hairpin,
        "-A DOCKER -i docker0 -j RETURN", *nat, "COMMIT",
        "*filter", ":INPUT ACCEPT", ":FORWARD DROP", ":OUTPUT ACCEPT", ":DOCKER -",
        ":DOCKER-ISOLATION-STAGE-1 -", ":DOCKER-ISOLATION-STAGE-2 -", ":DOCKER-USER -",
        "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        "-A FORWARD -i docker0 -o docker0 -j ACCEPT", *accept,
        "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
        "-A DOCKER-ISOLATION-STAGE-1 -j RETURN",
        "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP",
        "-A DOCKER-ISOLATION-STAGE-2 -j RETURN", "-A DOCKER-USER -j RETURN", "COMMIT", ""])


def in_turn(rounds, measures):
    """{name: function} -> {name: medians}, each called once a round."""
    got = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            got[name].append(measure())
    return {name: median(values) for name, values in got.items()}


def redirects(m, report, rounds):
    paths = {"1 redirect": (one := Newgate(m, "one", 1, 1), 1),
             "1,000 redirects": (many := Newgate(m, "thousand", 2, 1000), 1000)}
    with report.peers():
        paths["1,000 as Docker writes them"] = Docker(m, "docker", 3, 1000), 1000
    got = in_turn(max(rounds // 3, 3), {
        name: lambda path=path, ports=ports: path.connections(ports)
        for name, (path, ports) in paths.items()})
    for name, rate in got.items():
        report.value(name, rate, "/s")
    report.ratio("1,000 redirects / 1", got["1,000 redirects"] / got["1 redirect"], 0.98, True)
    if "1,000 as Docker writes them" in got:
        report.ratio("1,000 redirects / as Docker writes them",
                     got["1,000 redirects"] / got["1,000 as Docker writes them"], 1.5, True)
    one.close()
    many.close()


def through(m, report, rounds):
    routed, jail = Routed(m, "routed", 4), Newgate(m, "policy", 5, 1)
    rounds = max(rounds // 3, 3)
    rate = in_turn(rounds, {"routed": routed.throughput, "jail": jail.throughput})
    trip = in_turn(rounds, {"routed": routed.round_trip, "jail": jail.round_trip})
    report.value("throughput, routed without firewall", rate["routed"], "Gbit/s")
    report.value("throughput, jail with NAT and policy", rate["jail"], "Gbit/s")
    report.ratio("throughput, jail / routed", rate["jail"] / rate["routed"], 0.85, True)
    report.value("round trip, routed without firewall", trip["routed"], "µs")
    report.value("round trip, jail with NAT and policy", trip["jail"], "µs")
    report.ratio("round trip, jail / routed", trip["jail"] / trip["routed"], 1.15)
    jail.close()
