"""newgate host dns: what it prints is what it wants of a name server, and what it says of others."""

import json
import re
import subprocess

import pytest

from nameserver import Dns
from vps import SOURCE

SERVER = "198.51.100.7"
NAMES = {"HOSTNAME": "mail.example.org", "DOMAIN": "example.org"}
CONF = """domain = example.org
hostname = mail.example.org
address4 = 203.0.113.10
acme = https://acme-v02.api.letsencrypt.org/directory
"""


@pytest.fixture(scope="module")
def key():
    """A domain's key takes its time: one for each is made once."""
    return [subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout for _ in range(2)]


@pytest.fixture
def host(vps, key):
    """Configuration of a host with two domains and a site elsewhere; no jail runs."""
    vps.write("/etc/newgate/host.conf", CONF)
    vps.write("/etc/newgate/host/sites", "www.shop.example static\n")
    vps.write("/etc/resolv.conf", f"nameserver {SERVER}\n")
    for made in ("web/mta-sts.txt", "postfix/main.cf"):
        text = (SOURCE / "share/host" / made).read_text()
        vps.write(f"/etc/newgate/host/{made}", re.sub("@(HOSTNAME|DOMAIN)@", lambda m: NAMES[m[1]], text))
    keys = vps.path("/etc/newgate/host/dkim/keys")
    keys.mkdir(parents=True)
    for domain, pem in zip(("example.org", "second.example"), key):
        (keys / f"{domain}.pem").write_bytes(pem)
        vps.run("newgate", "host", "domain", "add", domain)
    return vps


@pytest.fixture
def dns(host):
    """Has all that is wanted."""
    with Dns(host, "internet", SERVER, complete(host)) as server:
        yield server


def printed(vps, *argv):
    return vps.run("newgate", "host", "dns", *argv).stdout


def complete(vps):
    """The zone, and what others are to add."""
    return re.sub(r"^; the provider of the address sets: ", "", printed(vps), flags=re.M)


def check(vps, *argv, status=1):
    """Its lines; the last counts."""
    *lines, count = vps.run("newgate", "host", "dns", "--check", *argv, status=status).stdout.splitlines()
    return lines, count


def complaint(vps, dns, old, new):
    """What is said where the zone is as wanted but for one thing."""
    zone = complete(vps)
    changed = re.sub(old, new, zone, count=1, flags=re.M)
    assert changed != zone
    dns.load(changed)
    lines, _ = check(vps)
    return "\n".join(lines)


def accepted(vps, dns, old, new):
    zone = complete(vps)
    changed = re.sub(old, new, zone, count=1, flags=re.M)
    assert changed != zone
    dns.load(changed)
    assert check(vps, status=0)[0] == []


# --- the zone ---


def test_the_zone(host):
    text = printed(host, "example.org")
    key = re.search(r'^(ng._domainkey +TXT +)"v=DKIM1; k=rsa; p=[^"]+" "[^"]+"$', text, re.M)
    assert key, text
    assert text.replace(key[0], key[1] + "KEY").replace(re.search("id=([0-9a-f]{16})", text)[1], "ID") == """\
$ORIGIN example.org.
$TTL 3600
mail                   A     203.0.113.10
mail                   TXT   "v=spf1 a -all"
; the provider of the address sets: 10.113.0.203.in-addr.arpa. PTR mail.example.org.
@                      MX    10 mail.example.org.
@                      TXT   "v=spf1 mx -all"
ng._domainkey          TXT   KEY
_dmarc                 TXT   "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"
mta-sts                A     203.0.113.10
autoconfig             A     203.0.113.10
autodiscover           A     203.0.113.10
_mta-sts               TXT   "v=STSv1; id=ID"
_smtp._tls             TXT   "v=TLSRPTv1; rua=mailto:postmaster@example.org"
_imaps._tcp            SRV   0 1 993 mail.example.org.
_submissions._tcp      SRV   0 1 465 mail.example.org.
_submission._tcp       SRV   0 1 587 mail.example.org.
_sieve._tcp            SRV   0 1 4190 mail.example.org.
_autodiscover._tcp     SRV   0 1 443 mail.example.org.
@                      CAA   0 issue "letsencrypt.org"
"""


def test_a_domain_that_is_not_the_first(host):
    text = printed(host, "Second.example")
    assert text.startswith("$ORIGIN second.example.\n")
    assert re.search(r"^@ +MX +10 mail\.example\.org\.$", text, re.M)
    assert re.search(r"^autoconfig +A +203\.0\.113\.10$", text, re.M)
    assert "PTR" not in text and re.search(r"^mail ", text, re.M) is None
    # Keys differ, the policy is the same.
    first = printed(host, "example.org")
    assert [w for w in re.findall(r'"([^"]*)"', first) if "p=M" in w][0] not in text
    assert re.search("id=[0-9a-f]+", first)[0] in text
    assert printed(host).count("$ORIGIN") == 3
    assert "$ORIGIN shop.example.\n$TTL 3600\nwww                    A     203.0.113.10\n" in printed(host)
    assert "other.example is no domain of this host" in \
        host.run("newgate", "host", "dns", "other.example", status=1).stderr


