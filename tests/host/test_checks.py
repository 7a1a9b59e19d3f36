"""The fifteen checks that a mail host passes, with real software on both ends: where each of them is.

     1  no open relay                                   here
     2  the client's real address, everywhere           here; through web mail: test_webmail.py
     3  TLS and logins, port by port                    here
     4  outgoing mail is signed                         here
     5  the DNS's records                               test_dns.py
     6  what the far side sees of us                    here
     7  +tags, aliases, catch-all, unknown users        here
     8  big letters                                     here
     9  full mailboxes                                  here, test_mail.py
    10  kill -9                                         test_faults.py
    11  nobody sends as another; bans                   test_mail.py; test_bans.py
    12  who may connect to what                         here
    13  spam, smuggling                                 test_spam.py; test_mail.py
    14  Roundcube in a browser; renewal                 test_webmail.py; test_acme.py
    15  backup, restore, upgrade                        test_backup.py"""

import contextlib
import email
import email.message
import errno
import hashlib
import os
import re
import select
import smtplib
import ssl
import subprocess
import time

import pytest

from test_mail import HOST, OUTSIDE, fetch, letter, refusal, smtp

HOST6, OUTSIDE6 = "2001:db8::10", "2001:db8:51::7"


@contextlib.contextmanager
def smtp_of(vps, where, address, port, source=""):
    """A connection from anywhere, not logged in."""
    with vps.within(where):
        s = smtplib.SMTP(address, port, "client.example", timeout=30, source_address=(source, 0))
    with s:
        yield s


