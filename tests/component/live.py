#!/usr/bin/env python3
"""A guest that goes on writing while it is saved: how the save ends, and what it leaves behind."""

import contextlib
import mmap
import os
import threading

from mfdtest import migrate, process, ram, runner, stream
from mfdtest.qmp import QmpError, wait_until

SIZE = 64 << 20
#: A guest that writes without pause never leaves nothing to do, so such a save goes on and on. The
#: bandwidth is there to give it the time to write.
NEVER = {"downtime-limit": 0, "max-bandwidth": 4 * SIZE}
#: The first look at the dirty pages is the last.
AT_ONCE = {"downtime-limit": 2000000}


class LiveTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        programs = contextlib.ExitStack()
        self.addCleanup(programs.close)
        self.enter = programs.enter_context

    def settings(self, parameters, **capabilities):
        migrate.Settings(channels=2, parameters=parameters).apply(self.qmp)
        self.qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": name.replace("_", "-"), "state": state}
            for name, state in capabilities.items()]})

    def save(self, name="save"):
        self.qmp.call("migrate", {"uri": "file:" + self.path(name)})

    def status(self):
        return self.qmp.call("query-status")["status"]

    def active_with(self, member):
        """query-migrate of an active save, once it has MEMBER."""
        def look():
            info = self.qmp.call("query-migrate")
            self.assertIn(info["status"], ("setup", "active"), info)
            return info if member in info else None
        return wait_until(look, "query-migrate gives " + member)

    def assert_completed(self):
        info = migrate.wait_final(self.qmp)
        self.assertEqual(info["status"], "completed", info)
        self.assertEqual(info["ram"]["remaining"], 0)
        for member in ("x-not-converging", "x-waits-for-stop", "cpu-throttle-percentage"):
            self.assertNotIn(member, info)
        return info

    def assert_cancelled(self):
        self.qmp.call("migrate_cancel")
        self.assertEqual(migrate.wait_final(self.qmp)["status"], "cancelled")

    def assert_saved(self, memory, name="save"):
        """The file holds what MEMORY holds now: the guest has stood still since the last pass."""
        path = self.path(name)
        (block,) = stream.read(path).blocks
        self.assertEqual(stream.ram_sha256(path, block), memory.sha256())


