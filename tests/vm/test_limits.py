"""rctl, with all the controllers of a usual host."""

CGROUP = "/sys/fs/cgroup/newgate"


def counters(host, jail, file):
    text = host.sh(f"cat {CGROUP}/{jail}/{file}")
    return {k: int(v) for k, v in (line.split() for line in text.splitlines())}


def test_memoryuse(host):
    host.jails('hog { rctl = "memoryuse:deny=48m"; } other { }')
    host.clone("hog", "other")
    host.sh("jail -c")
    eat = "dd if=/dev/zero of=/dev/null bs=128M count=1"
    assert host.ask(f"jexec hog {eat}").returncode == 137
    assert counters(host, "hog", "memory.events")["oom_kill"] >= 1
    # The jail is there as before, the other one never was in want.
    assert host.jexec("hog", "cat /proc/1/comm") == "newgate-init\n"
    host.sh(f"jexec other {eat}")
    # What is written to files of its own memory counts too.
    host.jails('hog { rctl = "memoryuse:deny=96m"; } other { }')
    host.sh("jail -m hog")
    assert host.sh(f"cat {CGROUP}/hog/memory.max") == f"{96 << 20}\n"


def test_maxproc(host):
    host.jails('bomb { rctl = "maxproc:deny=16"; } other { }')
    host.clone("bomb", "other")
    host.sh("jail -c")
    fork = "jexec {} sh -c 'for i in $(seq 40); do sleep 1000 & done' 2>&1"
    assert "fork" in host.ask(fork.format("bomb")).stdout
    assert counters(host, "bomb", "pids.events")["max"] >= 1
    assert int(host.sh(f"cat {CGROUP}/bomb/pids.current")) <= 16
    assert host.sh(fork.format("other")) == ""
    # As full as it is, it can be stopped.
    host.sh("jail -r bomb")


def test_pcpu(host):
    host.jails('busy { rctl = "pcpu:deny=20"; }')
    host.clone("busy")
    host.sh("jail -c")
    before = counters(host, "busy", "cpu.stat")
    host.sh("jexec busy timeout 3 sh -c 'while :; do :; done & while :; do :; done'; "
            "jexec busy killall sh", status=None)
    after = counters(host, "busy", "cpu.stat")
    assert after["nr_throttled"] > before["nr_throttled"]
    # Two processors for three seconds: six, of which a tenth is allowed.
    assert after["usage_usec"] - before["usage_usec"] < 1500000


def test_openfiles(host):
    host.jails('few { rctl = "openfiles:deny=32"; }')
    host.clone("few")
    host.sh("jail -c")
    assert host.jexec("few", "ulimit -n; ulimit -Hn; ulimit -Hn 64", status=1) == "32\n32\n"
    said = host.ask("jexec few sh -c 'timeout 5 tail -f $(yes /etc/passwd | head -n 64)' 2>&1 >/dev/null")
    assert "many open files" in said.stdout


def test_io(host):
    host.jails('slow { rctl = "writebps:throttle=4m", "readiops:throttle=100"; }')
    host.clone("slow")
    host.sh("jail -c")
    disk = host.sh("cat /sys/block/vda/dev").strip()
    line = host.sh(f"cat {CGROUP}/slow/io.max").split()
    assert line[0] == disk
    assert {"wbps=4194304", "riops=100", "rbps=max", "wiops=max"} == set(line[1:])


def test_systemd_keeps_its_tree(host):
    top = "/sys/fs/cgroup/"
    given = host.sh(f"cat {top}cgroup.subtree_control")
    slices = host.sh(f"cd {top} && ls -d */ && cat *.slice/cgroup.subtree_control")
    host.jails('plain { } limited { rctl = "memoryuse:deny=64m", "pcpu:deny=50"; }')
    host.clone("plain", "limited")
    host.sh("jail -c plain")
    # A jail without limits changes nothing for anybody.
    assert host.sh(f"cat {top}cgroup.subtree_control") == given
    host.sh("jail -c limited")
    assert set(host.sh(f"cat {top}cgroup.subtree_control").split()) == {*given.split(), "cpu"}

    # Limits of units and of jails hold beside each other, whatever systemd does with its own.
    def limits():
        return host.sh(f"cat {top}newgate/limited/memory.max {top}newgate/limited/cpu.max")

    assert limits() == f"{64 << 20}\n50000 100000\n"
    host.sh("systemd-run -q --unit=unit -p CPUQuota=30% -p MemoryMax=50M sleep 1000")
    unit = f"cat {top}system.slice/unit.service/cpu.max {top}system.slice/unit.service/memory.max"
    assert host.sh(unit) == f"30000 100000\n{50 << 20}\n"
    host.sh("systemctl daemon-reload")
    assert limits() == f"{64 << 20}\n50000 100000\n"
    assert host.sh(unit) == f"30000 100000\n{50 << 20}\n"
    host.sh("systemctl stop unit && systemctl daemon-reexec")
    assert limits() == f"{64 << 20}\n50000 100000\n"
    host.sh("jail -r '*'")
    assert host.sh(f"cd {top} && ls -d */ && cat *.slice/cgroup.subtree_control").replace("newgate/\n", "") \
        == slices.replace("newgate/\n", "")


def test_disk(host):
    """Project quotas: of what a jail changed, and of a whole tree."""
    store = "/var/lib/newgate"
    host.sh("truncate -s 200M /disk.img; mkfs.ext4 -q -O quota,project -E quotatype=prjquota /disk.img")
    host.jails('a { rctl = "disk:deny=8m"; } b { rctl = "disk:deny=16m"; path = "/var/lib/newgate/roots/b"; }')
    host.clone("a")
    assert "is on ext4 without project quotas" in host.ask("jail -c a 2>&1").stdout
    host.sh("newgate destroy -y a")
    host.sh(f"mount -o loop,prjquota /disk.img {store}")
    try:
        host.sh("newgate template create base --from busybox")
        host.clone("a")
        host.sh("newgate init --store dir")
        host.clone("b")
        host.sh("jail -c")
        fill = "dd if=/dev/zero of=/big bs=1M count={} 2>&1"
        for jail, much in (("a", 20), ("b", 20)):
            assert "quota exceeded" in host.jexec(jail, fill.format(much), status=1), jail
            host.jexec(jail, "rm /big")
            host.jexec(jail, fill.format(5))
        # A file of the template's that is changed is the jail's own from then on.
        host.jexec("a", "cp /bin/busybox /tmp/x; rm /big")
        assert '"quota": 8388608' in host.sh("newgate df --json a").replace('":', '": ').replace("  ", " ")
        host.sh("newgate snapshot a@s; newgate rollback -y a@s")
        assert "quota exceeded" in host.jexec("a", fill.format(20), status=1)
        host.sh("jail -r '*'; newgate destroy -y a b; newgate template destroy -y base")
    finally:
        host.ask(f"jail -r '*'; umount {store}; rm /disk.img")
