"""Lines about clones on real file systems: images in the build folder, mounted for as long as one is
measured. Whoever is compared has its files on disk at the end, as newgate has."""

import contextlib
import os
import shutil

import peers
from lines_stream import fill
from machine import BASE, run
from report import ratio_of

SIZES = {"120 MB": 120 << 20, "1 GB": 1 << 30}
ROOM = 8 << 30
PIECE = 8 << 20
PLACE = BASE / "disk"


def new_image(m):
    image = m.build / "bench-disk"
    with open(image, "wb") as f:
        f.truncate(ROOM)
    return image


@contextlib.contextmanager
def disk(m, make):
    """A file system on an image with holes, at PLACE."""
    peers.need(make[0])
    image = new_image(m)
    try:
        run(*make, image)
        PLACE.mkdir(exist_ok=True)
        run("mount", "-o", "loop", image, PLACE)
    finally:
        image.unlink()  # it lasts as long as it is mounted
    try:
        yield PLACE
    finally:
        run("umount", PLACE)


@contextlib.contextmanager
def pool(m):
    """zfs-fuse on an image: slower than ZFS in the kernel, but with the same commands."""
    peers.need("zfs-fuse")
    image = new_image(m)
    # Elsewhere it would take the host's pools, and wait for a name server.
    run("sh", "-ec", """
        mkdir -p /run/zfs /run/lock/zfs
        mount -t tmpfs tmpfs /var/lib/zfs
        echo 127.0.0.1 $(hostname) >/run/zfs/hosts
        mount --bind /run/zfs/hosts /etc/hosts
        zfs-fuse --no-kstat-mount -x -p /run/zfs/pid
        zpool list
        umount /etc/hosts""")
    try:
        run("zpool", "create", "-m", PLACE, "tank", image)
        image.unlink()  # it lasts as long as the pool
        yield PLACE
    finally:
        run("sh", "-c", f"umount -R {PLACE}; kill -9 $(cat /run/zfs/pid); umount /var/lib/zfs")
        image.unlink(missing_ok=True)


def make_root(size):
    """A tree as a jail has it, in memory: of this machine's programs, and padded."""
    tree = BASE / "tree-to-clone"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    fill(tree, size)
    have = int(run("du", "-sb", tree).split()[0])
    (tree / "srv").mkdir(exist_ok=True)
    for i in range(max(0, size - have) // PIECE):
        (tree / "srv" / str(i)).write_bytes(os.urandom(PIECE))
    return tree


def taken(where):
    run("sync", "-f", where)
    s = os.statvfs(where)
    return (s.f_blocks - s.f_bfree) * s.f_frsize


def durably(*command):
    return ["sh", "-c", f'"$@" && sync -f {PLACE}', "sh", *command]


def contest(m, report, rounds, what, how, others, goals, full=False):
    """newgate's clone of `what`, kept `how`, and others: {name: (before, timed, after)}."""
    root = PLACE / "root"
    root.mkdir(exist_ok=True)
    m.roots.append(root)
    ng = ["env", f"NEWGATE_ROOT={root}", "newgate"]
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/jail.conf").write_text("path = /srv/$name; persist; a { } b { }\n")
    run(*ng, "init", "--store", how)
    run(*ng, "template", "create", "bench", "--from", what)
    before = taken(PLACE)
    run(*ng, "clone", "bench", "a")
    report.value("room that one takes on disk", max(0, taken(PLACE) - before) / (1 << 20), "MB")
    ours, *theirs = m.spawn(rounds, [([], [*ng, "clone", "bench", "b"], [[*ng, "destroy", "-y", "b"]]),
                                     *others.values()], gap=0)
    report.times(f"newgate clone, {how.partition(':')[0]}", ours)
    for name, times in zip(others, theirs):
        report.times(name, times)
        report.ratio(f"newgate / {name}", ratio_of(ours, times), goals[name])
    run(*ng, "destroy", "-y", "a")
    run(*ng, "template", "destroy", "-y", "bench")


def copying(tree, *options):
    to = PLACE / "copy"
    return [], durably("cp", "-a", *options, tree, to), [["rm", "-rf", to]]


def on_plain(m, report, rounds, tree):
    with disk(m, ["mkfs.ext4", "-q"]):
        shutil.copytree(tree, PLACE / "from", symlinks=True)
        copy = {"cp -a": copying(PLACE / "from")}
        contest(m, report, rounds, tree, "overlay", copy, {"cp -a": 0.1})
        contest(m, report, rounds, tree, "dir", copy, {"cp -a": 1.2})


def on_xfs(m, report, rounds, tree):
    with disk(m, ["mkfs.xfs", "-q"]):
        shutil.copytree(tree, PLACE / "from", symlinks=True)
        copy = {"cp -a --reflink": copying(PLACE / "from", "--reflink=always")}
        contest(m, report, rounds, tree, "dir", copy, {"cp -a --reflink": 1.2})


def on_btrfs(m, report, rounds, tree):
    with disk(m, ["mkfs.btrfs", "-q"]):
        run("btrfs", "subvolume", "create", PLACE / "from")
        run("cp", "-a", f"{tree}/.", PLACE / "from")
        to = PLACE / "copy"
        others = {
            "btrfs subvolume snapshot": (
                [], durably("btrfs", "-q", "subvolume", "snapshot", PLACE / "from", to),
                [["btrfs", "-q", "subvolume", "delete", to]]),
            "cp -a --reflink": copying(PLACE / "from", "--reflink=always"),
        }
        contest(m, report, rounds, tree, "btrfs", others,
                {"btrfs subvolume snapshot": 2.5, "cp -a --reflink": 1})


def on_zfs(m, report, rounds, tree):
    with pool(m):
        run("zfs", "create", "tank/from")
        run("cp", "-a", f"{tree}/.", PLACE / "from")
        run("zfs", "snapshot", "tank/from@now")
        others = {"zfs clone": ([], ["zfs", "clone", "tank/from@now", "tank/copy"],
                                [["sh", "-c", "until zfs destroy tank/copy 2>/dev/null; do :; done"]]),
                  "cp -a": copying(PLACE / "from")}
        contest(m, report, rounds, tree, "zfs:tank/newgate", others, {"zfs clone": 8, "cp -a": 0.3})


def clones(m, report, rounds):
    for name, size in SIZES.items():
        tree = make_root(size)
        for where, measure in (("ext4", on_plain), ("xfs", on_xfs), ("btrfs", on_btrfs),
                               ("zfs-fuse", on_zfs)):
            report.value(f"--- {name} on {where}", size / (1 << 20), "MB")
            with report.peers():
                measure(m, report, max(3, rounds // 8), tree)
        shutil.rmtree(tree)