class EmulatedGuest(LiveTest):
    def guest(self, pattern="random"):
        self.memory = self.ram("ram", SIZE)
        workload = "x-guest-workload,id=load,memdev=ram,pattern=" + pattern
        daemon = process.multifdd([self.memory], extra=["-object", workload], paused=False)
        self.qmp = self.enter(daemon).connect()
        wait_until(lambda: self.workload("pages-written") > SIZE // ram.PAGE, "the RAM has content")

    def workload(self, name):
        return self.qmp.call("qom-get", {"path": "load", "property": name})

    def assert_guest_runs_unthrottled(self):
        self.assertEqual(self.status(), "running")
        self.assertEqual(self.workload("throttle"), 0)
        written = self.workload("pages-written")
        wait_until(lambda: self.workload("pages-written") > written, "the guest goes on writing")

    def test_it_completes_and_the_guest_can_run_on_and_be_saved_again(self):
        self.guest()
        self.settings(AT_ONCE)
        for name in ("first", "second"):
            self.save(name)
            info = self.assert_completed()
            self.assertGreaterEqual(info["ram"]["dirty-sync-count"], 2)
            self.assertEqual(self.status(), "postmigrate")
            self.assert_saved(self.memory, name)
            self.qmp.call("cont")
            self.assert_guest_runs_unthrottled()

    def test_one_that_cannot_converge_says_so_and_is_finished_by_stop(self):
        self.guest()
        self.settings(NEVER)
        self.save()
        info = self.active_with("x-not-converging")
        self.assertGreaterEqual(info["x-not-converging"]["looks"], 3)
        self.assertGreater(info["x-not-converging"]["bandwidth"], 0)
        self.assertGreater(info["ram"]["dirty-pages-rate"], 0)
        self.assertGreater(info["expected-downtime"], 0)
        self.qmp.call("stop")
        self.assert_completed()
        self.assert_saved(self.memory)

    def test_one_that_cannot_converge_ends_once_the_downtime_limit_allows(self):
        self.guest()
        self.settings(NEVER)
        self.save()
        self.active_with("x-not-converging")
        self.qmp.call("migrate-set-parameters", AT_ONCE)
        self.assert_completed()
        self.assert_saved(self.memory)

    def test_auto_converge_throttles_the_guest_until_the_save_is_cancelled(self):
        self.guest()
        self.settings({**NEVER, "cpu-throttle-initial": 37}, auto_converge=True)
        self.save()
        info = self.active_with("cpu-throttle-percentage")
        self.assertEqual(info["cpu-throttle-percentage"], 37)
        self.assertEqual(self.workload("throttle"), 37)
        self.assert_cancelled()
        self.assert_guest_runs_unthrottled()

    def test_the_throttle_ends_with_a_completed_save(self):
        self.guest()
        self.settings(NEVER, auto_converge=True)
        self.save()
        self.active_with("cpu-throttle-percentage")
        self.qmp.call("stop")
        self.assert_completed()
        self.assertEqual(self.workload("throttle"), 0)

    def test_another_bandwidth_limit_counts_at_once(self):
        self.guest()
        self.settings({**AT_ONCE, "max-bandwidth": 4096})  # hours
        self.save()
        self.qmp.event(migrate.state_event("active"))
        self.qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
        self.assert_completed()
        self.assert_saved(self.memory)

    def test_cancel_in_pre_switchover_lets_the_guest_run_on(self):
        self.guest()
        self.settings(AT_ONCE, pause_before_switchover=True)
        self.save()
        self.qmp.event(migrate.state_event("pre-switchover"))
        self.assertEqual(self.status(), "finish-migrate")
        self.assert_cancelled()
        self.assert_guest_runs_unthrottled()

    def test_a_save_that_fails_in_its_last_step_lets_the_guest_run_on(self):
        self.guest()
        self.settings(AT_ONCE, pause_before_switchover=True)
        self.save()
        self.qmp.event(migrate.state_event("pre-switchover"))
        with open(self.path("save"), "xb"):
            pass  # somebody takes the name that the complete file was to get
        self.qmp.call("migrate-continue", {"state": "pre-switchover"})
        info = migrate.wait_final(self.qmp)
        self.assertEqual(info["status"], "failed", info)
        self.assertIn("give the complete file its name '%s': File exists" % self.path("save"),
                      info["error-desc"])
        self.assert_guest_runs_unthrottled()
        self.assertEqual(os.path.getsize(self.path("save")), 0)

    def test_a_new_file_is_found_only_once_it_is_complete_unless_wanted_at_once(self):
        self.guest()
        for at_once in (False, True):
            self.settings({**NEVER, "x-atomic": not at_once})
            self.save("cancelled")
            self.active_with("x-not-converging")
            self.assertEqual(os.path.exists(self.path("cancelled")), at_once)
            self.assert_cancelled()
            self.assertEqual(os.path.exists(self.path("cancelled")), at_once)
        self.settings({**AT_ONCE, "x-atomic": True})
        self.save("complete")
        self.assert_completed()
        self.assert_saved(self.memory, "complete")

    def test_a_cancelled_save_does_not_stand_in_the_way_of_the_next(self):
        self.guest()
        self.settings(NEVER)
        for _ in range(5):
            self.save()
            self.assert_cancelled()
        self.qmp.call("migrate-set-parameters", AT_ONCE)
        self.save()
        self.assert_completed()
        self.assert_saved(self.memory)


class Owner(threading.Thread):
    """The process beside the daemon: writes pages and logs them, until it is told to stop."""

    def __init__(self, memory, log):
        super().__init__(daemon=True)
        self.memory = mmap.mmap(memory, 0)
        self.log = mmap.mmap(log, 0)
        self.may_write = True
        self.generation = 0

    def run(self):
        pages = len(self.memory) // ram.PAGE
        while self.may_write:
            self.generation += 1
            page = self.generation * 7919 % pages
            self.memory[page * ram.PAGE] = self.generation % 255 + 1
            # The format asks for an atomic OR of the page's bit; storing a byte of ones is one, too.
            self.log[page // 8] = 0xff

    def halt(self):
        self.may_write = False
        self.join()


class ForeignGuest(LiveTest):
    def guest(self):
        self.memory = self.ram("ram", SIZE)
        log = os.memfd_create("log")
        self.addCleanup(os.close, log)
        os.ftruncate(log, SIZE // ram.PAGE // 8)
        self.qmp = self.enter(process.multifdd([], paused=False)).connect()
        for number, descriptor in ((1, self.memory.fd), (2, log)):
            self.qmp.call("add-fd", {"fdset-id": number}, fds=[descriptor])
        self.qmp.call("object-add", {
            "qom-type": "memory-backend-file", "id": "ram", "size": SIZE, "share": True,
            "mem-path": "/dev/fdset/1", "x-dirty-log": "/dev/fdset/2"})
        self.owner = Owner(self.memory.fd, log)
        self.owner.start()
        self.addCleanup(self.owner.halt)

    def stop_needed(self):
        return self.qmp.event(lambda event: event["event"] == "X_MULTIFDD_STOP_NEEDED")["data"]

    def stop_eventfd(self):
        if not hasattr(os, "eventfd"):
            self.skipTest("this Python has no os.eventfd")
        eventfd = os.eventfd(0)
        self.addCleanup(os.close, eventfd)
        self.qmp.call("add-fd", {"fdset-id": 3}, fds=[eventfd])
        self.qmp.call("migrate-set-parameters", {"x-stop-eventfd": "/dev/fdset/3"})
        return eventfd

    def test_the_owner_is_asked_to_stop_and_the_save_waits_for_it(self):
        self.guest()
        self.settings(AT_ONCE)
        self.save()
        data = self.stop_needed()
        self.assertEqual(set(data), {"expected-downtime", "remaining"})
        info = self.qmp.call("query-migrate")
        self.assertEqual((info["status"], info["x-waits-for-stop"]), ("active", True))
        self.assertEqual(self.status(), "running")
        self.owner.halt()
        self.qmp.call("stop")
        self.assert_completed()
        self.assert_saved(self.memory)

    def test_a_write_to_the_eventfd_does_what_stop_does(self):
        self.guest()
        self.settings(AT_ONCE)
        eventfd = self.stop_eventfd()
        self.save()
        self.stop_needed()
        self.owner.halt()
        os.eventfd_write(eventfd, 1)
        self.qmp.event(lambda event: event["event"] == "STOP")
        self.assert_completed()
        self.assert_saved(self.memory)
        self.assertEqual(self.qmp.call("query-fdsets")[0]["fdset-id"], 3)

    def test_cancel_ends_the_wait_and_the_next_save_asks_again(self):
        self.guest()
        self.settings(AT_ONCE)
        self.save()
        self.stop_needed()
        self.assert_cancelled()
        self.assertEqual(self.status(), "running")
        self.save()
        self.stop_needed()
        self.owner.halt()
        self.qmp.call("stop")
        self.assert_completed()
        self.assert_saved(self.memory)

    def test_an_owner_who_has_stopped_is_not_asked(self):
        self.guest()
        self.settings(NEVER)
        self.owner.halt()
        self.qmp.call("stop")
        self.save()
        self.assert_completed()
        self.assertFalse([event for event in self.qmp.events
                          if event["event"] == "X_MULTIFDD_STOP_NEEDED"])
        self.assert_saved(self.memory)

    def test_a_descriptor_that_cannot_be_waited_for_is_refused(self):
        self.guest()
        self.settings(AT_ONCE)
        with open(self.path("file"), "w+b") as file:
            self.qmp.call("add-fd", {"fdset-id": 3}, fds=[file.fileno()])
        self.qmp.call("migrate-set-parameters", {"x-stop-eventfd": "/dev/fdset/3"})
        with self.assertRaisesRegex(QmpError, "x-stop-eventfd.*eventfd.*not permitted"):
            self.save()
        with self.assertRaisesRegex(QmpError, "x-stop-eventfd.*expects /dev/fdset/N"):
            self.qmp.call("migrate-set-parameters", {"x-stop-eventfd": "/tmp/eventfd"})
        self.qmp.call("migrate-set-parameters", {"x-stop-eventfd": "/dev/fdset/9"})
        with self.assertRaisesRegex(QmpError, "x-stop-eventfd.*/dev/fdset/9"):
            self.save()
        self.qmp.call("migrate-set-parameters", {"x-stop-eventfd": ""})
        self.owner.halt()
        self.qmp.call("stop")
        self.save()
        self.assert_completed()


if __name__ == "__main__":
    runner.main()
