"""What a jail is, seen from inside of it: every promise about isolation, tried by its root."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from test_jail8 import host_pid
from vps import PATIENCE

ROOT = "/var/jails/r"
BASE, IDS = 0x40000000, 65536


@pytest.fixture
def host(vps):
    vps.busybox(ROOT)
    return vps


def start(host, params="", name="a", path=ROOT, status=0):
    host.write("/etc/jail.conf", f'{name} {{ path = "{path}"; persist; {params} }}')
    return host.run("jail", "-c", name, status=status)


def inside(host, command, status=0, name="a"):
    """A command line of the jail's root; its output, errors included."""
    got = host.run("jexec", name, "/bin/sh", "-c", command + " 2>&1", status=status)
    return got.stdout


def refused(host, command, why="", name="a"):
    got = host.run("jexec", name, "/bin/sh", "-c", command, status=None)
    assert got.returncode != 0, f"{command} was allowed: {got.stdout}"
    assert why in got.stderr, got.stderr


# --- no more than it needs ---

def test_a_readonly_root_with_something_mounted_over_it(host):
    host.write("/srv/data/.keep", "")
    start(host, "path.readonly; mount = \"tmpfs $path/tmp tmpfs size=1m\", \"/srv/data $path/root nullfs rw\";")
    refused(host, "echo x > /etc/x", "Read-only file system")
    refused(host, "mkdir /x", "Read-only file system")
    refused(host, "mount -o remount,rw /")
    inside(host, "echo x > /tmp/x && echo y > /root/y")
    assert host.read("/srv/data/y") == "y\n"


def test_a_readonly_overlay(host):
    host.run("newgate", "template", "create", "base", "--from", str(host.path(ROOT)))
    host.write("/etc/jail.conf", 'path = "/var/jails/$name"; persist; path.readonly; a { template = base; }')
    host.run("jail", "-c", "a")
    refused(host, "echo x > /etc/x", "Read-only file system")


def bounding(host):
    return int(re.search(r"CapBnd:\t(\S+)", inside(host, "cat /proc/self/status")).group(1), 16)


def test_capabilities_are_only_those_listed(host):
    start(host, "capabilities = chown, SETUID, CAP_KILL, net_raw;")
    # chown 0, kill 5, setuid 7; net_raw needs allow.raw_sockets besides.
    assert bounding(host) == 1 << 0 | 1 << 5 | 1 << 7
    refused(host, "chroot / true")


def test_no_capability_at_all(host):
    start(host, 'capabilities = "";')
    assert bounding(host) == 0


# --- user ids ---

def test_root_of_a_jail_is_nobody_on_the_host(host):
    start(host)
    jail_id = BASE + int(host.record("a")["slot"]) * IDS
    assert inside(host, "cat /proc/self/uid_map").split() == ["0", str(jail_id), str(IDS)]
    assert inside(host, "cat /proc/self/gid_map").split() == ["0", str(jail_id), str(IDS)]
    assert os.stat(f"/proc/{host_pid(host, 'a')}").st_uid in (jail_id, 0)
    with open(f"/proc/{host_pid(host, 'a')}/status") as f:
        assert re.search(rf"^Uid:\t{jail_id}\t{jail_id}\t", f.read(), re.M)
    assert inside(host, "id -u; id -G") == "0\n0\n"


def test_each_jail_has_ids_of_its_own(host):
    host.write("/etc/jail.conf", f'path = "{ROOT}"; persist; a {{ }} b {{ }}')
    host.run("jail", "-c")
    assert inside(host, "cat /proc/self/uid_map", name="a") != inside(host, "cat /proc/self/uid_map", name="b")


def test_files_keep_ordinary_owners(host):
    os.chown(host.write(f"{ROOT}/srv/www", "x"), 33, 33)
    start(host)
    assert inside(host, "stat -c '%u:%g' /srv/www /bin/sh") == "33:33\n0:0\n"
    inside(host, "touch /new; touch /other; chown 33:34 /other")
    new, other = os.stat(host.path(f"{ROOT}/new")), os.stat(host.path(f"{ROOT}/other"))
    assert (new.st_uid, new.st_gid, other.st_uid, other.st_gid) == (0, 0, 33, 34)


