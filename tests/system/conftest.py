"""Fixtures of the system tests. Run as root: /usr/bin/python3 -m pytest tests/system"""

import os

import pytest

from vps import Vps


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
