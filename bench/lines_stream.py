"""Lines about streams: a jail of 120 MB written and read again, against tar and zstd."""

import os
import shutil
from pathlib import Path

from machine import BASE, run
from report import ratio_of

SIZE = 120 << 20
TAR = ["--numeric-owner", "--xattrs", "--acls", "--sparse"]


def fill(tree, size):
    """Programs and libraries, pages and scripts of this machine, as a jail has them."""
    left = size
    for place in ("/usr/bin", "/usr/lib/python3", "/usr/share", "/usr/lib"):
        for folder, _, files in sorted(os.walk(place)):
            to = tree / Path(folder).relative_to("/")
            for name in sorted(files):
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 16 << 20:
                    continue
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, to / name)
                left -= os.path.getsize(path)
                if left < 0:
                    return


def measure(m, report, rounds):
    host, there = m.add_root(BASE / "ng-streams"), m.add_root(BASE / "ng-there")
    tree = host / "srv/jail"
    fill(tree, SIZE)
    for root in host, there:
        (root / "etc").mkdir()
    (host / "etc/jail.conf").write_text("jail { path = /srv/jail; persist; }\n")
    stream, archive, out = BASE / "jail.stream", BASE / "jail.tar.zst", BASE / "out"
    newgate = ["env", f"NEWGATE_ROOT={host}", "sh", "-c", f"exec newgate export jail > {stream}"]
    tar = ["tar", "--zstd", *TAR, "-cf", archive, "-C", tree, "."]
    ours, theirs = m.spawn(rounds // 4, [newgate, tar], gap=0)
    report.times("export", ours)
    report.times("tar --zstd", theirs)
    report.ratio("export / tar --zstd", ratio_of(ours, theirs), 1.1)
    report.ratio("size of the stream / of tar's", stream.stat().st_size / archive.stat().st_size, 1.1)
    at_there = ["env", f"NEWGATE_ROOT={there}", "newgate"]
    ours, theirs = m.spawn(rounds // 4, [
        ([], [*at_there, "import", stream], [[*at_there, "destroy", "-y", "jail"]]),
        ([["mkdir", out]], ["tar", "--zstd", *TAR, "-xpf", archive, "-C", out], [["rm", "-r", out]]),
    ], gap=0)
    report.times("import", ours)
    report.times("tar --zstd, unpacking", theirs)
    report.ratio("import / tar --zstd", ratio_of(ours, theirs), 1.1)
    run("rm", "-r", tree)