def test_setuid_programs_work(host):
    """postdrop, crontab and their like: no_new_privs is not set."""
    program(host, "/usr/bin/id")
    os.chmod(host.path(f"{ROOT}/usr/bin/id"), 0o4755)
    start(host)
    assert "NoNewPrivs:\t0\n" in inside(host, "cat /proc/self/status")
    assert "euid=0" in host.run("jexec", "-U", "nobody", "a", "/usr/bin/id").stdout


# --- namespaces ---

def test_namespaces_of_its_own(host):
    host.write("/etc/jail.conf", f'path = "{ROOT}"; persist; a {{ }} b {{ }}')
    host.run("jail", "-c")
    kinds = ("user", "mnt", "pid", "uts", "ipc", "cgroup", "net")

    def of(pid):
        return {k: os.stat(f"/proc/{pid}/ns/{k}").st_ino for k in kinds}
    outside, a, b = of(host.pid), of(host_pid(host, "a")), of(host_pid(host, "b"))
    for kind in kinds:
        assert len({outside[kind], a[kind], b[kind]}) == 3, kind


def test_sees_its_own_processes_only(host):
    start(host, 'exec.start = "(sleep 1000) > /dev/null 2>&1 &";')
    seen = inside(host, "ps -o pid,args").splitlines()[1:]
    commands = [line.split(None, 1)[1] for line in seen]
    assert commands[0].startswith("newgate-init") and len(commands) <= 5
    assert all(re.match(r"newgate-init|sleep|/bin/sh|sh|ps|\{", c) for c in commands), commands


def test_sees_its_own_mounts_only(host):
    start(host)
    mounts = inside(host, "cat /proc/mounts")
    for line in mounts.splitlines():
        where = line.split()[1]
        assert where == "/" or where.startswith(("/proc", "/sys", "/dev", "/etc/")), line
    assert str(host.root) not in mounts


def test_hostname_is_its_own(host):
    start(host, 'host.hostname = "a.example.org"; host.domainname = "nis";')
    assert inside(host, "hostname; cat /proc/sys/kernel/domainname") == "a.example.org\nnis\n"
    assert host.run("hostname").stdout != "a.example.org\n"


def test_cgroup(host):
    """It is in its own, and sees that as the root of all."""
    start(host)
    assert "0::/\n" in inside(host, "cat /proc/self/cgroup")
    with open(f"/proc/{host_pid(host, 'a')}/cgroup") as f:
        assert f"/{host.cgroup_name()}/a\n" in f.read()


def test_shares_the_hosts_network_only_where_asked(host):
    start(host, "ip4 = inherit;")
    assert os.stat(f"/proc/{host_pid(host, 'a')}/ns/net").st_ino == os.stat(host.netns).st_ino
    assert "eth0:" in inside(host, "cat /proc/net/dev")
    # Its capabilities do not count there.
    refused(host, "ip link set lo down")
    refused(host, "ping -c 1 127.0.0.1")


# --- what comes along from outside ---

def test_no_descriptor_of_the_host_comes_along(host):
    extra = os.open(host.root, os.O_RDONLY)
    os.set_inheritable(extra, True)
    try:
        host.write("/etc/jail.conf", f"""a {{ path = "{ROOT}"; persist;
            exec.start = "ls -l /proc/self/fd/ > /fds 2>/dev/null; true"; service = "sleep 1000"; }}""")
        host.path("/var/log").mkdir(parents=True)
        p = host.popen("jail", "-c", "a", pass_fds=[extra])
        assert p.communicate(timeout=PATIENCE)[1] == ""
    finally:
        os.close(extra)
    # 3 is the folder that ls(1) itself reads.
    assert re.findall(r" (\d+) -> ", host.read(f"{ROOT}/fds")) in (["0", "1", "2"], ["0", "1", "2", "3"])
    assert str(host.root) not in host.read(f"{ROOT}/fds")
    pid = host_pid(host, "a")
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert re.match(r"/dev/null|socket:|anon_inode:|/.*_console.log$", target), target


