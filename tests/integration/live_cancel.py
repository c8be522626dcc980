#!/usr/bin/env python3
"""Live saves cancelled at random moments leave nothing behind, and a guest that runs as before.

MFD_SEED repeats a run, MFD_CANCELS sets the number of saves.
"""

import os
import random

from mfdtest import env, live, process, runner
from mfdtest.live import MIB, Footprint, Workload
from mfdtest.migrate import Settings, file_uri, run_state, state_event, wait_final
from mfdtest.qmp import wait_until

CANCELS = int(os.environ.get("MFD_CANCELS", "100"))
SIZE = 64 * MIB

#: More than a disk takes, and still some time left for the daemon.
RATE = 1024 * MIB

PLAIN = {"auto-converge": False, "pause-before-switchover": False}


def pass_event(number):
    return lambda event: event["event"] == "MIGRATION_PASS" and event["data"]["pass"] >= number


def set_capabilities(guest, states):
    guest.qmp.call("migrate-set-capabilities", {"capabilities": [
        {"capability": name, "state": state} for name, state in states.items()]})


class Moment:
    """When to cancel, drawn from CHOICE: a state, a pass, or so many pages written by the guest
    (these fall anywhere within a pass)."""

    def __init__(self, choice):
        self.kind = choice.choice(("state", "pass", "pages", "pages", "pages"))
        self.state = choice.choice(("setup", "active", "pre-switchover", "device"))
        self.number = choice.randint(1, 5)
        self.pages = choice.randint(0, 30000)
        #: With the largest limit the last pass begins, or is even over, before the cancel comes.
        late = self.kind == "state" and self.state in ("pre-switchover", "device")
        self.limit_ms = 2000000 if late else choice.choice((0, 0, 0, 5))
        self.capabilities = {"auto-converge": choice.random() < 0.5,
                             "pause-before-switchover": self.state == "pre-switchover"}
        self.settings = Settings(choice.choice((None, 1, 2, 5)), choice.random() < 0.5,
                                 {"downtime-limit": self.limit_ms})

    def __str__(self):
        return {"state": "at " + self.state, "pass": "in pass %d" % self.number,
                "pages": "after %d pages" % self.pages}[self.kind] + " of a save " + \
            "%s, downtime-limit %d, %s" % (self.settings, self.limit_ms,
                                           [name for name, on in self.capabilities.items() if on])

    def wait(self, guest):
        """Waits for the moment, or for the end of the save if that comes before."""
        if self.kind == "state":
            guest.qmp.event(state_event(self.state, "completed"))
        elif self.kind == "pass":
            guest.qmp.event(lambda event: pass_event(self.number)(event) or
                            state_event("completed")(event))
        else:
            enough = guest.pages_written() + self.pages
            wait_until(lambda: guest.pages_written() >= enough or run_state(guest.qmp) != "running",
                       "the moment has come")


class Cancel(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.source = self.ram("m0", SIZE)
        self.target = self.path("cancel.mig")

    def one_save(self, guest, moment):
        """Starts a save, cancels it at MOMENT, and gives back how it ended."""
        set_capabilities(guest, moment.capabilities)
        guest.start_save(file_uri(self.target), moment.settings)
        moment.wait(guest)
        guest.qmp.call("migrate_cancel")
        status = wait_until(lambda: self.final_status(guest), "the save has ended")
        guest.qmp.events.clear()
        return status

    def cancel(self, guest):
        guest.qmp.call("migrate_cancel")
        self.assertEqual(wait_final(guest.qmp)["status"], "cancelled")

    @staticmethod
    def final_status(guest):
        status = guest.status()
        return status if status in ("completed", "cancelled", "failed") else None

    def check_nothing_left(self, guest, before):
        # A thread that was joined is still listed for a moment, an io_uring's even for longer.
        wait_until(lambda: Footprint(guest.pid, self.source) == before,
                   "the daemon is as it was: %s" % before)
        self.assertEqual(guest.get("throttle"), 0)
        self.assertEqual(run_state(guest.qmp), "running")
        guest.wait_written(100)

    def save_completes(self, guest):
        """A save that nobody cancels, of a guest that is now stopped on the way."""
        set_capabilities(guest, PLAIN)
        guest.start_save(file_uri(self.target), Settings(2, True, {"downtime-limit": 0}))
        guest.qmp.event(pass_event(2))
        guest.qmp.call("stop")
        info = wait_final(guest.qmp)
        self.assertEqual(info["status"], "completed", info.get("error-desc"))
        destination = self.ram("m0", SIZE)
        live.restore(process.multifdd, destination, file_uri(self.target), Settings(2))
        self.assertIsNone(self.source.difference(destination))
        self.assertEqual(live.check(destination)["damaged"], [])

    def test_what_is_looked_for_is_there_while_a_save_runs(self):
        """So that the test below cannot look in the wrong place."""
        with live.guest(self.source, Workload("random", RATE)) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            guest.wait_written(1)
            before = Footprint(guest.pid, self.source)
            self.assertFalse(before.tracked)
            guest.start_save(file_uri(self.target), Settings(3, False, {"max-bandwidth": MIB}))
            wait_until(lambda: live.tracked(guest.pid, self.source), "writes are tracked")
            during = Footprint(guest.pid, self.source)
            self.assertGreater(during.threads, before.threads)
            self.assertGreater(during.descriptors, before.descriptors)
            self.cancel(guest)
            self.check_nothing_left(guest, before)

            set_capabilities(guest, dict(PLAIN, **{"auto-converge": True}))
            guest.start_save(file_uri(self.target), Settings(2, False, {"downtime-limit": 0}))
            wait_until(lambda: guest.get("throttle") > 0, "the guest is slowed")
            self.cancel(guest)
            self.check_nothing_left(guest, before)

    def test_saves_cancelled_at_random_moments_leave_nothing_and_a_guest_that_runs(self):
        seed = int(os.environ.get("MFD_SEED", "0")) or random.SystemRandom().getrandbits(32)
        env.note("MFD_SEED=%d" % seed)
        choice = random.Random(seed)
        live.fill(self.source, 7)
        ends = {"cancelled": 0, "completed": 0}
        with live.guest(self.source, Workload("mix", RATE)) as program:
            guest = live.Guest(program)
            guest.qmp.call("cont")
            guest.wait_written(1)
            before = Footprint(guest.pid, self.source)
            for number in range(CANCELS):
                moment = Moment(choice)
                try:
                    status = self.one_save(guest, moment)
                    self.assertIn(status, ends)
                    ends[status] += 1
                    if status == "completed":
                        guest.qmp.call("cont")
                    self.check_nothing_left(guest, before)
                except Exception:
                    env.warn("save %d, cancelled %s" % (number, moment))
                    raise
            env.note("%(cancelled)d were cancelled, %(completed)d had ended by then" % ends)
            self.assertGreaterEqual(ends["cancelled"], CANCELS * 3 // 4)
            self.save_completes(guest)


if __name__ == "__main__":
    runner.main()
