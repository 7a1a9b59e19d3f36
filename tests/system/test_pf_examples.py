"""examples/pf.conf.*, each as it is shipped: what it says passes passes, what it says is closed is closed."""

import errno
import re

import pytest

from test_pf import A, ANY, B, NEAR, OUT, RC, VPS, blocked, families, jail
from vps import SOURCE

EXAMPLES = SOURCE / "examples"
REFUSED = errno.ECONNREFUSED
C, D = "10.100.0.4", "10.100.0.5"


def load(vps, name, blocks, rc=""):
    """The example as /etc/pf.conf, without a word of complaint; the jails in their order."""
    vps.write("/etc/pf.conf", (EXAMPLES / f"pf.conf.{name}").read_text())
    vps.configure("".join(blocks), rc=RC + rc)
    assert vps.run("newgate", "up").stderr == ""
    return [vps.jail(block.split()[0]) for block in blocks]


def plain(more="", **jails):
    """Jails with these IPv4 addresses."""
    return [f'{name} {{ interface = "lo100"; ip4.addr = "{address}"; {more} }}\n'
            for name, address in jails.items()]


def only_ssh_and_ping(vps):
    """Of the host itself: everything else is closed to the outside, nothing to the host."""
    ssh, other = vps.listen("vps", "tcp", "", 22), vps.listen("vps", "tcp", "", 7000)
    out = vps.listen("internet", "tcp", OUT[4], 443)
    assert vps.seen("internet", "tcp", VPS[4], 22, ssh, OUT[4]) == OUT[4]
    assert vps.ping("internet", VPS[4]) == 0
    assert vps.seen("vps", "tcp", OUT[4], 443, out) == VPS[4]
    assert vps.seen("vps", "tcp", "127.0.0.1", 7000, other) == "127.0.0.1"
    assert vps.seen("vps", "tcp", VPS[4], 7000, other) == VPS[4]
    return ssh, other


def test_all_are_here():
    """A new example needs a test."""
    here = set(re.findall(r'load\(vps, "([\w-]+)"', open(__file__, encoding="utf-8").read()))
    assert {p.name.removeprefix("pf.conf.") for p in EXAMPLES.glob("pf.conf.*")} == here


def test_article(vps):
    a, b = load(vps, "article", plain("allow.raw_sockets;", a=A[4], b=B[4]))
    out, peer = vps.listen("internet", "tcp", OUT[4], 80), vps.listen(b, "tcp", "", 80)
    host = vps.listen("vps", "tcp", "", 7000)
    assert vps.seen(a, "tcp", OUT[4], 80, out) == VPS[4]
    assert vps.ping(a, NEAR[4]) == 0
    assert vps.seen(a, "tcp", B[4], 80, peer) == A[4]
    assert vps.seen("internet", "tcp", VPS[4], 7000, host) == NEAR[4]


def test_web_mail(vps):
    web, mail, other = load(vps, "web-mail", plain(web=A[4], mail=B[4], other=C))
    http, smtp = vps.listen(web, "tcp", "", 80), vps.listen(mail, "tcp", "", 25)
    submission, closed = vps.listen(mail, "tcp", "", 587), vps.listen(mail, "tcp", "", 8080)
    ssh, _ = only_ssh_and_ping(vps)
    assert vps.seen("internet", "tcp", VPS[4], 80, http, OUT[4]) == OUT[4]
    assert vps.seen("internet", "tcp", VPS[4], 25, smtp, OUT[4]) == OUT[4]
    assert vps.seen("internet", "tcp", VPS[4], 587, submission) == NEAR[4]
    assert vps.refused("internet", "tcp", VPS[4], 7000) == REFUSED
    assert vps.seen(web, "tcp", B[4], 587, submission) == A[4]
    assert vps.refused(web, "tcp", B[4], 8080) == REFUSED
    assert vps.refused(other, "tcp", B[4], 587) == REFUSED
    assert vps.refused(web, "tcp", "10.100.0.1", 22) == REFUSED
    assert vps.refused(web, "tcp", VPS[4], 22) == REFUSED
    far, site = vps.listen("internet", "tcp", OUT[4], 25), vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.seen(mail, "tcp", OUT[4], 25, far) == VPS[4]
    assert vps.refused(web, "tcp", OUT[4], 25) == REFUSED
    assert vps.seen(other, "tcp", OUT[4], 80, site) == VPS[4]
    secrets = vps.listen("internet", "tcp", "169.254.169.254", 80)
    assert vps.refused(other, "tcp", "169.254.169.254", 80) == REFUSED
    # The host reaches its jails.
    assert vps.seen("vps", "tcp", B[4], 8080, closed) == VPS[4]
    assert ssh and secrets


