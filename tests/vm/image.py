"""The disk of the virtual machine: Debian 12 as it comes, and newgate as `make install` puts it there.

Debian's root is slow to make: it is kept, as a folder, below that of the build, under a name that is a
hash of all that went into it. The disk is made anew each time, of that folder with the installed files
laid over it."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BUILD = Path(os.environ.get("NEWGATE_BUILD", SOURCE / "build")).resolve()
CACHE = BUILD / "debian"

SUITE = "bookworm"
PACKAGES = [
    "linux-image-cloud-amd64", "systemd", "systemd-sysv", "systemd-resolved", "udev", "iproute2",
    "iputils-ping", "nftables",
    # what newgate loads when it runs
    "libarchive13",
    # what the tests put into jails
    "busybox-static",
]
# The modules that the root file system is on, instead of all that Debian has: a short way to boot.
# The rest is loaded from the disk, by udev and on demand, as it is everywhere.
INITRD = """
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\\nCOMPRESS=zstd\\n' >"$1/etc/initramfs-tools/conf.d/tests"
printf 'virtio_pci\\nvirtio_blk\\n' >"$1/etc/initramfs-tools/modules"
"""
OPTIONS = [
    "--variant=minbase", "--format=directory", "--include=" + ",".join(PACKAGES),
    '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*", "--setup-hook=" + INITRD,
]

# Units of the tests' own in guest/, and what else starts at boot.
ENABLED = {
    "multi-user.target.wants": ["agent.service", "newgate.service", "outside.service"],
    "sysinit.target.wants": ["nftables.service", "systemd-resolved.service"],
}
# What a virtual machine that lives for a minute does not need.
MASKED = [
    "apt-daily-upgrade.timer", "apt-daily.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service",
    "systemd-networkd.service", "systemd-timesyncd.service",
]
UNIT_DIRS = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system"]


class NoMirror(Exception):
    """There is no Debian root, and none can be made here and now."""


def run(*argv, timeout, **options):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def debian():
    """The folder with Debian's root; makes it where it is not there. Roots of other ingredients are
    removed: nobody else would."""
    key = hashlib.sha256("\n".join([SUITE, *OPTIONS]).encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    os.chmod(CACHE, 0o700)  # programs with the setuid bit in it, of which nobody updates any
    root = CACHE / f"root-{key}"
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            for old in CACHE.glob("root-*"):
                shutil.rmtree(old)
            new = CACHE / f"root-{key}.new"
            try:
                run("mmdebstrap", "--quiet", *OPTIONS, SUITE, new, timeout=600)
            except RuntimeError as e:
                if "apt-get update" not in str(e):
                    raise
                raise NoMirror("no mirror of Debian answers apt-get update") from None
            new.rename(root)
    return root


def stage(root, folder):
    """What is laid over Debian's root: the installed build, the tests' own files, what is enabled."""
    run("make", "--no-print-directory", "install", f"BUILD={BUILD}", f"DESTDIR={folder}", cwd=SOURCE,
        timeout=600)
    shutil.copytree(HERE / "guest", folder, dirs_exist_ok=True)
    units = folder / "etc/systemd/system"
    for target, names in ENABLED.items():
        (units / target).mkdir(exist_ok=True)
        for name in names:
            path = next(f"{d}/{name}" for d in UNIT_DIRS
                        if (folder / d[1:] / name).exists() or (root / d[1:] / name).exists())
            (units / target / name).symlink_to(path)
    for name in MASKED:
        (units / name).symlink_to("/dev/null")
    # Known before the first boot, or systemd would enable all there is.
    (folder / "etc/machine-id").write_text("6e6577676174652d746573742d766d00\n")
    # The journal outlives a reboot.
    (folder / "var/log/journal").mkdir(parents=True)


def disk(path):
    """Writes the disk's image to `path`. Returns the folder where its kernel and initrd are."""
    root = debian()
    folder = path.parent / "stage"
    stage(root, folder)
    merged = path.parent / "merged"
    merged.mkdir()
    # Both folders as one, in a mount namespace that ends with mke2fs.
    run("unshare", "--mount", "--propagation", "private", "sh", "-euc",
        'mount -t overlay -o "ro,lowerdir=$1:$2" overlay "$3"\n'
        'mke2fs -q -t ext4 -E lazy_itable_init=1,nodiscard -d "$3" "$4" 2G',
        "sh", folder, root, merged, path, timeout=120)
    return root / "boot"
