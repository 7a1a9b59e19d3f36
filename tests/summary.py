#!/usr/bin/env python3
"""Sums what tests/run left in a folder: names what failed, says why something was skipped, and
prints "N passed, N failed, N skipped" as the last line. Exit status 1 where anything failed or
nothing passed.

  checks           one check a line: pass|fail|skip, a tab, its name
  meson-LABEL.json meson's test log; a test that speaks TAP counts with each of its cases
  system.xml       pytest's report
"""
import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

SHOWN = 100  # lines of a failed test's output, the last ones
Result = collections.namedtuple("Result", "outcome name why")

CASE = re.compile(r"(not )?ok\b *(\d+)?(?: *-)? *(.*)$")
SKIP = re.compile(r"# *SKIP\S*\s*(.*)$", re.IGNORECASE)


def tap_cases(test, text):
    """The cases of one TAP output. cmocka puts the reason of a skip on the line before it and
    "not ok N # SKIP name" for the case itself."""
    said = ""
    for line in text.splitlines():
        m = CASE.match(line)
        if not m:
            if line and not line.startswith("#") and not re.match(r"\d+\.\.\d+", line):
                said = line.strip()
            continue
        skip = SKIP.search(m.group(3))
        if skip:
            yield Result("skipped", f"{test}: {skip.group(1)}", said or "no reason given")
        else:
            yield Result("failed" if m.group(1) else "passed", f"{test}: {m.group(3)}", "")
        said = ""


def show(test, entry):
    """What a failed test said: meson keeps quiet about a TAP test's diagnostics."""
    print(f"== {test}")
    for stream in ("stdout", "stderr"):
        for line in entry.get(stream, "").splitlines()[-SHOWN:]:
            print(f"      {line}")


def of_meson(path):
    label = path.stem.removeprefix("meson-")
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        test = f"{entry['name']} ({label})"
        text = entry.get("stdout", "")
        outcome = entry["result"]
        cases = list(tap_cases(test, text)) if re.search(r"^1\.\.\d+$", text, re.M) else []
        yield from cases
        if outcome in ("OK", "EXPECTEDFAIL"):
            if not cases:
                yield Result("passed", test, "")
        elif outcome == "SKIP":
            if not cases:
                last = text.strip().splitlines()[-1:] or ["no reason given"]
                yield Result("skipped", test, last[0])
        else:
            show(test, entry)
            # A crash, a time limit, a sanitizer's report: no case of its own says so.
            if not any(case.outcome == "failed" for case in cases):
                yield Result("failed", test, outcome.lower())


def of_pytest(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield Result("failed", name, "")
        elif skipped is not None:
            yield Result("skipped", name, skipped.get("message", ""))
        else:
            yield Result("passed", name, "")


def of_checks(path):
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    for line in path.read_text().splitlines():
        outcome, name = line.split("\t", 1)
        yield Result(words[outcome], name, "")


def main(folder):
    results = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.name == "checks":
            results += of_checks(path)
        elif path.suffix == ".json":
            results += of_meson(path)
        elif path.suffix == ".xml":
            results += of_pytest(path)
    print("== summary")
    for outcome in ("skipped", "failed"):
        for r in results:
            if r.outcome == outcome:
                print(f"{outcome}  {r.name}" + (f": {r.why}" if r.why else ""))
    count = collections.Counter(r.outcome for r in results)
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
