"""What mail programs and other mail hosts ask the web and the DNS before they come."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

HOST = "203.0.113.10"
SECOND = "second.example"


@pytest.fixture(scope="module")
def second(mail):
    """A further domain, of which the certificate knows nothing."""
    mail.run("newgate", "host", "domain", "add", SECOND)
    yield mail
    mail.run("newgate", "host", "domain", "remove", SECOND)


def get(vps, url, *options):
    """As somebody on the internet, who finds the host by the DNS."""
    name, port = re.match(r"https?://([^/]+)", url)[1], 443 if url.startswith("https") else 80
    return vps.run("curl", "-sSkf", "--max-time", "15", "--resolve", f"{name}:{port}:{HOST}", *options, url,
                   where="internet").stdout


def printed(vps, *argv):
    return vps.run("newgate", "host", "dns", *argv).stdout


# --- records ---


def test_the_records_serve(second, world):
    """5: what is printed is what a name server takes, and what the check then finds."""
    second.write("/etc/resolv.conf", f"nameserver {world.ns}\n")
    world.publish()
    # The provider gave the addresses their names already.
    assert re.fullmatch(r"(\d+) of \1 are as they should be\n", printed(second, "--check", "example.org"))
    got = second.run("newgate", "host", "dns", "--check", status=1).stdout.splitlines()
    assert all(SECOND in line for line in got[:-1])
    assert f"missing  {SECOND} MX; add  {SECOND}. MX 10 mail.example.org." in got
    world.zone(SECOND, printed(second, SECOND))
    assert re.fullmatch(r"(\d+) of \1 are as they should be\n", printed(second, "--check"))
    world.zone(SECOND, None)
    assert "missing" in second.run("newgate", "host", "dns", "--check", SECOND, status=1).stdout


# --- what is served for them ---


@pytest.mark.parametrize("domain", ["example.org", SECOND])
def test_policy(second, domain):
    text = get(second, f"https://mta-sts.{domain}/.well-known/mta-sts.txt", "-D", "/dev/stderr")
    assert dict(line.split(": ") for line in text.splitlines()) == {
        "version": "STSv1", "mode": "enforce", "mx": "mail.example.org", "max_age": "604800"}
    kind = get(second, f"https://mta-sts.{domain}/.well-known/mta-sts.txt", "-o", "/dev/null", "-w", "%{content_type}")
    assert kind == "text/plain"


@pytest.mark.parametrize("url", [
    "https://autoconfig.{}/mail/config-v1.1.xml?emailaddress=alice@{}",
    "http://autoconfig.{}/mail/config-v1.1.xml?emailaddress=alice@{}",
    "https://{}/.well-known/autoconfig/mail/config-v1.1.xml",
])
@pytest.mark.parametrize("domain", ["example.org", SECOND])
def test_thunderbird(second, url, domain):
    found = ElementTree.fromstring(get(second, url.replace("{}", domain)))
    (provider,) = found.findall("emailProvider")
    # Thunderbird puts in what it was given by its user.
    assert [d.text for d in provider.findall("domain")] == ["%EMAILDOMAIN%"]
    servers = {s.get("type"): {e.tag: e.text for e in s} for s in provider if s.get("type")}
    common = {"hostname": "mail.example.org", "socketType": "SSL", "username": "%EMAILADDRESS%",
              "authentication": "password-cleartext"}
    assert servers == {"imap": {**common, "port": "993"}, "smtp": {**common, "port": "465"}}


@pytest.mark.parametrize("path", ["autodiscover/autodiscover.xml", "Autodiscover/Autodiscover.xml"])
@pytest.mark.parametrize("domain", ["example.org", SECOND])
def test_outlook(second, path, domain):
    schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook"
    body = f'<Autodiscover xmlns="{schema}/requestschema/2006"><Request>' \
        f"<EMailAddress>alice@{domain}</EMailAddress>" \
        f"<AcceptableResponseSchema>{schema}/responseschema/2006a</AcceptableResponseSchema>" \
        "</Request></Autodiscover>"
    text = get(second, f"https://autodiscover.{domain}/{path}", "-H", "Content-Type: text/xml", "--data", body)
    ns = {"o": f"{schema}/responseschema/2006a"}
    protocols = ElementTree.fromstring(text).findall(".//o:Account/o:Protocol", ns)
    plain = [{e.tag.partition("}")[2]: e.text for e in p} for p in protocols]
    common = {"Server": "mail.example.org", "SSL": "on", "SPA": "off", "AuthRequired": "on",
              "LoginName": f"alice@{domain}"}
    assert plain == [{**common, "Type": "IMAP", "Port": "993"}, {**common, "Type": "SMTP", "Port": "465"}]


def test_outlook_gets_text_back_as_text(second):
    """What somebody else wrote into the request is no XML of the answer."""
    text = get(second, "https://autodiscover.example.org/autodiscover/autodiscover.xml", "--data",
               "<EMailAddress>a&quot;&gt;'@example.org</EMailAddress>")
    ElementTree.fromstring(text)
    assert "a&amp;quot;" in text


# --- newgate doctor mail ---


def test_the_doctor_of_a_mail_host(second, world):
    """Where all is in order but what a new host lacks yet, that is what it says."""
    second.write("/etc/resolv.conf", f"nameserver {world.ns}\n")
    world.publish()
    world.zone(SECOND, printed(second, SECOND))
    got = second.run("newgate", "doctor", "-v", "mail", "remote.example", status=1).stdout
    world.zone(SECOND, None)
    assert re.findall(r"^(\S+): (?!fine)(.*)", got, re.M) == [
        ("mail-certificate", "nobody vouches for the certificate of mail.example.org"),
        ("mail-postmaster", "postmaster@example.org is nobody's address"),
        ("mail-postmaster", f"postmaster@{SECOND} is nobody's address")]
    assert re.findall(r"^(\S+): fine", got, re.M) == [
        "ports", "mail-address", "mail-dns", "mail-out", "mail-listed"]
    assert got.endswith("\n1 thing hinders mail; 2 more are worth a look\n")
