"""newgate explain: its answers, held against real packets."""

import errno
import json
import os
import random
import resource
import select
import socket
import time

import pytest

from test_up import RC, block

SEED = int(os.environ.get("NEWGATE_SEED", "20261123"))
JAILS = 30
HOST = {4: "203.0.113.10", 6: "2001:db8::10"}
OUT = {4: "198.51.100.7", 6: "2001:db8:51::7"}
METADATA = "169.254.169.254"
TCP = [25, 80, 443, 5000, 8443]
UDP = [53, 5000]
PORTS = [("tcp", p) for p in TCP] + [("udp", p) for p in UDP]
# What a program hears when the filter says no, or the network does.
REFUSALS = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES, errno.ENETUNREACH, errno.EADDRNOTAVAIL}


def explain(vps, *argv, status=None):
    got = vps.run("newgate", "explain", "--json", *argv, status=status, timeout=60)
    assert got.stdout, got.stderr
    return json.loads(got.stdout)["answers"]


# --- a world by chance ---


class World:
    """Jails with random permissions and redirects. Half of them speak IPv6 too, some have an address
    of the outside network, some share nothing with anybody."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.names = [f"j{i}" for i in range(JAILS)]
        self.address = {n: {4: f"10.100.0.{i + 2}"} for i, n in enumerate(self.names)}
        for i, name in enumerate(self.names):
            if i % 10 == 9:
                self.address[name] = {4: f"203.0.113.{100 + i}"}
            elif i % 2:
                self.address[name][6] = f"fd00:64::{i + 2:x}"
        free = [(proto, port) for proto in ("tcp", "udp") for port in (25, 80, 443, 53, 5000, 8443, 7001)]
        self.chance.shuffle(free)
        self.free = free

    def ports(self):
        words = []
        for proto in self.chance.sample(["tcp", "udp"], self.chance.randint(1, 2)):
            some = TCP if proto == "tcp" else UDP
            if self.chance.random() < 0.2:
                words.append(proto)
                continue
            picked = sorted(self.chance.sample(some, self.chance.randint(1, len(some))))
            if self.chance.random() < 0.3:
                words.append(f"{proto} {picked[0]}-{picked[-1]}")
            else:
                words.append(" ".join([proto, *map(str, picked)]))
        return " ".join(words)

    def permission(self):
        peer = self.chance.choice(
            ["internet"] * 3 + ["host"] * 2 + self.chance.sample(self.names, 8) +
            ["10.100.0.8/29", "10.100.0.0/24", "198.51.100.0/24", "0.0.0.0/0", "203.0.113.10", METADATA,
             "fd00:64::/64"])
        return peer if self.chance.random() < 0.3 else f"{peer} {self.ports()}"

    def redirect(self, name):
        proto, port = self.free.pop()
        text = f"{proto} {port}"
        if self.chance.random() < 0.5:
            text += f" -> {self.chance.choice(TCP if proto == 'tcp' else UDP)}"
        if self.chance.random() < 0.3:
            text += " from " + self.chance.choice(["198.51.100.0/24", "192.0.2.0/24, 10.0.0.0/8",
                                                   "203.0.113.1"])
        return text

    def block(self, name):
        more = []
        if name not in ("j1", "j2") and self.chance.random() < 0.75:
            values = {self.permission() for _ in range(self.chance.randint(0, 5))}
            more.append("allow.connect" + "".join(
                f"{', ' if i else ' = '}\"{v}\"" for i, v in enumerate(sorted(values))) + ";")
        if self.free and self.chance.random() < 0.5:
            more.append("rdr = " + ", ".join(
                f'"{self.redirect(name)}"' for _ in range(min(len(self.free), self.chance.randint(1, 2)))) + ";")
        address = self.address[name]
        where = "eth0" if address[4].startswith("203.") else "lo100"
        six = f'ip6.addr = "{address[6]}";' if 6 in address else ""
        return (f'{name} {{ interface = "{where}"; ip4.addr = "{address[4]}"; {six}\n    '
                + "\n    ".join(more) + "\n}\n")

    def text(self):
        return "".join(self.block(name) for name in self.names)


# --- real packets ---


class Traffic:
    """Everybody listens at every port and says his name to who comes; clients are tried in batches."""

    def __init__(self, vps, jails):
        self.vps, self.jails = vps, jails
        self.places = {**jails, "host": "vps", "internet": "internet"}
        self.poll = select.epoll()
        self.servers = {}
        self.open = []
        for name, place in self.places.items():
            with vps.within(place):
                for proto, port in PORTS + [("tcp", 7001), ("udp", 7001)]:
                    self._serve(name, proto, port)

    def _serve(self, name, proto, port):
        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port))
        s.setblocking(False)
        if proto == "tcp":
            s.listen(1024)
        else:
            s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: the answer comes from where it was sent to
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self.servers[s.fileno()] = (s, name.encode(), proto)
        self.poll.register(s, select.EPOLLIN)

    def close(self):
        for s, *_ in self.servers.values():
            s.close()
        self.poll.close()

    def _answer(self, s, name, proto):
        while True:
            try:
                if proto == "tcp":
                    conn, _ = s.accept()
                    conn.send(name)
                    conn.close()
                else:
                    _, extra, _, peer = s.recvmsg(64, 256)
                    here = [(level, kind, data) for level, kind, data in extra
                            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
                    s.sendmsg([name], here, 0, peer)
            except BlockingIOError:
                return
            except OSError:
                continue  # who asked is gone, or may not be answered

    def _begin(self, source, proto, address, port):
        """A client's socket in the current network, under way; or the name of its end: None, refused."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        c = socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
        c.setblocking(False)
        try:
            if source:
                c.bind((source[4 if family == socket.AF_INET else 6], 0))
            c.connect((address, port))
            if proto == "udp":
                c.send(b"?")
        except BlockingIOError:
            pass
        except OSError as e:
            c.close()
            assert e.errno in REFUSALS, e
            return None
        return c

    def try_all(self, source, questions, sure):
        """What becomes of each of (proto, address, port) from `source`: the name of who answers, or
        None. A question that is not answered when `sure`, one that is known to be, asked after it,
        was answered was dropped."""
        results, clients = {}, {}
        for turn in (questions, [sure] * 3):
            with self.vps.within(self.places[source]):
                for q in turn:
                    c = self._begin(OUT if source == "internet" else None, *q)
                    if c is None:
                        results[q] = None
                    else:
                        clients[c.fileno()] = (c, q if turn is questions else ("sure",))
                        self.poll.register(c, select.EPOLLIN)
            self._turn(clients, results, questions, turn is not questions)
        for c, _ in clients.values():
            c.close()
        return {q: results.get(q) for q in questions}

    def _turn(self, clients, results, questions, last):
        """Handles events: until `sure` was answered the last time."""
        left = 3 if last else 0
        deadline = time.monotonic() + 30
        while True:
            events = self.poll.poll(5 if left else 0)
            for fd, _ in events:
                if fd in self.servers:
                    self._answer(*self.servers[fd])
                elif fd in clients:
                    left -= self._end(clients, results, fd)
            if not left and not events:
                return
            assert time.monotonic() < deadline, "what is sure to be answered was not"

    def _end(self, clients, results, fd):
        c, q = clients.pop(fd)
        try:
            said = c.recv(64).decode() or None
        except OSError as e:
            assert e.errno in REFUSALS | {errno.ECONNRESET}, e
            said = None
        c.close()
        results[q] = said
        return q == ("sure",)