def test_no_directory_comes_along_as_standard_input(host):
    """It would be a way out of the jail's root."""
    host.write("/etc/jail.conf", f'a {{ path = "{ROOT}"; persist; exec.start = "ls -l /proc/self/fd/0"; }}')
    d = os.open(host.root, os.O_RDONLY)
    try:
        out, err = host.popen("jail", "-c", "a", stdin=d).communicate(timeout=PATIENCE)
    finally:
        os.close(d)
    assert err == "" and "/fd/0 -> /dev/null" in out and str(host.root) not in out


def test_a_directory_open_outside_is_not_reached_through_init(host):
    start(host)
    got = inside(host, "ls -l /proc/1/fd /proc/1/root /proc/1/cwd", status=None)
    assert str(host.root) not in got


# --- capabilities and system calls ---

CAPS = ("chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
        "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot "
        "sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease "
        "audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read "
        "perfmon bpf checkpoint_restore").split()
ORDINARY = {"chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
            "net_bind_service", "sys_chroot", "sys_ptrace", "audit_write", "setfcap"}


def capabilities(host, what="CapBnd"):
    bits = int(re.search(rf"{what}:\t(\w+)", inside(host, "cat /proc/self/status")).group(1), 16)
    return {c for i, c in enumerate(CAPS) if bits >> i & 1}


@pytest.mark.parametrize("params,more", [
    ("", set()), ("allow.raw_sockets;", {"net_raw"}), ("allow.routing;", {"net_admin"}),
    ("allow.set_hostname;", {"sys_admin"}), ("vnet;", {"net_raw", "net_admin"}),
    ("sysvshm = new;", {"ipc_owner"}),
    ("allow.mount; allow.mount.tmpfs; enforce_statfs = 1;", {"sys_admin"})])
def test_capabilities(host, params, more):
    start(host, params)
    assert capabilities(host) == ORDINARY | more
    assert capabilities(host, "CapEff") == ORDINARY | more


def test_without_a_super_user(host):
    start(host, "allow.nosuser; allow.raw_sockets;")
    assert capabilities(host) == set()
    refused(host, "chown 33 /etc/passwd", "not permitted")


def test_the_filter_is_loaded(host):
    start(host)
    assert "Seccomp:\t2\n" in inside(host, "cat /proc/self/status")
    for command in ("unshare -m true", "unshare -U true", "mount -t tmpfs x /tmp", "umount /proc/sys",
                    "dmesg", "hostname x", "chroot / mount -o remount,rw /sys", "swapon /bin/sh"):
        refused(host, command)
    assert "not permitted" in inside(host, "date -s 2000-01-01", status=None)
    assert inside(host, "chroot / true; echo $?") == "0\n"


def test_set_hostname(host):
    start(host, "allow.set_hostname;")
    assert inside(host, "hostname b; hostname") == "b\n"
    refused(host, "mount -t tmpfs x /tmp", "permission denied")


def test_raw_sockets_make_ping_work(host):
    """And their absence makes it fail."""
    ip = 'ip4.addr = 10.100.0.2; interface = lo100;'
    host.write("/etc/rc.conf", 'cloned_interfaces="lo100"\nifconfig_lo100="inet 10.100.0.1/24"\n')
    start(host, ip)
    refused(host, "ping -c 1 -W 5 10.100.0.2", "permission denied")
    host.run("jail", "-r", "a")
    start(host, ip + "allow.raw_sockets;")
    assert "1 packets received" in inside(host, "ping -c 1 -W 5 10.100.0.2")


def test_reserved_ports(host):
    start(host)
    assert "denied" not in inside(host, "timeout 0.2 nc -l -p 80", status=None)
    host.run("jail", "-r", "a")
    start(host, "allow.noreserved_ports;")
    refused(host, "timeout 5 nc -l -p 80", "Permission denied")
    assert "denied" not in inside(host, "timeout 0.2 nc -l -p 1080", status=None)


def program(host, path):
    """A program of this machine with its libraries, into the root."""
    libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout)
    for file in [path, *libraries]:
        to = host.path(ROOT + file)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(file), to)


