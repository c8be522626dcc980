#!/usr/bin/env python3
"""Memory of another process that is gone: its file was shortened under the daemon."""

import os

from mfdtest import migrate, process, runner
from mfdtest.migrate import MigrationFailed, Settings, file_uri

MIB = 1 << 20
SIZE = 32 * MIB


class LostMemory(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.memory = self.ram("ram", SIZE)
        self.memory.fill(3)
        self.target = self.path("lost.mig")

    def assert_lost(self, info):
        self.assertEqual(info["status"], "failed", info)
        self.assertIn("memory of block ram is lost from 0x100000 on: its file was shortened",
                      info["error-desc"])

    def shorten(self):
        os.truncate(self.memory.path, MIB)

    def grow(self):
        os.truncate(self.memory.path, SIZE)

    def assert_next_save_succeeds(self, daemon, qmp):
        """Deleted and added again, as the text says."""
        self.assertTrue(daemon.alive())
        with self.assertRaises(MigrationFailed) as again:
            migrate.save(qmp, file_uri(self.target), Settings(2))
        self.assert_lost(again.exception.info)
        self.grow()
        self.memory.fill(4)
        qmp.call("object-del", {"id": "ram"})
        qmp.call("object-add", {"qom-type": "memory-backend-file", "id": "ram", "size": SIZE,
                                "share": True, "mem-path": self.memory.path})
        migrate.save(qmp, file_uri(self.target), Settings(2))
        copy = self.ram("ram", SIZE)
        with process.subject([copy], incoming="defer") as other:
            migrate.load(other.connect(), file_uri(self.target), Settings(2))
        self.assertIsNone(self.memory.difference(copy))
        copy.close()

    def test_a_save_of_it_fails_with_the_block_named_and_the_daemon_goes_on(self):
        for direct in (False, True):
            with process.multifdd([]) as daemon:
                qmp = daemon.connect()
                qmp.call("object-add", {"qom-type": "memory-backend-file", "id": "ram",
                                        "size": SIZE, "share": True,
                                        "mem-path": self.memory.path})
                Settings(2, direct, {"max-bandwidth": MIB}).apply(qmp)
                qmp.call("migrate", {"uri": file_uri(self.target)})
                qmp.event(migrate.state_event("active"))
                self.shorten()
                qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
                self.assert_lost(migrate.wait_final(qmp))
                self.assertFalse(os.path.exists(self.target))
                self.assert_next_save_succeeds(daemon, qmp)
                os.unlink(self.target)


if __name__ == "__main__":
    runner.main()
