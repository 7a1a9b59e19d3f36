"""Roundcube of newgate host in a real browser, out there; and what else the web jail serves."""

import email
import email.policy
import email.utils
import os
import shutil
from email.message import EmailMessage

import pytest

from nginx import restarted
from test_mail import HOST, OUTSIDE, fetch, smtp

pytest.importorskip("selenium")

from browser import Browser  # noqa: E402

URL = "https://mail.example.org/"


@pytest.fixture(scope="module")
def chromium(mail, world):
    if not shutil.which("chromedriver"):
        pytest.skip("no chromedriver")
    with Browser(mail, "internet", {"*.example.org": HOST}) as browser:
        yield browser


@pytest.fixture
def browser(chromium, mail, request):
    """Not logged in. How each test left the page is kept as a picture; pages have no errors."""
    chromium.driver.delete_all_cookies()
    chromium.complaints()
    before = len(log(mail, "web"))
    yield chromium
    chromium.shot(request.node.name)
    assert chromium.complaints() == []
    assert "PHP" not in log(mail, "web")[before:]


@pytest.fixture
def alice(browser):
    login(browser, "alice@example.org", "secret of alice")
    browser.see("#messagelist")
    return browser


def log(vps, jail):
    return vps.run("newgate", "logs", "-n", "all", jail).stdout


def login(browser, user, password):
    browser.go(URL)
    browser.fill("#rcmloginuser", user)
    browser.fill("#rcmloginpwd", password)
    browser.click("#rcmloginsubmit")


def outside(vps, sender, to, subject, body="Hello!\n", folder="INBOX"):
    """A letter from out there, which has arrived."""
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, f"{to}@example.org", subject
    m["Date"], m["Message-ID"] = email.utils.localtime(), email.utils.make_msgid(domain="remote.example")
    m.set_content(body)
    with smtp(vps) as s:
        s.send_message(m)
    fetch(vps, to, subject, folder)


def compose(browser, to, subject, body, *files):
    browser.click("#taskmenu a.compose")
    browser.fill("#compose_to input", f"{to},")
    browser.fill("#compose-subject", subject)
    browser.fill("#composebody", body)
    for path in files:
        browser.all("#uploadformInput")[0].send_keys(str(path))
        browser.see("#attachment-list li:not(.uploading)", path.name)


def attachment(raw):
    (part,) = email.message_from_bytes(raw, policy=email.policy.default).iter_attachments()
    return part.get_filename(), part.get_content()


def test_a_wrong_password(browser, mail):
    before = len(log(mail, "dovecot"))
    login(browser, "alice@example.org", "wrong")
    browser.see("#messagestack", "Login failed")
    browser.see("#rcmloginpwd")
    assert [c for c in browser.complaints() if "status of 401" not in c] == []
    # Whoever bans by that line must not ban the web mail.
    (line,) = [l for l in log(mail, "dovecot")[before:].splitlines() if "auth failed" in l]
    assert f"rip={OUTSIDE}," in line


def test_read(browser, mail):
    outside(mail, "Trains <tickets@remote.example>", "alice", "Your tickets for Saturday")
    outside(mail, "Dora Winter <dora@remote.example>", "alice", "Photos from the garden")
    outside(mail, "Carol Jones <carol@remote.example>", "alice", "Lunch on Friday?",
            "Hello Alice,\n\nshall we meet for lunch on Friday?\n\nCarol\n")
    before = len(log(mail, "dovecot"))
    # The domain may be left out.
    login(browser, "alice", "secret of alice")
    browser.click("#messagelist td.subject", "Lunch on Friday?")
    with browser.frame("#messagecontframe"):
        browser.see("#messagebody", "shall we meet for lunch on Friday?")
        browser.see("#message-header", "Carol Jones")
    browser.shot("webmail-inbox")
    logins = [l for l in log(mail, "dovecot")[before:].splitlines() if "Login: user=<alice@" in l]
    assert logins
    for line in logins:
        assert f"rip={OUTSIDE}," in line


def test_send_with_an_attachment(alice, mail, tmp_path):
    figures = tmp_path / "figures.csv"
    figures.write_text("month,visitors\nOctober,1204\nNovember,1518\n")
    compose(alice, "bob@example.org", "The figures", "Hello Bob,\n\nhere they are.\n\nAlice", figures)
    alice.shot("webmail-compose")
    alice.click("button.send")
    alice.see("#messagestack", "Message sent successfully")
    raw = fetch(mail, "bob", "The figures")
    assert attachment(raw) == ("figures.csv", figures.read_text())
    received = email.message_from_bytes(raw).get_all("Received")
    assert f"[{OUTSIDE}]" in received[-1] and "ESMTPSA" in received[-1]
    # No jail's address but that of Postfix, which delivered it.
    web = mail.jail("web")
    assert not [a for a in web.addresses() + web.addresses(6) if any(a in r for r in received)]
    alice.click("#mailboxlist a", "Sent")
    alice.see("#messagelist td.subject", "The figures")


def test_a_letter_of_25_megabytes(alice, mail, tmp_path):
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(25 << 20))
    mail.run("newgate", "host", "user", "quota", "bob@example.org", "100M")
    compose(alice, "bob@example.org", "The film", "Enjoy.", film)
    alice.click("button.send")
    alice.see("#messagestack", "Message sent successfully")
    assert attachment(fetch(mail, "bob", "The film")) == ("film.bin", film.read_bytes())


def test_a_rule(alice, mail):
    alice.click("#taskmenu a.settings")
    alice.click("#settings-menu a", "Filters")
    alice.click("a.create:not(.disabled)")
    with alice.frame("#filter-box"):
        alice.fill("#_name", "Invoices")
        alice.fill("#rules textarea, #rules input[type=text]", "invoice")
        alice.choose("#actions select[name^=_action_mailbox]", "Archive")
        alice.click("button.submit")
    alice.see("#messagestack", "Filter saved successfully")
    alice.see("#filterslist", "Invoices")
    outside(mail, "shop@remote.example", "alice", "Your invoice of November", folder="Archive")
    alice.click("#taskmenu a.mail")
    alice.click("#mailboxlist a", "Archive")
    alice.see("#messagelist td.subject", "Your invoice of November")


def test_restart(alice, mail):
    """Whoever is logged in stays so."""
    before = len(log(mail, "web"))
    with restarted(mail):
        mail.run("jail", "-rc", "web")
    # Not killed for want of an answer.
    assert "exiting, bye-bye!" in log(mail, "web")[before:]
    alice.go(URL + "?_task=settings")
    alice.see("#settings-menu")
    assert [c for c in alice.complaints() if "status of 503" not in c] == []


def test_logout(alice):
    alice.click("#taskmenu a.logout")
    alice.see("#rcmloginuser")
    alice.go(URL + "?_task=mail")
    alice.see("#rcmloginuser")
    assert [c for c in alice.complaints() if "status of 401" not in c] == []
