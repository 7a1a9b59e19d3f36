"""newgate host init --spam rspamd, with Debian's rspamd and redis."""

import email
import smtplib

import pytest

from conftest import NAMES, mail_host, no_names
from test_mail import fetch, letter, smtp, verified

# Which it takes for spam whatever else it finds.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


@pytest.fixture(scope="module")
def filtering():
    with mail_host("--spam", "rspamd", "--acme", "none", jails=("rspamd", "dovecot", "postfix", "web")) as vps:
        no_names(vps)
        # It reads its rules for some seconds; then it forks those who answer.
        with vps.popen("timeout", "60", "newgate", "logs", "-f", "-n", "all", "rspamd") as log:
            assert any("(controller)" in line for line in log.stdout)
            log.terminate()
        yield vps


def send(vps, subject, body="Shall we meet tomorrow?\r\n"):
    with smtp(vps) as s:
        s.sendmail("x@remote.example", ["alice@example.org"],
                   letter(subject, "x@remote.example", "alice@example.org", body))


def test_spam_lands_in_junk(filtering):
    with smtp(filtering) as s:
        # Neither date nor identification, nor to whom it goes.
        s.sendmail("x@remote.example", ["alice@example.org"],
                   "From: x@remote.example\r\nTo: undisclosed-recipients:;\r\n"
                   "Subject: RE: BARGAIN\r\n\r\nhello\r\n")
    send(filtering, "tomorrow")
    got = email.message_from_bytes(fetch(filtering, "alice", "BARGAIN", "Junk"))
    assert got["X-Spam"] == "Yes"
    got = email.message_from_bytes(fetch(filtering, "alice", "tomorrow"))
    assert got["X-Spam"] is None
    assert got["Authentication-Results"].startswith("mail.example.org;")


def test_the_pattern_for_tests_is_refused(filtering):
    with pytest.raises(smtplib.SMTPDataError) as e:
        send(filtering, "gtube", GTUBE)
    assert e.value.smtp_code == 554


def test_what_users_send_is_signed_and_not_judged(filtering):
    """Also in a domain that came later."""
    filtering.run("newgate", "host", "domain", "add", "example.net")
    filtering.run("newgate", "host", "user", "add", "carol@example.net", input="secret of carol\n")
    for user, domain in (("alice", "example.org"), ("carol", "example.net")):
        sender = f"{user}@{domain}"
        with smtp(filtering, 587, sender) as s:
            s.sendmail(sender, ["bob@example.org"],
                       f"From: {sender}\r\nTo: undisclosed-recipients:;\r\nSubject: RE: BARGAIN-{user}\r\n\r\n"
                       "hello\r\n")
        raw = fetch(filtering, "bob", f"BARGAIN-{user}")
        assert verified(filtering, raw, domain)
        assert not verified(filtering, raw.replace(b"hello", b"hullo"), domain)
        assert b"X-Spam" not in raw


def test_no_name_server_answers(filtering):
    filtering.run("ip", "address", "delete", f"{NAMES}/32", "dev", "lo", where="internet")
    try:
        send(filtering, "unjudged")
        assert fetch(filtering, "alice", "unjudged")
    finally:
        filtering.run("ip", "address", "add", NAMES, "dev", "lo", where="internet")


def test_it_asks_name_servers_alone(filtering):
    got = filtering.run("newgate", "explain", "rspamd", "*", status=None, timeout=60).stdout.splitlines()[1:]
    assert sorted(line.split()[:4] for line in got) == [["rspamd", "internet", "tcp", "53"],
                                                        ["rspamd", "internet", "udp", "53"]]
