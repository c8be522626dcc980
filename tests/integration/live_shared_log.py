#!/usr/bin/env python3
"""Memory of another process, saved while that process writes and keeps a dirty log."""

import contextlib
import os
import shutil
import tempfile

from mfdtest import env, live, process, runner
from mfdtest.live import MIB
from mfdtest.migrate import Settings, file_uri, run_state, state_event, wait_final
from mfdtest.qmp import wait_until

RATE_MIB = 4

#: As in live_save.py.
WRITES_BESIDE = 1024
SETTINGS = Settings(2, False, {"downtime-limit": 100, "max-bandwidth": 48 * MIB})


def stop_needed(event):
    return event["event"] == live.STOP_NEEDED


class SharedLog(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        self.size = env.live_bytes()
        self.destination = self.ram(live.Writer.BLOCK, self.size)
        self.target = self.path("shared.mig")

    @contextlib.contextmanager
    def owner(self, **options):
        """A daemon without a guest of its own, and the owner of the memory, which has a socket to
        itself. Gives the connection of the test and the owner."""
        folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder, True)
        socket = os.path.join(folder, "owner")
        with process.multifdd([], extra=["-qmp", "unix:%s,server=on,wait=off" % socket],
                              paused=False) as program:
            qmp = program.connect()
            self.assertEqual(run_state(qmp), "running")
            with live.Writer(socket, self.size // MIB, RATE_MIB, **options) as writer:
                # So that the first pass takes long enough. Nothing is saved yet, hence no log.
                writer.ask("stop", "stopped")
                live.fill(writer.memory, 1)
                writer.ask("go", "writing")
                yield qmp, writer

    def save_up_to_the_announcement(self, qmp, writer):
        """Holds the first pass back until the writer has written enough beside it."""
        writer.wait_written(WRITES_BESIDE)
        SETTINGS.apply(qmp)
        qmp.call("migrate", {"uri": file_uri(self.target)})
        qmp.event(state_event("active"))
        writer.wait_written(WRITES_BESIDE)
        qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
        qmp.event(stop_needed)

    def finish(self, qmp):
        """Asserts that the save ends well, and that pages were copied more than once."""
        info = wait_final(qmp)
        self.assertEqual(info["status"], "completed", info.get("error-desc"))
        self.assertEqual(run_state(qmp), "postmigrate")
        self.assertGreater(info["ram"]["normal"] + info["ram"]["duplicate"],
                           self.size // 4096, "no page was copied again: nothing was shown")

    def differences(self, writer, subject=process.multifdd, settings=Settings(2)):
        """What the file holds otherwise than the writer's memory, None if nothing; and the check of
        each page for itself."""
        live.restore(subject, self.destination, file_uri(self.target), settings)
        return (writer.memory.difference(self.destination), live.check(self.destination))

    def check_saved(self, writer):
        written = writer.writes()
        for subject in (process.multifdd, process.qemu_none):
            difference, pages = self.differences(writer, subject)
            self.assertIsNone(difference)
            self.assertEqual(pages["damaged"], [])
            self.assertEqual(pages["last-generations"], [written], "the last write is in the file")

    def test_a_writer_that_logs_and_stops_when_asked_is_saved_whole_and_goes_on(self):
        with self.owner() as (qmp, writer):
            for _ in range(2):
                self.save_up_to_the_announcement(qmp, writer)
                writer.answer("stopped")
                self.finish(qmp)
                self.check_saved(writer)
                qmp.call("cont")
                before = writer.writes()
                wait_until(lambda: writer.writes() > before, "the writer goes on")

    def test_the_file_of_a_writer_that_forgets_to_log_is_seen_to_be_wrong(self):
        """All else is as in the test above, so that one can fail."""
        with self.owner(forget=4) as (qmp, writer):
            self.save_up_to_the_announcement(qmp, writer)
            writer.answer("stopped")
            self.finish(qmp)
            # A page that was written between its checksum and its way into the file is refused.
            difference, _ = self.differences(writer,
                                             settings=Settings(2, False, {"x-verify": "off"}))
            self.assertIsNotNone(difference, "writes were not logged, and yet nothing is missing")
            env.note("seen: " + difference)

    def test_a_writer_that_stopped_before_it_was_asked_is_saved_at_once(self):
        with self.owner() as (qmp, writer):
            writer.wait_written(WRITES_BESIDE)
            SETTINGS.apply(qmp)
            qmp.call("migrate", {"uri": file_uri(self.target)})
            qmp.event(state_event("active"))
            writer.wait_written(WRITES_BESIDE)
            writer.ask("stop", "stopped")
            qmp.call("stop")
            qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
            self.finish(qmp)
            self.check_saved(writer)

    def test_nothing_is_finished_before_the_owner_has_said_that_it_stopped(self):
        """The wait may last: pages written meanwhile are in the file too."""
        with self.owner(silent=1) as (qmp, writer):
            self.save_up_to_the_announcement(qmp, writer)
            writer.answer("stopped")
            writer.ask("go", "writing")
            writer.wait_written(WRITES_BESIDE)
            info = qmp.call("query-migrate")
            self.assertEqual((info["status"], info.get("x-waits-for-stop")), ("active", True))
            self.assertEqual(run_state(qmp), "running")
            writer.ask("stop", "stopped")
            qmp.call("stop")
            self.finish(qmp)
            self.check_saved(writer)

    def test_an_owner_may_say_that_it_stopped_by_an_eventfd(self):
        env.need(hasattr(os, "eventfd"), "this Python has no os.eventfd (3.10)")
        eventfd = os.eventfd(0)
        self.addCleanup(os.close, eventfd)
        with self.owner(silent=1) as (qmp, writer):
            qmp.call("add-fd", {"fdset-id": 3}, fds=[eventfd])
            qmp.call("migrate-set-parameters", {"x-stop-eventfd": "/dev/fdset/3"})
            self.save_up_to_the_announcement(qmp, writer)
            writer.answer("stopped")
            os.eventfd_write(eventfd, 1)
            self.finish(qmp)
            self.check_saved(writer)

    def test_a_save_cancelled_while_it_waits_for_the_owner_leaves_the_guest_running(self):
        with self.owner(silent=1) as (qmp, writer):
            self.save_up_to_the_announcement(qmp, writer)
            writer.answer("stopped")
            qmp.call("migrate_cancel")
            self.assertEqual(wait_final(qmp)["status"], "cancelled")
            self.assertEqual(run_state(qmp), "running")
            writer.ask("go", "writing")
            self.save_up_to_the_announcement(qmp, writer)
            writer.answer("stopped")
            qmp.call("stop")
            self.finish(qmp)
            self.check_saved(writer)


if __name__ == "__main__":
    runner.main()
