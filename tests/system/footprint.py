"""What newgate has made on a VPS outside of jails' namespaces: to be compared before and after.

    before = footprint(vps, "db")       # db runs, and goes on running
    ...
    same(footprint(vps, "db"), before)  # fails, telling what is missing or left"""

import json
import os
from pathlib import Path

LOOK = """
    nft -j list ruleset
    printf '%s\\n' 'link show' 'route show' 'neighbour show proxy' | ip -j -4 -batch -
    printf '%s\\n' 'route show' 'neighbour show proxy' | ip -j -6 -batch -
"""
# Trees, logs and locks; why something failed.
SKIPPED = ("var/lib/newgate/templates", "var/log", "run/newgate/locks", "run/newgate/failed")


def files(vps):
    found = []
    for path, folders, names in os.walk(vps.root):
        inside = Path(path).relative_to(vps.root)
        if str(inside) in SKIPPED or inside.is_relative_to("var/jails") and len(inside.parts) > 2:
            folders.clear()
        else:
            # "last.jids" remembers a number; what is in leases is compared as such.
            found += [str(inside / name) for name in names + folders
                      if not name.startswith("last.") and name != "leases"]
    return sorted(found)


def leases(vps):
    """What the journal comes to."""
    held, path = [], vps.path("/var/lib/newgate/leases")
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("free "):
            held = [lease for lease in held if not lease.endswith(line.removeprefix("free"))]
        else:
            held.append(line)
    return held


def network(vps, own):
    text, found, decoder = vps.run("sh", "-c", LOOK).stdout, [], json.JSONDecoder()
    while text:
        value, end = decoder.raw_decode(text)
        found, text = found + [value], text[end:].lstrip()
    links = sorted(link["ifname"] for link in found[1])
    if any(name.startswith("ng") and name not in own for name in links):
        # A jail's pair goes a little after it.
        vps.wait_links_gone(rf"ng(?!({'|'.join(name[2:] for name in own)})$)\d")
        return network(vps, own)
    # What changes by itself: handles, and who has how many connections.
    ruleset = [thing for thing in found[0]["nftables"]
               if thing.get("set", {}).get("name") not in ("crowd", "tracked")]
    for thing in ruleset:
        for value in thing.values():
            value.pop("handle", None)
    return {"links": links, "ruleset": ruleset, "routes": found[2] + found[4], "proxies": found[3] + found[5]}


def footprint(vps, *running):
    return {
        **network(vps, [vps.record(name)["link"] for name in running]),
        "files": files(vps),
        "mounts": [m for m in (vps.proc / "1" / "mountinfo").read_text().splitlines() if str(vps.root) in m],
        "leases": leases(vps),
        "configuration": [p.read_text() for p in sorted(vps.path("/etc").rglob("*")) if p.is_file()],
        "cgroups": sorted(p.name for p in vps.cgroup().iterdir() if p.is_dir()) if vps.cgroup() else [],
        "processes": sorted(command for pid, command in vps.processes().items()
                            if command.removeprefix("newgate-init ") not in running and not vps.ends(pid)),
    }


def items(a, b):
    """Those of a that b has not."""
    return [x for x in a if x not in b]


def same(now, before):
    for what, was in before.items():
        assert now[what] == was, f"{what}\nmissing: {items(was, now[what])}\nleft: {items(now[what], was)}"
