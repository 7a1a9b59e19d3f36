"""The unit newgate.service: jails at boot and at shutdown."""

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


def test_a_power_cut(host):
    configured(host)
    host.sh("systemctl restart newgate; newgate template create half --from busybox; sync")
    addresses = host.sh("jls name ip4.addr")
    host.machine.cut_power()
    host.settle()
    assert host.sh("jls name ip4.addr") == addresses
    assert served(host)
    host.sh("newgate template destroy -y half")