def test_ssh(vps):
    load(vps, "ssh", [])
    ssh, other = only_ssh_and_ping(vps)
    assert blocked(vps, "internet", "tcp", VPS[4], 7000, other,
                   ("internet", VPS[4], 22, ssh))
    six = vps.listen("vps", "tcp", "::", 22)
    assert vps.seen("internet", "tcp", VPS[6], 22, six) == NEAR[6]
    # Two were answered from here; the fourth more is one too many within thirty seconds.
    for _ in range(4):
        vps.connect("internet", "tcp", VPS[4], 22, source=NEAR[4])
        vps.accept(ssh)
    last = vps.socket("internet", "tcp", VPS[4])
    last.setblocking(False)
    assert last.connect_ex((VPS[4], 22)) == errno.EINPROGRESS
    assert vps.seen("internet", "tcp", VPS[4], 22, ssh, OUT[4]) == OUT[4]
    assert vps.run("pfctl", "-t", "bruteforce", "-T", "show").stdout.split() == [NEAR[4]]
    # Who is let go may come again; an administrator is never shut out.
    vps.run("pfctl", "-t", "bruteforce", "-T", "delete", NEAR[4])
    assert vps.ping("internet", VPS[4]) == 0


@families
def test_dual_stack(vps, v):
    web, other = load(vps, "dual-stack", [jail("web", A), jail("other", B)])
    http, closed = vps.listen(web, "tcp", ANY[v], 80), vps.listen(web, "tcp", ANY[v], 81)
    ssh, host = vps.listen("vps", "tcp", ANY[v], 22), vps.listen("vps", "tcp", ANY[v], 7000)
    far, site = vps.listen("internet", "tcp", OUT[v], 25), vps.listen("internet", "tcp", OUT[v], 80)
    assert vps.seen("internet", "tcp", VPS[v], 80, http, OUT[v]) == OUT[v]
    assert vps.seen("internet", "tcp", VPS[v], 22, ssh) == NEAR[v]
    assert vps.refused("internet", "tcp", VPS[v], 7000) == REFUSED
    assert vps.ping("internet", VPS[v]) == {4: 0, 6: 129}[v]
    assert vps.seen(other, "tcp", OUT[v], 80, site) == VPS[v]
    assert vps.refused(other, "tcp", OUT[v], 25) == REFUSED
    assert vps.refused(other, "tcp", A[v], 81) == REFUSED
    assert vps.refused(other, "tcp", VPS[v], 22) == REFUSED
    assert closed and host and far


def test_outgoing(vps):
    for address in ("203.0.113.11", "203.0.113.12"):
        vps.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    mail, web, other = load(vps, "outgoing", plain(mail=A[4], web=B[4], other=C))
    ssh, host = only_ssh_and_ping(vps)
    site, far = vps.listen("internet", "tcp", OUT[4], 80), vps.listen("internet", "tcp", OUT[4], 25)
    assert vps.seen(mail, "tcp", OUT[4], 25, far) == "203.0.113.11"
    assert vps.seen(web, "tcp", OUT[4], 80, site) == "203.0.113.12"
    assert vps.seen(other, "tcp", OUT[4], 80, site) == VPS[4]
    assert vps.refused(web, "tcp", OUT[4], 25) == REFUSED
    smtp, http = vps.listen(mail, "tcp", "", 25), vps.listen(web, "tcp", "", 80)
    assert vps.seen("internet", "tcp", "203.0.113.11", 25, smtp, OUT[4]) == OUT[4]
    assert vps.seen("internet", "tcp", "203.0.113.12", 80, http, OUT[4]) == OUT[4]
    pop = vps.listen(mail, "tcp", "", 110)
    assert blocked(vps, "internet", "tcp", "203.0.113.11", 110, pop,
                   ("internet", "203.0.113.11", 25, smtp))
    assert blocked(vps, "internet", "tcp", VPS[4], 7000, host, ("internet", VPS[4], 22, ssh))


