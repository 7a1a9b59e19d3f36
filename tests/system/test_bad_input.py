"""Wrong configurations and command lines: what is said, that nothing else happens, and that it does
not take long. bad_input.txt holds the table; BAD_INPUT_UPDATE=1 writes what is said now into it."""

import json
import os
import re
import shutil
from pathlib import Path

TABLE = Path(__file__).with_name("bad_input.txt")


class Case:
    def __init__(self, title):
        match = re.fullmatch(r"(.*?)(?: \[(\d+)\])?", title)
        self.title, self.status = match[1], int(match[2] or 1)
        self.files, self.command, self.said = {}, None, []

    def text(self):
        out = f"= {self.title}{'' if self.status == 1 else f' [{self.status}]'}\n"
        for path, text in self.files.items():
            out += f"> {path}\n{text}"
        return out + f"$ {self.command}\n" + "".join(f"{line}\n" for line in self.said)


def read_table():
    """What stands before the first case, and between sections, is kept as it is."""
    cases, pieces, case, into = [], [], None, None
    for line in TABLE.read_text().splitlines():
        if line.startswith("= "):
            case = Case(line[2:])
            cases.append(case)
            pieces.append(case)
        elif case is None or line.startswith("---- "):
            case, into = None, None
            pieces.append(line)
        elif line.startswith("> "):
            into = line[2:]
            case.files[into] = ""
        elif line.startswith("$ ") and case.command is None:
            into, case.command = None, line[2:]
        elif into is not None:
            case.files[into] += line + "\n"
        elif case.command is not None and line:
            case.said.append(line)
    return cases, pieces


def write_table(pieces):
    out = ""
    for piece in pieces:
        out += piece.text() + "\n" if isinstance(piece, Case) else piece + "\n"
    TABLE.write_text(out)


def tree(root):
    """Files, wherever they lie; newgate's own folders may appear, and its locks."""
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*")
            if p.is_file() and "run/newgate" not in str(p)}


def run_case(vps, case):
    """What it says, the usage left out; nothing else may come of it."""
    root = vps.folder / "case"
    root.mkdir(mode=0o700)  # nobody else comes near a jail's setuid programs
    for path, text in {"/etc/.keep": "", **case.files}.items():
        p = root / path.lstrip("/")
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text)
    before = tree(root)
    got = vps.run("sh", "-c", f"cd /; exec 2>&1; exec {case.command}", status=None,
                  env={"NEWGATE_ROOT": str(root)})
    said = got.stdout.replace(str(root), "")
    said = re.sub(r"^(usage: (newgate )?[a-z]*).*(\n .*)*", r"\1 …", said, flags=re.M).splitlines()
    assert tree(root) == before, case.title
    left = [p for folder in ("jails", "jids", "slots", "ctl")
            for p in (root / "run/newgate" / folder).glob("*")]
    assert left == [], case.title
    shutil.rmtree(root)
    return said, got.returncode


def test_table(vps):
    cases, pieces = read_table()
    assert len(cases) >= 120
    for case in cases:
        said, status = run_case(vps, case)
        if "BAD_INPUT_UPDATE" in os.environ:
            case.said, case.status = said, status
            write_table(pieces)
        assert (said, status) == (case.said, case.status), case.title
        assert (status != 0 and said) or "BAD_INPUT_UPDATE" in os.environ, case.title


def test_no_two_alike():
    """Not a title, nor what is said without the place where it is wrong."""
    cases, _ = read_table()
    titles = [case.title for case in cases]
    assert sorted(set(titles)) == sorted(titles)
    seen = {}
    for case in cases:
        said = [re.sub(r"^[\w ]+: (/[^ ]*:\d+:\d+: )?(web: )?", "", line) for line in case.said]
        other = seen.setdefault(tuple(said), case.title)
        assert other == case.title, f"{other}; {case.title}: {said}"


# --- more than anybody would type ---

LONG = "x" * 65536


def refused(vps, text, *command):
    """What `jail -c` and `newgate check` say to this jail.conf: few and short lines."""
    path = vps.path("/etc/jail.conf")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    got = vps.run(*(command or ("jail", "-c")), status=1)
    lines = got.stderr.replace(str(vps.root), "").splitlines()
    assert lines and all(len(line) < 2100 for line in lines), lines
    if not command:
        check = vps.run("newgate", "check", status=1).stdout.replace(str(vps.root), "").splitlines()
        assert ["jail: " + line for line in check[:-1] if ": warning: " not in line] == lines
        found = json.loads(vps.run("newgate", "check", "--json", status=1).stdout)["findings"]
        assert sum(f["level"] == "fault" for f in found) == sum("… and" not in line for line in lines)
    return lines


