"""The throw-away VPS itself: what the other tests stand on."""

import pytest


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize("there,back", [("198.51.100.7", "203.0.113.10"),
                                        ("2001:db8:51::7", "2001:db8::10")])
def test_reaches_the_internet(vps, proto, there, back):
    server = vps.listen("internet", proto, there, 8080)
    assert vps.seen("vps", proto, there, 8080, server) == back


def test_is_reached_from_the_internet(vps):
    server = vps.listen("vps", "tcp", "203.0.113.10", 8080)
    assert vps.seen("internet", "tcp", "203.0.113.10", 8080, server, "198.51.100.7") == "198.51.100.7"


def test_refusal_is_an_error_of_the_client(vps):
    with pytest.raises(ConnectionRefusedError):
        vps.connect("vps", "tcp", "198.51.100.7", 81)


def test_ping(vps):
    assert vps.ping("vps", "203.0.113.1") == 0
    assert vps.ping("vps", "2001:db8::1") == 129


def test_forwards_nothing_at_first(vps):
    got = vps.run("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
    assert got.stdout == "0\n0\n"


def test_has_a_process_tree_and_a_run_of_its_own(vps):
    assert vps.run("cat", "/proc/1/comm").stdout == "bash\n"
    # /etc/resolv.conf may be a link there, and mount(8) keeps notes there.
    assert set(vps.run("ls", "/run").stdout.split()) - {"systemd", "resolvconf", "mount"} == {"lock", "netns"}
    assert vps.run("cat", "/etc/resolv.conf").stdout == "nameserver 203.0.113.53\n"


def test_busybox_root_works(vps):
    root = vps.busybox("/var/jails/a")
    assert vps.run("chroot", root, "/bin/sh", "-c", "id -un").stdout == "root\n"


def test_refuses_a_network_in_use(vps):
    got = vps.run("env", "NG_VPS=inside", "bash", __file__.replace("test_vps.py", "vps.sh"), status=1)
    assert "in use" in got.stderr
