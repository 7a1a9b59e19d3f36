"""Those newgate is measured against, each as fast as it goes: the same tree, the same program, nothing
in their configuration that the comparison does not ask for."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from machine import ID_BASE, run

PACKAGES = Path(__file__).parent / "deps.txt"

# What the floor and newgate deny too: a list of ordinary length.
DENIED = """add_key acct bpf clock_adjtime clock_settime delete_module fanotify_init finit_module fsopen
init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_load keyctl mount move_mount
move_pages open_by_handle_at open_tree perf_event_open pivot_root quotactl reboot request_key setns
settimeofday swapoff swapon syslog umount2 unshare userfaultfd""".split()

CAPS = [f"CAP_{c}" for c in """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP
SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE""".split()]


class Missing(Exception):
    """A program that is not installed."""


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Missing(f"{program} is not installed (bench/deps.txt lists the packages)")


def install():
    """As root, from Debian; where that cannot be, the lines that need a peer say so."""
    names = [line.split("#")[0].strip() for line in PACKAGES.read_text().splitlines()]
    names = [n for n in names if n]
    got = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
                         capture_output=True, text=True)
    have = {line.split()[0] for line in got.stdout.splitlines() if line.endswith(" installed")}
    missing = [n for n in names if n not in have]
    if not missing:
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    print("bench: installing", *missing, flush=True)
    subprocess.run([*apt, "update"], env=env, stdin=subprocess.DEVNULL, check=False)
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", *missing], env=env,
                   stdin=subprocess.DEVNULL, check=False)


def oci_config(root, argv, netns=None):
    """config.json as `crun spec` writes it, with a user namespace and a filter. netns: None for an
    empty network namespace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["crun", "spec"], cwd=folder, check=True)
        config = json.loads((Path(folder) / "config.json").read_text())
    config["process"] |= {
        "terminal": False,
        "args": argv,
        "noNewPrivileges": False,
        "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
    }
    config["root"] = {"path": str(root), "readonly": False}
    linux = config["linux"]
    # Of no meaning without the controllers of cgroup v1.
    del linux["resources"]
    linux["namespaces"].append({"type": "user"})
    if netns:
        for space in linux["namespaces"]:
            if space["type"] == "network":
                space["path"] = str(netns)
    ids = [{"containerID": 0, "hostID": ID_BASE, "size": 65536}]
    linux |= {
        "uidMappings": ids,
        "gidMappings": ids,
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": DENIED, "action": "SCMP_ACT_ERRNO"}],
        },
    }
    return json.dumps(config, indent=1)


def bundle(folder, root, argv, **options):
    folder.mkdir()
    (folder / "config.json").write_text(oci_config(root, argv, **options))
    return folder


def crun():
    """With a cgroup, as newgate and the floor have one."""
    return ["crun", "--cgroup-manager=cgroupfs", "--root=/run/crun"]


def bwrap(root, *argv):
    return ["bwrap", "--unshare-all", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev", *argv]


def podman(m):
    """podman run with its bridge, on a storage of its own. The image is the common tree."""
    need("podman", "crun")
    run("sh", "-c", f"tar -C {m.root} -c . | podman import - bench >/dev/null")
    return ["podman", "run", "--rm", "--network=bridge", "--cgroups=disabled", "--log-driver=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
            "bench", "/bin/true"]
