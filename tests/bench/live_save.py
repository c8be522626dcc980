#!/usr/bin/env python3
"""What a live save costs the guest: how long it stands still, how much slower it writes meanwhile,
and what one look at its dirty pages takes. Prints tables, and JSON with --json.

    tests/bench/live_save.py --build build [--mib 1024] [--file bench.mig] ...

The emulated guest lives in the daemon, so guest, writers and the clients here share the processors.
Nothing is asserted; a save that fails ends the program.
"""

import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
os.environ.setdefault("MFD_DEADLINE", "300")

# pylint: disable=wrong-import-position
from mfdtest import live, runner  # noqa: E402
from mfdtest.live import Guest, Workload  # noqa: E402
from mfdtest.migrate import Settings, file_uri, state_event, wait_final  # noqa: E402
from mfdtest.qmp import wait_until  # noqa: E402
from mfdtest.ram import Ram  # noqa: E402

MIB = 1 << 20
PAGE = 4096


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, help="build tree with the benchmarks")
    parser.add_argument("--file", default="bench.mig", help="the migration file")
    parser.add_argument("--mib", type=int, default=1024, help="size of the guest")
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--buffered", action="store_true", help="without O_DIRECT")
    parser.add_argument("--no-punch-hole", action="store_true", help="x-punch-hole off")
    parser.add_argument("--downtime-limit", type=int, default=300, help="ms")
    parser.add_argument("--repeat", type=int, default=3, help="saves with each pattern")
    parser.add_argument("--seconds", type=float, default=2, help="for each throughput")
    parser.add_argument("--json", help="where the numbers go, - for standard output")
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.options = options
        self.memory = Ram("m0", options.mib * MIB)
        live.fill(self.memory, 7)

    def settings(self, **parameters):
        parameters["x_punch_hole"] = not self.options.no_punch_hole
        return Settings(self.options.channels, not self.options.buffered,
                        {name.replace("_", "-"): value for name, value in parameters.items()})

    def guest(self, workload):
        return live.guest(self.memory, workload)

    def save(self, guest, **parameters):
        guest.start_save(file_uri(self.options.file), self.settings(**parameters))
        return completed(wait_final(guest.qmp))

    def disk_rate(self):
        """Bytes per second of a save of the whole guest, which stands still; the best of three."""
        best = 0
        for _ in range(3):
            with self.guest(Workload()) as program:
                guest = Guest(program)
                info = self.save(guest)
                best = max(best, info["ram"]["normal-bytes"] * 1000 / max(info["total-time"], 1))
        return best

    def downtime(self, rate):
        """At half the disk's rate: how long the guest's threads stood still (from the stop to their
        next page, `cont` being sent as soon as the save is reported), and what was reported."""
        rows = []
        for pattern in ("sequential", "random", "hot-cold", "zeroing", "mix"):
            for _ in range(self.options.repeat):
                with self.guest(Workload(pattern, int(rate / 2))) as program:
                    guest = Guest(program)
                    guest.qmp.call("cont")
                    guest.wait_written(1)
                    before = guest.get("last-pause-ns")  # from the start of the daemon to cont
                    guest.start_save(file_uri(self.options.file),
                                     self.settings(downtime_limit=self.options.downtime_limit))
                    guest.qmp.event(state_event("completed", "failed"))
                    guest.qmp.call("cont")
                    wait_until(lambda g=guest, b=before: g.get("last-pause-ns") != b, "it goes on")
                    stood_still = guest.get("last-pause-ns")
                    info = completed(guest.qmp.call("query-migrate"))
                    rows.append({
                        "pattern": pattern, "passes": info["ram"]["dirty-sync-count"],
                        "total_ms": info["total-time"], "reported_ms": info["downtime"],
                        "measured_ms": round(stood_still / 1e6, 1),
                        "limit_ms": self.options.downtime_limit})
        return rows

    def throughput(self, guest):
        """Bytes per second that the guest writes, seen for a while."""
        begun, pages = time.monotonic(), guest.pages_written()
        time.sleep(self.options.seconds)  # not a wait for something: the time that is measured
        return (guest.pages_written() - pages) * PAGE / (time.monotonic() - begun)

    def beside_save(self, guest, bandwidth):
        """throughput() while a save that does not end is under way; None if saves end, as they may
        on a busy machine, where the guest does not come to write between two looks."""
        for _ in range(3):
            guest.start_save(file_uri(self.options.file),
                             self.settings(downtime_limit=0, max_bandwidth=bandwidth))
            guest.qmp.event(state_event("active"))
            seen = self.throughput(guest)
            guest.qmp.call("migrate_cancel")
            if wait_final(guest.qmp)["status"] == "cancelled":
                return seen
            guest.qmp.call("cont")
        return None

    def overhead(self):
        """A guest without a limit: alone, beside a save at full speed, and beside one that hardly
        writes, which leaves the tracking alone."""
        rows = []
        for pattern in ("sequential", "random", "hot-cold"):
            with self.guest(Workload(pattern, 0, threads=1)) as program:
                guest = Guest(program)
                guest.qmp.call("cont")
                guest.wait_written(self.options.mib * MIB // PAGE)
                row = {"pattern": pattern, "alone": self.throughput(guest)}
                for name, bandwidth in (("saving", 0), ("tracking", 4 * MIB)):
                    row[name] = self.beside_save(guest, bandwidth)
                row["after"] = self.throughput(guest)
                rows.append(row)
        return rows

    def scans(self):
        program = os.path.join(self.options.build, "tests", "bench", "bench_dirty_scan")
        size = 1024 if self.options.mib >= 1024 else 64
        said = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.1",
                               "--benchmark_filter=/%d$" % size],
                              check=True, capture_output=True, text=True).stdout
        return [{"memory": entry["name"].split("/")[1],
                 "ms_per_gib": entry.get("per_gib", 0) * 1000 if not entry.get("error_occurred")
                               else entry["error_message"]}
                for entry in json.loads(said)["benchmarks"]]


