#!/usr/bin/env python3
"""A guest saved while it writes: the file holds its memory as it was when it was stopped.

MFD_LIVE_MIB sets the guest's size, MFD_LIVE_RATE_MIB what it writes in a second.
"""

import os

from mfdtest import env, live, process, ram, runner
from mfdtest.live import MIB, Workload
from mfdtest.migrate import Settings, file_uri, run_state

PATTERNS = ("sequential", "random", "hot-cold", "zeroing", "mix")

#: A thousand scattered pages in a second: less than any disk takes, so every save ends by itself.
RATE = int(os.environ.get("MFD_LIVE_RATE_MIB", "4")) * MIB

#: Pages that are written while the first pass is held back: some hundred of those that it has
#: copied already have to be copied again.
WRITES_BESIDE = 1024

#: Small enough that a few passes are needed.
DOWNTIME_MS = 100

#: Each thread counts its generations, and only these never make a page zero.
COUNTED = ("sequential", "random", "hot-cold")


class LiveSave(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        env.need_direct_io(self.scratch)
        self.source = self.ram("m0", env.live_bytes())
        self.destination = self.ram("m0", env.live_bytes())
        self.target = self.path("live.mig")

    def prepare(self, workload):
        """Memory as a guest has it that has run for a while."""
        self.source.clear()
        live.fill(self.source, workload.seed)

    def save(self, guest, settings):
        """Saves while the guest writes; asserts that writing and copying did overlap."""
        info = guest.save_beside_writes(file_uri(self.target), settings, WRITES_BESIDE)
        self.assertEqual(info["status"], "completed", info.get("error-desc"))
        self.assertEqual(run_state(guest.qmp), "postmigrate")
        counts = info["ram"]
        self.assertGreater(counts["normal"] + counts["duplicate"], live.total_pages(self.source),
                           "no page was copied again: nothing was shown")
        return counts["dirty-sync-count"]

    def check_pages(self, workload, guest):
        """Every page of the copy is zero or whole, and the last write of each thread is there."""
        found = live.check(self.destination, workload.threads)
        self.assertEqual(found["damaged"], [], "pages that nobody wrote so")
        self.assertGreater(found["whole"], 0)
        if workload.pattern in COUNTED:
            self.assertEqual(sum(found["last-generations"]), guest.pages_written(),
                             "the last write of each thread is in the file")
        return found

    def check_file(self, workload, guest, loads):
        """What QEMU and multifdd restore is what the guest's memory is now that it stands still."""
        for name, subject, settings in loads:
            live.restore(subject, self.destination, file_uri(self.target), settings)
            self.assertIsNone(self.source.difference(self.destination),
                              "restored by %s" % name)
            self.check_pages(workload, guest)

    def every_pattern(self, settings):
        loads = (("multifdd", process.multifdd, Settings(2)),
                 ("QEMU", process.qemu_none, Settings(2, settings.direct_io)))
        records = runner.Records("pattern", "saved", "passes", "restored by")
        for pattern in PATTERNS:
            with records.record(pattern, settings) as row:
                workload = Workload(pattern, RATE)
                self.prepare(workload)
                with live.guest(self.source, workload) as program:
                    guest = live.Guest(program)
                    guest.qmp.call("cont")
                    row.append(self.save(guest, settings))
                    self.check_file(workload, guest, loads)
                row.append("multifdd and QEMU: RAM equal")
        records.check(self)

    def test_every_pattern_saved_buffered_is_restored_as_it_was_when_the_guest_stopped(self):
        self.every_pattern(Settings(2, False, {"downtime-limit": DOWNTIME_MS}))

    def test_every_pattern_saved_direct_is_restored_as_it_was_when_the_guest_stopped(self):
        self.every_pattern(Settings(2, True, {"downtime-limit": DOWNTIME_MS}))

    def test_the_guest_goes_on_after_a_save_and_is_saved_again(self):
        workload = Workload("mix", RATE)
        self.prepare(workload)
        first = ram.Ram("m0", self.source.size)
        self.addCleanup(first.close)
        with live.guest(self.source, workload) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            self.save(guest, Settings(4))
            self.check_file(workload, guest, (("multifdd", process.multifdd, Settings(2)),))
            live.restore(process.multifdd, first, file_uri(self.target), Settings(2))

            guest.qmp.call("cont")
            guest.wait_written(WRITES_BESIDE)
            self.save(guest, Settings())
            self.check_file(workload, guest, (("multifdd", process.multifdd, Settings()),))
            self.assertIsNotNone(first.difference(self.source), "the guest did go on")


if __name__ == "__main__":
    runner.main()