def tunnel(vps):
    """As good as WireGuard, as far as a firewall can tell: another interface, with a member behind it."""
    vps.run("ip", "link", "add", "wg0", "type", "veth", "peer", "name", "wg1", "netns", "internet")
    vps.run("ip", "address", "add", "10.8.0.1/24", "dev", "wg0")
    vps.run("ip", "link", "set", "wg0", "up")
    vps.run("ip", "-n", "internet", "address", "add", "10.8.0.2/24", "dev", "wg1")
    vps.run("ip", "-n", "internet", "link", "set", "wg1", "up")
    vps.run("ip", "-n", "internet", "route", "add", "10.100.0.0/24", "via", "10.8.0.1", "src",
            "10.8.0.2")
    # What a member sends elsewhere goes through the tunnel as well.
    vps.run("ip", "-n", "internet", "rule", "add", "from", "10.8.0.2", "table", "8")
    vps.run("ip", "-n", "internet", "route", "add", "default", "via", "10.8.0.1", "table", "8")


def test_vpn(vps):
    tunnel(vps)
    web, admin = load(vps, "vpn", plain(web=A[4], admin=B[4]), rc='    gateway_enable="YES"\n')
    http, pages = vps.listen(web, "tcp", "", 80), vps.listen(admin, "tcp", "", 80)
    closed, ssh = vps.listen(admin, "tcp", "", 81), vps.listen("vps", "tcp", "", 22)
    assert vps.seen("internet", "tcp", VPS[4], 80, http, OUT[4]) == OUT[4]
    assert vps.refused("internet", "tcp", VPS[4], 22) == REFUSED
    wireguard = vps.listen("vps", "udp", "", 51820)
    assert vps.seen("internet", "udp", VPS[4], 51820, wireguard) == NEAR[4]
    assert vps.seen("internet", "tcp", "10.8.0.1", 22, ssh) == "10.8.0.2"
    assert vps.seen("internet", "tcp", B[4], 80, pages) == "10.8.0.2"
    assert vps.seen("internet", "tcp", A[4], 80, http) == "10.8.0.2"
    assert vps.refused("internet", "tcp", B[4], 81) == REFUSED
    member, site = vps.listen("internet", "tcp", "10.8.0.2", 80), vps.listen("internet", "tcp", OUT[4], 80)
    assert vps.refused(web, "tcp", "10.8.0.2", 80) == REFUSED
    assert vps.refused(web, "tcp", B[4], 80) == REFUSED
    assert vps.seen(web, "tcp", OUT[4], 80, site) == VPS[4]
    assert member and closed


def test_between(vps):
    postfix, dovecot, roundcube, db = load(vps, "between", plain(postfix=A[4], dovecot=B[4], roundcube=C, db=D))
    ssh, _ = only_ssh_and_ping(vps)
    lmtp, imap = vps.listen(dovecot, "tcp", "", 24), vps.listen(dovecot, "tcp", "", 143)
    submission, sql = vps.listen(postfix, "tcp", "", 587), vps.listen(db, "tcp", "", 5432)
    https = vps.listen(roundcube, "tcp", "", 443)
    open_ = [(postfix, B[4], 24, lmtp), (roundcube, B[4], 143, imap),
             (roundcube, A[4], 587, submission), (postfix, D, 5432, sql), (dovecot, D, 5432, sql),
             (roundcube, D, 5432, sql)]
    everybody = {A[4]: postfix, B[4]: dovecot, C: roundcube, D: db}
    servers = {(B[4], 24): lmtp, (B[4], 143): imap, (A[4], 587): submission, (D, 5432): sql, (C, 443): https}
    for address, who in everybody.items():
        for (to, port), server in servers.items():
            if to == address:
                continue
            if (who, to, port, server) in open_:
                assert vps.seen(who, "tcp", to, port, server) == address
            else:
                assert vps.refused(who, "tcp", to, port) == REFUSED
        assert vps.refused(who, "tcp", "10.100.0.1", 22) == REFUSED
    assert vps.seen("internet", "tcp", VPS[4], 443, https, OUT[4]) == OUT[4]
    assert vps.refused("internet", "tcp", VPS[4], 5432) == REFUSED
    far, name = vps.listen("internet", "tcp", OUT[4], 25), vps.listen("internet", "udp", OUT[4], 53)
    assert vps.seen(postfix, "tcp", OUT[4], 25, far) == VPS[4]
    assert vps.refused(dovecot, "tcp", OUT[4], 25) == REFUSED
    assert vps.seen(roundcube, "udp", OUT[4], 53, name) == VPS[4]
    assert vps.refused(db, "udp", OUT[4], 53) == REFUSED
    assert ssh


