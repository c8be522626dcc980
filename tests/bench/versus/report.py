"""Medians, ratios, the table and the JSON."""

import datetime
import json
import os
import platform
import statistics

from . import plan


def machine():
    """When and where measurements were made."""
    return {"date": datetime.date.today().isoformat(), "kernel": platform.release(),
            "processors": os.cpu_count()}


class Results:
    def __init__(self, size):
        self.size = size
        self.records = {}  # (content, op, config) -> list of records

    def add(self, content, op, config, record):
        self.records.setdefault((content, op, config), []).append(record)

    def median(self, content, op, config, figure):
        """None if there is no such measurement."""
        values = [r[figure] for r in self.records.get((content, op, config), ()) if figure in r]
        return statistics.median(values) if values else None

    def seconds(self, content, op, config, durable=False):
        """Median wall time: of a durable save if asked for. multifdd syncs before it is complete."""
        figure = "durable_s" if durable and config.peer == "QEMU" else "wall_s"
        return self.median(content, op, config, figure)

    def best(self, content, op, durable=False, direct=None):
        """QEMU's configuration with the lowest median."""
        found = [(self.seconds(content, op, c, durable), c) for (at, what, c) in self.records
                 if at == content and what == op and c.peer == "QEMU"
                 and direct in (None, c.direct)]
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def print_content(self, content):
        for op in plan.OPERATIONS:
            lines = [key for key in self.records if key[:2] == (content, op)]
            if not lines:
                continue
            print("\n%s, %s" % (content, op if op == "save" else "restore, %s cache" % op))
            print("  %-42s %9s %9s %9s %10s %10s" % ("", "wall s", "durable s", "CPU s", "file MiB",
                                                     "guest MiB"))
            for _, _, config in sorted(lines, key=lambda key: str(key[2]), reverse=True):
                figures = [self.median(content, op, config, f)
                           for f in ("wall_s", "durable_s", "cpu_s")]
                sizes = [self.median(content, op, config, f)
                         for f in ("file_bytes", "guest_bytes_allocated")]
                print("  %-42s %9s %9s %9s %10s %10s" % (
                    config, *("-" if f is None else "%.3f" % f for f in figures),
                    *("-" if s is None else "%.0f" % (s / (1 << 20)) for s in sizes)), flush=True)

    def ratios(self):
        """Lines of (what, ours, theirs, ratio)."""
        lines = []

        def line(content, op, what, ours, theirs, **durable):
            if theirs is None:
                return
            mine = self.seconds(content, op, ours)
            other = self.seconds(content, op, theirs, **durable)
            if mine and other:
                lines.append((content, op, what, mine, other, mine / other))

        for content in plan.CONTENTS:
            best = self.best(content, "save", durable=True)
            line(content, "save", "direct / QEMU's best durable", plan.OUR_DIRECT, best,
                 durable=True)
            if best:
                cpu = [self.median(content, "save", plan.OUR_DIRECT, "cpu_s"),
                       self.median(content, "save", best, "durable_cpu_s")]
                if all(cpu):
                    lines.append((content, "save", "CPU of both", *cpu, cpu[0] / cpu[1]))
            line(content, "save", "direct / QEMU's best direct-io", plan.OUR_DIRECT,
                 self.best(content, "save", direct=True))
            line(content, "save", "direct / QEMU's best buffered, durable", plan.OUR_DIRECT,
                 self.best(content, "save", durable=True, direct=False), durable=True)
            line(content, "save", "direct / fio", plan.OUR_DIRECT, plan.FIO)
            line(content, "save", "direct / fio, large source", plan.OUR_DIRECT, plan.FIO_COLD)
            line(content, "save", "buffered, no sync / QEMU's best buffered", plan.OUR_UNSYNCED,
                 self.best(content, "save", direct=False))
            line(content, "save", "no multifd, no sync / QEMU's no multifd", plan.OUR_SINGLE,
                 plan.QEMU_SINGLE)
            line(content, "cold", "direct / QEMU's best", plan.OUR_DIRECT,
                 self.best(content, "cold"))
            line(content, "cold", "direct / fio", plan.OUR_DIRECT, plan.FIO)
            line(content, "cold", "direct / allocation", plan.OUR_DIRECT, plan.ALLOCATION)
            line(content, "warm", "buffered / QEMU's best", plan.OUR_BUFFERED,
                 self.best(content, "warm"))
        return lines

    def print_ratios(self):
        print("\n%-10s %-5s %-42s %9s %9s %7s" % ("content", "op", "", "ours", "other", "ratio"))
        for content, op, what, mine, other, ratio in self.ratios():
            print("%-10s %-5s %-42s %9.3f %9.3f %7.3f" % (content, op, what, mine, other, ratio))

    def write_json(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({
                **machine(), "size": self.size,
                "measurements": [
                    {"content": content, "op": op, "config": str(config), "records": records}
                    for (content, op, config), records in self.records.items()],
                "ratios": [dict(zip(("content", "op", "what", "ours_s", "other_s", "ratio"), line))
                           for line in self.ratios()]}, file, indent=1)
            file.write("\n")
