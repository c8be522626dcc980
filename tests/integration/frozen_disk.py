#!/usr/bin/env python3
"""While the disk under a running save hangs, the monitor goes on answering."""

import os
import shutil
import statistics
import subprocess
import time

from mfdtest import disk, env, process, runner
from mfdtest.migrate import Settings, file_uri, load, state_event, wait_final
from mfdtest.qmp import wait_until

MIB = 1 << 20
QUERIES = 200


class FrozenDisk(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need(shutil.which("fsfreeze"), "no fsfreeze")
        self.folder = disk.mount_small(self, 256)
        self.target = os.path.join(self.folder, "guest.mig")
        self.block = self.ram("m0", 128 * MIB)
        self.block.write(b"\x5a" * self.block.size)

    def freeze(self):
        subprocess.run(["fsfreeze", "--freeze", self.folder], check=True)
        self.addCleanup(self.thaw)

    def thaw(self):
        subprocess.run(["fsfreeze", "--unfreeze", self.folder], check=False, capture_output=True)

    def start_save(self, qmp, settings):
        """A save slow enough to be caught in the middle."""
        settings.apply(qmp)
        qmp.call("migrate-set-parameters", {"max-bandwidth": 8 * MIB})
        qmp.call("migrate", {"uri": file_uri(self.target)})
        qmp.event(state_event("active"))
        wait_until(lambda: self.transferred(qmp) > MIB, "the save writes")

    @staticmethod
    def transferred(qmp):
        return qmp.call("query-migrate")["ram"]["transferred"]

    def stands_still(self, qmp):
        """Has the save stopped moving? With the disk frozen and the bandwidth open, it hangs."""
        before = self.transferred(qmp)
        return not any(self.transferred(qmp) != before for _ in range(50))

    def test_queries_are_answered_while_the_save_hangs_and_it_completes_afterwards(self):
        records = runner.Records("save", "query-migrate, median and maximum in ms")
        for settings in (Settings(), Settings(2), Settings(4, True)):
            with records.record(settings) as row, process.subject([self.block]) as daemon:
                qmp = daemon.connect()
                self.start_save(qmp, settings)
                self.freeze()
                qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
                wait_until(lambda: self.stands_still(qmp), "the save hangs in the frozen disk")
                times = []
                for _ in range(QUERIES):
                    start = time.monotonic()
                    info = qmp.call("query-migrate")
                    times.append((time.monotonic() - start) * 1000)
                    self.assertIn(info["status"], ("active", "device"))
                row.append("%.2f, %.2f" % (statistics.median(times), max(times)))
                self.thaw()
                self.assertEqual(wait_final(qmp)["status"], "completed")
                copy = self.ram("m0", self.block.size)
                with process.subject([copy], incoming="defer") as other:
                    load(other.connect(), file_uri(self.target), Settings(2))
                self.assertIsNone(self.block.difference(copy))
                copy.close()
                os.unlink(self.target)
        records.check(self)


if __name__ == "__main__":
    runner.main()
