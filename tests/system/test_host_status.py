"""newgate host status and queue: what they make of what the services say. Fake services, as in
test_host.py."""

import json

import pytest

from test_host import DATA, ETC, JAILS, host, mail, new, refused  # noqa: F401 (fixtures)


def letter(name, queue="deferred", **more):
    return json.dumps({"queue_name": queue, "queue_id": name, "arrival_time": 1000, "message_size": 443,
                       "sender": "alice@example.org", "recipients": [{"address": "x@remote.example",
                       "delay_reason": "connection timed out"}], **more}) + "\n"


@pytest.fixture
def full(mail):
    """With one user and two letters."""
    host(mail, "user", "add", "alice@example.org", input="secret\n")
    mail.write(f"{DATA}/postfix/spool/letters", letter("A1") + letter("B2", "hold", arrival_time=2000, sender=""))
    mail.write(f"{DATA}/dovecot/lib/quota", "alice@example.org\tUser quota\tSTORAGE\t512\t1048576\t0\n")
    return mail


def status(vps, exit=0):
    return json.loads(host(vps, "status", "--json", status=exit).stdout)


def done(vps):
    return vps.read(f"{DATA}/postfix/spool/done").splitlines()


def test_everything_at_one_look(full):
    got = status(full)
    assert [(j["jail"], j["state"]) for j in got["jails"]] == [(name, "running") for name in JAILS]
    limits = {"dkim": 128, "dovecot": 512, "postfix": 256, "web": 512}
    assert {j["jail"]: j["limit"] >> 20 for j in got["jails"]} == limits
    assert {j["jail"]: j["services"] for j in got["jails"]} == dict.fromkeys(JAILS, 1) | {"web": 2}
    assert got["queue"] == [{"letters": 2, "deferred": 1, "held": 1, "oldest": 1000}]
    assert got["bans"] == [{"addresses": 0}]
    host(full, "ban", "add", "198.51.100.66")
    assert status(full)["bans"] == [{"addresses": 1}]
    assert got["mailboxes"] == [{"user": "alice@example.org", "used": 512 << 10, "quota": 1 << 30}]
    (cert,) = got["certificates"]
    assert cert["own"] and "mail.example.org" in cert["names"]
    assert cert["file"] == f"{ETC}/tls/fullchain.pem"
    assert [f["folder"] for f in got["folders"]] == [f"{DATA}/{name}" for name in ("dovecot", "postfix", "web")]
    assert all(0 < f["used"] < f["size"] and f["free"] < f["size"] for f in got["folders"])
    # Nothing is wrong, but two things want doing.
    assert [(f["level"], f["command"]) for f in got["findings"]] == [
        ("warning", "newgate host renew"), ("warning", "newgate host queue")]

    said = host(full, "status").stdout
    assert len(said.splitlines()) < 25
    assert "queue: 2 letters wait, the oldest for" in said and "; 1 put off; 1 held\n" in said
    assert said.endswith("\nto do: 1 letter waits for more than four hours\n       newgate host queue\n")


def test_what_is_wrong_is_a_status_of_1(full):
    full.run("jail", "-r", "postfix")
    got = status(full, 1)
    assert got["queue"] == []
    assert got["findings"][0] == {"level": "fault", "text": "jail postfix does not run",
                                  "command": "newgate up postfix"}
    assert "queue: not known while postfix does not run\n" in host(full, "status", status=1).stdout
    full.run("newgate", "up", "postfix", "web")
    assert len(status(full)["findings"]) == 2
    # Without dovecot, what the list says of mailboxes.
    pid = full.jail("dovecot").pid
    full.run("kill", "-KILL", pid)
    assert full.ends(pid)
    got = status(full, 1)
    assert got["mailboxes"] == [{"user": "alice@example.org", "used": None, "quota": 1 << 30}]
    assert [f["command"] for f in got["findings"] if f["level"] == "fault"] == ["newgate up dovecot"]


def test_nobody_watches(full):
    (pid,) = [pid for pid, command in full.processes().items() if command.endswith("host watch")]
    full.run("kill", "-KILL", pid)
    assert full.ends(pid)
    got = status(full, 1)
    assert got["findings"][0] == {"level": "fault", "command": "newgate up",
                                  "text": "nobody watches for failed logins, so that nobody is banned"}
    full.run("newgate", "up")
    assert not [f for f in status(full)["findings"] if f["level"] == "fault"]


def test_a_full_disk(full):
    """A small one of its own for the mail."""
    mail = full.path(f"{DATA}/dovecot")
    full.run("newgate", "down", "dovecot", "web", "postfix")
    full.run("mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", mail)
    got = status(full, 1)
    (text,) = [f["text"] for f in got["findings"] if "disk" in f["text"]]
    assert text == f"the disk of {DATA}/dovecot has 100 MiB left, 100 %"
    full.run("umount", mail)


def test_no_certificate(full):
    cert = full.path(f"{ETC}/tls/fullchain.pem")
    cert.unlink()
    got = status(full, 1)
    assert got["certificates"] == []
    assert got["findings"][0] == {"level": "fault", "text": f"{cert}: No such file or directory",
                                  "command": "newgate host init example.org"}
    host(full, "init", "example.org")
    assert [c["names"][0] for c in status(full)["certificates"]] == ["mail.example.org"]


def test_many_mailboxes(full):
    """The fullest ten, and how many there are besides."""
    full.write(f"{DATA}/dovecot/lib/quota", "".join(
        f"u{n}@example.org\tUser quota\tSTORAGE\t{n}\t20\t{n * 5}\n" for n in range(20)))
    said = host(full, "status").stdout
    assert "u19@example.org  19.0K  20.0K      95\n" in said
    assert "u10@example.org" in said and "u9@example.org" not in said
    assert "… and 10 more that are less full\n" in said
    assert len(status(full)["mailboxes"]) == 20


def test_queue(full):
    got = json.loads(host(full, "queue", "--json").stdout)["letters"]
    assert got == [
        {"id": "A1", "queue": "deferred", "since": 1000, "bytes": 443, "sender": "alice@example.org",
         "recipients": ["x@remote.example"], "reason": "connection timed out"},
        {"id": "B2", "queue": "hold", "since": 2000, "bytes": 443, "sender": None,
         "recipients": ["x@remote.example"], "reason": "connection timed out"}]
    assert host(full, "queue").stdout.splitlines()[0].split() == "ID QUEUE WAITS SIZE FROM TO REASON".split()
    for verb in ("flush", "hold", "release", "remove"):
        host(full, "queue", verb, "B2", "A1")
    host(full, "queue", "flush")
    assert done(full) == ["-i B2", "-i A1", "-h B2 A1", "-H B2 A1", "-d B2 A1", "-f"]


def test_queue_refuses(full):
    assert refused(full, "queue", "remove", "A1", "C3") == "newgate host: no letter C3 waits: newgate host queue\n"
    assert "usage: newgate host" in refused(full, "queue", "remove")
    assert 'there is no "purge"' in refused(full, "queue", "purge")
    assert not full.path(f"{DATA}/postfix/spool/done").exists()
    full.write(f"{DATA}/postfix/spool/letters", "")
    assert host(full, "queue").stdout == "no letter waits\n"
    full.run("newgate", "down", "postfix", "web")
    assert "jail postfix does not run: newgate up postfix" in refused(full, "queue")
