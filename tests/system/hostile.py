"""A hostile root of a jail: what tests/hostile/attack does, from Python."""

import contextlib
import os
import select
import shutil
import signal

import pytest

from vps import BUILD, PATIENCE, Failed

ATTACK = BUILD / "tests" / "hostile" / "attack"
WON, LOST = 0, 10


class Result:
    def __init__(self, status, text):
        self.text = text.strip()
        if status not in (WON, LOST):
            raise Failed(f"the attack did not come about (status {status}): {self.text}")
        self.won = status == WON

    def __repr__(self):
        return self.text


def need_attack():
    if not ATTACK.exists():
        pytest.skip("the attack program is not built (a build with sanitizers cannot link it)")


def arm(vps, path):
    """A busybox root with the attack program in it."""
    need_attack()
    root = vps.busybox(path)
    shutil.copy2(ATTACK, root / "bin" / "attack")
    return root


def attack(jail, *argv, **options):
    """Runs it as root of the jail, to its end."""
    got = jail.run("/bin/attack", *argv, status=None, **options)
    return Result(got.returncode, got.stdout + got.stderr)


def outside(vps, *argv, prefix=(), **options):
    """The same where nothing guards: as root of the VPS."""
    got = vps.run(*prefix, ATTACK, *argv, status=None, **options)
    return Result(got.returncode, got.stdout + got.stderr)


@contextlib.contextmanager
def holding(process):
    """An attack that goes on until the end of the block; its lines up to "ready"."""
    said = b""
    try:
        while not said.endswith(b"ready\n"):
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            piece = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                raise Failed(f"the attack did not come about: {said} {process.poll()}")
            said += piece
        yield said.decode().splitlines()[:-1]
    finally:
        # nsenter(1), whose child is what was asked for, and ends with it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in open(f"/proc/{process.pid}/task/{process.pid}/children").read().split():
                os.kill(int(pid), signal.SIGKILL)
        process.wait(PATIENCE)
        process.stdout.close()
        process.stderr.close()


def hold(vps, jail, *argv):
    return holding(vps.popen("jexec", jail.name, "/bin/attack", *argv))


def as_user(uid):
    """What runs a command of the VPS as an ordinary user. setpriv has its capabilities until it
    executes something: that is env."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env"]


def start(vps, name, *settings, root=None, ip4="disable", env=None):
    """A jail with a busybox root and the attack program."""
    path = root or arm(vps, f"/var/jails/{name}")
    assert path.exists()
    lines = [f'path = "/var/jails/{name}"', "persist", "mount.devfs", *settings]
    if ip4:
        lines.append(f"ip4 = {ip4}")
    conf = vps.path("/etc/jail.conf")
    before = conf.read_text() if conf.exists() else ""
    vps.write("/etc/jail.conf", before + name + " { " + "; ".join(lines) + "; }\n")
    vps.run("jail", "-c", name, env=env)
    return vps.jail(name)


def canary(vps):
    """A file of the host's, outside of every jail."""
    vps.write("/canary", "host\n")
    return str(vps.path("/canary"))


def unguarded_init(vps):
    """An environment in which newgate-init can be read by everybody, so that a jail's root may trace
    his PID 1 and take its descriptors."""
    loose = vps.folder / "loose" / "src"
    for name in ("cmd", "init", "bin"):
        (loose / name).mkdir(parents=True, exist_ok=True)
    shutil.copy2(BUILD / "src" / "cmd" / "newgate", loose / "cmd" / "newgate")
    shutil.copy2(BUILD / "src" / "init" / "newgate-init", loose / "init" / "newgate-init")
    os.chmod(loose / "init" / "newgate-init", 0o755)
    for name in ("newgate", "jail", "jls", "jexec"):
        (loose / "bin" / name).symlink_to(loose / "cmd" / "newgate")
    return {"PATH": f"{loose / 'bin'}:{vps.env['PATH']}"}
