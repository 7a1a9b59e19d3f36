"""Real file systems for the tests of what keeps jails' trees, on a VPS.

    store = disks.make(vps, "btrfs")      below /var of the VPS is that file system now
    store.path("/var/jails/web/etc")      as seen from here
    store.newgate("snapshot", "web")      its output; fails=True: what it complains of
"""

import shutil
import subprocess
from pathlib import Path

import pytest

# What `newgate init --store` is told, and the file system below. "xfs" is dir on one that shares
# blocks.
KINDS = {"overlay": ("overlay", "ext4"), "dir": ("dir", "ext4"), "xfs": ("dir", "xfs"),
         "btrfs": ("btrfs", "btrfs"), "zfs": ("zfs:tank/newgate", "zfs")}
MKFS = {"ext4": ["mkfs.ext4", "-q"],
        "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}


class Disk:
    def __init__(self, vps, kind, size):
        self.vps, self.kind = vps, kind
        self.store, self.fs = KINDS[kind]
        self.keeps = self.store.partition(":")[0]
        self.var = vps.path("/var")
        self.image = vps.folder / "disk"
        with open(self.image, "wb") as f:
            f.truncate(size)
        if self.fs == "zfs":
            self._zfs()
        else:
            subprocess.run([*MKFS[self.fs], self.image], check=True, stdout=subprocess.DEVNULL)
            self.var.mkdir(exist_ok=True)
            vps.run("mount", "-o", "loop", self.image, self.var)
        vps.run("newgate", "init", "--store", self.store)

    def _zfs(self):
        """zfs-fuse on a file: it mounts in the namespace that it runs in, which is the VPS's."""
        if not shutil.which("zfs-fuse"):
            pytest.skip("zfs-fuse is not installed (apt install zfs-fuse)")
        if not Path("/dev/fuse").exists():
            pytest.skip("this kernel has no FUSE (/dev/fuse), which zfs-fuse needs")
        vps = self.vps
        self.var.mkdir(exist_ok=True)
        # It asks for the address of its host, which no name server is there to tell; and goes into
        # the background when it is ready.
        vps.run("sh", "-ec", """
            mkdir -p /run/zfs /run/lock/zfs
            mount -t tmpfs tmpfs /var/lib/zfs
            echo 127.0.0.1 $(hostname) >/run/zfs/hosts
            mount --bind /run/zfs/hosts /etc/hosts
            zfs-fuse --no-kstat-mount -x -p /run/zfs/pid
            zpool list
            umount /etc/hosts""")
        vps.run("zpool", "create", "-m", "none", "tank", self.image)
        vps.run("zfs", "create", "-o", f"mountpoint={self.var}", "tank/var")

    def close(self):
        if self.fs == "zfs":
            self.vps.run("umount", "-R", self.var)
            pid = self.vps.run("cat", "/run/zfs/pid").stdout.strip()
            self.vps.run("kill", "-9", pid)
            assert self.vps.ends(pid)
            self.vps.run("umount", "/var/lib/zfs")
        else:
            self.vps.run("umount", self.var)

    # --- files ---

    def path(self, path):
        return Path(f"/proc/{self.vps.pid}/root{self.vps.path(path)}")

    def write(self, path, text):
        p = self.path(path)
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text)

    # --- commands ---

    def newgate(self, *argv, fails=False, **options):
        got = self.vps.run("newgate", *argv, status=None, **options)
        assert (got.returncode != 0) == fails, f"{argv}: {got.returncode}\n{got.stdout}{got.stderr}"
        return got.stderr if fails else got.stdout

    def base(self, name="_base"):
        self.newgate("template", "create", name, "--from", "busybox")

    def in_jail(self, name, script):
        """Changes the tree of a stopped jail: as the jail's root would, through its layers."""
        root = self.vps.path("/var/lib/newgate")
        if self.entry(name)["backend"] != "overlay":
            return self.vps.run("sh", "-ec", f"cd {self.tree(name)}\n{script}").stdout
        own = f"{root}/jails/{name}"
        upper = self.entry(name).get("upper", "upper")
        lower, layers = self.entry(name).get("lower"), []
        while lower:
            layers.append(f"{root}/templates/{lower}/root")
            lower = self.entry(lower, "templates", "meta").get("lower")
        return self.vps.run(
            "unshare", "-m", "sh", "-ec",
            f"mount -t overlay -o userxattr,lowerdir={':'.join(layers)},upperdir={own}/{upper},"
            f"workdir={own}/work overlay /mnt; cd /mnt\n{script}").stdout

    def entry(self, name, kind="jails", file="origin"):
        text = self.path(f"/var/lib/newgate/{kind}/{name}/{file}").read_text()
        return dict(line.split(" ", 1) for line in text.splitlines())

    def tree(self, name):
        """As on the VPS."""
        return self.entry(name)["path"]

    def look(self, name, path):
        """A file of the jail as it is now, or None: through what newgate itself shows."""
        got = self.vps.run("sh", "-c", f"newgate export {name} | tar --zstd -xO -f - root/{path}",
                           status=None)
        return got.stdout if got.returncode == 0 else None

    def settle(self):
        """Until what files take is what the file system tells."""
        if self.fs == "zfs":
            self.vps.run("zfs", "snapshot", "tank@settle")
            self.vps.run("zfs", "destroy", "tank@settle")
        else:
            self.vps.run("sync", "-f", self.var)

    def half_made(self):
        found = [str(p) for p in self.path("/var/lib/newgate").glob("*/.partial/*")]
        found += [str(p) for p in self.path("/var/lib/newgate").glob("jails/*/snapshots/.*")]
        found += [str(p) for p in self.path("/var").glob("**/.*.newgate")]
        if self.fs == "zfs":
            found += [v for v in self.volumes() if ":view:" in v]
        return found

    def volumes(self):
        out = self.vps.run("zfs", "list", "-H", "-t", "all", "-o", "name", "-r", "tank").stdout
        return out.split()


def make(vps, kind, size=320 << 20):
    return Disk(vps, kind, size)