def test_values_of_64_kib(vps):
    x = re.escape("x" * 300) + "x*"
    for text, want in {
        f'a {{ host.hostname = "{LONG}"; }}': rf'a: host.hostname "{x} … {x}" is longer than the 64 bytes',
        f'a {{ ip4.addr = "{LONG}"; }}': rf'a: ip4.addr "{x} … {x}" is not an IPv4 address',
        f'a {{ ip4.addr = auto; rdr = "tcp {LONG}"; }}': rf'a: rdr "tcp {x} … {x}" is no port',
        f'a {{ persist = "{LONG}"; }}': rf'a: persist: unknown boolean value "{x} … {x}" \(true or false\)',
        f'a {{ stop.timeout = "{"9" * 65536}"; }}': r"a: stop.timeout: 9* … 9* is not within 0 to 2147483",
        f"a {{ {LONG} = 1; }}": rf'a: unknown parameter "{x} … {x}"',
        f'a {{ path = "/${{{LONG}}}"; }}': rf'a: path: variable "{x} … {x}" not found|… {x} = "…";\)',
        f'a {{ depend = "{LONG}"; }}': rf'a: depends on undefined jail "{x} … {x}"',
        f'"{LONG}" {{ persist; }}': rf'name "{x} … {x}": a jail\'s name has at most 200 bytes',
        f'{LONG} {LONG} {{ persist; }}': r"{: syntax error \(the name of a block is one word",
        f'a {{ rctl = "{LONG}"; }}': rf'a: rctl "{x} … {x}": the resource is none of',
        f'a {{ mount = "{LONG}"; }}': rf"a: mount: {x} … {x}: missing information",
        f'.include "{LONG}";': rf"1:10: .*{x} … {x}: File name too long",
    }.items():
        assert re.search(want, refused(vps, text)[0]), (want, refused(vps, text))


def test_a_long_path(vps):
    said = refused(vps, f'a {{ path = "/{LONG}"; persist; }}', "jail", "-c")
    assert re.search(r"path /.*x … x+: File name too long", said[0]), said


def test_a_value_of_64_kib_that_is_right(vps):
    """It is kept, shown and given back whole."""
    vps.busybox("/var/jails/a")
    vps.write("/etc/jail.conf", f'a {{ path = "/var/jails/a"; persist; meta = "{LONG}"; }}')
    vps.run("jail", "-c", "a")
    assert vps.run("jls", "-j", "a", "meta").stdout == LONG + "\n"
    vps.run("jail", "-r", "a")


def test_a_long_command_line(vps):
    for command, want in {
        ("jail", "-c", LONG): f'"{LONG[:100]}',
        ("jail", "-r", LONG): f'"{LONG[:100]}',
        ("jexec", LONG, "/bin/sh"): f'"{LONG[:100]}',
        ("jls", "-j", LONG): f'"{LONG[:100]}',
        ("jls", LONG): "unknown parameter",
        ("newgate", LONG): "unknown verb",
        ("newgate", "clone", "a", LONG): "at most 200 bytes",
        ("newgate", "destroy", "-y", LONG): "",
        ("newgate", "template", "create", LONG, "--from", "busybox"): "1 to 200 bytes",
        ("newgate", "check", LONG): "File name too long",
    }.items():
        got = vps.run(*command, status=1)
        assert want in got.stdout + got.stderr, command[:3]
    assert not list(vps.path("/run/newgate").glob("j*/*"))


def test_nul_bytes(vps):
    assert refused(vps, b'a { path = "/a\0b"; }\n') == [
        "jail: /etc/jail.conf:1:15: a value cannot hold a NUL byte: remove it"]
    assert refused(vps, b"a { per\0sist; }\n")[0].startswith("jail: /etc/jail.conf:1:8: ")
    vps.write("/etc/jail.conf", 'a { path = /; mount.fstab = "/etc/fstab.a"; persist; }\n')
    vps.write("/etc/fstab.a", "/data /srv nullfs rw\n\0\n")
    assert refused(vps, vps.read("/etc/jail.conf"), "jail", "-c") == [
        "jail: a: /etc/fstab.a: a NUL byte is in this file: it is not text"]
    vps.write("/etc/rc.conf", "jail_enable=YES\0\n")
    assert refused(vps, "a { persist; }", "jail", "-c") == [
        "jail: /etc/rc.conf: a NUL byte is in this file: it is not text"]
    vps.write("/var/lib/newgate/leases", "net lo1 10.0.0.1/24\n\0")
    said = vps.run("newgate", "check", status=1).stdout
    assert "leases: a NUL byte is in this file: it is not text" in said


