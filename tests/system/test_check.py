"""newgate check: every configuration file, every fault, nothing changed."""

import json
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "jail.conf"


def check(vps, *args, status=0, **options):
    got = vps.run("newgate", "check", *args, status=status, **options)
    assert got.stderr == ""
    return got.stdout.replace(str(vps.root), "").splitlines()


def test_all_is_well(vps):
    assert check(vps) == ["nothing is configured; `newgate init` writes the first files"]
    vps.write("/etc/jail.conf", "persist;\n")
    assert check(vps) == ["no jail is configured; `newgate create NAME` makes one"]
    vps.busybox("/var/jails/web")
    vps.write("/etc/jail.conf", 'web { path = "/var/jails/web"; persist; }\n')
    assert check(vps) == ["1 jail in 1 file: no fault"]
    vps.write("/etc/jail.conf.d/mail.conf", 'mail { path = "/var/jails/web"; persist; }\n')
    vps.write("/etc/rc.conf", 'jail_enable="YES"\njail_list="mail web"\n')
    assert check(vps) == ["2 jails in 3 files: no fault"]
    assert not vps.path("/run").exists(), "check only reads"


def test_every_file_is_read(vps):
    vps.busybox("/var/jails/web")
    vps.write("/etc/jail.conf", """\
path = "/var/jails/web";
web {
    mount = "tmpfs /tmp tmpfs rw 0 0";
    mount.fstab = "/etc/fstab.$name";
    linux = new;
}
lost { mount.fstab = "/etc/fstab.lost"; }
""")
    vps.write("/etc/fstab.web", """\
# device     mount point             type    options
/srv         /var/jails/web/srv      nullfs  ro,union
/srv/www     /srv/www                nullfs  ro

  pool/data  /var/jails/web/data     zfs     rw
tmpfs        /var/jails/web/tmp      tmpfs   size=lots
proc         /var/jails/web/proc     procfs  rw
""")
    vps.write("/etc/jail.conf.d/mail.conf", 'mail { exec.strat = "/bin/sh"; }\n')
    vps.write("/etc/jail.dns.conf", "dns { ip4.addr = 10.0.0.300; }\n")
    vps.write("/etc/rc.conf", 'jail_enable="maybe"\njail_list="web mial"\njail_enabled=NO\n')
    vps.write("/var/lib/newgate/leases", """\
net lo1 10.9.0.1/24
jail lo1 10.9.0.2 web
jail lo1 10.9.0.2 mail
jail lo1 10.9.0.3
free gone
""")
    assert check(vps, status=1) == [
        '/etc/fstab.web:2:1: web: nullfs has no option "union" here',
        "/etc/fstab.web:3:1: web: /srv/www is not below the jail's path /var/jails/web; "
        "a jail's mounts exist in the jail only",
        "/etc/fstab.web:5:3: web: zfs: mount the dataset on the host and give the directory to the "
        "jail by nullfs",
        '/etc/fstab.web:6:1: web: "size=lots" is not a size (such as 64m)',
        "/etc/jail.conf:3:13: web: /tmp is not below the jail's path /var/jails/web; "
        "a jail's mounts exist in the jail only",
        "/etc/jail.conf:7:22: lost: /etc/fstab.lost: No such file or directory (an empty one will do)",
        '/etc/jail.conf.d/mail.conf:1:8: mail: unknown parameter "exec.strat" (did you mean '
        '"exec.start"?)',
        '/etc/jail.dns.conf:1:18: dns: ip4.addr "10.0.0.300" is not an IPv4 address',
        '/etc/rc.conf:1:13: jail_enable: "maybe" is neither YES nor NO',
        '/etc/rc.conf:2:11: jail_list: no jail "mial" is configured (did you mean "mail"?)',
        "/var/lib/newgate/leases:3:1: web has 10.9.0.2 as well: remove this line, and mail gets "
        "another",
        '/var/lib/newgate/leases:4:1: "jail lo1 10.9.0.3" is passed over: a line is net IF '
        "ADDR/LEN, jail IF ADDR NAME, or free NAME; mend it, or remove it",
        "/etc/jail.conf:5:5: warning: linux has no effect: the jail runs on Linux itself, there is "
        "nothing to emulate",
        '/etc/rc.conf:3:14: warning: jail_enabled: nothing reads this variable (did you mean '
        '"jail_enable"?)',
        "4 jails in 4 files: 12 faults, 2 warnings",
    ]


def test_what_is_still_to_be_done(vps):
    vps.write("/etc/jail.conf", """\
web { path = "/srv/web"; persist; exec.consolelog = "/var/log/jails/web"; }
mail { path = "/srv/mail"; template = base; persist; }
""")
    assert check(vps) == [
        "/etc/jail.conf:1:7: warning: web: path /srv/web: No such file or directory (to make it: "
        "newgate clone TEMPLATE web)",
        "/etc/jail.conf:1:35: warning: web: exec.consolelog /var/log/jails/web: its folder does not "
        "exist: mkdir -p /var/log/jails",
        '/etc/jail.conf:2:28: warning: there is no template "base": newgate template create base '
        "--from debian:bookworm",
        "2 jails in 1 file: no fault, 3 warnings",
    ]
    vps.path("/var/log/jails").mkdir(parents=True)
    vps.busybox("/srv/web")
    vps.run("newgate", "template", "create", "base", "--from", "busybox")
    assert check(vps) == ["2 jails in 1 file: no fault"]


