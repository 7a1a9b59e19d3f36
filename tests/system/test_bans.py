"""newgate host ban: who may not reach the jails for a time, with and without a pf.conf; newgate host
watch: who fails to log in too often becomes one of them."""

import contextlib
import json
import os
import re
import select
import signal
import time

import pytest

from test_network import OUT, VPS
from vps import Failed

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    ifconfig_lo100_ipv6="inet6 fd00:64::1 prefixlen 64"
"""
WEB = """
web {
    interface = "lo100"; ip4.addr = "10.100.0.2"; ip6.addr = "fd00:64::2";
    rdr = "tcp 80", "udp 80"; allow.connect = "internet", "internet tcp 25";
}
"""
PF = {
    None: None,
    "anchor": 'nat-anchor "newgate/*"\nrdr-anchor "newgate/*"\nanchor "newgate/*"\n',
    "rdr": "nat pass on eth0 inet from 10.100.0.0/24 to any -> (eth0)\n"
           "nat pass on eth0 inet6 from fd00:64::/64 to any -> (eth0)\n"
           "rdr pass on eth0 inet proto { tcp udp } to port 80 -> 10.100.0.2\n"
           "rdr pass on eth0 inet6 proto { tcp udp } to port 80 -> fd00:64::2\npass all\n",
}
OTHER = {4: "198.51.100.8", 6: "2001:db8:52::8"}
SAME = {4: OUT[4], 6: "2001:db8:51:0:ffff::9"}  # banned with OUT
families = pytest.mark.parametrize("v", [4, 6])


def start(vps, pf=None):
    if PF[pf]:
        vps.write("/etc/pf.conf", PF[pf])
    vps.configure(WEB, RC + ('    pf_enable="YES"\n' if PF[pf] else ""))
    for address in (*OTHER.values(), SAME[6]):
        vps.run("ip", "address", "add", address, "dev", "lo", where="internet")
    vps.run("newgate", "up")
    return vps.jail("web")


@pytest.fixture
def web(vps):
    return start(vps)


def ban(vps, *argv, **options):
    return vps.run("newgate", "host", "ban", *argv, **options)


def bans(vps):
    return json.loads(ban(vps, "list", "--json").stdout)["bans"]


def element(vps, v=4):
    """The one that the kernel has, with the seconds that are left; or None."""
    got = vps.json("nft", "-j", "list", "set", "inet", "newgate", f"ban{v}")["nftables"][1]["set"]
    elem = [e["elem"] for e in got.get("elem", [])]
    assert len(elem) <= 1
    return (elem[0]["val"], elem[0]["expires"]) if elem else None


@families
@pytest.mark.parametrize("pf", PF)
def test_who_is_banned_reaches_no_jail(vps, pf, v):
    web = start(vps, pf)
    any_ = "" if v == 4 else "::"
    server, datagrams = (vps.listen(web, proto, any_, 80) for proto in ("tcp", "udp"))
    own = vps.listen("vps", "tcp", any_, 22)
    before = vps.connect("internet", "tcp", VPS[v], 80, OUT[v])
    there = vps.accept(server)
    ban(vps, "add", OUT[v])

    def passes():
        assert vps.seen("internet", "tcp", VPS[v], 80, server, OTHER[v]) == OTHER[v]
        assert vps.seen("internet", "udp", VPS[v], 80, datagrams, OTHER[v]) == OTHER[v]
    # What was connected is cut, too.
    before.sendall(b"still there?")
    for proto, s in (("tcp", server), ("udp", datagrams)):
        client = vps.socket("internet", proto, VPS[v])
        client.setblocking(False)
        client.bind((SAME[v], 0))
        if proto == "udp":
            client.sendto(b"there", (VPS[v], 80))
        else:
            client.connect_ex((VPS[v], 80))
    passes()
    assert select.select([server, datagrams, there], [], [], 0) == ([], [], [])
    # The host's own services are as open as they were, and so is who is banned to the jails.
    assert vps.seen("internet", "tcp", VPS[v], 22, own, OUT[v]) == OUT[v]
    remote = vps.listen("internet", "tcp", OUT[v], 25)
    assert vps.seen(web, "tcp", OUT[v], 25, remote) == VPS[v]
    # And in he comes at once.
    ban(vps, "remove", SAME[v])
    assert there.recv(64) == b"still there?"
    assert vps.seen("internet", "tcp", VPS[v], 80, server, OUT[v]) == OUT[v]
    assert bans(vps) == [] and element(vps, v) is None


@families
def test_the_list(vps, web, v):
    shown = OUT[4] if v == 4 else "2001:db8:51::/64"
    assert ban(vps, "add", "--for", "2h", OUT[v]).stdout == f"{shown} is banned for 2h0m\n"
    (one,) = bans(vps)
    assert 7190 <= one.pop("left") <= 7200 and one.pop("since")
    assert one == {"address": shown, "failures": 0, "times": 1, "why": "by hand"}
    line = ban(vps, "list").stdout.splitlines()[1]
    assert line.split()[0] == shown and ("1h59m" in line or "2h0m" in line) and line.endswith("by hand")
    # Banned by as much as it takes, and found by any address of it.
    assert ban(vps, "add", "--for", "1m", SAME[v]).stdout == f"{shown} is banned for 1m0s\n"
    assert [b["left"] <= 60 for b in bans(vps)] == [True]
    assert ban(vps, "remove", shown).stdout == f"{shown} may come again\n"
    assert f"{OUT[v]} is not banned" in ban(vps, "remove", OUT[v], status=1).stderr


@pytest.mark.parametrize("pf", [None, "anchor"])
@pytest.mark.parametrize("what", [
    "nft delete table inet newgate; newgate up",
    "nft flush set inet newgate ban4; newgate status; newgate up",
    "nft flush set inet newgate ban4; newgate host ban add 192.0.2.7; newgate host ban remove 192.0.2.7",
    "rm -r $NEWGATE_ROOT/run/newgate/pf; newgate up; jail -r web; jail -c web",
    "echo 'pass in proto tcp to port 81' >>$NEWGATE_ROOT/etc/pf.conf; pfctl -f /etc/pf.conf; newgate up",
    "pfctl -e; pfctl -d; newgate up",
])
def test_it_outlives_whatever_becomes_of_the_rules(vps, pf, what):
    start(vps, pf)
    ban(vps, "add", "--for", "1h", OUT[4])
    was, left = element(vps)
    assert was == OUT[4] and 3590 <= left <= 3600
    before = bans(vps)[0]["left"]
    vps.run("sh", "-c", what, status=None)
    assert element(vps)[0] == OUT[4] and before - 60 < element(vps)[1] <= before
    assert bans(vps)[0]["address"] == OUT[4]


@pytest.mark.parametrize("pf", PF)
def test_explain_knows_of_it(vps, pf):
    start(vps, pf)
    passes = vps.run("newgate", "explain", OUT[4], "web:80").stdout
    ban(vps, "add", "--for", "3d", SAME[4])
    got = vps.run("newgate", "explain", OUT[4], "web:80", status=2).stdout.splitlines()
    assert got[0] == f"block: {OUT[4]} to web tcp 80"
    assert got[1].replace("2d23h", "3d0h") == "  since the address is banned from the jails for another 3d0h"
    assert f"  to let it pass: newgate host ban remove {OUT[4]}" in got
    (answer,) = json.loads(vps.run("newgate", "explain", "--json", OUT[4], "web:80", status=2).stdout)["answers"]
    assert (answer["verdict"], answer["rule"]) == ("block", "banned")
    assert answer["changes"] == [f"newgate host ban remove {OUT[4]}"]
    ports = vps.run("newgate", "explain", OUT[4], "web", status=None).stdout
    assert re.search(r"^tcp 80 +block +the address is banned", ports, re.M)
    # To the host, and from there, and for others, all is as it was.
    assert vps.run("newgate", "explain", OUT[4], "host:22").stdout.startswith("pass")
    assert vps.run("newgate", "explain", "web", f"{OUT[4]}:443").stdout.startswith("pass")
    assert vps.run("newgate", "explain", OTHER[4], "web:80").stdout == passes.replace(OUT[4], OTHER[4])


def test_a_lost_ban_is_told_and_put_back(vps, web):
    ban(vps, "add", OUT[4])
    ban(vps, "add", OUT[6])
    vps.run("nft", "flush", "set", "inet", "newgate", "ban6")
    said = "the firewall lacks 1 of the bans"
    assert said in vps.run("newgate", "status").stderr
    assert vps.run("newgate", "up").stdout == f"repairs the network: {said}\n"
    assert element(vps, 6)[0] == "2001:db8:51::"
    assert vps.run("newgate", "status").stderr == ""


def test_a_ban_without_a_table_counts_once_there_is_one(vps):
    ban(vps, "add", OUT[4])
    start(vps)
    assert element(vps)[0] == OUT[4]


def test_it_ends_by_itself(vps, web):
    server = vps.listen(web, "tcp", "", 80)
    ban(vps, "add", "--for", "1", OUT[4])
    # TCP sends its first packet again after a second, and after two more.
    assert vps.seen("internet", "tcp", VPS[4], 80, server, OUT[4]) == OUT[4]
    assert bans(vps) == []


def test_a_broken_file_bans_whom_it_can(vps, web):
    now = int(time.time())
    vps.write("/var/lib/newgate/bans",
              f"nonsense\n{OUT[4]} {now} {now + 600} 2 5 imap\n198.51.100.0/24 {now} {now + 600} 1 1 imap\n"
              f"{OTHER[4]} {now} {now - 5} 1 1 imap\n{OTHER[4]} {now} {now + 600} 0 1 imap\n{OTHER[4]} {now}")
    assert [(b["address"], b["times"], b["failures"], b["why"]) for b in bans(vps)] == [(OUT[4], 2, 5, "imap")]


@pytest.mark.parametrize("address,why", [
    ("10.100.0.2", "of a network of jails"),
    ("10.100.0.77", "of a network of jails"),
    ("fd00:64::2", "of a network of jails"),
    ("203.0.113.10", "this host's own"),
    ("2001:db8::99", "this host's own"),  # its neighbour in 64 bits
    ("203.0.113.1", "the router by which this host reaches the internet"),
    ("127.0.0.1", "no address that anybody comes from"),
    ("::1", "no address that anybody comes from"),
    ("224.0.0.5", "no address that anybody comes from"),
    ("192.0.2.9", "among those that are never banned (ban.except)"),
    ("2001:db8:77::1", "among those that are never banned (ban.except)"),
    ("198.51.100.22", "where your SSH session comes from"),
])
def test_who_is_never_banned(vps, web, address, why):
    vps.write("/etc/newgate/host.conf", "domain = example.org\nhostname = mail.example.org\n"
              "ban.except = 192.0.2.0/24, 2001:db8:77::/48\n")
    got = ban(vps, "add", address, status=1, env={"SSH_CONNECTION": "198.51.100.22 40000 203.0.113.10 22"})
    assert f"is not banned: it is {why}\n" in got.stderr
    assert bans(vps) == [] and element(vps) is None and element(vps, 6) is None


def test_a_jail_s_public_address_is_never_banned(vps):
    vps.configure('pub { ip4.addr = "eth0|203.0.113.50"; }\n', RC)
    vps.start("pub")
    got = ban(vps, "add", "203.0.113.50", status=1)
    assert 'it is the address of jail "pub"' in got.stderr


@pytest.mark.parametrize("argv,said", [
    (("add", "198.51.100.300"), '"198.51.100.300" is not an address'),
    (("add", "198.51.100.0/24"), "198.51.100.0/24 is more than one address"),
    (("add", "2001:db8::/48"), "2001:db8::/48 is more than one address"),
    (("add", "--for", "soon", "198.51.100.7"), '--for takes a time such as 90s, 10m, 1h, 2d, 1w: not "soon"'),
    (("add",), "usage:"), (("remove",), "usage:"), (("lift", "198.51.100.7"), 'there is no "lift"'),
])
def test_what_is_refused(vps, argv, said):
    assert said in ban(vps, *argv, status=1).stderr


def test_settings_that_make_no_sense(vps):
    vps.write("/etc/newgate/host.conf", "domain = a.org\nhostname = a.org\nban = 5 times\n")
    assert "ban = 5 times is not" in ban(vps, "add", OUT[4], status=1).stderr


# ---- newgate host watch ----

MAIL = """
dovecot { interface = "lo100"; ip4.addr = "10.100.0.2"; ip6.addr = "fd00:64::2"; rdr = "tcp 993"; service = "sleep inf"; }
postfix { interface = "lo100"; ip4.addr = "10.100.0.3"; rdr = "tcp 25"; service = "sleep inf"; }
"""
LOG = "/var/log/jail_{}_console.log"


def settings(vps, more=""):
    new = vps.write("/etc/newgate/new", f"domain = example.org\nhostname = mail.example.org\n{more}\n")
    new.rename(vps.path("/etc/newgate/host.conf"))


@pytest.fixture
def mail(vps):
    vps.configure(MAIL, RC)
    vps.run("newgate", "up")
    settings(vps)
    return vps


@contextlib.contextmanager
def watch(vps, complains=()):
    """It says a line for each ban."""
    with vps.popen("newgate", "host", "watch") as w:
        try:
            said(w.stdout, "5 failed logins within 10m0s ban for 1h0m")
            for line in complains:
                said(w.stderr, line)
            said(w.stdout, "watching the logs of dovecot and postfix")
            yield w
            # By itself, when the jails are gone.
            vps.run("jail", "-R", "*")
            assert w.wait(20) == 0 and w.stderr.read() == ""
        finally:
            w.kill()


def said(stream, *lines):
    """Waits for one of them: nothing else may come before."""
    got = ""
    while not got.endswith("\n") and select.select([stream], [], [], 20)[0]:
        # No more than is asked for: select does not see what was read ahead.
        byte = os.read(stream.fileno(), 1).decode()
        if not byte:
            break
        got += byte
    got = got.rstrip("\n")
    if got not in lines:
        raise Failed(f'"{got}" where {lines} was to come')


def banned(address, service, length="1h0m", failures=5):
    return f"{address} is banned for {length}: {failures} failed logins ({service})"


def imap(address, name="alice@example.org"):
    return f"Nov 23 12:02:43 auth: Info: passwd-file({name},{address},<9acUX/Bg+cPGM2RC>): Password mismatch\n"


def submission(address):
    return f"Nov 23 12:02:43 auth: Info: passwd-file(alice,{address}): unknown user\n"


def smtp(address, times):
    return f"Nov 23 12:02:43 mail postfix/smtpd[7]: disconnect from unknown[{address}] ehlo=1 auth=0/{times} quit=1 commands=2/9\n"


def log(vps, text, jail="dovecot"):
    with open(vps.path(LOG.format(jail)), "a") as f:
        f.write(text)


def test_failed_logins_ban(mail):
    log(mail, imap("198.51.100.1") * 100)  # of yesterday
    with watch(mail) as w:
        log(mail, imap(OUT[4]) * 4 + imap("198.51.100.3") + imap(OUT[4]))
        said(w.stdout, banned(OUT[4], "imap"))
        assert element(mail)[0] == OUT[4]
        (one,) = bans(mail)
        assert (one["address"], one["failures"], one["times"], one["why"]) == (OUT[4], 5, 1, "imap")
        ban(mail, "remove", OUT[4])
        # Again: for longer. By whatever it fails, it is one address.
        log(mail, submission("198.51.100.8") * 2)
        log(mail, smtp("198.51.100.8", 2), "postfix")
        log(mail, imap("198.51.100.8"))
        said(w.stdout, banned("198.51.100.8", "imap"), banned("198.51.100.8", "smtp"))
        log(mail, submission(OUT[4]) * 5)
        said(w.stdout, banned(OUT[4], "submission"))
        log(mail, smtp("198.51.100.9", 1000), "postfix")
        said(w.stdout, banned("198.51.100.9", "smtp"))
        # Neighbours in 64 bits are one.
        log(mail, "".join(imap(f"2001:db8:51::{i}") for i in range(5)))
        said(w.stdout, banned("2001:db8:51::/64", "imap"))
        assert len(bans(mail)) == 4


def test_many_at_once(mail):
    settings(mail, "ban = 1 10m 1h")
    out = []
    with mail.popen("newgate", "host", "watch") as w:
        try:
            said(w.stdout, "1 failed login within 10m0s ban for 1h0m")
            said(w.stdout, "watching the logs of dovecot and postfix")
            log(mail, "".join(submission(f"192.0.{i >> 8}.{i & 255}") for i in range(5000)))
            while len(out) < 5000:
                assert (line := w.stdout.readline())
                out.append(line)
            assert len(bans(mail)) == 4096
        finally:
            w.kill()
    assert len(mail.json("nft", "-j", "list", "set", "inet", "newgate", "ban4")["nftables"][1]["set"]["elem"]) == 4096


def test_who_comes_back_is_banned_for_longer(mail):
    now = int(time.time())
    mail.write("/var/lib/newgate/bans", f"{OUT[4]} {now - 9000} {now - 1800} 1 5 imap\n")
    with watch(mail) as w:
        log(mail, imap(OUT[4]) * 5)
        said(w.stdout, banned(OUT[4], "imap", "4h0m"))
        assert bans(mail)[0]["times"] == 2


def test_whom_it_never_bans(mail):
    """A jail's address (the web mail's, say), the host's own, the router's, and those of ban.except."""
    settings(mail, "ban.except = 192.0.2.0/24")
    with watch(mail) as w:
        for address, why in (("10.100.0.9", "of a network of jails"), ("fd00:64::2", "of a network of jails"),
                             ("203.0.113.10", "this host's own"), ("127.0.0.1", "no address that anybody comes from"),
                             ("203.0.113.1", "the router by which this host reaches the internet"),
                             ("192.0.2.7", "among those that are never banned (ban.except)")):
            log(mail, imap(address) * 5)
            shown = "fd00:64::/64" if ":" in address else address
            said(w.stderr, f"newgate host: {shown} failed to log in 5 times (imap) and is not banned: it is {why}")
    assert bans(mail) == []


def test_names_that_would_have_others_banned(mail):
    with watch(mail) as w:
        for name in ("x,192.0.2.1,<abc>): Password mismatch", "x rip=192.0.2.1", "x,192.0.2.1",
                     "x\\nNov 23 12:02:43 auth: Info: passwd-file(x,192.0.2.1): unknown user"):
            log(mail, imap(OUT[4], name))
        log(mail, "Nov 23 12:02:43 imap-login: Info: Disconnected: user=<"
            "Nov 23 12:02:43 auth: Info: passwd-file(x,192.0.2.1): unknown user\n" * 9)
        log(mail, "Nov 23 12:02:43 mail postfix/smtpd[7]: warning: non-SMTP command from unknown[198.51.100.7]: "
            "disconnect from unknown[192.0.2.1] auth=0/9\n", "postfix")
        log(mail, imap(OUT[4]))
        said(w.stdout, banned(OUT[4], "imap"))
        assert len(bans(mail)) == 1


def test_whatever_becomes_of_the_log(mail):
    path = mail.path(LOG.format("dovecot"))
    log(mail, "passwd-file(half of a line")
    with watch(mail) as w:
        def bans_by(write, n):
            write(imap(f"198.51.100.{n}") * 5)
            said(w.stdout, banned(f"198.51.100.{n}", "imap"))

        def in_pieces(text):
            for i in range(0, len(text), 7):
                log(mail, text[i:i + 7])

        # What began before we came is no line.
        log(mail, ",192.0.2.1): unknown user\n")
        bans_by(in_pieces, 11)
        os.truncate(path, 0)
        bans_by(lambda text: log(mail, text), 12)
        path.rename(f"{path}.1")
        bans_by(lambda text: log(mail, text), 13)
        path.unlink()
        bans_by(lambda text: log(mail, text), 14)
        (path.parent / "new").write_text(imap("198.51.100.15") * 5)
        (path.parent / "new").rename(path)
        said(w.stdout, banned("198.51.100.15", "imap"))
        # Lines without end, and a file of any length, take neither room nor time.
        log(mail, "x" * 100000 + imap("192.0.2.2") * 5 + "\0" * 100000 + "\n")
        os.truncate(path, 1 << 43)
        bans_by(lambda text: log(mail, "\n" + text), 16)
        # Its jail starts anew, with a new log.
        mail.run("jail", "-r", "dovecot")
        path.unlink()
        mail.run("jail", "-c", "dovecot")
        bans_by(lambda text: log(mail, text), 17)
        assert "192.0.2" not in json.dumps(bans(mail))


def test_a_log_that_is_a_link_is_not_read(mail):
    path = mail.path(LOG.format("dovecot"))
    path.unlink()
    other = mail.write("/var/log/other", "")
    path.symlink_to(other)
    with watch(mail, ["newgate host: /var/log/jail_dovecot_console.log: Too many levels of symbolic links"]) as w:
        other.write_text(imap("192.0.2.1") * 5)
        log(mail, smtp(OUT[4], 5), "postfix")
        said(w.stdout, banned(OUT[4], "smtp"))
    assert len(bans(mail)) == 1


def test_settings_count_at_once(mail):
    with watch(mail) as w:
        settings(mail, "ban = 2 1m 5m")
        said(w.stdout, "2 failed logins within 1m0s ban for 5m0s")
        log(mail, imap("198.51.100.11") * 2)
        said(w.stdout, banned("198.51.100.11", "imap", "5m0s", 2))
        settings(mail, "ban = nonsense")
        said(w.stderr, 'newgate host: /etc/newgate/host.conf: ban = nonsense is not "off" nor how many failures '
             '(at most 20) within which time ban for how long, such as "5 10m 1h"')
        settings(mail, "ban = off")
        said(w.stdout, "ban = off in /etc/newgate/host.conf: nobody is banned")
        log(mail, imap("198.51.100.12") * 50)
        settings(mail, "ban = 3 1m 1d")
        said(w.stdout, "3 failed logins within 1m0s ban for 1d0h")
        log(mail, imap("198.51.100.13") * 3)
        said(w.stdout, banned("198.51.100.13", "imap", "1d0h", 3))


def test_it_is_started_with_the_jails(mail):
    """By newgate up and by jail -c, once; it ends with them; and is started again where it was killed."""
    def watchers():
        return [pid for pid, command in mail.processes().items() if "host watch" in command]

    def bans_now(n):
        log(mail, imap(f"198.51.100.{n}") * 5)
        with mail.popen("timeout", "20", "tail", "-n", "+1", "-F", mail.path("/var/lib/newgate/bans")) as tail:
            while f"198.51.100.{n} " not in (line := tail.stdout.readline()):
                assert line, "nobody was banned"
            tail.kill()

    assert watchers() == []
    mail.run("newgate", "up")
    (first,) = watchers()
    mail.run("newgate", "up")
    mail.run("jail", "-rc", "postfix")
    assert watchers() == [first]
    assert "newgate host watch runs already" in mail.run("newgate", "host", "watch", status=1).stderr
    os.kill(int((mail.proc / str(first) / "status").read_text().split("NSpid:")[1].split()[0]), signal.SIGKILL)
    mail.run("newgate", "up")
    (second,) = watchers()
    mail.run("jail", "-r", "*")
    assert mail.ends(second)
    mail.run("jail", "-c", "dovecot")
    (third,) = watchers()
    bans_now(21)
    mail.run("jail", "-R", "dovecot")
    assert mail.ends(third)
    assert "there is nothing to watch" in mail.run("newgate", "host", "watch", status=1).stderr