def expected(answers, proto, port):
    """Who answers, by what explain said: the jail where it arrives, host or internet; None: nobody."""
    for a in answers:
        if a["protocol"] == proto and a["first_port"] <= port <= a["last_port"]:
            return a
    raise AssertionError(f"no answer for {proto} {port}")


@pytest.fixture
def world(vps):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    w = World(SEED)
    print(f"NEWGATE_SEED={SEED}")
    text = w.text()
    print(text)
    vps.busybox("/var/jails/all")
    vps.write("/etc/jail.conf", 'path = "/var/jails/all"; persist;\n' + text)
    vps.write("/etc/rc.conf", RC + 'ifconfig_lo100_ipv6="inet6 fd00:64::1 prefixlen 64"\n')
    vps.run("newgate", "up", timeout=60)
    # A proxy answers after some chosen while; the router has better things to do than to ask.
    link = vps.links()["eth0"]["address"]
    for address in (a[4] for a in w.address.values() if a[4].startswith("203.")):
        vps.run_in("internet", "ip", "neigh", "replace", address, "lladdr", link, "dev", "wan",
                   "nud", "permanent")
    w.vps = vps
    w.jails = {name: vps.jail(name) for name in w.names}
    w.traffic = Traffic(vps, w.jails)
    yield w
    w.traffic.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def compare(w, source, asked, wrong):
    """asked: pairs of an address, None where explain was to choose one, and answers. Sends all of it
    at once."""
    questions = {}
    for address, answers in asked:
        for proto, port in PORTS:
            a = expected(answers, proto, port)
            questions[proto, address or a["destination"] or OUT[4], port] = a
    # Nobody filters what the host sends; from a jail, its own address is sure to answer.
    sure = {"host": ("tcp", OUT[4], 80), "internet": ("tcp", OUT[4], 80)}.get(
        source, ("tcp", "127.0.0.1", 80))
    got = w.traffic.try_all(source, list(questions), sure)
    for q, a in questions.items():
        arrives = None
        if a["verdict"] == "pass":
            arrives = w.owner.get(a["arrives_at"], "internet")
        w.verdicts[a["verdict"]] += 1
        if got[q] != arrives:
            wrong.append(f"{source} to {q}: answered by {got[q]}, but explain said {arrives}: {a['reason']}")
    return len(questions)


