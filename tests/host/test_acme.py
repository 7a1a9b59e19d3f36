"""newgate host renew: certificates that Pebble gives and nginx, Postfix and Dovecot show."""

import contextlib
import errno
import imaplib
import os
import smtplib
import socket
import ssl

import pytest

from conftest import mail_host, world_of
from vps import Failed
from world import HOST

HOSTNAME = "mail.example.org"
TLS = "/etc/newgate/host/tls"
MARK = "/var/lib/newgate/host/acme/not-shown"
PORTS = (443, 993, 4190, 25, 465, 587)
LEFT_OUT = "{} has no address in the DNS: left out of the certificate"


def settle(vps, reloads):
    """Until nginx's workers of before that many reloads are gone: it alone goes on with them for a moment."""
    with vps.popen("timeout", "20", "newgate", "logs", "-f", "-n", "all", "web") as tail:
        came = started = gone = workers = 0
        for line in tail.stdout:
            came += "(SIGHUP) received" in line
            started += "start worker process " in line
            gone += "worker process" in line and "exited with code 0" in line
            workers = workers if came else started
            if came >= reloads and started == workers * (came + 1) and gone == workers * came:
                tail.terminate()
                return
    raise Failed(f"nginx: {came} reloads, {started} workers started, {gone} gone")


def reloads(vps):
    return vps.run("newgate", "logs", "-n", "all", "web").stdout.count("(SIGHUP) received")


def starttls(raw, port):
    if port == 4190:
        with raw.makefile("rb") as lines:
            while not lines.readline().startswith(b"OK"):
                pass
            raw.sendall(b"STARTTLS\r\n")
            assert lines.readline().startswith(b"OK")
    else:
        s = smtplib.SMTP()
        s.sock = raw
        s.getreply()
        s.ehlo("somebody.example.net")
        assert s.docmd("STARTTLS")[0] == 220


def shown(vps, port):
    """The certificate that a service shows to somebody who connects now."""
    context = ssl._create_unverified_context()
    with vps.within("internet"):
        raw = socket.create_connection((HOST, port), 20)
    with contextlib.closing(raw):
        if port in (25, 587, 4190):
            starttls(raw, port)
        with context.wrap_socket(raw, server_hostname=HOSTNAME) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


def in_place(vps):
    """The first certificate of the chain."""
    end = "-----END CERTIFICATE-----\n"
    before, found, _ = vps.read(f"{TLS}/fullchain.pem").partition(end)
    return before + found


def all_show_it(vps):
    now = in_place(vps)
    return {port: shown(vps, port) == now for port in PORTS} == dict.fromkeys(PORTS, True)


def names(vps):
    got = vps.run("openssl", "x509", "-in", vps.path(f"{TLS}/fullchain.pem"), "-noout", "-ext", "subjectAltName")
    return {n.strip().removeprefix("DNS:") for n in got.stdout.split("\n")[1].split(",")}


def web_mail_believes(vps):
    """Roundcube's own settings, for a connection to Dovecot."""
    got = vps.jail("web").run("php", "-r", """
        require "/etc/host/roundcube.php";
        $c = stream_context_create($config["imap_conn_options"]);
        $s = stream_socket_client($config["imap_host"], $code, $text, 20, STREAM_CLIENT_CONNECT, $c);
        echo $s ? fgets($s) : $text;""")
    return got.stdout.startswith("* OK")


def renew(vps, *options, status=0):
    """What it says, to whom it may concern, once the services have heard."""
    before = reloads(vps)
    old = in_place(vps)
    got = vps.run("newgate", "host", "renew", *options, status=status, timeout=120)
    if in_place(vps) != old:
        settle(vps, before + 1)
    return got.stdout + got.stderr


def authority(vps, url):
    """Has newgate host ask that one."""
    conf = vps.path("/etc/newgate/host.conf")
    lines = [f"acme = {url}" if line.startswith("acme =") else line for line in conf.read_text().splitlines()]
    conf.write_text("\n".join(lines) + "\n")
    vps.run("newgate", "host", "apply")


def publish(world, more=""):
    """The records of the mail host, and more."""
    world.zone("example.org", f"@ MX 10 mail\nmail A {HOST}\nmail AAAA 2001:db8::10\n{more}")


