"""What newgate asks of a kernel and of nftables, asked of Debian's."""

import pytest

from host import RC_CONF


def test_an_overlay_jail_keeps_its_changes(host):
    host.jails('one { host.hostname = "one.example.org"; }')
    host.clone("one")
    assert "backend overlay\n" in host.sh("cat /var/lib/newgate/jails/one/origin")
    host.sh("jail -c one")
    assert host.jexec("one", "id -u; hostname; grep ' / ' /proc/mounts | cut -d ' ' -f 3") \
        == "0\none.example.org\noverlay\n"
    host.jexec("one", """
        echo hello >/root/new
        chown 1000:1000 /root/new
        rm /bin/true
        chmod 4755 /etc/passwd
        mkdir -p /srv/a && mv /home /srv/a/home
    """)
    # Owners on the disk are what the jail sees; the template is as it was.
    upper = "/var/lib/newgate/jails/one/upper"
    assert host.sh(f"stat -c '%u %g %a' {upper}/root/new {upper}/etc/passwd {upper}/srv/a") \
        == "1000 1000 644\n0 0 4755\n0 0 755\n"
    template = "/var/lib/newgate/templates/base/root"
    host.sh(f"test -e {template}/bin/true && test -d {template}/home && test ! -u {template}/etc/passwd")
    host.sh("jail -r one && jail -c one")
    assert host.jexec("one", "cat /root/new; ls /bin/true", status=1) == "hello\n"
    assert host.jexec("one", "stat -c %u:%a /root/new /etc/passwd; ls /srv/a") \
        == "1000:644\n0:4755\nhome\n"


def test_a_directory_keeps_ordinary_owners(host):
    host.jails("one { }")
    host.sh("mkdir -p /var/jails && cp -a /var/lib/newgate/templates/base/root /var/jails/one")
    host.sh("jail -c one")
    assert host.jexec("one", """
        touch /root/new && chown 1000:1001 /root/new
        cut -c 1-10 /proc/self/uid_map | tr -d ' '
        stat -c %u /bin/sh
    """) == "0\n0\n"
    assert host.sh("stat -c '%u %g' /var/jails/one/root/new /var/jails/one/bin/sh") == "1000 1001\n0 0\n"


def test_mounts(host):
    host.jails("""
        one {
            mount = "tmpfs /var/jails/one/tmp tmpfs size=1m,mode=1777 0 0";
            mount += "/srv/shared /var/jails/one/mnt nullfs rw 0 0";
            mount += "/srv/shared /var/jails/one/media nullfs ro 0 0";
        }""")
    host.clone("one")
    host.sh("mkdir -p /srv/shared /var/lib/newgate/jails/one/upper/media")
    host.sh("jail -c one")
    host.jexec("one", "dd if=/dev/zero of=/tmp/big bs=64k count=32", status=1)
    host.jexec("one", "echo x >/mnt/file && chown 33 /mnt/file")
    assert host.jexec("one", "cat /media/file; echo >/media/file", status=1) == "x\n"
    assert host.sh("stat -c %u /srv/shared/file; rm -r /srv/shared") == "33\n"


