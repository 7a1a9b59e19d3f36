"""newgate doctor: what it finds is there, what it says to type mends it, and it only looks."""

import json
import subprocess

import pytest

WEB = 'web { path = "/var/jails/web"; persist; interface = lo1; ip4.addr = 10.100.0.2; %s }\n'
RC = 'cloned_interfaces="lo1"\nifconfig_lo1="inet 10.100.0.1/24"\n'
OUT = "198.51.100.7"


def doctor(vps, check, status=None, **options):
    """The findings of one check; its exit status must fit them."""
    got = vps.run("newgate", "doctor", "--json", check, status=None, **options)
    found = json.loads(got.stdout)["findings"]
    assert got.stderr == ""
    assert all(f["check"] == check and f["what"] and f["why"] and f["fix"] for f in found), found
    levels = {f["level"] for f in found}
    assert got.returncode == (1 if "hinders" in levels else 2 if levels else 0)
    if status is not None:
        assert got.returncode == status, found
    return found


def mend(vps, finding):
    """Types what it says."""
    for line in finding["fix"]:
        if not line.startswith("#"):
            vps.run("sh", "-c", line)


def web(vps, more="", start=True):
    vps.busybox("/var/jails/web")
    vps.write("/etc/jail.conf", WEB % more)
    vps.write("/etc/rc.conf", RC)
    if start:
        vps.run("jail", "-c", "web")
        return vps.jail("web")


def gets_out(vps, jail):
    """Whether a connection from the jail gets to the internet. What is refused fails at once; what is
    dropped in silence is seen by the counter of a packet that did not come."""
    server = vps.listen("internet", "udp", OUT, 4000)
    client = vps.connect(jail, "udp", OUT, 4000)
    client.send(b"x")
    server.settimeout(0.5)
    try:
        server.recvfrom(8)
        return True
    except TimeoutError:
        return False
    finally:
        server.close()
        client.close()


# --- other firewalls ---

NFT = """
table inet filter {
    chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
    }
}"""

FIREWALLD = """
table inet firewalld {
    chain filter_FWD_trusted { accept; }
    chain filter_FWD_public { reject with icmpx admin-prohibited; }
    chain filter_FORWARD_ZONES {
        %s
        iifname "eth0" goto filter_FWD_public
        goto filter_FWD_public
    }
    chain filter_FORWARD { type filter hook forward priority 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        jump filter_FORWARD_ZONES
        reject with icmpx admin-prohibited
    }
}"""

DOCKER = """
iptables -P FORWARD DROP
iptables -N DOCKER-USER
iptables -N DOCKER-FORWARD
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -j DOCKER-FORWARD
iptables -A DOCKER-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A DOCKER-FORWARD -i docker0 ! -o docker0 -j ACCEPT
"""

UFW = """
iptables -P FORWARD DROP
for c in ufw-before-forward ufw-user-forward ufw-after-logging-forward; do
    iptables -N $c; iptables -A FORWARD -j $c; done
iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A ufw-before-forward -p icmp --icmp-type 8 -j ACCEPT
iptables -A ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
"""


def nft(vps, text):
    vps.run("nft", "-f", "-", input=text)


def test_a_drop_policy(vps):
    jail = web(vps, 'rdr = "tcp 80";')
    assert doctor(vps, "filter", 0) == []
    nft(vps, NFT)
    assert not gets_out(vps, jail)
    [f] = doctor(vps, "filter", 1)
    assert f["what"] == ("chain forward of table inet filter drops what jails send to the internet, and "
                         "what rdr leads to jails")
    mend(vps, f)
    assert gets_out(vps, jail)
    server = vps.listen(jail, "tcp", "10.100.0.2", 80)
    assert vps.seen("internet", "tcp", "203.0.113.10", 80, server, source=OUT) == OUT
    assert doctor(vps, "filter", 0) == []


def test_docker(vps):
    jail = web(vps, 'rdr = "tcp 80";')
    vps.run("sh", "-ec", DOCKER)
    assert not gets_out(vps, jail)
    [f] = doctor(vps, "filter", 1)
    assert "(Docker's)" in f["what"] and all("DOCKER-USER" in c for c in f["fix"][:2])
    mend(vps, f)
    assert gets_out(vps, jail)
    assert doctor(vps, "filter", 0) == []


def test_ufw(vps):
    jail = web(vps)
    vps.run("sh", "-ec", UFW)
    assert not gets_out(vps, jail)
    [f] = doctor(vps, "filter", 1)
    assert "(ufw's)" in f["what"] and f["fix"] == ["ufw route allow in on ng+"]
    # What that command comes to.
    vps.run("iptables", "-A", "ufw-user-forward", "-i", "ng+", "-j", "ACCEPT")
    assert gets_out(vps, jail)
    assert doctor(vps, "filter", 0) == []


