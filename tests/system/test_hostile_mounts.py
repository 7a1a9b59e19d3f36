"""The root of a jail that may mount (allow.mount, enforce_statfs below 2) turns that against what newgate
has mounted. Without the permission each of these is refused at its first system call."""

import os

import pytest

from hostile import arm, attack, canary, outside, start

MAY_MOUNT = ("allow.mount", "allow.mount.nullfs", "allow.mount.tmpfs", "allow.mount.procfs", "enforce_statfs = 1")


# In a user namespace of its own making root has every capability, over what belongs to that.
NESTED = (*MAY_MOUNT, "children.max = 3")


@pytest.fixture(params=[(), MAY_MOUNT, NESTED], ids=["plain", "allow.mount", "nested"])
def jail(vps, request):
    """With a folder of the host's read-only at /ro, and what the jail could write below it."""
    vps.write("/srv/data/file", "the host's\n")
    root = arm(vps, "/var/jails/evil")
    (root / "ro").mkdir()
    jail = start(vps, "evil", 'mount = "/srv/data /var/jails/evil/ro nullfs ro"', *request.param, root=root)
    if request.param is NESTED:
        jail.prefix = ("/bin/busybox", "unshare", "-Urm")
        assert jail.run(*jail.prefix, "id", "-u").stdout == "0\n"
    return jail


def private(script):
    """A shell on the VPS in a mount namespace of its own. The script may hide where the attack lies."""
    return ["unshare", "-m", "sh", "-ec", f'exec 9<"$0"; {script}\nexec /proc/self/fd/9 "$@"']


def test_read_only_stays_read_only(vps, jail):
    assert not attack(jail, "readonly", "/ro").won
    assert not os.path.exists(vps.path("/srv/data/written"))
    data = vps.path("/srv/data")
    script = f"mount --bind {data} {data}; mount -o remount,bind,ro {data}; mount -t tmpfs t /tmp"
    assert outside(vps, "readonly", data, prefix=private(script)).won


def test_what_newgate_froze_stays_frozen(jail):
    for folder in ("/proc/sys/kernel", "/sys/kernel"):
        assert not attack(jail, "readonly", folder).won
    assert jail.run("/bin/sh", "-c", "echo x >> /etc/hosts", status=None).returncode != 0


def test_only_harmless_file_systems(vps, jail):
    assert not attack(jail, "filesystem").won
    assert outside(vps, "filesystem", prefix=private("mount -t tmpfs t /tmp")).won


def test_no_device_on_a_mount_of_ones_own(vps, jail):
    assert not attack(jail, "nodev").won
    assert outside(vps, "nodev", prefix=private("mount -t tmpfs t /tmp")).won


def test_nothing_of_the_host_is_below(vps, jail):
    file = canary(vps)
    assert not attack(jail, "uncover", file).won
    assert not attack(jail, "uncover", f"/proc{file}").won
    # Of a root that was changed with the old one left below it.
    root = vps.path("/var/jails/evil")
    script = f"""mount --bind {root} {root}; cd {root}; pivot_root . proc; export PATH=/bin
                 mount -t tmpfs t /proc; exec /bin/attack uncover /proc{file}"""
    assert "won" in vps.run("unshare", "-m", "sh", "-ec", script).stdout


def test_cgroups_are_looked_at_only(vps, jail):
    assert not attack(jail, "cgroup", "1").won
    assert outside(vps, "cgroup", "1", prefix=private("mount -t tmpfs t /tmp")).won


def test_a_mount_does_not_travel_to_the_host(vps, jail):
    before = vps.run("cat", "/proc/self/mountinfo").stdout
    jail.run("/bin/sh", "-c", "mount -t tmpfs evil /ro; mount -t tmpfs evil /tmp", status=None)
    assert vps.run("cat", "/proc/self/mountinfo").stdout == before
    # Of a tree that is shared with the host, as systemd has all of them.
    tree = vps.path("/var/jails/evil")
    vps.run("sh", "-ec", f"mount --bind {tree} {tree}; mount --make-shared {tree}; "
                         f"unshare -m --propagation unchanged mount -t tmpfs evil {tree}/tmp")
    assert f"{tree}/tmp" in vps.run("cat", "/proc/self/mountinfo").stdout
    vps.run("umount", f"{tree}/tmp", tree)
