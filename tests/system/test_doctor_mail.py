"""newgate doctor mail: what keeps a mail host from its work, on it and around it."""

import contextlib
import datetime
import re
import subprocess
import threading

import pytest

from test_doctor import RC, doctor
from test_host_dns import CONF, complete, dns, host, key  # noqa: F401

MX = "198.51.100.7"
REMOTE = f"\nremote.example. MX 20 other.example.\nremote.example. MX 10 mx.remote.example.\nmx.remote.example. A {MX}\n"


@contextlib.contextmanager
def mail_server(vps, greeting):
    """Says that to one client, and what the client said is in the list it gives."""
    server, heard = vps.listen("internet", "tcp", MX, 25), []

    def serve():
        conn, _ = server.accept()
        with conn:
            conn.settimeout(10)
            conn.sendall(greeting)
            while data := conn.recv(100):
                heard.append(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield heard
    thread.join()
    server.close()


@pytest.fixture
def good(host, dns):  # noqa: F811
    """A mail host that lacks nothing but letters."""
    dns.load(complete(host) + REMOTE)
    tls = host.path("/etc/newgate/host/tls")
    tls.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=a CA", "-keyout", tls / "ca.key", "-out", tls / "ca.pem"],
                   check=True, capture_output=True)
    certify(host)
    host.write("/etc/newgate/host/aliases", "postmaster@example.org alice@example.org\n@second.example alice@example.org\n")
    return host


CA = """[ca]
default_ca = it
[it]
dir = {tls}
database = $dir/index
new_certs_dir = $dir
default_md = sha256
rand_serial = yes
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def certify(vps, since=-1, until=90, name="mail.example.org", own=False):
    """A certificate of the CA that is valid between those days from now, or one of its own."""
    tls = vps.path("/etc/newgate/host/tls")
    ask = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
           "-addext", f"subjectAltName=DNS:{name}", "-keyout", tls / "key.pem"]
    if own:
        subprocess.run([*ask, "-x509", "-out", tls / "fullchain.pem"], check=True, capture_output=True)
        return
    (tls / "ca.cnf").write_text(CA.format(tls=tls))
    (tls / "index").write_text("")
    now = datetime.datetime.now(datetime.timezone.utc)
    dates = [(now + datetime.timedelta(days=d, hours=1)).strftime("%Y%m%d%H%M%SZ") for d in (since, until)]
    subprocess.run([*ask, "-out", tls / "csr"], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", tls / "ca.cnf", "-cert", tls / "ca.pem",
                    "-keyfile", tls / "ca.key", "-startdate", dates[0], "-enddate", dates[1], "-in", tls / "csr",
                    "-out", tls / "fullchain.pem"], check=True, capture_output=True)


def only(vps, check):
    """The one finding of a check."""
    (finding,) = doctor(vps, check)
    return finding


def test_a_good_host(good):
    with mail_server(good, b"220 mx.remote.example ESMTP\r\n") as heard:
        got = good.run("newgate", "doctor", "-v", "mail", "remote.example")
    assert heard == [b"QUIT\r\n"]
    assert got.stdout == """\
