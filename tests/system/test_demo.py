"""The demonstration works, word for word, in under a minute."""

import os
import subprocess

from vps import BUILD, SOURCE


def test_demo():
    got = subprocess.run([SOURCE / "tests" / "demo", BUILD], capture_output=True, text=True, timeout=60)
    assert got.returncode == 0, got.stdout + got.stderr
    for said in ("nat pass on eth0", "You come from 203.0.113.10.",
                 "You come from 198.51.100.7.", "This is dovecot.", "Connection refused", "This machine is as it was before."):
        assert said in got.stdout
    assert not [name for name in os.listdir("/var/tmp") if name.startswith("newgate-demo.")]