def completed(info):
    if info["status"] != "completed":
        sys.exit("a save ended as %s: %s" % (info["status"], info.get("error-desc")))
    return info


def show(title, rows, cells):
    print("\n%s\n" % title + runner.table([list(cells)] + [
        [cell(row) if callable(cell) else row[cell] for cell in cells.values()] for row in rows]))


def mib(name):
    return lambda row: "%.0f" % (row[name] / MIB)


def compared(name):
    def text(row):
        if row[name] is None:
            return "(the save ends)"
        return "%.0f (%.0f %%)" % (row[name] / MIB, 100 * row[name] / row["alone"])

    return text


def main():
    options = arguments()
    os.environ.setdefault("MFD_DAEMON", os.path.join(options.build, "multifdd"))
    bench = Bench(options)
    try:
        rate = bench.disk_rate()
        print("guest of %d MiB, the file takes %.0f MiB/s" % (options.mib, rate / MIB))
        downtime = bench.downtime(rate)
        show("downtime in ms, with a guest that writes half of that", downtime, {
            "pattern": "pattern", "passes": "passes", "save": "total_ms",
            "reported": "reported_ms", "measured": "measured_ms", "limit": "limit_ms"})
        overhead = bench.overhead()
        show("MiB/s that the guest writes", overhead, {
            "pattern": "pattern", "alone": mib("alone"), "beside a save": compared("saving"),
            "beside a save of 4 MiB/s": compared("tracking"), "afterwards": compared("after")})
        scans = bench.scans()
        show("one look at the dirty pages", scans, {
            "memory": "memory", "ms per GiB": lambda row: row["ms_per_gib"] if isinstance(
                row["ms_per_gib"], str) else "%.3f" % row["ms_per_gib"]})
    finally:
        bench.memory.close()
        if os.path.exists(options.file):
            os.unlink(options.file)
    if options.json:
        text = json.dumps({"mib": options.mib, "disk_bytes_per_second": rate, "downtime": downtime,
                           "overhead_bytes_per_second": overhead, "scan": scans}, indent=1)
        if options.json == "-":
            print(text)
        else:
            with open(options.json, "w", encoding="utf-8") as file:
                file.write(text + "\n")


if __name__ == "__main__":
    main()
