"""The unit newgate.service: jails at boot and at shutdown; and a host that is cut from its power."""

import json

CONF = """
exec.start = "httpd -h /srv";
exec.poststart = "echo $name up $(cat /proc/sys/kernel/random/boot_id) >>/var/log/jails";
exec.stop = "touch /stopped";
exec.poststop = "echo $name down $(cat /proc/sys/kernel/random/boot_id) >>/var/log/jails";
exec.consolelog = "/var/log/jail_${name}_console.log";
rctl = "memoryuse:deny=64m";
web { ip4.addr = auto; rdr = "tcp 8080 -> 80"; depend = "db"; }
db { ip4.addr = 10.100.0.25; }
"""


def findings(host, check):
    return json.loads(host.sh(f"newgate doctor --json {check}", status=None))["findings"]


def history(host):
    return [tuple(line.split()) for line in host.sh("cat /var/log/jails").splitlines()]


def served(host):
    return host.who("internet", "203.0.113.10", 8080) == "203.0.113.1"


def configured(host):
    host.jails(CONF.replace("$(", "\\$("))
    host.web("web", "db")
    host.sh("rm -f /var/log/jails")


def test_start_and_stop(host):
    configured(host)
    host.sh("systemctl restart newgate")
    assert list(host.running()) == ["db", "web"]
    assert served(host)
    status = host.sh("systemctl status newgate")
    assert "Active: active (exited)" in status
    assert "web: created" in status
    # Asked again, nothing happens to what runs.
    before = host.running()
    host.sh("systemctl start newgate")
    assert host.running() == before
    host.sh("systemctl stop newgate")
    assert host.running() == {}
    # What depends on others went first.
    boot = host.machine.boot_id
    assert history(host) == [("db", "up", boot), ("web", "up", boot), ("web", "down", boot), ("db", "down", boot)]
    host.sh("test -e /var/lib/newgate/jails/web/upper/stopped")
    host.sh("systemctl start newgate")
    assert list(host.running()) == ["db", "web"]
    host.sh("rm /var/log/jails")


def test_a_jail_that_fails_is_named_and_the_others_run(host):
    configured(host)
    host.jails(CONF.replace("$(", "\\$(") + 'bad { path = "/nowhere"; }')
    done = host.ask("systemctl restart newgate")
    assert done.returncode == 1
    assert list(host.running()) == ["db", "web"]
    status = host.sh("systemctl status newgate", status=3)
    assert "bad: path /nowhere: No such file or directory" in status
    host.sh("systemctl stop newgate; systemctl reset-failed newgate")


def test_reboot(host):
    configured(host)
    firewall = host.foreign()
    host.sh("systemctl restart newgate && touch /run/newgate/old")
    addresses = host.sh("jls name ip4.addr")
    old = host.machine.boot_id
    host.machine.reboot()
    host.settle()
    new = host.machine.boot_id
    # Stopped in order with the host, started in order with it.
    assert history(host) == [("db", "up", old), ("web", "up", old), ("web", "down", old), ("db", "down", old),
                             ("db", "up", new), ("web", "up", new)]
    host.sh("test ! -e /run/newgate/old && test -e /var/lib/newgate/jails/web/upper/stopped")
    assert host.sh("jls name ip4.addr") == addresses
    assert served(host)
    assert host.foreign() == firewall
    assert "Active: active (exited)" in host.sh("systemctl status newgate")
    last = host.sh("journalctl -b -1 -u newgate")
    assert "web: removed" in last and "Stopped newgate.service" in last
    assert host.sh("journalctl -b -p err -q --no-pager") == ""


# Everybody stops at another step of the start, while there is /run/hold: it reads who is there.
HELD = """
template = "base";
ip4.addr = auto;
prepared { exec.prepare = HOLD; }
linked { exec.prestart = HOLD; rdr = "tcp 8081 -> 80"; }
made { exec.created = HOLD; allow.connect = "whole"; rctl = "memoryuse:deny=64m"; }
begun { exec.poststart = HOLD; exec.start = "touch /begun"; }
waiting { depend = "linked"; }
whole { exec.start = "httpd -h /srv"; rdr = "tcp 8080 -> 80"; }
""".replace("HOLD", '"[ ! -p /run/hold ] || { echo $name >/run/hold; exec sleep 1000; }"')


