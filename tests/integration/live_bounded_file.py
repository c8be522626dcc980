#!/usr/bin/env python3
"""However many passes a live save takes, its file is as long as planned and takes no more room."""

import os

from mfdtest import env, live, process, runner, stream
from mfdtest.live import MIB, Workload
from mfdtest.migrate import Settings, file_uri, run_state, wait_final

PASSES = 30

#: Of data, every pass writes nearly all of it.
SIZE = 64 * MIB

#: As fast as it goes: no pass comes nearer to the end.
RATE = 0


def next_pass(qmp, number):
    """Until the pass of that number begins. No pass is left out."""
    event = qmp.event(lambda event: event["event"] == "MIGRATION_PASS")
    assert event["data"]["pass"] == number, "pass %d follows, not %s" % (number, event["data"])


class BoundedFile(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.source = self.ram("m0", SIZE)
        self.target = self.path("bounded.mig")

    def size(self):
        """Length and allocated bytes."""
        status = os.stat(self.target)
        return status.st_size, status.st_blocks * 512

    def planned_length(self):
        """The length of a file of this guest, from the format and a save without a running guest."""
        stopped = self.path("stopped.mig")
        with process.multifdd([self.source], extra=Workload().option("m0")) as program:
            guest = live.Guest(program)
            guest.start_save(file_uri(stopped))
            self.assertEqual(wait_final(guest.qmp)["status"], "completed")
        plan = stream.read(stopped)
        (block,) = plan.blocks
        self.assertEqual(block.pages_offset, stream.pages_offset(block.header_offset, SIZE))
        self.assertEqual(os.stat(stopped).st_size, stream.end(stopped, plan))
        # The run state is a text in a field of fixed length, so that of the guest does not matter.
        return os.stat(stopped).st_size

    def many_passes(self, pattern, settings):
        """Gives back the most that the file took up, as a part of its planned length."""
        live.fill(self.source, 7)
        planned = self.planned_length()
        most = 0
        with live.guest(self.source, Workload(pattern, RATE)) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            guest.wait_written(1)
            guest.start_save(file_uri(self.target), settings)
            for number in range(1, PASSES + 1):
                next_pass(guest.qmp, number)
                length, allocated = self.size()
                self.assertLessEqual(length, planned, "length at pass %d" % number)
                self.assertLessEqual(allocated, planned, "allocated at pass %d" % number)
                most = max(most, allocated)
            self.assertEqual(guest.status(), "active", "it was not meant to converge")
            guest.qmp.call("stop")
            info = wait_final(guest.qmp)
            self.assertEqual(info["status"], "completed", info.get("error-desc"))
            self.assertGreaterEqual(info["ram"]["dirty-sync-count"], PASSES)
            self.assertEqual(run_state(guest.qmp), "postmigrate")
        length, allocated = self.size()
        self.assertEqual(length, planned)
        self.assertEqual(length, stream.end(self.target, stream.read(self.target)))
        self.assertLessEqual(allocated, planned)
        destination = self.ram("m0", SIZE)
        live.restore(process.multifdd, destination, file_uri(self.target), Settings(2))
        self.assertIsNone(self.source.difference(destination))
        self.assertEqual(live.check(destination)["damaged"], [])
        destination.close()
        return "%d of %d MiB" % (max(most, allocated) // MIB, planned // MIB)

    def test_thirty_passes_leave_a_file_of_the_planned_length(self):
        limit = {"downtime-limit": 0}
        records = runner.Records("pattern", "saved", "room taken at most")
        for pattern, settings in (("random", Settings(2, False, limit)),
                                  ("random", Settings(2, True, limit)),
                                  ("zeroing", Settings(4, True, limit))):
            with records.record(pattern, settings) as row:
                row.append(self.many_passes(pattern, settings))
        records.check(self)


if __name__ == "__main__":
    runner.main()
