#!/usr/bin/env python3
"""However many passes a live save takes, its file is as long as planned and takes no more room."""

import os
import shutil
import subprocess

from mfdtest import env, live, process, runner, stream
from mfdtest.live import MIB, Workload
from mfdtest.migrate import Settings, file_uri, run_state, state_event, wait_final

PASSES = 30

#: Every pass writes nearly all of it.
SIZE = 64 * MIB

#: Holes are punched one by one, which takes most file systems far longer than to write them.
SIZE_WITH_HOLES = 4 * MIB

def restless(pattern):
    """A guest that writes as fast as it goes, so that no pass comes nearer to the end. One thread:
    it leaves a processor to the daemon."""
    return Workload(pattern, rate=0, threads=1)


#: So that a pass over a small guest, too, takes some time, in which the guest gets on. It could end
#: before the guest's thread has its turn otherwise, and that would be the last pass.
SLOW = {"downtime-limit": 0, "max-bandwidth": 32 * MIB}


def next_pass(qmp, number):
    """Until the pass of that number begins. No pass is left out."""
    event = qmp.event(lambda event: event["event"] == "MIGRATION_PASS" or
                      state_event("device", "completed", "failed")(event))
    assert event["data"].get("pass") == number, "pass %d follows, not %s" % (number, event["data"])


class BoundedFile(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.source = None
        self.target = self.path("bounded.mig")

    def make_memory(self, size):
        if self.source is not None:
            self.source.close()
        self.source = self.ram("m0", size)
        live.fill(self.source, 7)

    def size(self):
        """Length and allocated bytes."""
        status = os.stat(self.target)
        return status.st_size, status.st_blocks * 512

    def planned_length(self):
        """The length of a file of this guest, by a save while it stands still and by the format."""
        stopped = self.path("stopped.mig")
        with process.multifdd([self.source], extra=Workload().option("m0")) as program:
            guest = live.Guest(program)
            guest.start_save(file_uri(stopped))
            self.assertEqual(wait_final(guest.qmp)["status"], "completed")
        plan = stream.read(stopped)
        (block,) = plan.blocks
        self.assertEqual(block.pages_offset, stream.pages_offset(block.header_offset,
                                                                    self.source.size))
        self.assertEqual(os.stat(stopped).st_size, stream.end_with_checksums(stopped, plan))
        # The run state is a text in a field of fixed length, so that of the guest does not matter.
        return os.stat(stopped).st_size

    def many_passes(self, pattern, size, settings):
        """Gives back the most that the file took up, as a part of its planned length."""
        self.make_memory(size)
        planned = self.planned_length()
        most = 0
        with live.guest(self.source, restless(pattern)) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            guest.wait_written(1)
            with open(self.target, "wb"):
                pass  # a file that is there can be looked at while it is written
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
        self.assertEqual(length, stream.end_with_checksums(self.target, stream.read(self.target)))
        self.assertLessEqual(allocated, planned)
        destination = self.ram("m0", size)
        live.restore(process.multifdd, destination, file_uri(self.target), Settings(2))
        self.assertIsNone(self.source.difference(destination))
        self.assertEqual(live.check(destination)["damaged"], [])
        destination.close()
        return "%.1f of %.1f MiB" % (max(most, allocated) / MIB, planned / MIB)

    def test_thirty_passes_leave_a_file_of_the_planned_length(self):
        limit = {"downtime-limit": 0}
        records = runner.Records("pattern", "saved", "room taken at most")
        for pattern, size, settings in (("random", SIZE, Settings(2, False, limit)),
                                        ("random", SIZE, Settings(2, True, limit)),
                                        ("mix", SIZE_WITH_HOLES, Settings(4, True, SLOW))):
            with records.record(pattern, settings) as row:
                row.append(self.many_passes(pattern, size, settings))
        records.check(self)

    def need_holes(self):
        env.need(shutil.which("fallocate"), "no fallocate")
        probe = self.path("probe")
        with open(probe, "wb") as file:
            file.write(bytes(1 << 20))
        done = subprocess.run(["fallocate", "-p", "-o", "0", "-l", "65536", probe], check=False,
                              capture_output=True, text=True)
        env.need(done.returncode == 0, "the file system punches no holes: " + done.stderr.strip())

    def room_of_a_zeroing_guest(self, punch):
        """What the file of a guest takes up that made about half of its pages zero while it was
        saved, and the bytes of those pages that are not."""
        self.make_memory(SIZE_WITH_HOLES)
        with live.guest(self.source, restless("zeroing")) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            guest.start_save(file_uri(self.target),
                             Settings(2, True, dict(SLOW, **{"x-punch-hole": punch})))
            for number in range(1, 6):
                next_pass(guest.qmp, number)
            guest.qmp.call("stop")
            self.assertEqual(wait_final(guest.qmp)["status"], "completed")
        length, allocated = self.size()
        self.assertEqual(length, stream.end_with_checksums(self.target, stream.read(self.target)))
        return allocated, live.check(self.source)["whole"] * 4096

    def test_pages_that_became_zero_give_room_back(self):
        """As much as there is time for in a pass, but some in each of them."""
        self.need_holes()
        kept, data = self.room_of_a_zeroing_guest(False)
        self.assertGreater(kept, data, "pages did become zero")
        room, data = self.room_of_a_zeroing_guest(True)
        self.assertLess(room, kept)
        env.note("%d KiB taken up, %d KiB without holes, %d KiB of data" % (
            room // 1024, kept // 1024, data // 1024))


if __name__ == "__main__":
    runner.main()