def test_isolation(host):
    host.jails("one { allow.set_hostname = 0; } two { }")
    host.clone("one", "two")
    host.sh("jail -c")
    status = dict(line.split(":\t", 1) for line in
                  host.jexec("one", "cat /proc/self/status").splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2"
    assert int(status["CapBnd"], 16) & (1 << 21 | 1 << 13) == 0, "CAP_SYS_ADMIN, CAP_NET_RAW"
    for forbidden in ("mount -t tmpfs none /mnt", "hostname other", "mknod /tmp/disk b 254 0",
                      "unshare -U true", "test -s /proc/kcore", "echo 1 >/proc/sys/kernel/sysrq", "dmesg",
                      "ping -c 1 10.100.0.1", "swapoff -a", "echo b >/proc/sysrq-trigger"):
        done = host.ask(f"jexec one sh -c '{forbidden}'")
        assert done.returncode != 0, forbidden + done.stdout
    # Different ranges of user ids, and nothing of each other.
    ids = [host.jexec(name, "awk '{print $2}' /proc/self/uid_map") for name in ("one", "two")]
    assert ids[0] != ids[1]
    assert "two" not in host.jexec("one", "ps; cat /proc/mounts")


@pytest.mark.parametrize("family", ["4", "6"])
def test_traffic(host, family):
    v6 = family == "6"
    a, b = ("fd00:100::a", "fd00:100::b") if v6 else ("10.100.0.10", "10.100.0.11")
    public, router, far = ("2001:db8::10", "2001:db8::1", "2001:db8:51::7") if v6 else \
        ("203.0.113.10", "203.0.113.1", "198.51.100.7")
    host.jails(f"""
        exec.start = "httpd -h /srv";
        web {{ ip{family}.addr = {a}; rdr = "tcp 8080 -> 80"; allow.raw_sockets; }}
        db {{ ip{family}.addr = {b}; allow.connect = "web tcp 80"; }}""")
    host.web("web", "db")
    host.sh("jail -c")

    # Out with the host's address, in with the client's.
    assert host.who("web", far) == public
    assert host.who("internet", public, 8080) == router
    # To each other only as permitted; the listed one has no other way.
    assert host.who("db", a) == b
    assert host.who("db", "web") == b
    assert host.who("web", b) is None
    assert host.who("db", far) is None
    # With a raw socket where it is allowed.
    host.jexec("web", f"ping -c 1 -W 5 {far}")


def test_pf_conf(host):
    """The walk-through of newgate(7), with IPv6 and a redirect beside it."""
    host.write("/etc/rc.conf", RC_CONF + 'pf_enable="YES"\n')
    host.write("/etc/pf.conf", """
intf = "eth0"
net_jail = "10.100.0.0/24"
net_jail6 = "fd00:100::/64"
set skip on { lo0 lo100 }
nat pass on $intf inet from $net_jail to any -> ($intf)
nat pass on $intf inet6 from $net_jail6 to any -> ($intf)
rdr pass on $intf inet proto tcp from any to ($intf) port 8080 -> 10.100.0.2 port 80
""")
    host.jails('web { exec.start = "httpd -h /srv"; ip4.addr = 10.100.0.2; ip6.addr = fd00:100::2; }')
    host.web("web")
    host.sh("newgate up")
    assert host.who("web", "198.51.100.7") == "203.0.113.10"
    assert host.who("web", "2001:db8:51::7") == "2001:db8::10"
    assert host.who("internet", "203.0.113.10", 8080) == "203.0.113.1"
    assert host.sh("pfctl -s nat").count("nat pass on eth0") == 2
    host.sh("rm /etc/pf.conf")


def test_names_come_from_behind_the_stub(host):
    """/etc/resolv.conf is systemd-resolved's own, which names 127.0.0.53."""
    host.sh("grep -q '^nameserver 127.0.0.53' /etc/resolv.conf")
    host.jails("one { } two { }")
    host.clone("one", "two")
    assert "name server" not in host.ask("jail -c one").stderr
    assert host.jexec("one", "grep -v '^#' /etc/resolv.conf") \
        == "nameserver 198.51.100.53\nsearch example.org\n"
    # What the host learns later is there in a jail that runs, once newgate had to do something.
    host.sh("resolvectl dns eth0 203.0.113.53 && jail -c two")
    assert "nameserver 203.0.113.53\n" in host.jexec("one", "cat /etc/resolv.conf")
    host.sh("resolvectl revert eth0")


def test_the_ruleset_of_the_host_may_be_loaded_again(host):
    """`systemctl reload nftables` flushes all there is, as Debian's nftables.conf says."""
    host.jails('one { ip4.addr = 10.100.0.2; rdr = "tcp 8080 -> 80"; exec.start = "httpd -h /srv"; } two { }')
    host.clone("two")
    host.web("one")
    before = host.foreign()
    host.sh("jail -c one")
    assert host.foreign() == before
    host.sh("systemctl reload nftables")
    assert host.foreign() == before
    # The next command puts ours back, with what the running jail needs.
    host.sh("jail -c two")
    assert host.who("internet", "203.0.113.10", 8080) == "203.0.113.1"
    assert host.foreign() == before
