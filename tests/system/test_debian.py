"""A Debian root: nginx, started by /etc/rc, serves a page to the internet through a redirect."""

import os
import subprocess
import urllib.request
import urllib.error

import pytest

from vps import BUILD

NEWGATE = BUILD / "src" / "cmd" / "newgate"
# Packages come over a network that has its own mind.
DOWNLOAD = 600

# The template is finished by hand, as newgate-template(8) says one may. Packages must not start
# anything: this is the host, not the jail.
INSTALL = r"""
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$1" apt-get -qq update
chroot "$1" apt-get -qq install -y --no-install-recommends nginx-light
rm "$1/usr/sbin/policy-rc.d"
"""


def have_mirror():
    """Whether the host's own package lists can be fetched: the first one tells."""
    got = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True)
    for site in got.stdout.split():
        try:
            urllib.request.urlopen(site, timeout=20).close()
            return True
        except urllib.error.HTTPError:
            return True
        except (OSError, ValueError):
            return False
    return False


@pytest.fixture
def debian(vps):
    """The root of a template debian:bookworm with nginx in it. Made outside of the VPS, which has no
    way to a mirror."""
    if not have_mirror():
        pytest.skip("no Debian mirror can be reached")
    env = dict(os.environ, NEWGATE_ROOT=str(vps.root))
    got = subprocess.run([NEWGATE, "template", "create", "d12", "--from", "debian:bookworm"], env=env,
                         capture_output=True, text=True, timeout=DOWNLOAD)
    assert got.returncode == 0, got.stderr
    root = vps.path("/var/lib/newgate/templates/d12/root")
    got = subprocess.run(["unshare", "-m", "sh", "-ec", INSTALL, "sh", root], capture_output=True,
                         text=True, timeout=DOWNLOAD)
    assert got.returncode == 0, got.stdout + got.stderr
    return root


def get(vps, source):
    """The page and its status line, asked for from the internet."""
    client = vps.connect("internet", "tcp", "203.0.113.10", 80, source=source)
    client.sendall(b"GET /hello.html HTTP/1.0\r\nHost: www.example.org\r\n\r\n")
    data = b""
    while piece := client.recv(65536):
        data += piece
    client.close()
    return data.decode()


def test_nginx_serves_the_internet(vps, debian):
    for name, empty in (("machine-id", ""), ("hostname", ""), ("resolv.conf", "")):
        assert (debian / "etc" / name).read_text() == empty
    assert list((debian / "dev").iterdir()) == []
    vps.write("/etc/jail.conf", """
        exec.start = "/bin/sh /etc/rc";
        exec.stop = "/bin/sh /etc/rc.shutdown";
        exec.clean;
        mount.devfs;
        path = "/var/jails/$name";
        web { host.hostname = www.example.org; ip4.addr = auto; rdr = "tcp 80"; }
        """)
    vps.run("newgate", "clone", "d12", "web")
    upper = vps.path("/var/lib/newgate/jails/web/upper")
    (upper / "etc/rc.conf").write_text('nginx_enable="YES"\n')
    (upper / "var/www/html").mkdir(parents=True)
    (upper / "var/www/html/hello.html").write_text("hello from a jail\n")
    vps.run("jail", "-c", "web")
    web = vps.jail("web")
    page = get(vps, "198.51.100.7")
    assert page.startswith("HTTP/1.1 200 OK\r\n") and page.endswith("\r\n\r\nhello from a jail\n")
    # nginx wrote down who asked, and runs as the user that its package made.
    assert web.run("cut", "-d", " ", "-f", "1,7,9", "/var/log/nginx/access.log").stdout == \
        "198.51.100.7 /hello.html 200\n"
    users = web.run("sh", "-c", "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = nginx ] && stat -c %U $p; "
                                "done | sort -u").stdout.split()
    assert users == ["root", "www-data"]
    vps.run("jail", "-r", "web")
    with pytest.raises(OSError):
        get(vps, "198.51.100.7")
    # What the jail wrote is the jail's alone.
    assert (upper / "var/log/nginx/access.log").exists()
    assert not (debian / "var/log/nginx/access.log").exists() or \
        (debian / "var/log/nginx/access.log").stat().st_size == 0
