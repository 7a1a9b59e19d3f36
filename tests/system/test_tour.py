"""docs/tour.md, typed as it is printed.

    ```console          "# …" typed on the host, "outside$ …" on another machine ("> …": and on the next
                        lines), then what it prints
    ```terminal         the same, and what is typed behind the prompt "~ # " of what that started
    ```jail.conf NAME   goes into the block of NAME

What is printed has to be as the tour shows it; "…" stands for anything, and alone on a line for any
lines. A command without output in the tour is free to print, and has to succeed."""

import re

from terminal import Terminal
from vps import SOURCE

TOUR = SOURCE / "docs" / "tour.md"
PROMPT = "~ # "


def blocks():
    """(kind, argument, [line, …]) in the order of the page."""
    for kind, argument, text in re.findall(r"^```([\w.]+) ?(\w*)\n(.*?)^```$", TOUR.read_text(), re.M | re.S):
        yield kind, argument, text.splitlines()


def commands(lines):
    """[(where, command, [line of output, …]), …]"""
    found = []
    for line in lines:
        typed = re.match(r"(# |outside\$ )(.*)", line)
        if typed:
            found.append((typed[1].strip("$ "), typed[2], []))
        elif line.startswith("> "):
            where, command, _ = found[-1]
            found[-1] = (where, f"{command}\n{line[2:]}", [])
        else:
            found[-1][2].append(line)
    return found


def pattern(lines):
    """What the shown lines stand for. Beside "…" columns may be wider."""
    def one(line):
        text = ".*".join(re.escape(part) for part in line.split("…")) + "\n"
        return re.sub(r"(\\ )+", " +", text) if "…" in line else text
    return "".join("(?:.*\n)*" if line == "…" else one(line) for line in lines)


def in_place(vps, text):
    """Paths as on a host that has newgate's files in their ordinary places."""
    return text.replace(str(vps.root), "")


def type_at_console(vps, lines):
    (_, command, _), = commands(lines[:1])
    with Terminal(vps, "sh", "-c", command) as t:
        for line in lines[1:]:
            if line.startswith(PROMPT):
                t.expect(re.escape(PROMPT))
                t.line(line.removeprefix(PROMPT))
            else:
                t.expect(f"(?m)^{re.escape(line)}\r?$")
        assert t.process.wait(20) is not None


def fill_block(vps, name, lines):
    text = vps.read("/etc/jail.conf")
    assert f"\n{name} {{\n" in text, text
    vps.write("/etc/jail.conf", text.replace(f"\n{name} {{\n", f"\n{name} {{\n" + "\n".join(lines) + "\n"))


def test_the_tour(vps):
    seen = 0
    for kind, argument, lines in blocks():
        if kind == "jail.conf":
            fill_block(vps, argument, lines)
        elif kind == "terminal":
            type_at_console(vps, lines)
        else:
            assert kind == "console", kind
            for where, command, output in commands(lines):
                where = "internet" if where == "outside" else "vps"
                typed = re.sub(r"(?<=\s)/etc/jail.conf", f"{vps.root}/etc/jail.conf", command)
                got = vps.run("sh", "-c", f"exec 2>&1\n{typed}", where=where, status=None, timeout=60)
                assert output or got.returncode == 0, f"# {command}\n{got.stdout}"
                if output:
                    assert re.fullmatch(pattern(output), in_place(vps, got.stdout)), f"# {command}\n{got.stdout}"
                seen += 1
    assert seen > 25
