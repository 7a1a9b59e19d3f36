"""The demonstration works, word for word."""

import os
import subprocess

import pytest

import trees
from vps import BUILD, SOURCE


def test_demo_host():
    for name in (*trees.JAILS, "remote"):
        try:
            trees.packages_tar(name)
        except trees.Unavailable as e:
            pytest.skip(str(e))
    got = subprocess.run([SOURCE / "tests" / "demo-host", BUILD], capture_output=True, text=True, timeout=300)
    assert got.returncode == 0, got.stdout + got.stderr
    for said in ("The mail host of example.org runs.", "v=DKIM1; k=rsa; p=", "are as they should be",
                 "the certificate of mail.example.org is new, by Pebble", "At eight, at my place. Bob",
                 "(mail.example.org [", "signature ok", "newgate host init YOUR.DOMAIN",
                 "This machine is as it was before."):
        assert said in got.stdout
    assert not [name for name in os.listdir("/var/tmp") if name.startswith("newgate-demo-host.")]