def test_every_pair_against_packets(world):
    w, began, wrong, count = world, time.monotonic(), [], 0
    w.verdicts = {"pass": 0, "block": 0}
    w.owner = {a: name for name, addresses in w.address.items() for a in addresses.values()}
    w.owner |= {HOST[4]: "host", HOST[6]: "host", "10.100.0.1": "host", "fd00:64::1": "host"}
    literals = [HOST[4], HOST[6], OUT[4], OUT[6], METADATA, "10.100.0.1", "fd00:64::1"]
    own = [a for addresses in w.address.values() for a in addresses.values()]
    answers = {}
    for target in ["*", *literals, *(a for a in own if ":" in a)]:
        for a in explain(w.vps, "*", target):
            answers.setdefault((a["from"], a["to"]), []).append(a)
    names = w.names + ["host", "internet"]
    print(f"explained in {time.monotonic() - began:.1f} s")
    for source in names:
        asked = []
        for (frm, to), found in answers.items():
            # The internet that asks is somebody in particular.
            if frm != source or source == "internet":
                continue
            if "(" in to:
                to = to[to.index("(") + 1:-1]
            if ":" in to and source in w.names and 6 not in w.address[source]:
                continue
            asked.append((to if to[0].isdigit() or ":" in to else None, found))
        if source == "internet":
            asked = [(HOST[v], explain(w.vps, OUT[v], HOST[v])) for v in HOST]
            asked += [(w.address[n][4], explain(w.vps, OUT[4], w.address[n][4])) for n in w.names
                      if w.address[n][4].startswith("203.")]
        count += compare(w, source, asked, wrong)
    print(f"{count} connections in {time.monotonic() - began:.1f} s")
    assert not wrong, f"{len(wrong)} of {count}, NEWGATE_SEED={SEED}:\n" + "\n".join(wrong[:20])
    assert count > 7000 and min(w.verdicts.values()) > 1000, w.verdicts
    assert time.monotonic() - began < 90


# --- by hand ---


@pytest.fixture
def mail(vps):
    vps.configure("""
postfix { interface = "lo100"; ip4.addr = "10.100.0.2"; rdr = "tcp 25", "tcp 587 -> 1587";
    allow.connect = "internet", "internet tcp 25", "dovecot tcp 24 143"; nat.source = "203.0.113.10"; }
dovecot { interface = "lo100"; ip4.addr = "10.100.0.3"; allow.connect; }
web { interface = "lo100"; ip4.addr = "10.100.0.4"; }
""", RC)
    vps.run("newgate", "up")
    return vps


def said(vps, *question, status):
    """What explain says to people, without the folder that all of it is in."""
    return vps.run("newgate", "explain", *question, status=status).stdout.replace(str(vps.root), "")


def test_tells_the_line_that_decides_and_what_would_turn_it(mail):
    assert said(mail, "postfix", "dovecot:143", status=0) == """\
pass: postfix to dovecot tcp 143
  by allow.connect "dovecot tcp 24 143" of postfix (/etc/jail.conf:4)
  nobody listens at 10.100.0.3 port 143
  to block it: make "dovecot tcp 24" of "dovecot tcp 24 143" in allow.connect of postfix (/etc/jail.conf:4)
"""
    assert said(mail, "postfix", "dovecot:993", status=2) == """\
block: postfix to dovecot tcp 993
  since allow.connect of postfix (/etc/jail.conf:4) does not list it
  to let it pass: add "dovecot tcp 993" to allow.connect of postfix (/etc/jail.conf:4)
"""
    assert said(mail, "web", "internet:smtp", status=2) == """\
block: web to internet tcp 25
  since tcp 25 to the internet must be named in allow.connect
  to let it pass: add allow.connect = internet, "internet tcp 25"; to web (/etc/jail.conf:6)
"""
    assert said(mail, "web", f"{METADATA}:80", status=2).endswith(
        f'add allow.connect = internet, "{METADATA} tcp 80"; to web (/etc/jail.conf:6)\n')
    assert said(mail, "dovecot", "host:53/udp", status=2) == """\
block: dovecot to host udp 53
  since allow.connect of dovecot (/etc/jail.conf:5) does not list it
  to let it pass: add "host udp 53" to allow.connect of dovecot (/etc/jail.conf:5)
"""


