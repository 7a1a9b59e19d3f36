"""A terminal with somebody at it: a pseudo-terminal, a program on it, what is typed and what is seen."""

import fcntl
import os
import re
import select
import struct
import termios
import time

from vps import Failed, PATIENCE


class Terminal:
    """The program is a session leader with the terminal as its controlling one, as after a login."""

    def __init__(self, vps, *argv, rows=24, columns=80, env=None):
        self.master, slave = os.openpty()
        self.seen = ""
        self.resize(rows, columns)

        def login():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = vps.popen(*argv, stdin=slave, stdout=slave, stderr=slave, env=env,
                                 preexec_fn=login)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)  # hangs up: the shell and its jobs end
        self.process.wait(PATIENCE)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def line(self, text):
        self.type(text + "\n")

    def expect(self, pattern):
        """Waits until the pattern has been printed and forgets what came up to its end."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Failed(f"no {pattern!r} in:\n{self.seen}")
            try:
                more = os.read(self.master, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                raise Failed(f"ended without {pattern!r}:\n{self.seen}") from None
            self.seen += more.decode(errors="replace")
        self.seen = self.seen[found.end():]
        return found
