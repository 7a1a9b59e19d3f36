"""newgate init: the files that it writes work on this host, and no other is touched."""

import re


def init(vps, *args, status=0):
    got = vps.run("newgate", "init", *args, status=status)
    return got.stdout


def chosen(vps):
    return re.search(r"^chosen:\s+(\S+)/24", init(vps, "-n"), re.M)[1]


def files(vps):
    return {str(p.relative_to(vps.root)): p.read_text() for p in vps.path("/etc").rglob("*") if p.is_file()} \
        if vps.path("/etc").exists() else {}


def test_from_nothing_to_a_jail(vps):
    out = init(vps)
    assert "outside:  eth0 203.0.113.10, 2001:db8::10\n" in out
    assert re.search(r"^chosen:   10\.100\.0\.0/24, fd\S+/64 on lo100$", out, re.M)
    assert "wrote /etc/rc.conf\nwrote /etc/jail.conf\n" in out
    assert vps.run("newgate", "check").stdout == "no jail is configured; `newgate create NAME` makes one\n"
    assert vps.run("newgate", "doctor", "configuration").returncode == 0
    # What it says to type, but for the shell.
    commands = re.findall(r"^    (newgate template .*?|newgate create .*|jail -c .*)(?:\s+#.*)?$", out, re.M)
    assert len(commands) == 3
    for command in commands:
        vps.run("sh", "-c", command)
    web = vps.jail("web")
    assert web.addresses()[0].startswith("10.100.0.")
    server = vps.listen("internet", "tcp", "198.51.100.7", 80)
    assert vps.seen(web, "tcp", "198.51.100.7", 80, server) == "203.0.113.10"
    server = vps.listen("internet", "tcp", "2001:db8:51::7", 80)
    assert vps.seen(web, "tcp", "2001:db8:51::7", 80, server) == "2001:db8::10"
    assert vps.run("newgate", "check").stdout == "1 jail in 2 files: no fault\n"
    # A file of its own sees what the first one says for all.
    vps.write("/etc/jail.conf.d/mail.conf", "mail { template = base; }\n")
    assert "ip4.addr=auto" in vps.run("jail", "-e", " ").stdout.splitlines()[1]
    vps.run("jail", "-c", "mail")
    assert vps.jail("mail").addresses()[0].startswith("10.100.0.")


def test_only_telling(vps):
    out = init(vps, "-n")
    assert "would write /etc/rc.conf:\n" in out and '    cloned_interfaces="lo100"\n' in out
    assert "would write /etc/jail.conf:\n" in out and "next:" not in out
    assert files(vps) == {} and not vps.path("/var/jails").exists()


def test_what_is_there_stays(vps):
    init(vps)
    vps.write("/etc/jail.conf", "mine { persist; }\n")
    vps.write("/etc/rc.conf", "hostname=mine\n")
    before = files(vps)
    out = init(vps)
    assert files(vps) == before
    assert "/etc/rc.conf is there, and stays as it is\nwhat it lacks, for you to add:\n" in out
    assert '    cloned_interfaces="lo100"\n' in out and '    .include "/etc/jail.conf.d/*.conf";\n' in out
    # What it tells to add is all that is missing.
    lines = re.findall(r"^    (.*)$", out.partition("next:")[0], re.M)
    vps.write("/etc/rc.conf", "hostname=mine\n" + "\n".join(line for line in lines if "include" not in line))
    vps.write("/etc/jail.conf", vps.read("/etc/jail.conf") + '.include "/etc/jail.conf.d/*.conf";\n')
    before = files(vps)
    out = init(vps)
    assert files(vps) == before
    assert "lacks" not in out and re.search(r"^network:  10\.100\.0\.0/24, fd\S+/64 on lo100$", out, re.M)


def test_a_link_to_nowhere_stays(vps):
    vps.path("/etc").mkdir()
    vps.path("/etc/jail.conf").symlink_to("/nowhere/jail.conf")
    assert "/etc/jail.conf is there" in init(vps)
    assert vps.path("/etc/jail.conf").is_symlink()


def test_a_network_of_rc_conf(vps):
    vps.write("/etc/rc.conf", 'cloned_interfaces="lo7"\nifconfig_lo7="inet 10.44.0.1/24"\n')
    assert "network:  10.44.0.0/24 on lo7\n" in init(vps)
    conf = vps.read("/etc/jail.conf")
    assert 'interface = "lo7";' in conf and "\nip4.addr = auto;" in conf and "\n#ip6.addr = auto;" in conf


def test_networks_of_others(vps):
    assert chosen(vps) == "10.100.0.0"
    vps.run("ip", "link", "add", "wg0", "type", "veth", "peer", "name", "wg1")
    vps.run("ip", "link", "set", "wg1", "up")
    vps.run("ip", "link", "set", "wg0", "up")
    vps.run("ip", "address", "add", "10.100.0.130/25", "dev", "wg0")
    assert "10.100.0.128/25 (wg0)" in init(vps, "-n")
    assert chosen(vps) == "10.101.0.0"
    vps.run("ip", "route", "add", "10.96.0.0/12", "dev", "wg0")
    assert chosen(vps) == "10.112.0.0"
    vps.run("ip", "route", "add", "10.0.0.0/8", "dev", "wg0")
    assert chosen(vps) == "172.16.0.0"
    vps.run("ip", "route", "add", "172.16.0.0/12", "dev", "wg0")
    assert chosen(vps) == "192.168.100.0"
    vps.run("ip", "route", "add", "192.168.0.0/16", "dev", "wg0")
    got = vps.run("newgate", "init", status=1)
    assert got.stderr == "newgate init: no private network is free on this host\n"
    assert files(vps) == {}


def test_the_name_of_the_interface(vps):
    vps.run("ip", "link", "add", "lo100", "type", "bridge")
    assert " on lo101\n" in init(vps)
    assert 'cloned_interfaces="lo101"' in vps.read("/etc/rc.conf")


def test_a_host_without_a_way_out(vps):
    vps.run("ip", "route", "delete", "default")
    vps.run("ip", "-6", "route", "delete", "default")
    out = init(vps)
    assert "outside:  no route leads to the internet yet\n" in out
    assert "chosen:   10.100.0.0/24 on lo100\n" in out


def test_a_broken_rc_conf(vps):
    vps.write("/etc/rc.conf", "jail_enable=perhaps\n")
    got = vps.run("newgate", "init", status=1)
    assert got.stderr.endswith('rc.conf:1:13: jail_enable: "perhaps" is neither YES nor NO\n')
    assert list(files(vps)) == ["etc/rc.conf"]
    vps.run("newgate", "init", "now", status=1)
