"""Who fails to log in too often is banned: his own address, wherever he tries, and nobody else's."""

import base64
import json
import re
import socket
import ssl
import struct
import subprocess

import pytest

from test_mail import HOST, OUTSIDE, fetch, letter, smtp

FAILURES = 5
CLIENTS = iter(range(60, 90))
TALKS = []


@pytest.fixture
def client(mail):
    """An address out there that nobody has used yet."""
    address = f"198.51.100.{next(CLIENTS)}"
    mail.run("ip", "address", "add", address, "dev", "lo", where="internet")
    yield address
    # What was cut would keep the jails' networks for minutes.
    mail.run("newgate", "host", "ban", "remove", address, status=None)
    while TALKS:
        talk = TALKS.pop()
        talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.close()


class Talk:
    """Lines over TLS, from an address of the internet."""

    def __init__(self, vps, client, port, plain=()):
        with vps.within("internet"):
            self.socket = socket.create_connection((HOST, port), 30, source_address=(client, 0))
        for line, answer in plain:
            self.say(line, answer)
        if port != 25:
            self.socket = ssl._create_unverified_context().wrap_socket(self.socket)
        TALKS.append(self.socket)

    def say(self, line, answer):
        """Waits for an answer that begins so; others may come before."""
        self.socket.sendall(line.encode() + b"\r\n" if line else b"")
        got = b""
        while not re.search(rb"^%s.*\r\n$" % answer.encode(), got, re.M):
            more = self.socket.recv(4096)
            assert more, f"{line}: {got}"
            got += more


def token(user, password="wrong"):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def imap(vps, client, user="alice@example.org"):
    talk = Talk(vps, client, 993)
    talk.say("", r"\* OK")
    talk.say(f"a AUTHENTICATE PLAIN {token(user)}", "a NO")


def sieve(vps, client):
    talk = Talk(vps, client, 4190, [("", "OK"), ("STARTTLS", "OK")])
    talk.say("", "OK")
    talk.say(f'AUTHENTICATE "PLAIN" "{token("alice@example.org")}"', "NO")


def submissions(vps, client, user="alice@example.org"):
    talk = Talk(vps, client, 465)
    talk.say("", "220")
    talk.say("EHLO x", "250 ")
    talk.say(f"AUTH PLAIN {token(user)}", "535")


def submission(vps, client):
    talk = Talk(vps, client, 587, [("", "220"), ("EHLO x", "250 "), ("STARTTLS", "220")])
    talk.say("EHLO x", "250 ")
    talk.say(f"AUTH PLAIN {token('nobody@example.org')}", "535")


def port_25(vps, client):
    talk = Talk(vps, client, 25, [("", "220"), ("EHLO x", "250 ")])
    talk.say(f"AUTH PLAIN {token('alice@example.org')}", "503")
    talk.say("QUIT", "221")


def web_mail(vps, client):
    jar = vps.path("/cookies")
    jar.unlink(missing_ok=True)
    curl = ["curl", "-sk", "--interface", client, "--max-time", "30", "-c", jar, "-b", jar,
            "--resolve", f"mail.example.org:443:{HOST}"]
    form = vps.run(*curl, "https://mail.example.org/", where="internet", timeout=40).stdout
    request = re.search(r'name="_token" value="([^"]+)"', form)[1]
    answer = vps.run(*curl, "-o", "/dev/null", "-w", "%{http_code}", "--data-urlencode", f"_token={request}",
                     "-d", "_task=login&_action=login&_user=alice%40example.org&_pass=wrong",
                     "https://mail.example.org/?_task=login", where="internet", timeout=40).stdout
    assert answer == "401"


def bans(vps):
    listed = json.loads(vps.run("newgate", "host", "ban", "list", "--json").stdout)["bans"]
    return {ban["address"]: ban["why"] for ban in listed}