def test_a_host_that_is_called_after_none_of_its_domains(host, dns):
    host.write("/etc/newgate/host.conf", CONF.replace("mail.example.org", "mx1.provider.example"))
    text = printed(host)
    assert text.startswith("$ORIGIN provider.example.\n$TTL 3600\nmx1                    A     203.0.113.10\n")
    assert text.count(" MX    10 mx1.provider.example.\n") == 2
    # The policy and postfix still have the other name.
    dns.load(complete(host))
    lines, _ = check(host)
    assert [line.split()[:3] for line in lines] == [
        ["wrong", "mx1.provider.example", "HELO"],
        ["wrong", "_mta-sts.example.org", "TXT"], ["wrong", "_mta-sts.second.example", "TXT"]]


def test_json(host, dns):
    rows = json.loads(printed(host, "--json", "example.org"))["records"]
    assert {"domain": "example.org", "name": "example.org", "type": "MX", "value": "10 mail.example.org"} in rows
    assert all(set(r) == {"domain", "name", "type", "value"} and r["value"] for r in rows)
    rows = json.loads(printed(host, "--check", "--json"))["records"]
    assert {r["state"] for r in rows} == {"fine"} and {r["domain"] for r in rows} == \
        {"example.org", "second.example", "shop.example"}
    dns.load(complete(host).replace("MX    10 mail", "MX    10 other"))
    rows = json.loads(host.run("newgate", "host", "dns", "--check", "--json", status=1).stdout)["records"]
    assert [(r["type"], r["state"], r["remedy"]) for r in rows if r["domain"] == "second.example" and r["why"]] \
        == [("MX", "wrong", "make it  second.example. MX 10 mail.example.org."),
            ("TXT", "wrong", 'make it  second.example. TXT "v=spf1 mx mx -all"')]


# --- the check ---


def test_all_is_there(host, dns):
    assert check(host, status=0) == ([], "43 of 43 are as they should be")
    assert check(host, "second.example", status=0)[1] == "18 of 18 are as they should be"


def test_nothing_is_there(host, dns):
    dns.load("")
    lines, count = check(host)
    assert "missing  example.org MX; add  example.org. MX 10 mail.example.org." in lines
    assert "missing  mail.example.org A; add  mail.example.org. A 203.0.113.10" in lines
    assert "missing  10.113.0.203.in-addr.arpa PTR; ask the provider of the address for  " \
        "10.113.0.203.in-addr.arpa. PTR mail.example.org." in lines
    assert "missing  _imaps._tcp.second.example SRV; add  " \
        "_imaps._tcp.second.example. SRV 0 1 993 mail.example.org." in lines
    # What is told to be added is what was missing, all of it.
    dns.load("\n".join(line.partition("  ")[2].partition("  ")[2] for line in lines))
    assert check(host, status=0)[0] == []
    # CAA, what postfix calls itself, and no IPv6.
    assert count == "11 of 43 are as they should be"


@pytest.mark.parametrize("old, new, said", [
    (r"^mail( +)A .*", r"mail\1A 198.51.100.1", "wrong    mail.example.org A is 198.51.100.1, which is not this host; "
     "make it  mail.example.org. A 203.0.113.10"),
    (r"^mail( +)A .*", r"\g<0>\nmail\1AAAA 2001:db8::1", "wrong    mail.example.org AAAA is 2001:db8::1, which is not "
     "this host; remove  mail.example.org. AAAA 2001:db8::1"),
    (r"^@( +)MX .*", r"@\1MX 5 other.example.\n\g<0>", "wrong    example.org MX leads to other.example before this "
     "host; make it  example.org. MX 10 mail.example.org."),
    (r"^@( +)MX .*", r"@\1MX 5 other.example.", "MX leads to other.example and not to mail.example.org"),
    (r'"v=spf1 mx -all"', '"v=spf1 ip4:198.51.100.0/24 -all"', 'wrong    example.org TXT "v=spf1 ip4:198.51.100.0/24 '
     '-all" forbids 203.0.113.10; make it  example.org. TXT "v=spf1 mx ip4:198.51.100.0/24 -all"'),
    (r'"v=spf1 a -all"', '"v=spf1 ~all"', 'make it  mail.example.org. TXT "v=spf1 a ~all"'),
    (r'^@( +)TXT .*', r'\g<0>\n@\1TXT "v=spf1 -all"', "is there 2 times, and there may be one"),
    (r"p=M[^;]{40}", "p=", "_domainkey.example.org TXT is another key than the one that this host signs with"),
    (r'p=M[^"]*" "[^"]*"', 'p="', "_domainkey.example.org TXT revokes the key"),
    (r"k=rsa;", "t=y;", "a test, whose signatures count for nothing"),
    (r"p=quarantine", "p=none", "_dmarc.example.org TXT lets everybody write in the domain's name"),
    (r"id=\w+", "id=1", "has not the id of the policy as it is now"),
    (r"v=TLSRPTv1; rua=[^\"]*", "v=TLSRPTv1; rua=", "_smtp._tls.example.org TXT names nobody to report to"),
    (r"SRV   0 1 993 mail.example.org.", "SRV 0 1 143 mail.example.org.", "SRV leads to 143 mail.example.org"),
    (r'issue "letsencrypt.org"', 'issue "other.example"', "CAA of example.org forbids letsencrypt.org to certify"),
    (r"PTR .*", "PTR vps1.provider.example.", "PTR is vps1.provider.example, and receivers want"),
])
def test_what_is_wrong(host, dns, old, new, said):
    assert said in complaint(host, dns, old, new)


