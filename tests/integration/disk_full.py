#!/usr/bin/env python3
"""A full disk fails the save with the reason; the daemon holds nothing open and saves elsewhere."""

import os

from mfdtest import disk, process, runner
from mfdtest.migrate import (MigrationFailed, Settings, fdset, file_uri, load, run_state, save)
from mfdtest.qmp import wait_until

MIB = 1 << 20


class FullDisk(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = disk.mount_small(self, 24)
        self.block = self.ram("m0", 64 * MIB)
        self.block.write(b"\x5a" * self.block.size)

    def save_into_full(self, qmp, target, settings, through):
        with self.assertRaises(MigrationFailed) as failed:
            if through == "path":
                save(qmp, file_uri(target), settings)
            else:
                with fdset(qmp, 1, target, os.O_WRONLY, settings.direct_io) as name:
                    save(qmp, file_uri(name), settings)
        if through != "path":
            qmp.call("remove-fd", {"fdset-id": 1})
        self.assertEqual(failed.exception.info["status"], "failed")
        self.assertIn("No space left on device", failed.exception.desc)
        return failed.exception.desc

    def assert_saves_elsewhere(self, qmp):
        target, copy = self.path("elsewhere.mig"), self.ram("m0", self.block.size)
        save(qmp, file_uri(target), Settings(4))
        with process.subject([copy], incoming="defer") as other:
            load(other.connect(), file_uri(target), Settings(2))
        self.assertIsNone(self.block.difference(copy))
        copy.close()
        os.unlink(target)

    def assert_refused(self, target):
        copy = self.ram("m0", self.block.size)
        copy.poison()
        with process.subject([copy], incoming="defer") as other:
            with self.assertRaises(MigrationFailed):
                load(other.connect(), file_uri(target), Settings())
        self.assertTrue(copy.untouched())
        copy.close()

    def test_a_full_disk_fails_with_the_reason_and_the_same_daemon_saves_elsewhere(self):
        digest = self.block.sha256()
        records = runner.Records("save", "to", "error-desc")
        for settings in (Settings(), Settings(1), Settings(4), Settings(4, True)):
            for through in ("path", "fdset"):
                target = os.path.join(self.folder, "full.mig")
                with open(target, "wb"):
                    pass
                with records.record(settings, through) as row, \
                        process.subject([self.block]) as daemon:
                    qmp = daemon.connect()
                    row.append(self.save_into_full(qmp, target, settings, through))
                    self.assertEqual(run_state(qmp), "prelaunch", "the guest is as before")
                    self.assert_refused(target)
                    os.unlink(target)
                    # What is still open would keep the space of the deleted file.
                    wait_until(lambda: disk.free_bytes(self.folder) > 16 * MIB,
                               "the space is free again")
                    self.assert_saves_elsewhere(qmp)
                self.assertEqual(self.block.sha256(), digest, "guest memory")
        records.check(self)

    def test_a_save_that_fails_leaves_nothing_under_a_new_name(self):
        target = os.path.join(self.folder, "new.mig")
        with process.subject([self.block]) as daemon:
            qmp = daemon.connect()
            for settings in (Settings(4, True), Settings(4, False, {"x-preallocate": True})):
                desc = self.save_into_full(qmp, target, settings, "path")
                self.assertEqual("reserve the space" in desc,
                                 "x-preallocate" in settings.parameters, desc)
                self.assertEqual(os.listdir(self.folder), ["lost+found"])
            self.assert_saves_elsewhere(qmp)


if __name__ == "__main__":
    runner.main()