ports: fine (processes of the host on redirected ports)
mail-address: fine (the mail host's public address)
mail-dns: fine (names, PTR and other records)
mail-out: fine (letters reach other mail servers)
mail-listed: fine (lists of sources of spam)
mail-certificate: fine (who vouches for the mail host, and how long)
mail-postmaster: fine (somebody reads what other mail hosts write)
nothing hinders mail
"""


def test_nothing_asks_others_unless_told_to(good, dns):  # noqa: F811
    before = len(dns.asked)
    assert "mail-" not in good.run("newgate", "doctor", "-v", status=None).stdout
    assert len(dns.asked) == before


def test_no_mail_host(vps):
    finding = only(vps, "mail-address")
    assert (finding["level"], finding["fix"]) == ("advice", ["newgate host init DOMAIN"])
    assert "nothing is set up yet" in finding["what"]
    assert not doctor(vps, "mail-dns") and not doctor(vps, "mail-certificate") and not doctor(vps, "mail-listed")


# --- its address ---


def test_a_private_address(good):
    good.write("/etc/newgate/host.conf", CONF.replace("203.0.113.10", "192.168.1.5"))
    finding = only(good, "mail-address")
    assert finding["level"] == "hinders" and finding["what"] == "192.168.1.5 is a private address: nobody reaches it"


def test_another_address(good):
    good.write("/etc/newgate/host.conf", CONF.replace("203.0.113.10", "203.0.113.77"))
    finding = only(good, "mail-address")
    assert finding["what"] == "letters leave with 203.0.113.10, but the DNS names 203.0.113.77"
    assert "nat.source += 203.0.113.77" in finding["fix"][0]
    # As it says.
    good.write("/etc/rc.conf", RC)
    good.busybox("/var/jails/postfix")
    good.write("/etc/jail.conf.d/host.conf", """
postfix { path = "/var/jails/postfix"; interface = lo1; ip4.addr = 10.100.0.2; nat.source += 203.0.113.77; }
""")
    assert not doctor(good, "mail-address")


# --- its names ---


@pytest.mark.parametrize("old, new, what", [
    (r"^mail +A .*\n", "", "mail.example.org A is missing"),
    (r"PTR .*", "PTR vps1.provider.example.", "10.113.0.203.in-addr.arpa PTR is vps1.provider.example, and"),
    (r"^.* PTR .*\n", "", "10.113.0.203.in-addr.arpa PTR is missing"),
    (r"v=spf1 mx", "v=spf1", 'example.org TXT "v=spf1 -all" forbids 203.0.113.10'),
    (r"^ng\._domainkey.*\n", "", "ng._domainkey.example.org TXT is missing"),
])
def test_dns_hinders(good, dns, old, new, what):  # noqa: F811
    dns.load(re.sub(old, new, complete(good), count=1, flags=re.M))
    found = [f["what"] for f in doctor(good, "mail-dns", 1)]
    assert any(w.startswith(what) for w in found), found


def test_dns_advice(good, dns):  # noqa: F811
    dns.load(re.sub(r"^(_dmarc|_imaps\._tcp) .*\n", "", complete(good), flags=re.M))
    finding = only(good, "mail-dns")
    assert (finding["level"], finding["what"]) == ("advice", "4 other DNS records are missing or wrong")
    assert "_dmarc.second.example" in good.run("sh", "-c", finding["fix"][0], status=1).stdout


def test_no_dns(good):
    good.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    good.run("ip", "link", "set", "lo", "up")
    assert "no name server of /etc/resolv.conf could answer" in only(good, "mail-dns")["what"]


# --- port 25 ---


def out(vps):
    got = vps.run("newgate", "doctor", "mail-out", "remote.example", status=None)
    return got.stdout.splitlines()


def test_port_25_is_refused(good):
    assert out(good) == [
        f"mail-out: no connection to mx.remote.example ({MX}) port 25: Connection refused",
        "  why letters to others stay in the queue; many providers keep the port closed",
        "      until one asks them",
        "  fix # ask the provider to open outgoing tcp port 25 for this host",
        "      # until then, send by somebody else's server, in /etc/newgate/host/postfix/main.cf: relayhost = [SERVER]:587",
        "",
        "1 thing hinders mail"]


def test_port_25_is_dropped(good):
    good.run("nft", "add table inet provider; add chain inet provider out { type filter hook output priority 0; };"
             "add rule inet provider out tcp dport 25 drop")
    assert out(good)[0] == f"mail-out: no connection to mx.remote.example ({MX}) port 25: Connection timed out"


def test_a_server_that_refuses(good):
    with mail_server(good, b"554 5.7.1 \x1b[31mlisted\r\n"):
        assert out(good)[0] == f"mail-out: mx.remote.example ({MX}) wants nothing of us: 554 5.7.1 \\x1b[31mlisted"


def test_a_server_that_hangs_up(good):
    with mail_server(good, b"220-half"):
        # It says no more until the client goes, who has waited long enough.
        assert out(good)[0].endswith("port 25: Connection timed out")


def test_ipv6_alone_does_not_get_out(good, dns):  # noqa: F811
    good.write("/etc/newgate/host.conf", CONF + "address6 = 2001:db8::10\n")
    dns.load(complete(good) + REMOTE + "mx.remote.example. AAAA 2001:db8:51::7\n")
    with mail_server(good, b"220 mx.remote.example ESMTP\r\n"):
        got = out(good)
    assert got[0] == "mail-out: no connection to mx.remote.example (2001:db8:51::7) port 25: Connection refused"
    assert got[-1] == "nothing hinders mail; 1 is worth a look"


# --- lists, certificate, postmaster ---


@pytest.mark.parametrize("answer, level, what", [
    ("127.0.0.2", "hinders", "203.0.113.10 is listed by zen.spamhaus.org as a source of spam"),
    ("127.0.0.4", "hinders", "203.0.113.10 is listed by zen.spamhaus.org as a machine that others have taken over"),
    ("127.0.0.11", "hinders", "as an address from which nobody should send letters"),
    ("127.255.255.254", "advice", "zen.spamhaus.org does not answer the name server that this host asks"),
])
def test_listed(good, dns, answer, level, what):  # noqa: F811
    dns.load(f"10.113.0.203.zen.spamhaus.org. A {answer}\n")
    finding = only(good, "mail-listed")
    assert finding["level"] == level and finding["what"].endswith(what)


@pytest.mark.parametrize("options, level, what", [
    ({"own": True}, "hinders", "nobody vouches for the certificate of mail.example.org"),
    ({"since": -90, "until": -1}, "hinders", "the certificate of mail.example.org has expired"),
    ({"name": "www.example.org"}, "hinders", "the certificate is not one of mail.example.org"),
    ({"since": -70, "until": 20}, "advice", "the certificate of mail.example.org ends in 20 days"),
])
def test_certificate(good, options, level, what):
    certify(good, **options)
    finding = only(good, "mail-certificate")
    assert (finding["level"], finding["what"], finding["fix"]) == (level, what, ["newgate host renew"])


def test_postmaster(good):
    good.write("/etc/newgate/host/aliases", "@second.example alice@example.org\n")
    good.write("/etc/newgate/host/dovecot/users", "alice@example.org:{X}::::::\n")
    finding = only(good, "mail-postmaster")
    assert finding["level"] == "advice" and finding["what"] == "postmaster@example.org is nobody's address"
    good.run("sh", "-c", finding["fix"][0])
    assert not doctor(good, "mail-postmaster")
