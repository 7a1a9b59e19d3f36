"""The first steps of somebody who has just installed newgate, word for word as it tells them."""

import json


def test_first_steps(host):
    # What other tests had: a network that is in use, a template.
    host.sh("rm /etc/rc.conf; test ! -e /etc/jail.conf; ip link delete lo100 2>/dev/null;"
            "newgate template destroy -y base")
    # Before anything is there, every verb that only looks says so and is content.
    assert "`newgate create NAME` makes one" in host.sh("newgate status")
    assert "`newgate init` writes the first files" in host.sh("newgate check")
    assert "nothing to do" in host.sh("newgate up")

    said = host.sh("newgate init")
    steps = [line.split("#")[0].strip() for line in said.partition("\nnext:\n")[2].splitlines()]
    assert steps == ["newgate doctor", "newgate template create base --from busybox",
                     "newgate create web template=base", "jail -c web", "jexec web /bin/sh",
                     "systemctl enable newgate"]
    for step in steps:
        # The host has a firewall of its own, which flushes; and no clock.
        host.sh(step, status=2 if step == "newgate doctor" else 0)
    assert host.sh("newgate check") == "1 jail in 2 files: no fault\n"
    assert host.sh("newgate up") == "nothing to do: what runs is what is configured (1 jail)\n"
    found = json.loads(host.sh("newgate doctor --json", status=2))["findings"]
    assert [f["check"] for f in found] == ["clock", "flush"], found

    # It is there, with both families, and is told so.
    jail, = json.loads(host.sh("newgate status --json"))["jails"]
    assert jail["state"] == "running" and jail["processes"] >= 1 and jail["memory"] > 0, jail
    v4, v6 = jail["address"]
    assert host.who("web", "198.51.100.7") == "203.0.113.10"
    assert host.who("web", "2001:db8:51::7") == "2001:db8::10"
    top = json.loads(host.sh("newgate top --json -n 1"))
    assert [j["name"] for j in top["jails"]] == ["web"]
    assert 'newgate_jail_up{jail="web"} 1' in host.sh("newgate metrics")
    assert host.sh("newgate explain web 198.51.100.7:80").startswith("pass: ")
    assert host.sh("newgate explain internet web:80", status=2).startswith("block: ")

    # Another one, a redirect and a permission, as the comments in jail.conf have them.
    host.sh("newgate create db template=base allow.connect=")
    host.sh("""sed -i 's/^web {/&\\n\\trdr = "tcp 80";\\n\\tallow.connect = "internet", "db tcp 5432";\\n"""
            """\\trctl = "memoryuse:deny=64m";/' /etc/jail.conf""")
    assert host.sh("newgate up").splitlines() == [
        "opens tcp 80 to web", "lets web connect to db tcp 5432", "limits web: memoryuse:deny=64m",
        "starts db"]
    assert host.sh("newgate explain internet web:80").startswith("pass: ")
    host.sh("newgate down")
    assert host.running() == {}
    # Not in the other order: web names db.
    assert "db" in host.ask("newgate destroy -y db").stderr
    host.sh("newgate destroy -y web && newgate destroy -y db && ip link delete lo100")


def test_a_kernel_without_its_modules(host):
    """An upgrade took them; nobody has rebooted yet."""
    host.jails("one { ip4.addr = auto; }")
    host.clone("one")
    host.sh("nft delete table inet newgate 2>/dev/null; rmmod nft_fib_inet; mv /lib/modules /lib/gone",
            status=None)
    try:
        finding, = json.loads(host.sh("newgate doctor --json kernel", status=2))["findings"]
        assert finding["fix"] == ["reboot"]
        said = host.ask("newgate up")
        assert said.returncode == 1
        assert "the modules of the running kernel are gone" in said.stderr and "reboot" in said.stderr
        assert len(said.stderr.splitlines()) == 1, said.stderr
    finally:
        host.sh("mv /lib/gone /lib/modules")
    assert host.sh("newgate up") == "starts one\n"