@pytest.fixture(scope="module")
def new():
    """A mail host with a certificate of its own, and its internet."""
    with mail_host("--acme", "https://acme.example.net:14000/dir") as vps, world_of(vps) as world:
        publish(world)
        yield vps, world


@pytest.fixture(scope="module")
def host(new):
    """With one from the authority, that newgate host init was told of."""
    vps, world = new
    both = vps.write("/root/ca.pem", world.ca.read_text() + world.root().read_text())
    before = reloads(vps)
    got = vps.run("newgate", "host", "init", "example.org", "--acme", world.directory, "--ca", both, timeout=180)
    assert "mail.example.org is new, by Pebble Intermediate CA" in got.stdout
    for name in ("mta-sts", "autoconfig", "autodiscover"):
        assert LEFT_OUT.format(f"{name}.example.org") in got.stderr
    settle(vps, before + 1)
    return vps, world


def test_an_authority_that_is_silent(new):
    """No certificate comes, and the host's own stays; that is told, with what to do."""
    vps, world = new
    before = in_place(vps)
    said = renew(vps, status=1)
    assert "https://acme.example.net:14000/dir gave no certificate, the old one stays; is `acme` in" in said
    assert "Couldn't connect to server" in said
    assert in_place(vps) == before
    assert not vps.path("/run/newgate/jails/acme").exists()
    assert all_show_it(vps) and web_mail_believes(vps)


def test_an_authority_that_nobody_knows(new):
    """Pebble's own certificate is signed by nobody whom Debian knows."""
    vps, world = new
    authority(vps, world.directory)
    assert "acme.ca in /etc/newgate/host.conf names a file" in renew(vps, status=1)


def test_the_first(host):
    vps, world = host
    assert names(vps) == {HOSTNAME}
    assert all_show_it(vps) and web_mail_believes(vps)
    chain = vps.path(f"{TLS}/fullchain.pem")
    vps.run("openssl", "verify", "-CAfile", world.root(), "-untrusted", chain, "-verify_hostname", HOSTNAME, chain)
    # Its account is kept, its challenge is not, and no jail of it is left.
    assert not os.listdir(vps.path("/var/lib/newgate/host/acme/challenge"))
    assert "https___acme.example.net_dir" in os.listdir(vps.path("/var/lib/newgate/host/acme/state"))
    assert not vps.path("/run/newgate/jails/acme").exists()


def test_not_without_need(host):
    vps, _ = host
    before = in_place(vps)
    assert "the certificate of mail.example.org, by Pebble" in renew(vps)
    assert in_place(vps) == before


def test_names_that_come(host):
    """Those of the DNS that lead here and nowhere else, a site's among them."""
    vps, world = host
    vps.run("newgate", "host", "site", "add", "www.example.org")
    publish(world, f"""\
mta-sts CNAME mail
www A {HOST}
autoconfig A {HOST}
autoconfig AAAA 2001:db8:51::7
""")
    said = renew(vps)
    assert "the one in place is not for www.example.org" in said
    assert "autoconfig.example.org leads to 2001:db8:51::7, which is not this host" in said
    assert LEFT_OUT.format("autodiscover.example.org") in said
    assert names(vps) == {HOSTNAME, "www.example.org", "mta-sts.example.org"}
    assert all_show_it(vps)
    # One that is gone for a day is no reason to ask again.
    publish(world)
    before = in_place(vps)
    assert LEFT_OUT.format("www.example.org") in renew(vps)
    assert in_place(vps) == before


def test_not_without_the_hosts_name(host):
    vps, world = host
    before = in_place(vps)
    world.zone("example.org", "@ MX 10 mail\n")
    said = renew(vps, "--force", status=1)
    assert "mail.example.org has no address in the DNS: no certificate is asked for" in said
    publish(world)
    assert in_place(vps) == before


