"""docs/hosting.md, typed as it is printed (tests/system/test_tour.py tells how it is read)."""

import re

from conftest import mail_host
from test_tour import SOURCE, commands, in_place, pattern

GUIDE = SOURCE / "docs" / "hosting.md"
# What is asked for where a password is.
SECRET = re.compile(r"host user (add|passwd)")


def typed():
    """(command, [line of output, …]) in the order of the page."""
    for text in re.findall(r"^```console\n(.*?)^```$", GUIDE.read_text(), re.M | re.S):
        for where, command, output in commands(text.splitlines()):
            assert where == "#", command
            yield command, output


def test_the_guide():
    seen, wrong = 0, []
    with mail_host() as vps:
        for command, output in typed():
            secret = SECRET.search(command)
            got = vps.run("sh", "-c", f"exec 2>&1\n{command}", status=None, timeout=120,
                          input="a good password\n" if secret else None)
            said = in_place(vps, got.stdout)
            if not re.fullmatch(pattern(output), said) if output else got.returncode:
                wrong.append(f"# {command}\n{said}")
            seen += 1
    assert not wrong, "\n".join(wrong)
    assert seen > 15
