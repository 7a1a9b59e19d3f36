"""The examples of the manual pages, run as they are printed.

In a page, a comment before a display says what it is:

    .\\" setup: busybox /var/jails/web   a root that the example takes for granted
    .\\" file: /etc/jail.conf            the display is this file
    .\\" run                             "# command" lines, each followed by what it prints

A page's examples are run in order on one VPS. A command must succeed. Where the page shows output it
must be that, to the letter; a command without is free to print."""

import re
from pathlib import Path

import pytest

MAN = Path(__file__).resolve().parents[2] / "man"
PAGES = sorted(p.name for p in MAN.glob("*.[1-9]") if '.\\" run' in p.read_text())


def unescape(line):
    """mdoc's notation in a literal display."""
    if line.startswith("\\&"):
        line = line[2:]
    return line.replace("\\(dq", '"').replace("\\-", "-").replace("\\e", "\\")


def examples(text):
    """(kind, argument, lines) in the order of the page."""
    kind, argument, lines = None, None, None
    for line in text.splitlines():
        mark = re.match(r'\.\\" (setup|file|run):? ?(.*)', line)
        if mark:
            assert kind is None, f"no display behind the mark before: {line}"
            if mark[1] == "setup":
                yield "setup", mark[2], []
            else:
                kind, argument = mark[1], mark[2]
        elif kind and line.startswith(".Bd"):
            lines = []
        elif line == ".Ed" and lines is not None:
            yield kind, argument, lines
            kind, lines = None, None
        elif lines is not None:
            lines.append(unescape(line))
    assert kind is None, "a mark without its display"


def commands(lines):
    """[(command, [line of output, …]), …]"""
    found = []
    for line in lines:
        if line.startswith("# "):
            found.append((line[2:], []))
        elif line.startswith("> "):
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        else:
            found[-1][1].append(line)
    return found


def set_up(vps, what):
    verb, path = what.split()
    assert verb == "busybox", what
    vps.busybox(path)


@pytest.mark.parametrize("page", PAGES)
def test_examples(vps, page):
    for kind, argument, lines in examples((MAN / page).read_text()):
        if kind == "setup":
            set_up(vps, argument)
        elif kind == "file":
            vps.write(argument, "\n".join(lines) + "\n")
        else:
            for command, output in commands(lines):
                got = vps.run("sh", "-c", f"exec 2>&1\n{command}")
                if output:
                    assert got.stdout.splitlines() == output, f"{page}: # {command}"
