"""A hostile root of a jail: what tests/hostile/attack does, from Python.

Each attack is made in a jail, where it must fail, and where its guard is missing, where it must not:
else it would prove nothing. What newgate runs has no switch to take a guard away; the place without one
is made by other means.

attack                   | test (test_hostile_…)                             | the same without the guard
-------------------------+---------------------------------------------------+--------------------------------
out by ..                | files: dotdot_does_not_lead_out                   | chroot(8) alone
/proc/PID/root           | files: proc_shows_no_root_of_the_host             | as root of the VPS
file handles             | files: no_file_by_its_handle                      | as root of the VPS
device nodes             | files: devices_are_not_made                       | as root of the VPS
  left in the tree       | files: devices_left_in_the_tree_are_dead          | the tree without nodev
  on a mount of its own  | mounts: no_device_on_a_mount_of_ones_own          | a mount without nodev
core pattern, sysctls    | files: the_kernel_is_not_configured_from_inside   | as root of the VPS
setuid files             | files: setuid_root_of_a_jail_is_nobody_on_the_host | the folder above open to all
bind, remount, copies    | mounts: read_only_stays_read_only                 | without the filter
what a mount covers      | mounts: nothing_of_the_host_is_below              | the old root left below
mounts that travel       | mounts: a_mount_does_not_travel_to_the_host       | a shared tree
cgroups                  | mounts: cgroups_are_looked_at_only                | as root of the VPS
ptrace across jails      | processes: another_jail_is_not_there              | as root of the VPS
setns, unshare           | processes: no_namespace_is_entered_or_made        | as root of the VPS
who comes in by jexec    | processes: who_comes_in_by_jexec_shows_nothing_of_the_host | setns(2), fork and exec alone
ptrace of PID 1          | processes: pid_1_is_not_traced                    | newgate-init readable by all
its end mid-command      | control: the_end_of_pid_1_in_the_middle_of_a_command | the guard is: to notice
link: the log            | links: the_log_in_the_tree_leads_nowhere_else     | >> by name
  resolv.conf, hosts     | links: shared_files_are_mounted_in_the_jail_alone | mount(8)
  fstab's mount points   | links: a_mount_point_leads_nowhere_else           | mount(8)
  fstab's sources        | links: a_shared_folder_turned_into_a_link_is_not_mounted | mount(8)
  passwd                 | links: users_are_looked_up_in_the_jail             | by name
  a clone's identity     | links: a_clone_of_a_hostile_jail_writes_into_the_clone | by name
  a tree in its tree     | links: a_tree_that_was_moved_away_is_not_the_hosts | by name
abstract sockets         | network: abstract_sockets_of_the_host             | the host's network
keyrings                 | network: keys_of_the_host                         | the caller's session keyring
spoofed sources          | network: only_its_own_addresses_leave             | chain guard empty, rp_filter 0
ARP, ND, RA              | network: no_frame_changes_what_the_host_knows     | ARP on, RA accepted, chains empty
tracked connections      | network: one_jail_has_a_quarter_of_the_connections | chain crowd empty
ports to leave from      | network: one_jail_does_not_use_up_the_ports_to_leave_from | chain crowd empty
pieces of packets        | network: pieces_of_packets_take_a_bounded_room    | a higher bound
a link that comes back   | network: no_other_link_comes_back_to_the_host     | moved while the jail runs
memory in /dev, /run     | amounts: dev_holds_little                         | a plain tmpfs
  newgate's own mounts   | amounts: scratch_space_is_not_to_be_written       | the same not read-only
inotify, signals         | amounts: inotify_instances_are_each_jails_own     | by the host's root
processes                | amounts: maxproc_bounds_a_fork_bomb               | a jail without maxproc
parts of the kernel      | kernel: what_servers_do_without_is_out_of_reach   | as root of the VPS
"""

import contextlib
import os
import select
import shutil
import signal

import pytest

from vps import BUILD, PATIENCE, Failed

ATTACK = BUILD / "tests" / "hostile" / "attack"
WON, LOST = 0, 10


class Result:
    def __init__(self, status, text):
        self.text = text.strip()
        if status not in (WON, LOST):
            raise Failed(f"the attack did not come about (status {status}): {self.text}")
        self.won = status == WON

    def __repr__(self):
        return self.text


def need_attack():
    if not ATTACK.exists():
        pytest.skip("the attack program is not built (a build with sanitizers cannot link it)")


def arm(vps, path):
    """A busybox root with the attack program in it."""
    need_attack()
    root = vps.busybox(path)
    shutil.copy2(ATTACK, root / "bin" / "attack")
    return root


def attack(jail, *argv, **options):
    """Runs it as root of the jail, to its end. jail.prefix: by that command."""
    got = jail.run(*getattr(jail, "prefix", ()), "/bin/attack", *argv, status=None, **options)
    return Result(got.returncode, got.stdout + got.stderr)


def outside(vps, *argv, prefix=(), **options):
    """The same where nothing guards: as root of the VPS."""
    got = vps.run(*prefix, ATTACK, *argv, status=None, **options)
    return Result(got.returncode, got.stdout + got.stderr)


@contextlib.contextmanager
def holding(process):
    """An attack that goes on until the end of the block; its lines up to "ready"."""
    said = b""
    try:
        while not said.endswith(b"ready\n"):
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            piece = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                raise Failed(f"the attack did not come about: {said} {process.poll()}")
            said += piece
        yield said.decode().splitlines()[:-1]
    finally:
        # nsenter(1), whose child is what was asked for, and ends with it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in open(f"/proc/{process.pid}/task/{process.pid}/children").read().split():
                os.kill(int(pid), signal.SIGKILL)
        process.wait(PATIENCE)
        process.stdout.close()
        process.stderr.close()


def hold(vps, jail, *argv):
    return holding(vps.popen("jexec", jail.name, "/bin/attack", *argv))


def as_user(uid):
    """What runs a command of the VPS as an ordinary user. setpriv has its capabilities until it
    executes something: that is env."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env"]


def start(vps, name, *settings, root=None, ip4="disable", env=None):
    """A jail with a busybox root and the attack program."""
    path = root or arm(vps, f"/var/jails/{name}")
    assert path.exists()
    lines = [f'path = "/var/jails/{name}"', "persist", "mount.devfs", *settings]
    if ip4:
        lines.append(f"ip4 = {ip4}")
    conf = vps.path("/etc/jail.conf")
    before = conf.read_text() if conf.exists() else ""
    vps.write("/etc/jail.conf", before + name + " { " + "; ".join(lines) + "; }\n")
    vps.run("jail", "-c", name, env=env)
    return vps.jail(name)


def canary(vps):
    """A file of the host's, outside of every jail."""
    vps.write("/canary", "host\n")
    return str(vps.path("/canary"))


def unguarded_init(vps):
    """An environment in which newgate-init can be read by everybody, so that a jail's root may trace
    his PID 1 and take its descriptors."""
    loose = vps.folder / "loose" / "src"
    for name in ("cmd", "init", "bin"):
        (loose / name).mkdir(parents=True, exist_ok=True)
    shutil.copy2(BUILD / "src" / "cmd" / "newgate", loose / "cmd" / "newgate")
    shutil.copy2(BUILD / "src" / "init" / "newgate-init", loose / "init" / "newgate-init")
    os.chmod(loose / "init" / "newgate-init", 0o755)
    for name in ("newgate", "jail", "jls", "jexec"):
        (loose / "bin" / name).symlink_to(loose / "cmd" / "newgate")
    return {"PATH": f"{loose / 'bin'}:{vps.env['PATH']}"}
