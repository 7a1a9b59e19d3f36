"""What nginx in the web jail says of itself: when it is there, and when it has looked again."""

import contextlib

from vps import Failed


def said(vps):
    """The lines of the jail's log."""
    return vps.run("newgate", "logs", "-n", "all", "web").stdout.splitlines()


def _until(vps, before, done):
    """Waits for a line, behind the first `before`, of which done() says that it is the one."""
    with vps.popen("timeout", "20", "newgate", "logs", "-f", "-n", "all", "web") as tail:
        for n, line in enumerate(tail.stdout):
            if n >= before and done(line):
                tail.terminate()
                return
    raise Failed("nginx has not said it")


@contextlib.contextmanager
def restarted(vps):
    """The jail starts anew meanwhile; in the end it serves."""
    before = len(said(vps))
    yield
    _until(vps, before, lambda line: "start worker process " in line)


@contextlib.contextmanager
def reloaded(vps):
    """nginx reads its configuration again meanwhile; in the end those who had the old one are gone."""
    before = len(said(vps))
    yield
    count = {"start worker process ": 0, "exited with code 0": 0}

    def done(line):
        for word in count:
            count[word] += word in line
        started, ended = count.values()
        return 0 < started == ended

    _until(vps, before, done)
