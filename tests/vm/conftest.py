"""Fixtures of the tests on Debian's own kernel. Run as root: /usr/bin/python3 -m pytest tests/vm"""

import shutil
import signal
import tempfile
from pathlib import Path

import pytest

import image
import machine
from host import Host


@pytest.fixture(scope="session")
def booted():
    """The virtual machine. Booting takes longest of all, so all tests share one."""
    why = machine.missing()
    if why:
        pytest.skip(why)
    # Who ends this run wants the machine and its disk gone too: as if interrupted, not at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="newgate-vm.", dir="/var/tmp"))
    try:
        try:
            m = machine.Machine(folder)
        except image.NoMirror as e:
            pytest.skip(str(e))
        try:
            yield Host(m)
        finally:
            m.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def host(booted):
    """The machine, with a template "base" and no jail. What the test leaves is taken away; what cannot
    be, or was changed beside it, fails the test."""
    try:
        yield booted
    finally:
        booted.clear()
    assert booted.facts() == booted.untouched
