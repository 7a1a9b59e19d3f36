"""Many commands at once on the same few jails: each ends, none harms another or what is kept."""

import itertools
import random
import re
import signal

from footprint import footprint, same
from test_up import RC, block, plan, running, up

NAMES = [f"j{i}" for i in range(6)]
COMMANDS = [
    "jail -c {}", "jail -r {}", "jail -rc {}", "jail -cm {}", "jail -m name={} meta.who={}", "newgate up",
    "newgate up {}", "newgate down {}", "newgate status", "jls -n", "jexec {} true", "newgate up -n",
    "jail -c path=/var/jails/j0 command=true",
]
# All that a command may say of what another one did.
TAKEN = re.compile(r'.*"j\d" (not found.*|already exists)|jexec: the jail is ending|'
                   r'jexec: (cannot reach the jail\'s PID 1|the jail\'s PID 1 does not answer|setns): .*|'
                   r'.*j\d: (skipped|.*: the jail ended while it ran)')
TREES = [
    "newgate clone _base {}", "newgate clone {} {}", "newgate clone {} {}", "newgate rename {} {}",
    "newgate destroy -y {}", "newgate create {}",
]


def at_once(vps, commands, n, names, statuses):
    """n of the commands, each about jails chosen at random (but always the same): what they complained
    of."""
    chance = random.Random(2026)
    chosen = [command.format(*chance.sample(names, 2)).split()
              for command in itertools.islice(itertools.cycle(commands), n)]
    chance.shuffle(chosen)
    complaints = []
    for argv, p in [(argv, vps.popen(*argv)) for argv in chosen]:
        out, err = p.communicate(timeout=60)
        print(p.returncode, argv, out, err)
        # What jexec runs may end with its jail.
        assert p.returncode in statuses or argv[0] == "jexec" and p.returncode == -signal.SIGTERM
        complaints += err.splitlines()
    return complaints


def test_fifty_at_once(vps):
    vps.configure("".join(
        block(name, f"10.100.0.{i + 2}", f'rdr = "tcp 8{i}"; allow.connect = "j0 tcp 80";' +
              (f' depend = "{NAMES[i - 1]}";' if i % 2 else ""))
        for i, name in enumerate(NAMES)), RC)
    up(vps)
    vps.run("jail", "-r", "*")
    before = footprint(vps)
    up(vps)
    # 2: newgate up -n sees a difference.
    said = at_once(vps, COMMANDS, 50, NAMES, (0, 1, 2))
    assert [line for line in said if not TAKEN.fullmatch(line)] == []
    up(vps)
    assert plan(vps) == [] and sorted(running(vps)) == NAMES
    for name in NAMES:
        vps.run("jexec", name, "true")
    vps.run("jail", "-r", "*")
    same(footprint(vps), before)


def test_trees_at_once(vps):
    """They hold jails and jail.conf, one after the other: none waits for another that waits for it."""
    vps.busybox("/var/jails/base")
    vps.write("/etc/jail.conf", "# mine\n")
    vps.write("/etc/rc.conf", RC)
    vps.run("newgate", "template", "create", "_base", "--from", vps.path("/var/jails/base"))
    vps.run("newgate", "create", "t0")
    vps.run("newgate", "destroy", "-y", "t0")
    before = footprint(vps)
    at_once(vps, TREES, 36, ["t0", "t1", "t2"], (0, 1))
    vps.run("newgate", "check")
    for name in "t0", "t1", "t2":
        if f"{name} {{" in vps.read("/etc/jail.conf"):
            vps.run("newgate", "destroy", "-y", name)
    same(footprint(vps), before)