def test_connections_last(host):
    """A new certificate on every port, and nobody who was connected notices."""
    vps, world = host
    before = in_place(vps)
    with vps.within("internet"):
        imap = imaplib.IMAP4_SSL(HOST, 993, ssl_context=ssl._create_unverified_context(), timeout=30)
        smtp = smtplib.SMTP(HOST, 25, "somebody.example.net", timeout=30)
        sending = smtplib.SMTP_SSL(HOST, 465, "somebody.example.net", timeout=30,
                                   context=ssl._create_unverified_context())
    imap.login("alice@example.org", "secret of alice")
    imap.select("INBOX")
    smtp.ehlo()
    smtp.mail("x@remote.example")
    sending.login("alice@example.org", "secret of alice")
    renew(vps, "--force")
    assert in_place(vps) != before
    assert all_show_it(vps) and web_mail_believes(vps)
    assert imap.noop()[0] == "OK"
    assert smtp.rcpt("alice@example.org")[0] == 250
    assert sending.noop()[0] == 250
    for connection in (smtp, sending):
        connection.quit()
    imap.logout()


@contextlib.contextmanager
def asking(vps, world):
    """newgate host renew while it waits for an authority that never answers."""
    authority(vps, "https://acme.example.net:14000/dir")
    server = vps.listen("internet", "tcp", "198.51.100.14", 14000)
    try:
        # In a process group of its own, as a shell would run it.
        with vps.popen("setsid", "newgate", "host", "renew", "--force") as p:
            vps.accept(server)
            group = min(pid for pid, said in vps.processes().items() if said.startswith("newgate host renew"))
            yield p, group
            p.communicate()
    finally:
        vps.close_sockets()
        authority(vps, world.directory)


def test_what_its_jail_may(host):
    """It reaches the authority and the name servers, writes its account and the proofs, and no key is there."""
    vps, world = host
    vps.listen("internet", "tcp", "198.51.100.7", 8080)
    with asking(vps, world) as (_, group):
        acme = vps.jail("acme")
        web = vps.jail("web").addresses()[0]
        for address, port in (("198.51.100.7", 8080), (web, 443), (HOST, 22)):
            assert vps.refused(acme, "tcp", address, port) == errno.ECONNREFUSED
        vps.connect(acme, "tcp", world.ns, 53)
        assert acme.run("grep", "CapBnd", "/proc/self/status").stdout.split()[1] == "00000000000000c0"
        assert "Read-only" in acme.run("touch", "/etc/host/here", status=1).stderr
        assert "Read-only" in acme.run("touch", "/here", status=1).stderr
        assert "No such file" in acme.run("ls", "/etc/tls", status=2).stderr
        vps.run("kill", "-INT", "--", f"-{group}")


def test_killed(host):
    """What it leaves, the next one clears up."""
    vps, world = host
    before = in_place(vps)
    with asking(vps, world) as (_, group):
        vps.run("kill", "-KILL", group)
    assert in_place(vps) == before
    assert vps.path("/run/newgate/jails/acme").exists()
    renew(vps, "--force")
    assert in_place(vps) != before and all_show_it(vps)
    assert not vps.path("/run/newgate/jails/acme").exists()


def test_interrupted(host):
    vps, world = host
    before = in_place(vps)
    with asking(vps, world) as (p, group):
        vps.run("kill", "-INT", "--", f"-{group}")
    assert p.returncode != 0 and in_place(vps) == before
    assert not vps.path("/run/newgate/jails/acme").exists()


def test_killed_before_the_services_heard(host):
    """The mark that is left has the next one tell them, also where it asks for nothing."""
    vps, _ = host
    old = vps.read(f"{TLS}/fullchain.pem")
    renew(vps, "--force")
    vps.write(MARK, "")
    vps.write(f"{TLS}/fullchain.pem", old)
    before = reloads(vps)
    vps.run("newgate", "host", "renew")
    settle(vps, before + 1)
    assert all_show_it(vps)
    assert not vps.path(MARK).exists()


def test_another_jail_of_that_name(host):
    vps, _ = host
    other = vps.write("/etc/jail.conf.d/other.conf", 'acme { path = "/nowhere"; persist; }\n')
    assert 'jail.conf has a jail "acme"' in renew(vps, "--force", status=1)
    other.unlink()


def test_not_our_business(host):
    vps, world = host
    authority(vps, "none")
    assert "yours to renew" in renew(vps, "--force")
    authority(vps, world.directory)
