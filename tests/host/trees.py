#!/usr/bin/python3
"""Debian's packages as roots' tars: slow to fetch and always the same, so that they are kept below
build/host, under a name that tells what is in them.

    trees.py NAME …      makes what is missing, says so, and prints "NAME TAR" lines

NAME is a jail of newgate host, or "remote": the rest of the internet that the program world plays."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "system"))

from test_debian import have_mirror  # noqa: E402
from vps import BUILD  # noqa: E402

CACHE = BUILD / "host"
JAILS = ("acme", "dkim", "dovecot", "postfix", "web")
REMOTE = "ca-certificates,libnet-dns-perl,libnet-ssleay-perl,netbase,nsd,pebble,postfix,swaks"


class Unavailable(Exception):
    """Why a tree cannot be made here."""


def packages(name):
    """As newgate host init asks for them."""
    if name == "remote":
        return REMOTE
    text = (SOURCE / "src/host/files.c").read_text()
    listed = re.search(r'\{"%s",((?:\s*"[^"]*")+)\}' % name, text)[1]
    return "".join(re.findall(r'"([^"]*)"', listed))


def packages_tar(name):
    wanted = packages(name)
    tar = CACHE / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}.tar"
    if tar.exists():
        return tar
    if not shutil.which("mmdebstrap"):
        raise Unavailable("no mmdebstrap to make Debian's roots with")
    if not have_mirror():
        raise Unavailable("no Debian mirror can be reached")
    CACHE.mkdir(exist_ok=True)
    half = CACHE / f"{name}.new.{os.getpid()}.tar"
    print(f"Debian's packages for {name}: {wanted.replace(',', ' ')}", file=sys.stderr, flush=True)
    try:
        subprocess.run(["mmdebstrap", "--variant=minbase", "--mode=root", "--quiet",
                        '--aptopt=APT::Sandbox::User "root"',
                        f"--include=cron,{wanted}", "bookworm", half], check=True, timeout=600)
        half.rename(tar)
    finally:
        half.unlink(missing_ok=True)
    return tar


def main():
    try:
        # Two at a time: one unpacks while the other fetches.
        with ThreadPoolExecutor(2) as pool:
            for name, tar in zip(sys.argv[1:], pool.map(packages_tar, sys.argv[1:])):
                print(name, tar, flush=True)
    except (Unavailable, subprocess.SubprocessError) as e:
        sys.exit(f"trees.py: {e}")


if __name__ == "__main__":
    main()