def test_firewalld(vps):
    jail = web(vps, 'rdr = "tcp 80";')
    nft(vps, FIREWALLD % "")
    assert not gets_out(vps, jail)
    [f] = doctor(vps, "filter", 1)
    assert f["what"] == ("chain filter_FORWARD of table inet firewalld (firewalld's) drops what jails "
                         "send to the internet")
    assert "of chain filter_FWD_public" in f["why"]
    assert f["fix"][0] == "firewall-cmd --permanent --zone=trusted --add-interface=ng+"
    nft(vps, "delete table inet firewalld\n" + FIREWALLD % 'iifname "ng*" goto filter_FWD_trusted')
    assert gets_out(vps, jail)
    assert doctor(vps, "filter", 0) == []


def test_the_old_iptables(vps):
    jail = web(vps)
    got = vps.run("iptables-legacy", "-P", "FORWARD", "DROP", status=None)
    if got.returncode:
        pytest.skip(f"this kernel has no old iptables: {got.stderr.strip()}")
    assert not gets_out(vps, jail)
    [f] = doctor(vps, "filter", 1)
    assert "of the old iptables" in f["what"]
    vps.run("sh", "-c", f["fix"][0])
    assert gets_out(vps, jail)
    assert doctor(vps, "filter", 0) == []


def test_a_rule_that_is_not_understood(vps):
    web(vps)
    nft(vps, NFT.replace("ct state established,related", "meta mark 7"))
    [f] = doctor(vps, "filter", 2)
    assert "may drop" in f["what"]


def test_only_what_is_wanted_is_looked_at(vps):
    """The input chain matters where a jail may connect to the host, IPv6 where a jail has it."""
    nft(vps, "table inet x { chain i { type filter hook input priority 0; policy drop; }; }")
    nft(vps, "table ip6 x { chain f { type filter hook forward priority 0; policy drop; }; }")
    web(vps)
    assert doctor(vps, "filter", 0) == []
    vps.write("/etc/jail.conf", WEB % 'allow.connect = "host tcp 5432";')
    [f] = doctor(vps, "filter", 1)
    assert "chain i of table inet x drops what jails send to the host" in f["what"]
    vps.write("/etc/jail.conf", WEB % 'ip6.addr = "fd00:1::2";')
    [f] = doctor(vps, "filter", 1)
    assert "chain f of table ip6 x" in f["what"]


def test_flush(vps):
    vps.write("/etc/nftables.conf", "#!/usr/sbin/nft -f\n\nflush ruleset\n")
    [f] = doctor(vps, "flush", 2)
    assert f["what"].endswith("/etc/nftables.conf flushes every table")
    vps.write("/etc/nftables.conf", "# flush ruleset\nflush table inet filter\n")
    assert doctor(vps, "flush", 0) == []


# --- the network ---

def link(vps, name):
    """An interface with somebody behind it."""
    vps.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
    vps.run("ip", "link", "set", f"{name}-peer", "up")
    vps.run("ip", "link", "set", name, "up")



LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
                  socket.SOCK_DGRAM if sys.argv[3] == "udp" else socket.SOCK_STREAM)
s.bind((sys.argv[1], int(sys.argv[2])))
if sys.argv[3] == "tcp":
    s.listen(1)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("address,port,proto,taken", [
    ("0.0.0.0", 22, "tcp", True), ("203.0.113.10", 8005, "tcp", True), ("::", 8005, "tcp", True),
    ("0.0.0.0", 53, "udp", True), ("127.0.0.1", 22, "tcp", False), ("::1", 8005, "tcp", False),
    ("0.0.0.0", 22, "udp", False), ("0.0.0.0", 8011, "tcp", False), ("0.0.0.0", 25, "tcp", False)])
