"""pf.conf as the firewall, with real traffic."""

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    jail_enable="YES"
    pf_enable="YES"
    """


def test_walk_through(vps):
    vps.write("/etc/pf.conf", """
intf = "eth0"
net_jail = "10.100.0.0/24"
set skip on { lo0 lo100 }
nat pass on $intf from $net_jail to any -> ($intf)
""")
    vps.configure('nattest { interface = "lo100"; ip4.addr = "10.100.0.2"; }', rc=RC)
    jail = vps.start("nattest")
    server = vps.listen("internet", "tcp", "198.51.100.7", 80)
    assert vps.seen(jail, "tcp", "198.51.100.7", 80, server) == "203.0.113.10"