def test_tells_the_translation(mail):
    mail.listen(mail.jail("postfix"), "tcp", "10.100.0.2", 1587)
    assert said(mail, "internet", "postfix:587", status=0) == """\
pass: internet to postfix tcp 587
  by rdr "tcp 587 -> 1587" of postfix (/etc/jail.conf:3)
  redirected to postfix, 10.100.0.2 tcp 1587
  to block it: remove "tcp 587 -> 1587" from rdr of postfix (/etc/jail.conf:3)
"""
    mail.listen("internet", "tcp", OUT[4], 443)
    assert said(mail, "postfix", "internet:443", status=0) == """\
pass: postfix to internet tcp 443
  by allow.connect "internet" of postfix (/etc/jail.conf:4)
  leaves with 203.0.113.10 (nat.source, /etc/jail.conf:4)
  to block it: remove "internet" from allow.connect of postfix (/etc/jail.conf:4)
"""
    assert "leaves with 203.0.113.10 instead of 10.100.0.4\n" in said(mail, "web", "internet:443", status=0)
    assert said(mail, "internet", "dovecot:587", status=2) == """\
block: internet to dovecot tcp 587
  since rdr "tcp 587 -> 1587" of postfix (/etc/jail.conf:3) has the port
"""
    assert said(mail, "internet", "dovecot:993", status=2) == """\
block: internet to dovecot tcp 993
  since no rdr leads from tcp 993 to dovecot
  to let it pass: add rdr = "tcp 993"; to dovecot (/etc/jail.conf:5)
"""


def test_tells_whether_anybody_listens(mail):
    jail = mail.jail("dovecot")

    def listening():
        return explain(mail, "postfix", "dovecot:24")[0]["listening"]

    assert listening() == "no"
    local = mail.listen(jail, "tcp", "127.0.0.1", 24)
    assert listening() == "elsewhere"
    local.close()
    six = mail.listen(jail, "tcp", "::1", 24)
    assert listening() == "elsewhere"
    six.close()
    mail.listen(jail, "tcp", "", 24)
    assert listening() == "yes"
    assert explain(mail, "host", "dovecot:24/udp")[0]["listening"] == "no"
    mail.listen(jail, "udp", "10.100.0.3", 24)
    assert explain(mail, "host", "dovecot:24/udp")[0]["listening"] == "yes"
    mail.run("newgate", "down", "dovecot")
    a, = explain(mail, "postfix", "dovecot:24")
    assert a["listening"] is None and a["notes"] == ["dovecot does not run"]


def test_tells_that_another_firewall_would_drop_it(mail):
    mail.run("nft", "add table ip other; add chain ip other FORWARD { type filter hook forward priority 0; "
             "policy drop; }; add rule ip other FORWARD tcp dport 993 accept")
    a, = explain(mail, "internet", "postfix:25", status=2)
    assert a["verdict"] == "pass" and a["others"] == "drop"
    assert a["others_rule"] == "table ip other, chain FORWARD: policy drop"
    server = mail.listen(mail.jail("postfix"), "tcp", "10.100.0.2", 25)
    allow = a["others_fix"].splitlines()[0]
    assert allow.startswith("nft insert rule ip other FORWARD ")
    mail.run("sh", "-c", "\n".join(line for line in a["others_fix"].splitlines() if line[0] != "#"))
    # Answers come back the other way.
    mail.run("nft", "insert rule ip other FORWARD ct state established accept")
    assert explain(mail, "internet", "postfix:25", status=0)[0]["others"] == "pass"
    assert mail.seen("internet", "tcp", HOST[4], 25, server, OUT[4]) == OUT[4]


def test_without_a_port_tells_all_of_them(mail):
    lines = said(mail, "postfix", "dovecot", status=0).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "PORTS", "tcp 1-23", "tcp 24", "tcp 25-142", "tcp 143", "tcp 144-65535", "udp 1-65535"]
    table = said(mail, "*", "dovecot:143", status=0).splitlines()
    assert [line.split()[0] for line in table] == ["FROM", "postfix", "host"]
    assert len(explain(mail, "*", "dovecot:143")) == 4


def test_what_runs_may_differ(mail):
    mail.write("/etc/jail.conf", mail.read("/etc/jail.conf").replace("24 143", "24 143 993"))
    a, = explain(mail, "postfix", "dovecot:993")
    assert a["verdict"] == "pass"
    assert a["notes"] == ["postfix runs with other permissions than are configured: newgate up -n tells which"]


@pytest.mark.parametrize("argv,message", [
    (["postfx", "web"], '"postfx" is no jail (did you mean "postfix"?), nor internet, host or an address'),
    (["web", "nowhere:80"], '"nowhere" is no jail, nor internet, host or an address'),
    (["web", "host:80000"], '"host:80000": port 80000 is above 65535'),
    (["web", "host:80/sctp"], '"host:80/sctp": behind the port comes /tcp or /udp'),
    (["web", "host:80-90"], '"host:80-90": one port, or none for all of them'),
])
def test_bad_questions(mail, argv, message):
    assert mail.run("newgate", "explain", *argv, status=1).stderr == f"newgate explain: {message}\n"