def test_a_taken_port(vps, address, port, proto, taken):
    web(vps, 'rdr = "tcp 22 -> 2222", "tcp 8000-8010", "udp 53", "tcp 25 from 192.0.2.0/24";', start=False)
    p = vps.popen("/usr/bin/python3", "-c", LISTEN, address, str(port), proto, stdin=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    found = doctor(vps, "ports", 1 if taken else 0)
    p.communicate("")
    assert bool(found) == taken
    if taken:
        assert found[0]["what"].startswith("python3 (process ")
        assert found[0]["what"].endswith(f"listens on {proto} port {port}, which leads to jail web")
        assert ("locked out" in found[0]["why"]) == (port == 22)
    assert doctor(vps, "ports", 0) == []


def test_forwarding(vps):
    """Off is how a fresh host is; it matters once a jail runs, and what would switch it off again."""
    web(vps, start=False)
    assert doctor(vps, "forwarding", 0) == []
    vps.run("jail", "-c", "web")
    assert doctor(vps, "forwarding", 0) == []
    vps.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    [f] = doctor(vps, "forwarding", 1)
    mend(vps, f)
    assert doctor(vps, "forwarding", 0) == []
    vps.write("/etc/sysctl.d/50-tight.conf", "# x\n net/ipv4/ip_forward = 0\n")
    [f] = doctor(vps, "forwarding", 2)
    assert f["what"].endswith("50-tight.conf switches forwarding off: net.ipv4.ip_forward=0")
    vps.write("/etc/sysctl.d/50-tight.conf", "net.ipv4.ip_forward = 0\n")
    mend(vps, doctor(vps, "forwarding", 2)[0])
    assert doctor(vps, "forwarding", 0) == []


def test_reverse_path(vps):
    link(vps, "eth1")
    vps.run("ip", "address", "add", "198.18.5.10/24", "dev", "eth1")
    vps.run("sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=2")
    assert doctor(vps, "reverse-path", 0) == []
    vps.run("sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=1", "net.ipv4.conf.all.rp_filter=0")
    [f] = doctor(vps, "reverse-path", 2)
    assert f["what"] == "eth1 drops what comes from the internet to 198.18.5.10"
    vps.run("sh", "-c", f["fix"][0])
    assert doctor(vps, "reverse-path", 0) == []


def test_resolver(vps):
    vps.write("/etc/resolv.conf", "nameserver 127.0.0.53\n")
    vps.write("/run/systemd/resolve/resolv.conf", "nameserver ::1\n")
    [f] = doctor(vps, "resolver", 1)
    assert "stub" in f["what"]
    vps.write("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
    assert doctor(vps, "resolver", 0) == []
    vps.write("/etc/resolv.conf", "nameserver 203.0.113.10\n")
    [f] = doctor(vps, "resolver", 2)
    assert f["what"] == "the name server 203.0.113.10 is this host itself"


def test_ranges(vps):
    web(vps)
    assert doctor(vps, "ranges", 0) == []
    link(vps, "wg0")
    vps.run("ip", "route", "add", "10.100.0.0/16", "dev", "wg0")
    [f] = doctor(vps, "ranges", 1)
    assert f["what"] == "the network 10.100.0.0/24 of lo1 overlaps 10.100.0.0/16 routed to wg0"
    vps.run("ip", "address", "add", "10.100.0.77/30", "dev", "wg0")
    [f] = doctor(vps, "ranges", 1)
    assert f["what"] == "the network 10.100.0.0/24 of lo1 overlaps 10.100.0.77/30 of wg0"
    vps.run("ip", "link", "delete", "wg0")
    vps.write("/etc/rc.conf", RC.replace('="lo1"', '="lo1 lo2"') + 'ifconfig_lo2="inet 10.100.0.129/25"\n')
    [f] = doctor(vps, "ranges", 1)
    assert f["what"] == "the network 10.100.0.128/25 of lo2 overlaps 10.100.0.1/24 of lo1"


def test_mtu(vps):
    web(vps)
    assert doctor(vps, "mtu", 0) == []
    vps.run("ip", "link", "set", "eth0", "mtu", "1400")
    [f] = doctor(vps, "mtu", 2)
    assert f["what"].startswith("web (ng") and f["what"].endswith("has another packet size than eth0 (1400)")
    mend(vps, f)
    assert doctor(vps, "mtu", 0) == []
    vps.write("/etc/jail.conf", WEB % 'ip6.addr = "fd00:1::2";')
    vps.run("jail", "-r", "web")
    vps.wait_links_gone()
    vps.run("ip", "link", "set", "eth0", "mtu", "1200")
    [f] = doctor(vps, "mtu", 1)
    mend(vps, f)
    assert doctor(vps, "mtu", 0) == []


# --- the host ---

def test_leftovers(vps):
    jail = web(vps, 'rdr = "tcp 80";')
    assert doctor(vps, "leftovers", 0) == []
    link = vps.record("web")["link"]
    vps.run("ip", "link", "delete", link)
    [f] = doctor(vps, "leftovers", 1)
    assert f["what"] == f"web: its link {link} is gone: somebody changed it"
    assert f["fix"] == ["newgate up"]
    mend(vps, f)
    assert doctor(vps, "leftovers", 0) == []
    vps.run("nft", "delete", "table", "inet", "newgate")
    [f] = doctor(vps, "leftovers", 1)
    mend(vps, f)
    assert doctor(vps, "leftovers", 0) == []
    vps.run("kill", "-9", str(vps.jail("web").pid))
    vps.wait_links_gone()
    [f] = doctor(vps, "leftovers", 1)
    assert f["what"].startswith("web: its processes ended by themselves")
    mend(vps, f)
    assert doctor(vps, "leftovers", 0) == []
    assert gets_out(vps, vps.jail("web")) and jail.pid != vps.jail("web").pid


def test_idmap(vps):
    vps.write("/etc/jail.conf", 'web { path = "/srv/web"; persist; }\n')
    assert doctor(vps, "idmap", 0) == []
    vps.path("/srv").mkdir()
    vps.run("mount", "-t", "ramfs", "ramfs", vps.path("/srv"))
    [f] = doctor(vps, "idmap", 1)
    assert "is on ramfs, which cannot map owners" in f["what"]
    vps.run("umount", vps.path("/srv"))


def test_disk(vps):
    at = vps.path("/var/lib/newgate")
    at.mkdir(parents=True)
    vps.run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", at)
    [f] = doctor(vps, "disk", 1)
    assert f["what"].startswith(f"{at} has 32 MiB left")
    vps.run("umount", at)
    vps.run("mount", "-t", "tmpfs", "-o", "size=512m,nr_inodes=500", "tmpfs", at)
    [f] = doctor(vps, "disk", 1)
    assert "inodes left" in f["what"]
    mend(vps, f)  # it tells where they are
    vps.run("umount", at)


def test_path(vps):
    assert doctor(vps, "path", 0) == []
    bin = vps.folder / "java"
    bin.mkdir()
    (bin / "jexec").write_text("#!/bin/sh\n")
    (bin / "jexec").chmod(0o755)
    path = vps.env["PATH"]
    newgate = vps.folder / "bin" / "newgate"
    got = vps.run(newgate, "doctor", "--json", "path", status=2, env={"PATH": f"{bin}:{path}"})
    [f] = json.loads(got.stdout)["findings"]
    assert f["what"] == f"jexec along PATH is {bin}/jexec, which is not this newgate's"
    assert "OpenJDK" in f["why"]
    vps.run("sh", "-c", f"{f['fix'][0]}; exec newgate doctor path", env={"PATH": f"{bin}:{path}"})
    got = vps.run(newgate, "doctor", "--json", "path", status=2, env={"PATH": "/bin"})
    assert "along PATH there is no " in got.stdout


def test_tools(vps):
    assert doctor(vps, "tools", 0) == []
    vps.run("mount", "--bind", "/dev/null", "/usr/sbin/nft")
    [f] = doctor(vps, "tools", 1)
    assert f["what"] == "nft is missing" and f["fix"] == ["apt install nftables"]
    vps.run("umount", "/usr/sbin/nft")


def test_configuration(vps):
    vps.write("/etc/jail.conf", "web { exec.strat = 1; }\n")
    vps.write("/etc/rc.conf", "jail_enable=perhaps\n")
    [f] = doctor(vps, "configuration", 1)
    assert f["what"] == "the configuration has 2 faults"
    assert f["fix"] == ["newgate check"]


def test_what_it_prints(vps):
    vps.write("/etc/jail.conf", "web { exec.strat = 1; }\n")
    got = vps.run("newgate", "doctor", "configuration", status=1).stdout
    assert got == """\
configuration: the configuration has 1 fault
  why nothing starts before all of it makes sense; what else is told here is
      about running jails alone
  fix newgate check

1 thing hinders jails
"""
    vps.write("/etc/jail.conf", "")
    assert vps.run("newgate", "doctor", "flush").stdout == "nothing hinders jails\n"
    every = vps.run("newgate", "doctor", "-v", status=None).stdout
    names = {line.split(":")[0] for line in every.splitlines() if ":" in line and line[0] != " "}
    assert {"kernel", "filter", "leftovers", "neighbours", "clock"} <= names
    got = vps.run("newgate", "doctor", "prots", status=1)
    assert got.stderr == 'newgate doctor: there is no check "prots" (did you mean "ports"?)\n'


def test_it_only_looks(vps):
    web(vps, 'ip6.addr = auto; rdr = "tcp 80";', start=False)

    def everything():
        return [vps.run(*argv).stdout for argv in (
            ["nft", "list", "ruleset"], ["ip", "address"], ["ip", "route", "show", "table", "all"],
            ["sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"],
            ["find", vps.root, "-type", "f"])]
    before = everything()
    vps.run("newgate", "doctor", status=None)
    assert everything() == before