def logged(vps, jail, text):
    """Waits until the service of the jail has told that, in one line."""
    log = subprocess.Popen(["tail", "--lines=+1", "--follow", vps.path(f"/var/log/jail_{jail}_console.log")],
                           stdout=subprocess.PIPE)
    end, seen = time.monotonic() + 20, b""
    try:
        while text.encode() not in seen:
            ready, _, _ = select.select([log.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"{jail} never said {text}"
            seen += os.read(log.stdout.fileno(), 65536)
    finally:
        log.kill()
        log.communicate()


@contextlib.contextmanager
def host(vps, what, add, remove):
    """newgate host WHAT add …, undone afterwards."""
    vps.run("newgate", "host", what, "add", *add)
    try:
        yield
    finally:
        vps.run("newgate", "host", what, "remove", remove)


RELAYED = ("y@remote.example", "y%remote.example@example.org", '"y@remote.example"@example.org',
           "@example.org:y@remote.example", "remote.example!y@example.org", "y%remote.example",
           f"y%remote.example@[{HOST}]", "y@[198.51.100.25]")


@pytest.mark.parametrize("where", ["internet", "vps"])
def test_no_relay(mail, where):
    """1: from outside, and through the hairpin, where a redirected connection comes from the gateway."""
    for recipient in RELAYED:
        with smtp_of(mail, where, HOST, 25) as s:
            s.ehlo()
            assert s.mail("x@remote.example")[0] == 250
            assert s.rcpt(recipient)[0] == 554, recipient


def test_no_relay_for_the_web_jail(mail):
    """1: whoever took over the web jail has no way to port 25, and needs a password on the other one: what
    he tells of his visitor is taken for an address and for nothing else."""
    web, postfix = mail.jail("web"), mail.jail("postfix").addresses()[0]
    for address in (postfix, HOST):
        assert mail.refused(web, "tcp", address, 25) == errno.ECONNREFUSED
    with smtp_of(mail, web, postfix, 587) as s:
        assert s.docmd("MAIL FROM:<alice@example.org>")[0] == 530
    for command in ("XCLIENT", " XCLIENT", "xclient", "XCL\\IENT", "XCLIENT\t"):
        with smtp_of(mail, web, postfix, 587) as s:
            s.starttls(context=ssl._create_unverified_context())
            s.ehlo()
            for visitor in ("LOGIN=alice@example.org", f"ADDR={OUTSIDE} LOGIN=alice@example.org"):
                assert s.docmd(f"{command} {visitor}")[0] == 500
            assert s.docmd(f"XCLIENT ADDR={OUTSIDE}")[0] == 220
            s.ehlo()
            s.mail("alice@example.org")
            assert s.rcpt("y@remote.example")[0] == 554


@pytest.mark.parametrize("address, source", [(HOST, OUTSIDE), (HOST6, OUTSIDE6)])
def test_the_clients_address(mail, address, source):
    """2: in Received: of a letter, and as rip= where Dovecot tells of a login."""
    subject = f"from {source}"
    with smtp_of(mail, "internet", address, 25, source) as s:
        s.sendmail("x@example.net", ["alice@example.org"], letter(subject, "x@example.net", "alice@example.org"))
    received = email.message_from_bytes(fetch(mail, "alice", subject)).get_all("Received")
    tagged = f"IPv6:{source}" if ":" in source else source
    assert any(f"(somebody.example.net [{tagged}])" in r for r in received)
    where = f"[{address}]" if ":" in address else address
    mail.run("curl", "-sk", "--max-time", "15", "--interface", source, "--user",
             "alice@example.org:secret of alice", f"imaps://{where}/", where="internet")
    logged(mail, "dovecot", f"rip={source},")


def test_tls_of_each_port(mail):
    """3: STARTTLS on 25 and 587, TLS from the first byte on 465 and 993, with our certificate; none older
    than 1.2, nothing unencrypted where TLS comes first, and no IMAP without."""
    ca = mail.path("/etc/newgate/host/tls/ca.pem")
    for port, starttls in ((25, True), (587, True), (465, False), (993, False)):
        client = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-brief"] + \
            ["-starttls", "smtp"] * starttls
        got = mail.run(*client, "-CAfile", ca, "-verify_return_error", "-verify_hostname", "mail.example.org",
                       where="internet")
        assert "Verification: OK" in got.stderr and "CONNECTION ESTABLISHED" in got.stderr
        if port != 25:
            old = mail.run(*client, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", where="internet", status=None)
            assert old.returncode != 0 and "CONNECTION ESTABLISHED" not in old.stderr
    for port in (465, 993):
        with contextlib.closing(mail.connect("internet", "tcp", HOST, port)) as s:
            s.sendall(b"EHLO client.example\r\n")
            with contextlib.suppress(ConnectionResetError):
                answer = s.recv(512)
                assert not answer or answer[0] == 0x15, answer  # TLS's alert
    assert mail.refused("internet", "tcp", HOST, 143) == errno.ECONNREFUSED


def test_logins_of_each_port(world):
    """3: none on 25 nor before TLS, where they are needed for everything; after it, on both ports."""
    login = ("--auth", "PLAIN", "--auth-user", "alice@example.org", "--auth-password", "secret of alice",
             "--from", "alice@example.org", "--to", "bob@example.org", "--quit-after", "RCPT")
    mail_refused, auth_refused = 23, 28
    for options in (("--port", "25"), ("--port", "25", "--tls"), ("--port", "587")):
        got = world.swaks(*login, *options)
        assert got.returncode == auth_refused and "did not advertise authentication" in got.stderr
    got = world.swaks(*login[6:], "--port", "587")
    assert got.returncode == mail_refused and "530 5.7.0 Must issue a STARTTLS command first" in got.stdout
    for options in (("--port", "587", "--tls"), ("--port", "465", "--tlsc")):
        got = world.swaks(*login, *options)
        assert got.returncode == 0 and "235 2.7.0 Authentication successful" in got.stdout
        got = world.swaks(*login[6:], *options)
        assert got.returncode != 0 and "554 5.7.1" in got.stdout


def test_outgoing_mail_is_signed(mail, world):
    """4: a letter to elsewhere carries a DKIM signature that an independent verifier accepts."""
    with smtp(mail, 587, "alice") as s:
        s.sendmail("alice@example.org", ["x@remote.example"],
                   letter("far away", "alice@example.org", "x@remote.example"))
    raw = world.letter("far away")
    assert world.verified(raw)
    assert not world.verified(raw.replace(b"hello", b"hullo"))


@pytest.mark.parametrize("domain, address", [("remote.example", HOST), ("remote6.example", HOST6)])
def test_what_the_far_side_sees(mail, world, domain, address):
    """6: the public address, whose name is what we say HELO with, and encryption."""
    subject = f"to {domain}"
    with smtp(mail, 587, "alice") as s:
        s.sendmail("alice@example.org", [f"x@{domain}"], letter(subject, "alice@example.org", f"x@{domain}"))
    first = email.message_from_bytes(world.letter(subject)).get_all("Received")[0]
    tagged = f"IPv6:{address}" if ":" in address else address
    # HELO, then in brackets what the far side found out itself.
    assert first.startswith(f"from mail.example.org (mail.example.org [{tagged}])")
    assert "using TLSv1.3" in first


def test_the_far_side_writes_back(mail, world):
    """The name server leads it here, and it encrypts."""
    world.send("x@remote.example", "alice@example.org",
               letter("from afar", "x@remote.example", "alice@example.org"))
    raw = fetch(mail, "alice", "from afar")
    # Postfix takes either of the two families.
    assert re.search(rb"from mx.remote.example \((mx.remote.example \[198.51.100.25|"
                     rb"mx6.remote.example \[IPv6:2001:db8:51::25)\]\)", raw)
    assert b"with ESMTPS" in raw


def test_addresses(mail, world):
    """7: user+tag, an alias here and one to elsewhere, and one that catches all of a domain."""
    def arrives(to):
        with smtp(mail) as s:
            s.sendmail("x@remote.example", [to], letter(f"for {to}", "x@remote.example", to))
        return f"for {to}"

    with host(mail, "alias", ["info@example.org", "alice@example.org"], "info@example.org"), \
            host(mail, "alias", ["away@example.org", "x@remote.example"], "away@example.org"), \
            host(mail, "domain", ["second.example"], "second.example"), \
            host(mail, "alias", ["@second.example", "alice@example.org"], "@second.example"):
        for to in ("alice+tag@example.org", "info@example.org", "info+tag@example.org", "any@second.example"):
            got = email.message_from_bytes(fetch(mail, "alice", arrives(to)))
            assert got["To"] == to
        assert world.letter(arrives("away@example.org"))
        with smtp(mail) as s:
            assert refusal(s.sendmail, "x@remote.example", ["nobody@example.org"], "x") == 550
    with smtp(mail) as s:
        assert refusal(s.sendmail, "x@remote.example", ["any@second.example"], "x") == 554
    with smtp(mail) as s:
        assert refusal(s.sendmail, "x@remote.example", ["info@example.org"], "x") == 550


def test_a_big_letter(mail, world):
    """8: an attachment of 25 MB comes in and goes out whole."""
    content = os.urandom(25 << 20)

    def big(subject, sender, to):
        m = email.message.EmailMessage()
        m["Subject"], m["From"], m["To"] = subject, sender, to
        m.set_content("see the attachment")
        m.add_attachment(content, "application", "octet-stream", filename="big")
        return m

    def attached(raw):
        return next(p.get_payload(decode=True) for p in email.message_from_bytes(raw).walk() if p.get_filename())

    world.send("x@remote.example", "alice@example.org",
               big("big in", "x@remote.example", "alice@example.org").as_string())
    assert hashlib.sha256(attached(fetch(mail, "alice", "big in"))).digest() == hashlib.sha256(content).digest()
    with smtp(mail, 587, "alice") as s:
        s.send_message(big("big out", "alice@example.org", "x@remote.example"))
    raw = world.letter("big out")
    assert hashlib.sha256(attached(raw)).digest() == hashlib.sha256(content).digest()
    assert world.verified(raw)


def test_a_letter_too_big(mail):
    """8: 552, at once where the client tells its size, else when it ends."""
    with smtp(mail) as s:
        s.ehlo()
        assert s.mail("x@remote.example", ["SIZE=52428801"])[0] == 552
        s.rset()
        assert s.mail("x@remote.example")[0] == 250
        assert s.rcpt("alice@example.org")[0] == 250
        assert s.data("Subject: too big\r\n\r\n" + ("x" * 998 + "\r\n") * 52500)[0] == 552


def test_a_mailbox_that_gets_room(mail):
    """9: 552 at RCPT for what does not fit; what does still comes, and all of it after a change of the
    quota, at once."""
    def offer(s, size):
        s.rset()
        s.mail("x@remote.example", [f"SIZE={size}"])
        return s.rcpt("carol@example.org")[0]

    mail.run("newgate", "host", "user", "add", "--quota", "1M", "carol@example.org", input="secret of carol\n")
    try:
        with smtp(mail) as s:
            s.ehlo()
            text = letter("much", "x@remote.example", "carol@example.org", ("x" * 70 + "\r\n") * 10000)
            s.sendmail("x@remote.example", ["carol@example.org"], text)
            fetch(mail, "carol", "much")
            assert offer(s, 600000) == 552
            assert offer(s, 100000) == 250
            mail.run("newgate", "host", "user", "quota", "carol@example.org", "2M")
            assert offer(s, 600000) == 250
    finally:
        mail.run("newgate", "host", "user", "remove", "carol@example.org")


def test_who_may_connect(mail, world):
    """12: the web jail reaches what it needs of the mail jails, nobody but the mail jail port 25 of others."""
    jails = {name: mail.jail(name) for name in ("web", "postfix", "dovecot", "dkim")}
    allowed = {("web", "dovecot", 993), ("web", "dovecot", 4190), ("web", "postfix", 587),
               ("postfix", "dovecot", 24), ("postfix", "dovecot", 12340), ("postfix", "dovecot", 12345),
               ("postfix", "dkim", 8891), ("postfix", "mx", 25)}
    ports = {"dovecot": (24, 143, 993, 4190, 12340, 12345), "postfix": (25, 465, 587), "dkim": (8891,),
             "web": (80, 443), "mx": (25,)}
    for client, jail in jails.items():
        for server in ports.keys() - {client}:
            address = world.mx if server == "mx" else jails[server].addresses()[0]
            for port in ports[server]:
                if (client, server, port) in allowed:
                    mail.connect(jail, "tcp", address, port).close()
                else:
                    assert mail.refused(jail, "tcp", address, port) == errno.ECONNREFUSED, (client, server, port)
