"""PID 1 of a jail belongs to the jail. Its root cannot trace it (test_hostile_processes); here he can,
has its socket, and answers newgate what he likes: newgate neither hangs nor crashes nor believes."""

import pytest

from hostile import arm, holding, start, unguarded_init

BOUND = 30  # seconds, two times newgate's patience and more


@pytest.fixture
def world(vps):
    env = unguarded_init(vps)
    jail = start(vps, "evil", "stop.timeout = 1", env=env)
    jail.env = env
    return vps, jail


def steal(world, *how):
    vps, jail = world
    return holding(vps.popen("jexec", "evil", "/bin/attack", *how, env=jail.env))


def command(world, *argv):
    """It ends, by itself."""
    vps, jail = world
    got = vps.run(*argv, status=None, env=jail.env, timeout=BOUND)
    assert 0 <= got.returncode < 100, got
    assert "AddressSanitizer" not in got.stderr
    return got


HOW = [["silent"], ["crowded"], *(["liar", how] for how in ("noise", "huge", "status", "types", "files"))]


@pytest.mark.parametrize("how", HOW, ids=" ".join)
def test_a_pid_1_that_lies_holds_nobody(world, how):
    with steal(world, *how):
        got = command(world, "jexec", "evil", "/bin/true")
        if how[0] != "liar":
            assert got.returncode == 1 and "PID 1" in got.stderr
        assert command(world, "jls", "-N").returncode == 0
        assert command(world, "newgate", "status", "--json").returncode == 0
        command(world, "jail", "-m", "name=evil", "persist=false")
        assert command(world, "jail", "-r", "evil").returncode == 0
    assert command(world, "jls", "-N").stdout.count("evil") == 0


@pytest.mark.parametrize("how", HOW[:2], ids=" ".join)
def test_and_is_removed_by_force(world, how):
    with steal(world, *how):
        assert command(world, "jail", "-R", "evil").returncode == 0
    assert command(world, "jls", "-N").stdout.count("evil") == 0


def test_the_attack_is_one(world):
    """What a client without patience meets: no answer, no room."""
    vps, jail = world
    client = ("import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
              "s.settimeout(1); s.connect(sys.argv[1]);"
              "s.send(bytes([6, 0, 0, 0] + [0] * 8)); print(len(s.recv(65536)))")
    path = vps.path(f"/run/newgate/ctl/{vps.record('evil')['jid']}")
    ask = ["/usr/bin/python3", "-c", client, path]
    assert vps.run(*ask).stdout == "20\n"
    with steal(world, "silent"):
        assert "timed out" in vps.run(*ask, status=1).stderr
    vps.run("jail", "-R", "evil")


@pytest.mark.parametrize("where", ["exec.start", "exec.stop", "service"])
def test_the_end_of_pid_1_in_the_middle_of_a_command(vps, where):
    """Traced by who is its child at that moment. What newgate waited for does not come, and it notices."""
    env = unguarded_init(vps)
    arm(vps, "/var/jails/evil")
    vps.path("/var/log").mkdir(parents=True, exist_ok=True)
    vps.write("/etc/jail.conf", f"""evil {{ path = "/var/jails/evil"; persist; ip4 = disable; mount.devfs;
        exec.start = "true"; {where} = "/bin/attack suicide"; }}""")
    got = vps.run("jail", "-c", "evil", status=None, env=env, timeout=BOUND)
    if where == "exec.stop":
        assert got.returncode == 0
        got = vps.run("jail", "-r", "evil", status=None, env=env, timeout=BOUND)
    assert where == "service" or "the jail ended while it ran" in got.stderr
    assert "evil" not in vps.run("jls", "-N").stdout
    vps.run("jail", "-R", "*")
