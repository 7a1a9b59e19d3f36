"""What was measured, against what it should be."""

import contextlib
import json
import os
import platform
import statistics
import time

from peers import Missing

median = statistics.median


class Report:
    """Rows of a line: a value, what it is compared with, and the verdict."""

    def __init__(self):
        self.lines = []

    def line(self, name, title):
        self.lines.append({"line": name, "title": title, "rows": []})
        print(f"\n{title}  [{name}]", flush=True)

    def value(self, what, value, unit, low=None):
        """A figure by itself."""
        row = {"what": what, "value": value, "unit": unit}
        if low is not None:
            row["minimum"] = low
        self._add(row, "")

    def ratio(self, what, value, goal, at_least=False):
        """`value` is to be at most (or at least) `goal`."""
        reached = value >= goal if at_least else value <= goal
        self._verdict({"what": what, "ratio": value}, goal, at_least, reached, "×")

    def bound(self, what, value, goal, unit):
        self._verdict({"what": what, "value": value, "unit": unit}, goal, False, value <= goal, unit)

    def skipped(self, what, why):
        self._add({"what": what, "verdict": "not measured", "why": why}, f"not measured: {why}")

    @contextlib.contextmanager
    def peers(self):
        """What stands in it is left out where a peer is not there."""
        try:
            yield
        except Missing as e:
            self.skipped("against a peer", str(e))

    def _verdict(self, row, goal, at_least, reached, unit):
        value = row.get("ratio", row.get("value"))
        row |= {"goal": goal, "goal_is": "at least" if at_least else "at most",
                "verdict": "reached" if reached else "missed"}
        text = f"{row['goal_is']} {number(goal)} {unit}: "
        if reached:
            text += "reached"
        else:
            off = abs(value - goal) / goal * 100
            row["missed_by_percent"] = round(off, 1)
            text += f"MISSED by {off:.0f} %"
        self._add(row, text)

    def _add(self, row, verdict):
        self.lines[-1]["rows"].append(row)
        figure = ""
        if "value" in row:
            figure = f"{number(row['value'])} {row['unit']}"
        elif "ratio" in row:
            figure = f"{number(row['ratio'])} ×"
        if "minimum" in row:
            verdict = f"(best {number(row['minimum'])})"
        print(f"  {row['what']:<52} {figure:>14}  {verdict}".rstrip(), flush=True)

    def times(self, what, seconds):
        """Times of one contestant, in ms. Returns the median, in seconds."""
        self.value(what, median(seconds) * 1e3, "ms", min(seconds) * 1e3)
        return median(seconds)

    def summary(self):
        rows = [r for line in self.lines for r in line["rows"]]
        count = {v: sum(r.get("verdict") == v for r in rows)
                 for v in ("reached", "missed", "not measured")}
        print(f"\n{count['reached']} reached, {count['missed']} missed, "
              f"{count['not measured']} not measured")

    def write(self, path):
        path.write_text(json.dumps({
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "kernel": platform.release(),
            "processors": os.cpu_count(),
            "load": os.getloadavg()[0],
            "lines": self.lines,
        }, indent=1) + "\n")
        print(f"written to {path}")


def number(v):
    """Three figures that matter."""
    if v >= 100:
        return f"{v:,.0f}"
    return f"{v:.1f}" if v >= 10 else f"{v:.2f}" if v >= 0.1 else f"{v:.4f}"


def ratio_of(a, b):
    """The median of the ratios within each round: what drifts from round to round drops out."""
    return median(x / y for x, y in zip(a, b))