def test_named_files(vps):
    vps.write("/etc/jail.conf", "not { jail.conf }")
    a = vps.write("/tmp/a.conf", "a { persist; path = /; }\n")
    b = vps.write("/tmp/rc.conf", "jail_enable=maybe\n")
    assert check(vps, a) == ["1 jail in 1 file: no fault"]
    assert check(vps, a, b, status=1) == [
        '/tmp/rc.conf:1:13: jail_enable: "maybe" is neither YES nor NO',
        "1 jail in 2 files: 1 fault"]
    assert check(vps, "-", input="b { persist }", status=1) == [
        'STDIN:1:13: }: syntax error (is ";" missing at the end of line 1?)',
        "1 jail in 1 file: 1 fault"]
    assert check(vps, a, "/nowhere", status=1)[0] == "/nowhere: No such file or directory"


def test_json(vps):
    vps.write("/etc/jail.conf", """\
exec.strat = 1;
linux = new;
ip_hostname;
web { path = /; }
mail { path = /; }
""")
    got = json.loads("\n".join(check(vps, "--json", "-v", status=1)))
    at = {"file": "/etc/jail.conf", "column": 1}
    assert got["findings"] == [
        {"level": "fault", **at, "line": 1, "jail": "web", "others": 1,
         "text": 'unknown parameter "exec.strat" (did you mean "exec.start"?)'},
        {"level": "fault", **at, "line": 3, "jail": "web", "others": 1,
         "text": "ip_hostname is refused: what a name server will say cannot be checked beforehand; "
                 "write the address in ip4.addr or ip6.addr"},
        {"level": "warning", **at, "line": 2, "jail": None, "others": 0,
         "text": "linux has no effect: the jail runs on Linux itself, there is nothing to emulate"},
    ]
    assert [(p["parameter"], p["class"], p["jails"]) for p in got["parameters"]] == [
        ("path", "honoured", 2), ("linux", "without effect", 2), ("ip_hostname", "refused", 2)]
    vps.write("/etc/jail.conf", "")
    assert json.loads("\n".join(check(vps, "--json"))) == {"findings": []}


def test_the_faults_of_the_golden_files(vps):
    """What the parser's own tests expect is what the commands say, once each."""
    fails = sorted(GOLDEN.glob("*.fail"))
    assert len(fails) > 60
    for fail in fails:
        script = f"cd {GOLDEN}; exec "
        name, wanted = fail.stem + ".in", fail.read_text().splitlines()
        got = vps.run("sh", "-c", script + f"newgate check {name}", status=1)
        said = got.stdout.splitlines()
        assert sorted(set(said) & set(wanted)) == sorted(wanted), name
        assert len(said) == len(set(said)), name
        got = vps.run("sh", "-c", script + f"jail -f {name} -c", status=1)
        assert got.stdout == "", name
        assert got.stderr.splitlines() == ["jail: " + line for line in wanted], name


def test_pf_conf(vps):
    vps.write("/etc/rc.conf", """\
cloned_interfaces="lo100"
ifconfig_lo100="inet 10.100.0.1/24"
pf_enable="YES"
""")
    assert check(vps, status=1)[0] == \
        '/etc/pf.conf: No such file or directory (rc.conf has pf_enable="YES")'
    vps.write("/etc/pf.conf", """\
jails = "lo100"
table <bad> persist file "/etc/pf.bad"
include "/etc/pf.more"
pass in on $jail from $jails:network
blok in
pass in proto tcp user root
""")
    vps.write("/etc/pf.bad", "192.0.2.0/24\n192.0.2.0/33\n")
    vps.write("/etc/pf.more", "pass out lable x\n")
    assert check(vps, status=1) == [
        "/etc/pf.bad:2:1: netmask 33 invalid for IPv4 address",
        "/etc/pf.conf:4:12: macro 'jail' not defined (did you mean $jails?)",
        '/etc/pf.conf:5:1: syntax error at "blok": did you mean "block"?',
        '/etc/pf.more:1:10: syntax error at "lable": did you mean "label"?',
        "0 jails in 4 files: 4 faults",
    ]
    # What cannot be lowered is told where all can be read.
    vps.write("/etc/pf.conf", "pass in proto tcp user root\n")
    assert any(line.startswith("/etc/pf.conf:1:1: user ") for line in check(vps, status=1))
    vps.write("/etc/pf.conf", """\
nat on egress from lo100:network to any -> (egress)
block in
pass out
anchor "newgate/*"
rdr-anchor x
""")
    assert check(vps, status=1)[0].startswith("/etc/pf.conf:5:1: Rules must be in order: ")
    vps.write("/etc/pf.conf", "block in\npass out\npass in inet6 proto icmp6\n")
    assert check(vps) == ["no jail is configured; `newgate create NAME` makes one"]
    vps.write("/etc/rc.conf", 'pf_enable="NO"\n')
    vps.write("/etc/pf.conf", "blok\n")
    assert check(vps) == ["no jail is configured; `newgate create NAME` makes one"]
    vps.write("/root/pf.conf.new", "blok\n")
    assert check(vps, str(vps.path("/root/pf.conf.new")), status=1)[0] == \
        '/root/pf.conf.new:1:1: syntax error at "blok": did you mean "block"?'
