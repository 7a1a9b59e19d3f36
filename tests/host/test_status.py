"""newgate host's verbs with Debian's software: each takes effect at once and drops no connection; and
what status and queue make of real answers."""

import contextlib
import imaplib
import json
import re
import smtplib
import ssl

import pytest

from conftest import mail_host
from test_mail import HOST, OUTSIDE, fetch, letter, smtp


@pytest.fixture(scope="module")
def own():
    """One to change."""
    with mail_host() as vps:
        yield vps


def host(vps, *argv, **options):
    return vps.run("newgate", "host", *argv, timeout=60, **options)


@contextlib.contextmanager
def imap(vps, user, password):
    with vps.within("internet"):
        m = imaplib.IMAP4_SSL(HOST, 993, ssl_context=ssl._create_unverified_context(), timeout=30)
    with m:
        m.login(user, password)
        yield m


def may_log_in(vps, user, password):
    try:
        with imap(vps, user, password):
            return True
    except imaplib.IMAP4.error:
        return False


def takes(vps, address):
    """What a stranger is told who has mail for that address."""
    with smtp(vps) as s:
        s.ehlo()
        s.mail("x@remote.example")
        return s.rcpt(address)[0]


@contextlib.contextmanager
def submission(vps, user, password):
    with vps.within("internet"):
        s = smtplib.SMTP(HOST, 587, "remote.example", timeout=30, source_address=(OUTSIDE, 0))
    with s:
        s.starttls(context=ssl._create_unverified_context())
        s.login(user, password)
        yield s


@contextlib.contextmanager
def reloading(vps):
    """What is done to nginx within has taken effect behind it: all workers of before have let go."""
    log = vps.run("newgate", "logs", "-n", "all", "web").stdout
    workers = len(re.findall(r"start worker process \d", log))
    yield
    with vps.popen("timeout", "20", "newgate", "logs", "-f", "-n", "all", "web") as tail:
        gone = 0
        while gone < workers:
            line = tail.stdout.readline()
            assert line, "nginx never reloaded"
            gone += "gracefully shutting down" in line
        tail.terminate()


def page(vps, name):
    return vps.run("curl", "-sk", "--max-time", "15", "--resolve", f"{name}:443:{HOST}", f"https://{name}/",
                   where="internet").stdout


def test_changes_take_effect_at_once_and_drop_nothing(own):
    alice = ("alice@example.org", "secret of alice")
    with imap(own, *alice) as reader, submission(own, *alice) as writer:
        reader.select("INBOX")
        writer.mail("alice@example.org")
        assert writer.rcpt("bob@example.org")[0] == 250
        change_everything(own)
        # All the while these stayed, the one in the middle of a letter.
        assert writer.data(letter("through-it-all", "alice@example.org", "bob@example.org"))[0] == 250
        assert reader.noop()[0] == "OK"
    fetch(own, "bob", "through-it-all")


def change_everything(own):
    assert takes(own, "carol@example.net") == 554
    host(own, "domain", "add", "example.net")
    assert takes(own, "carol@example.net") == 550
    host(own, "user", "add", "carol@example.net", input="first\n")
    assert takes(own, "carol@example.net") == 250
    assert may_log_in(own, "carol@example.net", "first")

    host(own, "user", "passwd", "carol@example.net", input="second\n")
    assert not may_log_in(own, "carol@example.net", "first")
    assert may_log_in(own, "carol@example.net", "second")
    host(own, "user", "quota", "carol@example.net", "7M")
    with imap(own, "carol@example.net", "second") as m:
        assert "(STORAGE 0 7168)" in str(m.getquotaroot("INBOX"))

    assert takes(own, "info@example.net") == 550
    host(own, "alias", "add", "info@example.net", "carol@example.net")
    assert takes(own, "info@example.net") == 250
    with submission(own, "carol@example.net", "second") as s:
        s.sendmail("info@example.net", ["alice@example.org"],
                   letter("of-a-new-domain", "info@example.net", "alice@example.org"))
    assert b"d=example.net" in fetch(own, "alice", "of-a-new-domain")
    host(own, "alias", "remove", "info@example.net")
    assert takes(own, "info@example.net") == 550

    with reloading(own):
        host(own, "site", "add", "www.example.net")
    own.write("/var/lib/newgate/host/web/sites/www.example.net/index.html", "a site\n")
    assert page(own, "www.example.net") == "a site\n"
    with reloading(own):
        host(own, "site", "remove", "www.example.net")
    assert "a site" not in page(own, "www.example.net")

    with pytest.raises(imaplib.IMAP4.abort), imap(own, "carol@example.net", "second") as m:
        host(own, "user", "remove", "--mail", "-y", "carol@example.net")
        m.noop()
    assert not own.path("/var/lib/newgate/host/dovecot/vmail/example.net/carol").exists()
    assert not may_log_in(own, "carol@example.net", "second")
    assert takes(own, "carol@example.net") == 550
    host(own, "domain", "remove", "example.net")
    assert takes(own, "carol@example.net") == 554


def status(vps, exit=0):
    return json.loads(host(vps, "status", "--json", status=exit).stdout)


def test_status_of_real_services(own):
    before = status(own)
    assert {j["jail"]: (j["state"], j["restarts"]) for j in before["jails"]} == dict.fromkeys(
        ("dkim", "dovecot", "postfix", "web"), ("running", 0))
    with smtp(own) as s:
        s.sendmail("x@remote.example", ["alice@example.org"],
                   letter("weighs", "x@remote.example", "alice@example.org", ("x" * 70 + "\r\n") * 3000))
    fetch(own, "alice", "weighs")
    after = status(own)
    used, was = ({m["user"]: m["used"] for m in got["mailboxes"]} for got in (after, before))
    assert used["alice@example.org"] - was["alice@example.org"] > 200 << 10
    assert used["bob@example.org"] == was["bob@example.org"]
    assert {m["user"]: m["quota"] for m in after["mailboxes"]} == {
        "alice@example.org": 1 << 30, "bob@example.org": 2 << 20}
    mail, mail_before = (next(f["used"] for f in got["folders"] if f["folder"].endswith("dovecot"))
                         for got in (after, before))
    assert mail - mail_before > 200 << 10
    assert not [f for f in after["findings"] if f["level"] == "fault"]


def waiting(vps):
    return {x["id"]: x for x in json.loads(host(vps, "queue", "--json").stdout)["letters"]}


def test_queue_of_a_real_postfix(own):
    """Letters to a host that no name server knows."""
    with submission(own, "alice@example.org", "secret of alice") as s:
        for n in range(2):
            s.sendmail("alice@example.org", [f"x{n}@remote.example"],
                       letter(f"waits-{n}", "alice@example.org", f"x{n}@remote.example"))
    names = {x["recipients"][0]: name for name, x in waiting(own).items()}
    assert set(names) == {"x0@remote.example", "x1@remote.example"}
    assert {x["sender"] for x in waiting(own).values()} == {"alice@example.org"}
    first, second = names["x0@remote.example"], names["x1@remote.example"]
    assert status(own)["queue"][0]["letters"] == 2
    host(own, "queue", "hold", first)
    assert waiting(own)[first]["queue"] == "hold"
    host(own, "queue", "release", first)
    assert waiting(own)[first]["queue"] != "hold"
    host(own, "queue", "flush", first)
    host(own, "queue", "flush")
    host(own, "queue", "remove", first, second)
    assert waiting(own) == {}
    assert "no letter waits" in host(own, "status").stdout
