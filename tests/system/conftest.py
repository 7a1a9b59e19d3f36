"""Fixtures of the system tests. Run as root: /usr/bin/python3 -m pytest tests/system"""

import os
import signal

import pytest

from vps import Vps

# Whoever runs the tests may ignore signals (nohup, a shell's background job), and what is ignored is
# inherited: neither ^C nor a terminal that goes away would end what runs on it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def vps():
    """A fresh throw-away VPS (see vps.py). What the test leaves running is removed; what cannot be
    removed fails the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes namespaces")
    v = Vps()
    try:
        yield v
        v.remove_jails()
    finally:
        v.close()
