"""The root of a jail takes all there is of something: enough is left for the host and for others."""

import ctypes
import os
import re
import resource
import shutil
import signal

import pytest

import disks
from hostile import ATTACK, attack, hold, holding, need_attack, outside, start


@pytest.fixture
def jail(vps):
    return start(vps, "evil")


def taken(lines):
    return int(lines[0].split()[1])


def memory():
    return int(re.search(r"MemTotal: +(\d+) kB", open("/proc/meminfo").read()).group(1)) >> 10


def test_dev_holds_little(vps, jail):
    for folder in ("/dev", "/dev/shm"):
        assert not attack(jail, "fill", folder, memory() // 8).won
        assert attack(jail, "fill", folder, memory() // 100).won
    assert not attack(jail, "files", "/dev/shm", 20000).won
    shm = vps.root / "shm"
    shm.mkdir()
    vps.run("mount", "-t", "tmpfs", "tmpfs", shm)
    assert outside(vps, "fill", shm, memory() // 8).won
    assert outside(vps, "files", shm, 20000).won
    vps.run("umount", shm)


def test_more_shared_memory_where_it_is_asked_for(vps):
    more = memory() // 5
    line = f"tmpfs /var/jails/evil/dev/shm tmpfs rw,size={more}m"
    jail = start(vps, "evil", f'mount = "{line}"')
    assert attack(jail, "fill", "/dev/shm", memory() // 8).won


@pytest.mark.parametrize("more", [(), ("allow.mount", "allow.mount.tmpfs", "enforce_statfs = 1")], ids=["", "mount"])
def test_scratch_space_is_not_to_be_written(vps, more):
    """What lies over entries of /proc and /sys is a piece of newgate's own tmpfs; /etc/hosts is in /run."""
    jail = start(vps, "evil", *more)
    places = [p for p in ("/proc/acpi", "/proc/scsi", "/sys/firmware")
              if jail.run("ls", "-d", p, status=None).returncode == 0]
    assert places
    for place in places:
        assert jail.run("touch", f"{place}/x", status=None).returncode != 0
        jail.run("mount", "-o", "remount,bind,rw", place, status=None)
        assert jail.run("touch", f"{place}/x", status=None).returncode != 0
    jail.run("/bin/sh", "-c", "echo x >> /etc/hosts", status=1)
    vps.run("unshare", "-m", "sh", "-ec", "mount -t tmpfs t /mnt; mkdir /mnt/empty; mount --bind /mnt/empty /sys/firmware; "
                                          "touch /sys/firmware/x")


def root_can_watch():
    """An inotify instance of the host's root."""
    fd = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_CLOEXEC)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def test_inotify_instances_are_each_jails_own(vps, jail):
    most = int(open("/proc/sys/fs/inotify/max_user_instances").read())
    with hold(vps, jail, "inotify", most + 100) as lines:
        assert 0 < taken(lines) <= most
        assert root_can_watch()
        other = start(vps, "other")
        assert other.run("/bin/sh", "-c", "timeout 1 inotifyd - /etc </dev/null", status=None).returncode != 1
    # The same by root itself.
    with holding(vps.popen(ATTACK, "inotify", most + 100)):
        assert not root_can_watch()


def queue_one():
    """A queued signal of the host's root to itself."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    class Value(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("pointer", ctypes.c_void_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, Value]
    sent = libc.sigqueue(os.getpid(), signal.SIGRTMIN, Value(0)) == 0
    if sent:
        signal.sigwait({signal.SIGRTMIN})
    return sent


def test_queued_signals_are_each_jails_own(vps, jail):
    most = resource.getrlimit(resource.RLIMIT_SIGPENDING)[0]
    if most < 0 or most > 1000000:
        pytest.skip("RLIMIT_SIGPENDING is not bounded here")
    with hold(vps, jail, "queued", most + 100) as lines:
        assert 0 < taken(lines) <= most
        assert queue_one()
    with holding(vps.popen(ATTACK, "queued", most + 100)):
        assert not queue_one()


def test_maxproc_bounds_a_fork_bomb(vps):
    """Also where a host has no pids controller, and by whatever users of the jail's."""
    jail = start(vps, "evil", 'rctl = "maxproc:deny=50"')
    with hold(vps, jail, "forks", 200) as lines:
        assert taken(lines) < 50
    free = start(vps, "free")
    with hold(vps, free, "forks", 200) as lines:
        assert taken(lines) == 200


def test_half_of_all_process_numbers_are_left_without_it(vps, jail):
    """The bound that the test above shows to hold; a jail's PID 1 was born under it."""
    def limit(pid):
        return int(re.search(r"Max processes +(\d+)", (vps.proc / str(pid) / "limits").read_text()).group(1))

    knob = "/proc/sys/kernel/pid_max"
    there = int(vps.run("cat", knob).stdout)
    assert limit(jail.pid) == min(limit(1), there // 2)
    if there == int(open(knob).read()):
        pytest.skip("before Linux 6.14 the VPS has no numbers of its own to make fewer")
    vps.run("sh", "-c", f"echo 20000 > {knob}")
    assert limit(start(vps, "few").pid) == 10000


def test_a_bound_on_the_disk_is_one_on_subvolumes_too(vps):
    """A quota group of btrfs holds one subvolume, and anybody may make others in his own folders."""
    need_attack()
    disk = disks.make(vps, "btrfs")
    try:
        vps.run("btrfs", "quota", "enable", disk.var)
        disk.base()
        vps.write("/etc/jail.conf", """evil { path = "/var/jails/evil"; persist; ip4 = disable;
            rctl = "disk:deny=8m"; }""")
        disk.newgate("clone", "_base", "evil")
        tree = disk.path("/var/jails/evil")
        shutil.copy2(ATTACK, tree / "bin" / "attack")
        vps.run("jail", "-c", "evil")
        jail = vps.jail("evil")
        assert not attack(jail, "fill", "/tmp", 20).won
        assert not attack(jail, "subvolume", "/tmp", 20).won
        assert outside(vps, "subvolume", vps.path("/var/jails/evil/root"), 20).won
        vps.run("jail", "-r", "evil")
        disk.newgate("destroy", "-y", "evil")
    finally:
        vps.remove_jails()
        disk.close()


def test_pseudo_terminals_are_left_for_others(vps, jail):
    with hold(vps, jail, "ptys") as lines:
        assert taken(lines) == 512
        with hold(vps, start(vps, "other"), "ptys") as lines:
            assert taken(lines) == 512
