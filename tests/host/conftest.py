"""Fixtures of the tests of newgate host with real software. Run as root:
/usr/bin/python3 -m pytest tests/host"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "system"))

from test_debian import have_mirror  # noqa: E402
from vps import BUILD, Vps  # noqa: E402

# Debian's packages, as root's tar: slow to fetch and always the same.
CACHE = BUILD / "host"
JAILS = ("dkim", "dovecot", "postfix", "web")


def packages(jail):
    """As newgate host init asks for them."""
    text = (SOURCE / "src/host/files.c").read_text()
    listed = re.search(r'\{"%s",((?:\s*"[^"]*")+)\}' % jail, text)[1]
    return "".join(re.findall(r'"([^"]*)"', listed))


def packages_tar(jail):
    wanted = packages(jail)
    tar = CACHE / f"{jail}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}.tar"
    if tar.exists():
        return tar
    if not shutil.which("mmdebstrap"):
        pytest.skip("no mmdebstrap to make Debian's roots with")
    if not have_mirror():
        pytest.skip("no Debian mirror can be reached")
    CACHE.mkdir(exist_ok=True)
    half = CACHE / f"{jail}.new.{os.getpid()}.tar"
    try:
        subprocess.run(["mmdebstrap", "--variant=minbase", "--mode=root", "--quiet",
                        '--aptopt=APT::Sandbox::User "root"',
                        f"--include=cron,{wanted}", "bookworm", half], check=True, timeout=600)
        half.rename(tar)
    finally:
        half.unlink(missing_ok=True)
    return tar


@pytest.fixture(scope="session")
def mail():
    """A VPS on which newgate host init was run, with alice and bob, who has 2 MB. All tests share it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes namespaces")
    tars = {jail: packages_tar(jail) for jail in JAILS}
    vps = Vps()
    try:
        for jail, tar in tars.items():
            vps.run("newgate", "template", "create", f"host-{jail}-packages", "--from", tar, timeout=120)
        vps.run("newgate", "host", "init", "example.org", timeout=180)
        for name, options in (("alice", ()), ("bob", ("--quota", "2M"))):
            vps.run("newgate", "host", "user", "add", *options, f"{name}@example.org",
                    input=f"secret of {name}\n")
        yield vps
        vps.remove_jails()
    finally:
        vps.close()