def test_a_power_cut_in_the_middle_of_newgate_up(host):
    """And nothing starts jails at boot."""
    host.jails(HELD)
    host.web("whole")
    host.sh("newgate up whole && systemctl disable newgate && mkfifo /run/hold")
    try:
        whole = host.sh("jls -j whole ip4.addr")
        held = host.sh("exec 3<>/run/hold; systemd-run -q --unit=up newgate up; head -n 4 <&3")
        assert sorted(held.split()) == ["begun", "linked", "made", "prepared"]
        host.sh("sync; newgate create late template=base")
        host.machine.cut_power()
        host.settle()

        # What is off, whatever the disk has got of the last jail.
        host.sh("newgate check && test ! -e /run/newgate")
        jails = json.loads(host.sh("newgate status --json"))["jails"]
        assert {j["state"] for j in jails} == {"stopped"} and 6 <= len(jails) <= 7
        boot, unit = findings(host, "boot")
        assert boot["what"] == f"prepared and {len(jails) - 1} more do not run"
        assert unit["what"] == "newgate.service is not enabled"
        assert findings(host, "leftovers") == []
        plan = host.sh("newgate up -n", status=2).splitlines()
        assert [line.partition(";")[0] for line in plan] == [f"starts {j['name']}" for j in jails]
        assert "starts whole; opens tcp 8080 -> 80" in plan
        said = host.ask("jexec made true").stderr
        assert said == 'jexec: jail "made" not found: it is configured, but does not run\n'

        # And put right.
        host.sh("newgate up")
        assert host.sh("newgate up").startswith("nothing to do: ")
        assert sorted(host.running()) == sorted(j["name"] for j in jails)
        assert host.sh("jls -j whole ip4.addr") == whole
        addresses = host.sh("jls ip4.addr").split()
        assert len(set(addresses)) == len(jails)
        assert served(host)
        host.jexec("begun", "test -e /begun")
        unit, = findings(host, "boot")
        host.sh(unit["fix"][0])
        assert findings(host, "boot") == []
    finally:
        host.sh("systemctl enable -q newgate")


def test_timers(host):
    """systemd knows when to take snapshots and when to look after the certificate, and does."""
    timers = ("newgate-host-renew.timer", "newgate-snapshot.timer")
    host.sh(f"systemctl enable --now {' '.join(timers)}")
    listed = json.loads(host.sh("systemctl list-timers --output=json"))
    assert {t["unit"] for t in listed if t["next"] > 0} >= set(timers)
    # No host is set up here: that is what it fails with, and not with its unit.
    assert host.ask("systemctl start newgate-host-renew").returncode == 1
    assert "nothing is set up yet: newgate host init DOMAIN" in host.sh("journalctl -b -u newgate-host-renew")
    host.sh(f"systemctl disable --now {' '.join(timers)}; systemctl reset-failed newgate-host-renew")


MAIL = """
exec.consolelog = "/var/log/jail_${name}_console.log";
dovecot { ip4.addr = 10.100.0.26; rdr = "tcp 993 -> 80"; service = "httpd -f -h /srv"; }
"""


def test_who_fails_to_log_in_is_banned(host):
    """The unit that watches comes with the jails, after a reboot too, comes back, and goes with them; bans
    outlive the reboot."""
    def state():
        return host.ask("systemctl is-active newgate-host-watch").stdout.strip()

    def fail(address):
        line = f"Nov 23 12:02:43 auth: Info: passwd-file(alice,{address}): Password mismatch"
        host.sh(f"for i in 1 2 3 4 5; do echo '{line}'; done >>/var/log/jail_dovecot_console.log;"
                f" timeout 20 tail -n +1 -F /var/lib/newgate/bans 2>/dev/null | grep -q -m 1 '^{address} '")

    def banned():
        listed = json.loads(host.sh("newgate host ban list --json"))["bans"]
        return [ban["address"] for ban in listed]

    host.jails(MAIL)
    host.web("dovecot")
    host.sh("mkdir -p /etc/newgate && printf 'domain = a.org\nhostname = mail.a.org\n' >/etc/newgate/host.conf")
    host.sh("newgate up")
    assert state() == "active"
    fail("198.51.100.7")
    host.machine.reboot()
    host.settle()
    assert list(host.running()) == ["dovecot"] and state() == "active"
    assert banned() == ["198.51.100.7"]
    assert "198.51.100.7" in host.sh("nft list set inet newgate ban4")
    fail("198.51.100.8")
    # Its lock is free when it is gone.
    host.sh("systemctl kill -s KILL newgate-host-watch && flock -w 20 /run/newgate/watch true && newgate up")
    fail("198.51.100.9")
    assert banned() == ["198.51.100.7", "198.51.100.8", "198.51.100.9"]
    host.sh("jail -r dovecot")
    assert state() == "inactive"
    host.sh("rm -r /etc/newgate/host.conf /var/lib/newgate/bans")