def fetch_bans(vps):
    """The command as the example gives it."""
    text = (EXAMPLES / "pf.conf.bans").read_text()
    command = re.search(r"^#     (jexec mail.*\|)\n#         (xargs .*)$", text, re.M)
    vps.run("sh", "-ec", f"{command[1]} {command[2]}")


def test_bans(vps):
    [mail] = load(vps, "bans", plain(mail=A[4]))
    only_ssh_and_ping(vps)
    smtp = vps.listen(mail, "tcp", "", 25)
    assert vps.seen("internet", "tcp", VPS[4], 25, smtp, OUT[4]) == OUT[4]
    # What is not an address does not get through, and the administrators and the router are out of reach.
    mail.run("/bin/sh", "-c", "mkdir -p /var/lib && printf '%s\\n' 0.0.0.0/0 -d 198.51.100.7 203.0.113.1"
             " 2001:db8:51::7 '!198.51.100.7' >/var/lib/bans")
    fetch_bans(vps)
    assert vps.run("pfctl", "-t", "banned", "-T", "show").stdout.split() == \
        ["198.51.100.7", "203.0.113.1", "2001:db8:51::7"]
    banned = vps.socket("internet", "tcp", VPS[4])
    banned.bind((OUT[4], 0))
    banned.setblocking(False)
    assert banned.connect_ex((VPS[4], 25)) == errno.EINPROGRESS
    assert vps.seen("internet", "tcp", VPS[4], 25, smtp) == NEAR[4]
    smtp.setblocking(False)
    with pytest.raises(BlockingIOError):
        smtp.accept()
    smtp.setblocking(True)
    vps.run("pfctl", "-t", "banned", "-T", "delete", OUT[4])
    assert vps.seen("internet", "tcp", VPS[4], 25, smtp, OUT[4]) == OUT[4]


@families
def test_newgate(vps, v):
    web, db = load(vps, "newgate", [
        jail("web", A, 'rdr = "tcp 80"; allow.connect = "db tcp 5432", "internet tcp 4443";'),
        jail("db", B, 'allow.connect = "";')])
    ssh, host = only_ssh_and_ping(vps)
    assert vps.refused("internet", "tcp", VPS[4], 7000) == REFUSED
    http, sql = vps.listen(web, "tcp", ANY[v], 80), vps.listen(db, "tcp", ANY[v], 5432)
    site, plain = vps.listen("internet", "tcp", OUT[v], 4443), vps.listen("internet", "tcp", OUT[v], 80)
    assert vps.seen("internet", "tcp", VPS[v], 80, http) == NEAR[v]
    assert vps.seen(web, "tcp", B[v], 5432, sql) == A[v]
    assert vps.seen(web, "tcp", OUT[v], 4443, site) == VPS[v]
    assert vps.refused(web, "tcp", OUT[v], 80) == REFUSED
    assert vps.refused(db, "tcp", A[v], 80) == REFUSED
    assert vps.refused(db, "tcp", OUT[v], 80) == REFUSED
    assert vps.refused(web, "tcp", VPS[v], 22) == REFUSED
    # Whom sshd has had enough of does not reach the jails, either.
    vps.run("pfctl", "-t", "bruteforce", "-T", "add", NEAR[v])
    assert vps.refused("internet", "tcp", VPS[v], 80) == REFUSED
    assert ssh and host and plain
