"""The root of a jail reaches for the host's files."""

import os
import subprocess

import pytest

from hostile import arm, as_user, attack, canary, outside, start


@pytest.fixture
def jail(vps):
    return start(vps, "evil")


def chrooted(vps, name="evil"):
    """Where only chroot guards, as for comparison."""
    return ["chroot", str(vps.path(f"/var/jails/{name}"))]


def test_dotdot_does_not_lead_out(vps, jail):
    file = canary(vps)
    assert not attack(jail, "dotdot", file).won
    got = vps.run(*chrooted(vps), "/bin/attack", "dotdot", file, status=None)
    assert got.returncode == 0, "the attack does not even leave a chroot"


def test_proc_shows_no_root_of_the_host(vps, jail):
    file = canary(vps)
    assert not attack(jail, "procroot", file).won
    assert outside(vps, "procroot", file).won


def test_no_file_by_its_handle(vps, jail):
    assert not attack(jail, "handle", "/etc").won
    assert outside(vps, "handle", "/etc").won


def test_devices_are_not_made(vps, jail):
    assert not attack(jail, "device").won
    (vps.root / "tmp").mkdir()
    assert outside(vps, "device").won
    os.unlink(f"/proc/{vps.pid}/root/tmp/node")


def test_devices_left_in_the_tree_are_dead(vps):
    root = arm(vps, "/var/jails/evil")
    subprocess.run(["mknod", "-m", "666", root / "node", "c", "1", "3"], check=True)
    jail = start(vps, "evil", root=root)
    assert not attack(jail, "device", "/node").won
    assert vps.run(*chrooted(vps), "/bin/attack", "device", "/node", status=None).returncode == 0


KNOBS = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
         "/proc/sys/vm/drop_caches", "/proc/sys/fs/suid_dumpable", "/proc/sysrq-trigger",
         "/proc/sys/kernel/ns_last_pid", "/sys/kernel/mm/transparent_hugepage/enabled",
         "/proc/sys/net/ipv4/ip_forward", "/proc/sys/user/max_user_namespaces", "/proc/pressure/memory",
         "/proc/irq/default_smp_affinity"]


def test_the_kernel_is_not_configured_from_inside(vps, jail):
    for knob in filter(os.path.exists, KNOBS):
        assert not attack(jail, "knob", knob).won, knob
        # The root that runs this test may lack CAP_SYS_RESOURCE, which that one asks for.
        assert outside(vps, "knob", knob).won or knob == "/proc/sys/user/max_user_namespaces", knob


def test_setuid_root_of_a_jail_is_nobody_on_the_host(vps, jail):
    """Files have ordinary owners on the disk: what keeps users of the host from a jail's setuid
    programs is that they cannot come near."""
    assert attack(jail, "setuid", "/tmp/suid").won
    path = vps.path("/var/jails/evil/tmp/suid")
    assert os.stat(path).st_uid == 0 and os.stat(path).st_mode & 0o4000
    got = vps.run(*as_user(1000), path, "whoami", status=None)
    assert got.returncode != 0 and "Permission denied" in got.stderr
    os.chmod(vps.path("/var/jails"), 0o755)
    assert "root of the host" in vps.run(*as_user(1000), path, "whoami").stdout


def test_a_tree_that_others_can_reach_is_told(vps):
    arm(vps, "/var/jails/evil")
    vps.write("/etc/jail.conf", 'evil { path = "/var/jails/evil"; persist; ip4 = disable; }')
    told = f"chmod 700 {vps.path('/var/jails')}"
    assert told not in vps.run("jail", "-c", "evil").stdout
    vps.run("jail", "-r", "evil")
    os.chmod(vps.path("/var/jails"), 0o755)
    assert told in vps.run("jail", "-c", "evil").stdout


@pytest.mark.parametrize("path", ["/var/jails/web", "/var/lib/newgate/roots/web"])
def test_clones_are_out_of_reach(vps, path):
    vps.run("newgate", "template", "create", "_base", "--from", "busybox")
    vps.write("/etc/jail.conf", f'web {{ path = "{path}"; persist; ip4 = disable; }}')
    vps.run("newgate", "clone", "_base", "web")
    trees = [vps.path("/var/lib/newgate/templates/_base/root"), vps.path(path),
             vps.path("/var/lib/newgate/jails/web/upper")]
    for tree in trees:
        assert vps.run(*as_user(1000), "ls", tree, status=None).returncode != 0, tree
    assert "warning" not in vps.run("jail", "-c", "web").stdout
