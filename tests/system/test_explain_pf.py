"""newgate explain where pf.conf is the firewall: its answers are those of real packets."""

import json
import re

import pytest

RC = """
    cloned_interfaces="lo100"
    ifconfig_lo100_alias0="inet 10.100.0.1 netmask 255.255.255.0"
    pf_enable="YES"
"""
ADDRESS = {"a": "10.100.0.2", "b": "10.100.0.3", "host": "10.100.0.1", "internet": "198.51.100.7"}
VPS = "203.0.113.10"
JAILS = """
a {
    interface = "lo100"; ip4.addr = "10.100.0.2"; rdr = "tcp 7100"; allow.connect = "b tcp 7200", "internet";
}
b {
    interface = "lo100"; ip4.addr = "10.100.0.3";
}
"""
PF = """ext = "eth0"
table <friends> { 198.51.100.0/24 }
nat on $ext inet from 10.100.0.0/24 to any -> ($ext)
rdr pass on $ext inet proto tcp to port 7300 -> 10.100.0.3 port 7200
block return all
pass out
pass in on $ext proto tcp from <friends> to ($ext) port 7400
pass in on lo100 proto tcp from 10.100.0.2 to 10.100.0.3 port 7200
block in quick on lo100 proto tcp to any port 7500
"""


@pytest.fixture
def host(vps):
    vps.write("/etc/pf.conf", PF)
    vps.configure(JAILS, rc=RC)
    vps.run("newgate", "up")
    return vps


def explain(vps, source, target, status):
    return vps.run("newgate", "explain", source, target, status=status).stdout


def test_every_point_with_file_and_line(host):
    got = explain(host, "198.51.100.7", "host:7400", 0)
    assert re.search(r"in on eth0: pass, by .*/etc/pf\.conf:7: pass in on eth0 ", got), got
    got = explain(host, "internet", "host:7400", 2)
    assert re.search(r"in on eth0: block, by .*/etc/pf\.conf:5: block return all", got), got
    assert re.search(r"to let it pass: put behind .*pf\.conf:5: pass in on eth0 inet proto tcp from any to "
                     r"203\.0\.113\.10 port 7400", got), got


def test_translation_is_told(host):
    got = explain(host, "internet", "host:7300", 0)
    assert re.search(r"redirected to 10\.100\.0\.3 port 7200 by .*pf\.conf:4: rdr pass", got), got
    got = explain(host, "a", "internet:7000", 0)
    assert re.search(r"leaves with 203\.0\.113\.10 by .*pf\.conf:3: nat on eth0", got), got


def test_a_quick_rule_is_to_be_preceded(host):
    got = explain(host, "a", "b:7500", 2)
    assert re.search(r"put before .*pf\.conf:9: pass in quick on lo100 inet proto tcp from "
                     r"10\.100\.0\.2 to 10\.100\.0\.3 port 7500", got), got


def test_jail_conf_counts_where_the_rules_name_it(host):
    assert explain(host, "internet", "host:7100", 2)
    host.write("/etc/pf.conf", 'nat-anchor "newgate/*"\nrdr-anchor "newgate/*"\nblock all\npass out\n'
                               'anchor "newgate/*"\n')
    host.run("newgate", "up")
    got = explain(host, "internet", "host:7100", 0)
    assert 'anchor "newgate/*"' in got and "redirected to 10.100.0.2 port 7100" in got, got
    assert "allow.connect" in json.loads(host.run(
        "newgate", "explain", "--json", "a", "b:7200").stdout)["answers"][0]["reason"]
    assert explain(host, "a", "b:7201", 2)


def test_all_ports(host):
    got = json.loads(host.run("newgate", "explain", "--json", "198.51.100.7", "host").stdout)["answers"]
    passing = [(a["protocol"], a["first_port"], a["last_port"]) for a in got if a["verdict"] == "pass"]
    assert passing == [("tcp", 7300, 7300), ("tcp", 7400, 7400)]


def real(vps, source, target, port):
    """Does a connection come through?"""
    where = {"a": vps.jail("a"), "b": vps.jail("b"), "host": "vps", "internet": "internet"}
    at = {"a": "a", "b": "b", "host": "host", "internet": "internet"}[target]
    if (source, target) == ("internet", "host") and port == 7300:
        at, listen_port = "b", 7200
    else:
        listen_port = port
    server = vps.listen(where[at], "tcp", "", listen_port)
    address = VPS if (source, target) == ("internet", "host") else ADDRESS[target]
    client = vps.socket(where[source], "tcp", address)
    client.settimeout(1)
    if source == "internet":
        client.bind((ADDRESS["internet"], 0))
    try:
        client.connect((address, port))
        return True
    except OSError:
        return False
    finally:
        client.close()
        server.close()


@pytest.mark.parametrize("conf", ["block return all\npass out\n" + PF.split("pass out\n")[1],
                                  "pass all\n", "block return in all\npass in on lo100\n",
                                  "set skip on lo100\nblock return in all\n",
                                  # What is the host's own the anchor says nothing of.
                                  'block return all\npass out on lo100\nanchor "newgate/*"\n'])
def test_its_answers_are_those_of_packets(host, conf):
    """All pairs of a small world, by connections."""
    translation = "".join(PF.splitlines(True)[1:4]).replace("$ext", "eth0")
    options = [line for line in conf.splitlines(True) if line.startswith("set ")]
    rules = [line.replace("$ext", "eth0") for line in conf.splitlines(True) if not line.startswith("set ")]
    host.write("/etc/pf.conf", "".join(options) + translation + "".join(rules).replace("($ext)", "(eth0)"))
    host.run("newgate", "up")
    ports = [7200, 7300, 7400, 7500]
    for source in ADDRESS:
        for target in ADDRESS:
            if source == target:
                continue
            for port in ports:
                asked = ADDRESS["internet"] if source == "internet" else source
                to = ADDRESS["internet"] if target == "internet" else target
                if (source, target) == ("internet", "host"):
                    to = VPS
                if source == "internet" and target in "ab":
                    continue  # nobody outside has a route to a private range
                got = host.run("newgate", "explain", asked, f"{to}:{port}", status=None)
                assert (got.returncode == 0) == real(host, source, target, port), \
                    f"{source} to {target} port {port}\n{got.stdout}{got.stderr}"
