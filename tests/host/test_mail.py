"""newgate host with Debian's Postfix, Dovecot, OpenDKIM, nginx and Roundcube: letters on their way."""

import contextlib
import email
import imaplib
import smtplib
import ssl
import subprocess

import dkim
import pytest

HOST = "203.0.113.10"
OUTSIDE = "198.51.100.7"


@contextlib.contextmanager
def smtp(vps, port=25, user=None):
    """A connection from the internet; over TLS and logged in if a user is named."""
    with vps.within("internet"):
        s = smtplib.SMTP(HOST, port, "remote.example", timeout=30, source_address=(OUTSIDE, 0))
    with s:
        if user:
            context = ssl._create_unverified_context()
            s.starttls(context=context)
            name, _, domain = user.partition("@")
            s.login(f"{name}@{domain or 'example.org'}", f"secret of {name}")
        yield s


def refusal(call, *argv):
    """The code of a refusal, of whatever kind."""
    with pytest.raises(smtplib.SMTPException) as e:
        call(*argv)
    if isinstance(e.value, smtplib.SMTPRecipientsRefused):
        ((code, _),) = e.value.recipients.values()
        return code
    return e.value.smtp_code


def letter(subject, sender, to, body="hello\r\n"):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n" \
           f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@test>\r\n\r\n{body}"


def wait_until(m, search):
    """What search() finds in the folder, asked again whenever letters came, of which IDLE tells."""
    while True:
        m.response("EXISTS")
        if found := search():
            return found
        # What came while it searched, the answer told of at its end, and IDLE will not again.
        if m.response("EXISTS")[1] != [None]:
            continue
        m.send(b"x IDLE\r\n")
        while b"EXISTS" not in (line := m.readline()):
            assert line, "the connection ended"
        m.send(b"DONE\r\n")
        while not m.readline().startswith(b"x "):
            pass


def fetch(vps, user, subject, folder="INBOX"):
    """The last letter with that in its subject, for which it waits."""
    with vps.within("internet"):
        m = imaplib.IMAP4_SSL(HOST, 993, ssl_context=ssl._create_unverified_context(), timeout=30)
    m.login(f"{user}@example.org", f"secret of {user}")
    m.select(folder)
    found = wait_until(m, lambda: m.search(None, "SUBJECT", f'"{subject}"')[1][0])
    _, parts = m.fetch(found.split()[-1], "(RFC822)")
    m.logout()
    return parts[0][1]


def verified(vps, raw, domain="example.org"):
    """What one who looks up the domain's key says of the letter's signature."""
    key = vps.path(f"/etc/newgate/host/dkim/keys/{domain}.pem")
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], capture_output=True, text=True,
                            check=True).stdout
    record = "v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1])
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record.encode()

    good = dkim.verify(raw, dnsfunc=dns)
    assert asked == [f"ng._domainkey.{domain}.".encode()]
    return good


def test_a_letter_from_outside(mail):
    with smtp(mail) as s:
        s.sendmail("x@remote.example", ["alice@example.org"],
                   letter("incoming", "x@remote.example", "alice@example.org"))
    got = email.message_from_bytes(fetch(mail, "alice", "incoming"))
    assert got.get_payload().strip() == "hello"
    # The client's own address, not that of the host or a jail.
    assert any(f"[{OUTSIDE}]" in r for r in got.get_all("Received"))


def test_a_letter_between_users_is_signed(mail):
    with smtp(mail, 587, "alice") as s:
        s.sendmail("alice@example.org", ["bob@example.org"],
                   letter("signed", "alice@example.org", "bob@example.org"))
    raw = fetch(mail, "bob", "signed")
    assert verified(mail, raw)
    assert not verified(mail, raw.replace(b"hello", b"hullo"))


def test_a_second_domain(mail):
    """From its first letter on, its mail is signed with its own key."""
    mail.run("newgate", "host", "domain", "add", "example.net")
    mail.run("newgate", "host", "user", "add", "carol@example.net", input="secret of carol\n")
    try:
        with smtp(mail, 587, "carol@example.net") as s:
            s.sendmail("carol@example.net", ["alice@example.org"],
                       letter("by carol", "carol@example.net", "alice@example.org"))
        assert verified(mail, fetch(mail, "alice", "by carol"), "example.net")
    finally:
        mail.run("newgate", "host", "user", "remove", "carol@example.net")
        mail.run("newgate", "host", "domain", "remove", "example.net")


@pytest.mark.parametrize("end", ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r"], ids=repr)
def test_nothing_is_smuggled(mail, end):
    """What others take for the end of a letter does not end it here, so that no second one is hidden in
    it that seems to come from this host."""
    subject = f"outer{''.join(f'{ord(c):02x}' for c in end)}"
    inner = f"MAIL FROM:<bob@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n" \
            + letter("inner", "bob@example.org", "alice@example.org")
    with smtp(mail) as s:
        s.ehlo()
        for command in ("MAIL FROM:<x@remote.example>", "RCPT TO:<alice@example.org>", "DATA"):
            assert s.docmd(command)[0] in (250, 354)
        text = letter(subject, "x@remote.example", "alice@example.org", "outside") + end + inner
        s.send(text.encode() + b"\r\n.\r\n")
        assert s.getreply()[0] == 250
        # The next answer is that of the next command: nothing in between was one.
        assert s.docmd("VRFY", "x")[0] == 502
    got = email.message_from_bytes(fetch(mail, "alice", subject))
    assert "RCPT TO:<alice@example.org>" in got.get_payload()


def test_marked_by_the_sender(mail):
    """Who calls his own letter spam is believed."""
    with smtp(mail) as s:
        s.sendmail("x@remote.example", ["alice@example.org"],
                   "X-Spam: Yes\r\n" + letter("marked", "x@remote.example", "alice@example.org"))
    assert b"X-Spam: Yes" in fetch(mail, "alice", "marked", "Junk")


def test_who_may_send_what(mail):
    with smtp(mail, 587, "alice") as s:
        text = letter("forged", "bob@example.org", "bob@example.org")
        assert refusal(s.sendmail, "bob@example.org", ["bob@example.org"], text) == 553
    with smtp(mail) as s:
        assert refusal(s.sendmail, "x@remote.example", ["nobody@example.org"], "x") == 550
    with smtp(mail) as s:
        assert refusal(s.sendmail, "x@remote.example", ["y@other.example"], "x") == 554
    # No login where nothing is encrypted, and none with a wrong password.
    with smtp(mail) as s:
        s.ehlo()
        assert not s.has_extn("auth")
    with smtp(mail, 587) as s:
        s.starttls(context=ssl._create_unverified_context())
        assert refusal(s.login, "alice@example.org", "wrong") == 535


def test_a_full_mailbox(mail):
    with smtp(mail) as s:
        big = letter("big", "x@remote.example", "bob@example.org", "x" * 70 + "\r\n")
        assert refusal(s.sendmail, "x@remote.example", ["bob@example.org"],
                       big + ("x" * 70 + "\r\n") * 40000, [f"SIZE={3 << 20}"]) == 552


def test_web_mail(mail):
    got = mail.run("curl", "-sk", "--max-time", "15", "--resolve", f"mail.example.org:443:{HOST}",
                   "https://mail.example.org/", where="internet")
    assert 'name="_user"' in got.stdout and 'name="_pass"' in got.stdout
