"""The Debian host inside the machine, as its administrator sees it."""

import json

RC_CONF = """
jail_enable="YES"
cloned_interfaces="lo100"
ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
ifconfig_lo100_alias1="inet6 fd00:100::1 prefixlen 64"
"""
COMMON = """
exec.clean;
mount.devfs;
persist;
path = "/var/jails/$name";
interface = "lo100";
"""
# In a jail: answers with the address of who asks. httpd is in the background once it listens.
WEB = """\
#!/bin/sh
printf '\\n%s\\n' "$REMOTE_ADDR"
"""

FOREIGN = """
nft list tables | grep -v 'inet newgate$' | while read -r table family name; do
    nft list table $family $name || exit
done
"""
FACTS = FOREIGN + """
ls /sys/class/net | grep -vx lo100
findmnt -rno TARGET | sort
for d in /var/jails /var/lib/newgate/jails /run/newgate/jails /run/newgate/slots /run/newgate/jids; do
    [ ! -d $d ] || find $d -mindepth 1 ! -name '.*'
done
[ ! -d /sys/fs/cgroup/newgate ] || find /sys/fs/cgroup/newgate -mindepth 1 -type d
pidof newgate-init
systemctl --failed --plain --no-legend
"""


class Host:
    def __init__(self, machine):
        self.machine = machine
        self.sh, self.ask, self.write = machine.sh, machine.ask, machine.write
        self.settle()
        self.write("/etc/rc.conf", RC_CONF)
        self.sh("newgate template create base --from busybox")
        self.untouched = self.facts()

    def settle(self):
        """Waits until systemd has started all it has to; none of it may have failed."""
        state = self.ask("systemctl is-system-running --wait").stdout.strip()
        assert state == "running", state + "\n" + self.sh("systemctl --failed; journalctl -b -p err")

    def jails(self, conf):
        self.write("/etc/jail.conf", COMMON + conf)

    def clone(self, *names):
        for name in names:
            self.sh(f"newgate clone base {name}")

    def web(self, *names):
        """Makes clones that serve: exec.start = "httpd -h /srv"."""
        self.clone(*names)
        for name in names:
            path = f"/var/lib/newgate/jails/{name}/upper/srv/cgi-bin/who"
            self.write(path, WEB)
            self.sh(f"chmod 755 {path}")

    def jexec(self, name, script, status=0):
        return self.sh(f"jexec {name} sh -s <<'END'\n{script}\nEND", status=status)

    def who(self, asks, address, port=80):
        """As whom `asks` (a jail, or "internet") is seen by the server there; None: it gets no answer.
        (Debian's busybox has a wget, which crashes.)"""
        inside = "ip netns exec internet busybox" if asks == "internet" else f"jexec {asks}"
        got = self.ask("printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' |"
                       f" timeout 20 {inside} nc -w 5 {address} {port}").stdout.split("\n")
        return got[-2].strip("[]").removeprefix("::ffff:") if len(got) > 2 else None

    def running(self):
        return {j["name"]: j for j in
                json.loads(self.sh("jls --libxo json name jid path"))["jail-information"]["jail"]}

    def foreign(self):
        """The firewall but for our table, as text."""
        return self.sh(FOREIGN)

    def facts(self):
        """What no test may leave otherwise than it was."""
        return self.sh(FACTS)

    def clear(self):
        self.sh("[ -z \"$(jls name)\" ] || jail -R '*'\n"
                "for d in /var/lib/newgate/jails/*; do [ ! -e $d ] || newgate destroy -y ${d##*/}; done\n"
                "rm -rf /etc/jail.conf /var/jails/* /etc/rc.conf", timeout=60)
        self.write("/etc/rc.conf", RC_CONF)