@pytest.mark.parametrize("old, new", [
    (r"^mta-sts( +)A .*", r"mta-sts\1CNAME mail.example.org."),
    (r"^@( +)MX .*", r"\g<0>\n@\1MX 20 backup.example."),
    (r'"v=spf1 mx -all"', '"v=spf1 include:_spf.other.example ip4:203.0.113.0/24 ?all"\n'
     '_spf.other.example. TXT "v=spf1 ip4:198.51.100.0/24 -all"'),
    (r"^@( +)TXT .*", r'\g<0>\n@\1TXT "some-site-verification=1"'),
    (r"p=quarantine; rua=[^\"]*", "p=reject; adkim=s"),
    (r"v=TLSRPTv1; rua=[^\"]*", "v=TLSRPTv1; rua=https://reports.example/"),
    (r"SRV   0 1 993 mail.example.org.", "SRV 10 5 993 Mail.Example.Org."),
    (r"^.* CAA .*", "; none"),
    (r'issue "letsencrypt.org"', 'issue "letsencrypt.org; validationmethods=http-01"'),
    (r"id=(\w+)", r"id=\1;"),
    (r"v=DKIM1; k=rsa; ", ""),
])
def test_what_is_fine(host, dns, old, new):
    accepted(host, dns, old, new)


def test_the_id_follows_the_policy(host, dns):
    policy = host.path("/etc/newgate/host/web/mta-sts.txt")
    assert "mx: mail.example.org\n" in policy.read_text()
    policy.write_text(policy.read_text().replace("enforce", "testing"))
    (line, _), _ = check(host)
    assert "_mta-sts.example.org TXT has not the id" in line
    dns.load(complete(host))
    check(host, status=0)
    policy.write_text(policy.read_text().replace("mail.example.org", "other.example"))
    dns.load(complete(host))
    (line, _), _ = check(host)
    assert line.startswith("wrong    _mta-sts.example.org TXT the policy in /etc/newgate/host/web/mta-sts.txt has no "
                           'line "mx: mail.example.org"')


def test_helo(host, dns):
    main = host.path("/etc/newgate/host/postfix/main.cf")
    main.write_text(main.read_text() + "myhostname = vps1.provider.example\n")
    assert check(host)[0] == [
        "wrong    mail.example.org HELO of postfix is vps1.provider.example, which is not what the PTR record names; "
        "set  myhostname = mail.example.org  in /etc/newgate/host/postfix/main.cf"]


def test_ipv6(host, dns):
    host.write("/etc/newgate/host.conf", CONF + "address6 = 2001:db8:cb::10\n")
    lines, _ = check(host, "example.org")
    assert "missing  mail.example.org AAAA; add  mail.example.org. AAAA 2001:db8:cb::10" in lines
    assert any(line.startswith("missing  0.1.0.0.0.") and line.endswith(".ip6.arpa. PTR mail.example.org.")
               for line in lines)
    assert 'TXT "v=spf1 mx -all" forbids 2001:db8:cb::10' in "\n".join(lines)
    dns.load(complete(host))
    check(host, status=0)


def test_nobody_answers(host, dns):
    dns.broken = {"mail.example.org"}
    lines, _ = check(host)
    assert "unknown  mail.example.org A: no name server of /etc/resolv.conf could answer: " \
        "is the network up, and does the domain's own server run?" in lines
    # So are the SPF records, which lead to its address; the rest was looked at.
    assert len(lines) == 4 and lines[3] == "unknown  2 more, since no name server answered"


def test_no_server(host):
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    host.run("ip", "link", "set", "lo", "up")
    got = host.run("newgate", "host", "dns", "--check", status=1).stdout.splitlines()
    assert len(got) == 5 and all(line.startswith("unknown  ") for line in got[:3])
    # What postfix calls itself is seen without one.
    assert got[3:] == ["unknown  39 more, since no name server answered", "1 of 43 are as they should be"]


def test_a_server_that_lies(host, dns):
    dns.load(complete(host) + '_dmarc.example.org. TXT "v=DMARC1\x1b[2J; p=none"\n_dmarc.example.org. TXT "v=spf1"\n')
    assert "\x1b" not in host.run("newgate", "host", "dns", "--check", status=1).stdout