def wait_for_ban(vps, address):
    """The file of bans is replaced by each new one."""
    with vps.popen("timeout", "20", "tail", "-n", "+1", "-F", vps.path("/var/lib/newgate/bans"),
                   stderr=subprocess.DEVNULL) as tail:
        while not (line := tail.stdout.readline()).startswith(f"{address} "):
            assert line, f"{address} was not banned"
        tail.kill()


def shut_out(vps, client):
    """No connection comes about any more; that of another one does, later and by the same way."""
    tries = [vps.socket("internet", "tcp", HOST) for _ in (25, 443, 465, 587, 993, 4190)]
    for s, port in zip(tries, (25, 443, 465, 587, 993, 4190)):
        s.setblocking(False)
        s.bind((client, 0))
        s.connect_ex((HOST, port))
    fetch_and_send(vps)
    for s in tries:
        with pytest.raises(BlockingIOError):
            s.recv(1)
        # Else it would come about later.
        s.close()


def fetch_and_send(vps):
    subject = f"from-{next(CLIENTS)}"
    with smtp(vps, 587, "alice") as s:
        s.sendmail("alice@example.org", ["bob@example.org"], letter(subject, "alice@example.org", "bob@example.org"))
    assert b"hello" in fetch(vps, "bob", subject)


@pytest.mark.parametrize("fail,why", [(imap, "imap"), (sieve, "imap"), (web_mail, "imap"),
                                      (submission, "submission"), (submissions, "submission"), (port_25, "smtp")])
def test_wrong_passwords(mail, client, fail, why):
    for _ in range(FAILURES - 1):
        fail(mail, client)
    assert client not in bans(mail)
    fail(mail, client)
    wait_for_ban(mail, client)
    assert bans(mail) == {client: why}
    shut_out(mail, client)
    mail.run("newgate", "host", "ban", "remove", client)
    fail(mail, client)


def test_one_in_all_services(mail, client):
    for fail in (imap, submission, port_25, web_mail, submissions):
        fail(mail, client)
    wait_for_ban(mail, client)
    assert list(bans(mail)) == [client]


def test_names_that_would_have_others_banned(mail, client):
    names = ("x,192.0.2.1", "x rip=192.0.2.1", "x,192.0.2.1,<abc>): Password mismatch", "x,192.0.2.1): unknown user",
             "a\nNov 23 12:02:43 auth: Info: passwd-file(x,192.0.2.1): unknown user\n",
             "x" * 600 + ",192.0.2.1): unknown user")
    for fail in (imap, submissions):
        for name in names:
            if client in bans(mail):
                mail.run("newgate", "host", "ban", "remove", client)
            fail(mail, client, name)
    assert set(bans(mail)) <= {client}
    log = mail.read("/var/log/jail_dovecot_console.log")
    assert log.count(f",{client}") >= 2 * len(names) and "192.0.2.1" in log


def test_recipients_that_would_have_others_banned(mail, client):
    """Dovecot is asked for them, too, where a catch-all takes them: without an address behind the name."""
    mail.run("newgate", "host", "alias", "add", "@example.org", "bob@example.org")
    for name in ('"x,192.0.2.1"', '"x,192.0.2.1"@example.org', '"x,192.0.2.1,<abc>"', '"x,192.0.2.1"@[192.0.2.1]',
                 "x@192.0.2.1", '"x): unknown user"@example.org'):
        talk = Talk(mail, client, 25, [("", "220"), ("EHLO x", "250 "), ("MAIL FROM:<>", "250")])
        for _ in range(FAILURES):
            talk.say(f"RCPT TO:<{name}>", "[245]..")
        talk.say("QUIT", "221")
    mail.run("newgate", "host", "alias", "remove", "@example.org")
    # What is told later is told behind it.
    for _ in range(FAILURES):
        port_25(mail, client)
    wait_for_ban(mail, client)
    assert list(bans(mail)) == [client]


def test_right_passwords_never_ban(mail):
    for _ in range(2 * FAILURES):
        with smtp(mail, 587, "alice"):
            pass
    assert OUTSIDE not in bans(mail)