def test_bytes_that_are_no_utf8(vps):
    """They are shown as what they are, and JSON stays JSON."""
    assert refused(vps, b'a { host.hostname = "w\xe9b\x1b[31m"; }\n') == [
        'jail: /etc/jail.conf:1:21: a: host.hostname "w\\xe9b\\x1b[31m" is not a host\'s name: '
        'letters, digits, "-" and "."']
    assert refused(vps, b"a { w\xe9b; }\n") == [
        "jail: /etc/jail.conf:1:6: byte 0xe9 outside of quotes: syntax error (put the text in double "
        "quotes)"]
    assert refused(vps, b'"\xff\xfe" { persist; depend = "\xc3\xa4"; }\n') == [
        'jail: /etc/jail.conf:1:26: \\xff\\xfe: depends on undefined jail "ä": configure it, or '
        "remove it here"]
    got = vps.run("sh", "-c", r"exec jexec $(printf 'w\351b\033')", status=1)
    assert got.stderr == 'jexec: jail "w\\xe9b\\x1b" not found\n'


def test_includes_one_in_another(vps):
    for n in range(1, 40):
        vps.write(f"/etc/{n}.conf", f'.include "{n + 1}.conf";\na{n} {{ path = /; persist; }}\n')
    vps.write("/etc/40.conf", "")
    assert refused(vps, '.include "1.conf";\n') == [
        "jail: /etc/32.conf:1:10: maximum include depth exceeded (32; does a file include itself?)"]
    vps.write("/etc/31.conf", "b { path = /; persist; }\n")
    assert vps.run("newgate", "check").stdout == "31 jails in 32 files: no fault\n"


def test_blocks_one_in_another(vps):
    assert "more than 32 blocks inside one another" in refused(vps, "a {" * 5000 + "}" * 5000)[0]
    assert refused(vps, "a { path = " + "${a" * 5000 + "; }")[0].startswith("jail: /etc/jail.conf:1:")


JAILS = 10000


def test_10000_jails(vps):
    """One fault among them is found; one for all of them is told once."""
    blocks = "".join(f'j{n} {{ ip4.addr = "10.{n // 65536}.{n // 256 % 256}.{n % 256}"; '
                     f'depend = "j{n - 1}"; }}\n' for n in range(2, JAILS))
    head = 'path = "/";\npersist;\n'
    first = 'j1 { host.hostname = "first"; }\n'
    vps.write("/etc/jail.conf", head + first + blocks)
    assert vps.run("newgate", "check").stdout == f"{JAILS - 1} jails in 1 file: no fault\n"
    assert len(vps.run("jail", "-e", "|").stdout.splitlines()) == JAILS - 1

    assert refused(vps, head + first + blocks.replace("j7776", "j7767", 1)) == [
        "jail: /etc/jail.conf:7778:1: j7767: this jail is defined at /etc/jail.conf:7769 already: join "
        "the two blocks",
        "jail: /etc/jail.conf:7779:43: j7777: depends on undefined jail \"j7776\" (did you mean "
        "\"j776\"?)",
    ]
    assert refused(vps, head + first + blocks + "exec.strat = 1;\n") == [
        f"jail: /etc/jail.conf:{JAILS + 2}:1: j1 and {JAILS - 2} more: unknown parameter \"exec.strat\" "
        "(did you mean \"exec.start\"?)"]
    loop = first.replace(";", f'; depend = "j{JAILS - 1}";')
    said = refused(vps, head + loop + blocks)
    assert len(said) == 1 and "dependency loop (" in said[0]
    # Every one of them wrong, each in its own way: as many as anybody reads, and how many more.
    said = refused(vps, head + blocks.replace("; }", "; wrong; }"), "jail", "-c")
    assert len(said) == 201 and said[-1] == f"jail: … and {JAILS - 2 - 200} more"