def test_system_v_ipc(host):
    """Off; and if on, the jail's own."""
    program(host, "/usr/bin/ipcmk")
    start(host)
    refused(host, "/usr/bin/ipcmk -M 4096", "not implemented")
    host.run("jail", "-r", "a")
    start(host, "sysvshm = new;")
    before = host.run("cat", "/proc/sysvipc/shm").stdout
    inside(host, "/usr/bin/ipcmk -M 4096")
    assert inside(host, "wc -l < /proc/sysvipc/shm") == "2\n"
    assert host.run("cat", "/proc/sysvipc/shm").stdout == before


def test_open_files(host):
    start(host, 'rctl = "openfiles:deny=64";')
    assert inside(host, "ulimit -n; ulimit -Hn") == "64\n64\n"
    refused(host, "ulimit -Hn 128")


def test_a_limit_that_the_host_cannot_keep_is_said(host):
    got = start(host, 'rctl = "memoryuse:deny=512m", "swapuse:deny=1g";')
    with open("/sys/fs/cgroup/cgroup.controllers" if os.path.exists("/sys/fs/cgroup/cgroup.controllers")
              else "/sys/fs/cgroup/unified/cgroup.controllers") as f:
        has = "memory" in f.read().split()
    if has:
        with open(host.cgroup() / "a" / "memory.max") as f:
            assert f.read() == "536870912\n"
    else:
        assert got.stdout.count("no cgroup v2 controller for memory:") == 1


# --- /proc, /sys, /dev ---

def test_proc_is_masked(host):
    start(host)
    for name in ("kcore", "keys", "timer_list"):
        assert inside(host, f"cat /proc/{name} 2>/dev/null | wc -c", status=None) == "0\n", name
    for name in ("acpi", "scsi"):
        assert inside(host, f"ls /proc | grep -qx {name} && ls /proc/{name}", status=None) == "", name
    for name in ("sys/kernel/hostname", "sys/vm/swappiness", "sys/net/ipv4/ip_forward", "sysrq-trigger",
                 "irq/default_smp_affinity"):
        refused(host, f"echo 1 > /proc/{name}")
    assert "MemTotal" in inside(host, "cat /proc/meminfo")


def test_vnet_tunes_its_own_stack(host):
    start(host, "vnet;")
    inside(host, "echo 99 > /proc/sys/net/ipv4/ip_default_ttl")
    assert inside(host, "cat /proc/sys/net/ipv4/ip_default_ttl") == "99\n"
    assert host.run("cat", "/proc/sys/net/ipv4/ip_default_ttl").stdout != "99\n"
    refused(host, "echo x > /proc/sys/kernel/hostname")


def test_sys_is_read_only(host):
    start(host)
    assert " ro," in re.search(r"^sysfs.*$", inside(host, "cat /proc/mounts"), re.M).group(0)
    assert inside(host, "ls /sys/firmware /sys/fs/cgroup") .split() == ["/sys/firmware:", "/sys/fs/cgroup:"]
    assert inside(host, "ls /sys/class/net") == "lo\n"


@pytest.mark.parametrize("params", ["", "mount.devfs; devfs_ruleset = 4; mount.fdescfs; mount.procfs;"])
def test_dev_is_private_and_minimal(host, params):
    host.write(f"{ROOT}/dev/sda", "of the tree")
    start(host, params)
    assert inside(host, "ls /dev").split() == sorted(
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split())
    assert inside(host, "echo x > /dev/null; head -c 4 /dev/zero | wc -c; echo y > /dev/shm/f; cat /dev/shm/f") \
        == "4\ny\n"
    assert inside(host, "echo in | cat /dev/stdin; echo z | cat /dev/fd/0") == "in\nz\n"
    refused(host, "mknod /dev/sdb b 8 0", "not permitted")
    assert not host.path(f"{ROOT}/dev/null").exists()


