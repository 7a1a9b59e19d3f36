"""The root of a jail reaches for parts of the kernel that servers do without. What the filter refuses
has no other guard to show: each call is made once more outside of the jail, where it succeeds."""

from hostile import ATTACK, attack, need_attack, outside, start

# What no parameter opens.
NEVER = {"io_uring", "userfaultfd", "bpf", "perf", "keyring", "open_tree_attr", "line discipline", "typing",
         "executable memory", "kernel log"}
ALL_PERMISSIONS = ["allow.mount", "allow.mount.tmpfs", "enforce_statfs = 1", "children.max = 3", "allow.sysvipc",
                   "allow.socket_af", "allow.raw_sockets", "allow.mlock", "allow.set_hostname", "allow.routing"]


def names(vps):
    need_attack()
    return vps.run(ATTACK, "calls").stdout.splitlines()


def test_what_servers_do_without_is_out_of_reach(vps):
    jail = start(vps, "evil")
    assert NEVER < set(names(vps))
    there = [name for name in names(vps) if outside(vps, "call", name).won]
    # Kernels are built without one or the other; newer calls are not in older ones.
    assert len(there) > len(names(vps)) // 2
    for name in names(vps):
        assert not attack(jail, "call", name).won, name


def test_permissions_open_what_they_name(vps):
    jail = start(vps, "evil", *ALL_PERMISSIONS)
    for name in names(vps):
        if name in NEVER:
            assert not attack(jail, "call", name).won, name
        elif outside(vps, "call", name).won:
            assert attack(jail, "call", name).won, name


def test_namespaces_of_ones_own_open_nothing_more(vps):
    """children.max: whoever makes a user namespace has every capability in it."""
    jail = start(vps, "evil", "children.max = 3")
    jail.prefix = ("/bin/busybox", "unshare", "-Urn")
    assert "CapEff:\t000001ffffffffff" in jail.run(*jail.prefix, "cat", "/proc/self/status").stdout
    for name in names(vps):
        assert not attack(jail, "call", name).won or name in ("user namespace", "clone3"), name
    for knob in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"):
        assert not attack(jail, "knob", knob).won
    assert not attack(jail, "device").won
    assert not attack(jail, "foreign", vps.pid).won