def test_device_nodes_of_the_tree_do_not_work(host):
    os.mknod(host.path(f"{ROOT}/zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    start(host)
    refused(host, "head -c 1 /zero", "Permission denied")


def test_terminals(host):
    start(host)
    assert inside(host, "script -q -c 'tty' /dev/null < /dev/null", status=None).strip().startswith("/dev/pts/") or \
        inside(host, "test -c /dev/ptmx; echo $?") == "0\n"


# --- mounts ---

def test_nullfs(host):
    os.chown(host.write("/srv/data/file", "hello\n"), 33, 33)
    host.write("/srv/one", "one\n")
    for d in ("rw", "ro"):
        host.path(f"{ROOT}/{d}").mkdir()
    host.path(f"{ROOT}/file").touch()
    start(host, f"""mount = "/srv/data {ROOT}/rw nullfs rw 0 0", "/srv/data {ROOT}/ro nullfs ro,nosuid,noexec",
        "/srv/one {ROOT}/file nullfs ro";""")
    assert inside(host, "cat /rw/file /ro/file /file; stat -c %u:%g /rw/file") == "hello\nhello\none\n33:33\n"
    inside(host, "echo more > /rw/new")
    made = os.stat(host.path("/srv/data/new"))
    assert (made.st_uid, made.st_gid) == (0, 0)
    refused(host, "touch /ro/x", "Read-only")
    refused(host, "echo x > /file", "Read-only")
    options = {line.split()[1]: line.split()[3] for line in inside(host, "cat /proc/mounts").splitlines()}
    assert "nodev" in options["/rw"] and {"ro", "nosuid", "noexec", "nodev"} <= set(options["/ro"].split(","))


def test_fstab(host):
    host.write("/srv/data/file", "hello\n")
    host.path(f"{ROOT}/with space").mkdir()
    host.path(f"{ROOT}/scratch").mkdir()
    host.path(f"{ROOT}/compat").mkdir()
    host.write("/etc/fstab.a", f"""# what the jail mounts
/srv/data\t{ROOT}/with\\040space\tnullfs\tro\t0\t0   # a comment
tmpfs {ROOT}/scratch tmpfs rw,size=1m,mode=1777 0 0

devfs {ROOT}/dev devfs rw,ruleset=4 0 0
fdescfs {ROOT}/dev/fd fdescfs rw,linrdlnk 0 0
proc {ROOT}/proc procfs rw 0 0
linproc {ROOT}/compat linprocfs rw 0 0
""")
    start(host, 'mount.fstab = "/etc/fstab.a";')
    assert inside(host, "cat '/with space/file'") == "hello\n"
    assert inside(host, "stat -c %a /scratch; df -k /scratch | tail -1 | awk '{print $2}'") == "1777\n1024\n"
    refused(host, "dd if=/dev/zero of=/scratch/big bs=1M count=2", "No space")
    assert inside(host, "cat /compat/self/comm") == "cat\n"
    host.run("jail", "-r", "a")
    assert os.listdir(host.path(f"{ROOT}/scratch")) == []


def test_a_root_of_layers_by_nullfs(host):
    """Thin jails: a read-only base over the jail's path, what is the jail's own mounted into it."""
    host.path("/var/jails/thin").mkdir(parents=True)
    host.path(f"{ROOT}/own").mkdir()
    host.write("/srv/own/file", "mine\n")
    start(host, f'mount = "{ROOT} /var/jails/thin nullfs ro", "/srv/own /var/jails/thin/own nullfs rw";',
          path="/var/jails/thin")
    assert inside(host, "cat /own/file") == "mine\n"
    refused(host, "touch /x", "Read-only")
    inside(host, "touch /own/x")
    assert os.listdir(host.path("/var/jails/thin")) == []


@pytest.mark.parametrize("line,why", [
    (f"/srv/data {ROOT}/link/x nullfs rw", "symbolic link"),
    ("/srv/data /etc nullfs rw", "not below the jail's path"),
    (f"/srv/data {ROOT}/../../etc nullfs rw", "not below the jail's path"),
    (f"/srv/data {ROOT}/none nullfs rw", "there is no mount point /none in the jail's root: make it there"),
    (f"/srv/none {ROOT}/tmp nullfs rw", "/srv/none: No such file"),
    (f"/srv/data {ROOT}/tmp nullfs rw,frob", 'no option "frob"'),
    (f"tmpfs {ROOT}/tmp tmpfs size=lots", "not a size"),
    (f"/dev/ada0 {ROOT}/tmp ufs rw", "Linux does not read UFS"),
    (f"x {ROOT}/tmp nosuchfs rw", 'no file system "nosuchfs"'),
    (f"/srv/data {ROOT}/bin/sh nullfs rw", "not both directories"),
])
def test_mounts_that_cannot_be(host, line, why):
    host.write("/srv/data/file", "x")
    host.path(f"{ROOT}/link").symlink_to("/srv")
    got = start(host, f'mount = "{line}";', status=1)
    assert why in got.stderr, got.stderr
    assert not host.path("/run/newgate/jails/a").exists()


def test_mounting_inside(host):
    """Three permissions, FreeBSD's; then what a user namespace may mount, and no change of what newgate
    has mounted."""
    host.write("/srv/data/file", "x")
    host.path(f"{ROOT}/ro").mkdir()
    line = f'mount = "/srv/data {ROOT}/ro nullfs ro";'
    start(host, line + "allow.mount; allow.mount.tmpfs;")
    refused(host, "mount -t tmpfs x /tmp", "permission denied")
    host.run("jail", "-r", "a")
    start(host, line + "allow.mount; allow.mount.tmpfs; allow.mount.nullfs; enforce_statfs = 1;")
    assert inside(host, "mount -t tmpfs x /tmp && touch /tmp/x && umount /tmp && ls /tmp") == ""
    for command in ("mount -o remount,rw /ro", "mount -o remount,bind,rw /ro", "mount -o remount,dev /",
                    "mount -o bind /ro /tmp && touch /tmp/x", "mount -t ext4 /dev/null /tmp"):
        refused(host, command)
    refused(host, "unshare -m true")


# --- names in the tree are a stranger's work ---

def test_etc_files(host):
    start(host)
    assert "localhost" in inside(host, "cat /etc/hosts")
    refused(host, "echo x >> /etc/hosts")
    refused(host, "rm /etc/resolv.conf")
    assert host.path(f"{ROOT}/etc/hosts").read_text() == ""


def test_links_in_the_tree_lead_nowhere_else(host):
    """/etc is a link out of the tree, and resolv.conf one that leads to nothing."""
    victim = host.write("/victim/hosts", "safe\n")
    host.write("/victim/resolv.conf", "safe\n")
    etc = host.path(f"{ROOT}/etc")
    etc.rename(host.path(f"{ROOT}/real"))
    etc.symlink_to("../../../../../../../real")
    resolv = host.path(f"{ROOT}/real/resolv.conf")
    resolv.unlink()
    resolv.symlink_to("/run/none/stub.conf")
    host.path(f"{ROOT}/real/hosts").unlink()
    host.path(f"{ROOT}/real/hosts").symlink_to(victim)
    start(host)
    assert "localhost" in inside(host, "cat /real/hosts")
    assert victim.read_text() == "safe\n" and not host.path("/run/none").exists()


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_link_is_no_place_to_mount(host, name):
    host.path(f"{ROOT}/{name}").rmdir()
    host.path(f"{ROOT}/{name}").symlink_to("/tmp")
    got = start(host, status=1)
    assert f"/{name} in the jail's root" in got.stderr
    assert not host.path("/run/newgate/jails/a").exists()


def test_the_way_up_ends_at_the_root(host):
    host.write("/secret", "x")
    start(host)
    assert inside(host, "ls -d /../../../../bin; cd /..; pwd") == "/../../../../bin\n/\n"
    refused(host, "cat /proc/1/root/../../../secret")
    assert inside(host, "ls /proc/1/root/ 2>/dev/null || true") in ("", inside(host, "ls /"))


def test_what_the_host_mounts_later_stays_outside(host):
    """And what the jail mounts stays inside: nothing travels."""
    start(host, "allow.mount; allow.mount.tmpfs; enforce_statfs = 1;")
    inside(host, "mount -t tmpfs x /tmp && touch /tmp/inside")
    host.run("test", "!", "-e", host.path(f"{ROOT}/tmp/inside"))
    host.run("mount", "-t", "tmpfs", "x", host.path(f"{ROOT}/root"))
    try:
        inside(host, "touch /root/inside")
        host.run("test", "!", "-e", host.path(f"{ROOT}/root/inside"))
    finally:
        host.run("umount", host.path(f"{ROOT}/root"))
    host.run("test", "-e", host.path(f"{ROOT}/root/inside"))
