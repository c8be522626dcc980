#!/usr/bin/env python3
"""A daemon killed in the middle of a save leaves a file that restore refuses, memory untouched."""

import os
from dataclasses import dataclass

from mfdtest import process, runner
from mfdtest.migrate import MigrationFailed, Settings, file_uri, load, save, state_event
from mfdtest.qmp import wait_until

MIB = 1 << 20

#: Slow enough that the last third takes far longer than noticing the moment and killing.
SLOW = {"max-bandwidth": 24 * MIB}
FAST = {"max-bandwidth": 0}


@dataclass
class Moment:
    """When to kill: at a state of the migration, "writing" being a quarter through its "active", or
    once PERCENT of the RAM is in the file."""

    state: str = None
    percent: int = None

    def __str__(self):
        return "at %s" % self.state if self.state else "at %d %%" % self.percent


STATES = [Moment(state) for state in ("setup", "active", "device", "completed")]
GROWTH = [Moment(percent=percent) for percent in (1, 10, 25, 40, 55, 70, 85, 95)]
EARLY = [Moment("setup"), Moment("active")] + [Moment(percent=percent)
                                               for percent in (1, 20, 40, 65)]
WAYS = [Settings(None, False, SLOW), Settings(4, False, SLOW), Settings(4, True, SLOW)]


class KilledSaves(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.ram("m0", 48 * MIB), self.ram("m0", 48 * MIB)
        # Every page holds data, so the growth of the file tells how far the save is.
        self.source.write(b"".join((page + 1).to_bytes(8, "little") * 512
                                   for page in range(self.source.size // 4096)))

    def fresh_target(self):
        """An existing file is written in place, so that there is something to find afterwards."""
        target = self.path("target.mig")
        with open(target, "wb"):
            pass
        return target

    def kill_at(self, moment, target, settings):
        with process.subject([self.source]) as daemon:
            qmp = daemon.connect()
            settings.apply(qmp)
            qmp.call("migrate", {"uri": file_uri(target)})
            if moment.state == "writing":
                # The file may have all its blocks, so its growth does not tell.
                wait_until(lambda: written(qmp) >= self.source.size // 4, "pages are written")
            elif moment.state:
                qmp.event(state_event(moment.state))
            else:
                wanted = self.source.size * moment.percent // 100
                wait_until(lambda: allocated(target) >= wanted, "the file has grown")
            daemon.kill()

    def restore(self, target, settings=Settings(2)):
        """How the file is taken: "refused" with memory untouched, or "restored" with all of it."""
        self.destination.poison()
        with process.subject([self.destination], incoming="defer") as daemon:
            try:
                load(daemon.connect(), file_uri(target), settings)
            except MigrationFailed:
                self.assertTrue(self.destination.untouched(), "refused, but memory was written")
                return "refused"
        self.assertIsNone(self.source.difference(self.destination))
        return "restored"

    def test_a_save_killed_while_pages_are_written_leaves_a_file_that_is_refused(self):
        records = runner.Records("save", "killed", "restore")
        for settings in WAYS:
            for moment in EARLY:
                with records.record(settings, moment) as row:
                    target = self.fresh_target()
                    self.kill_at(moment, target, settings)
                    row.append(self.restore(target))
                    self.assertEqual(row[-1], "refused")
        records.check(self)

    def test_a_save_killed_at_any_moment_is_refused_or_restored_whole(self):
        """At full speed the end is near at every moment; the last bytes decide."""
        records = runner.Records("save", "killed", "restore")
        for channels in (None, 1, 4):
            settings = Settings(channels, False, FAST)
            for moment in STATES + GROWTH + [Moment(percent=100)]:
                with records.record(settings, moment) as row:
                    target = self.fresh_target()
                    self.kill_at(moment, target, settings)
                    row.append(self.restore(target, Settings(channels)))
        records.check(self)

    def test_a_save_killed_while_it_writes_into_the_blocks_of_an_older_one_is_refused(self):
        """The older save is complete, of the same layout, and must not shine through."""
        records = runner.Records("save", "killed", "restore")
        for settings in WAYS:
            settings = Settings(settings.channels, settings.direct_io,
                                {**settings.parameters, "x-reuse-blocks": True})
            for moment in (Moment("setup"), Moment("active"), Moment("writing")):
                with records.record(settings, moment) as row:
                    target = self.path("older.mig")
                    self.complete_save(target, settings)
                    self.source.write(self.source.read()[::-1])
                    self.kill_at(moment, target, settings)
                    taken = self.restore_older(target)
                    row.append(taken)
                    # Before anything is written the older save is still whole.
                    self.assertIn(taken, ("refused",) if moment.state == "writing"
                                  else ("refused", "older"))
        records.check(self)

    def complete_save(self, target, settings):
        with process.subject([self.source]) as daemon:
            save(daemon.connect(), file_uri(target),
                 Settings(settings.channels, settings.direct_io,
                          {**settings.parameters, "max-bandwidth": 0}))

    def restore_older(self, target):
        """"older": the RAM of the save before, whole."""
        self.destination.poison()
        with process.subject([self.destination], incoming="defer") as daemon:
            try:
                load(daemon.connect(), file_uri(target), Settings(2))
            except MigrationFailed:
                self.assertTrue(self.destination.untouched(), "refused, but memory was written")
                return "refused"
        self.assertEqual(self.destination.read(), self.source.read()[::-1])
        return "older"

    def test_saves_into_the_blocks_of_older_ones_restore_whole(self):
        target = self.path("again.mig")
        for settings in (Settings(2), Settings(4, True)):
            settings = Settings(settings.channels, settings.direct_io, {"x-reuse-blocks": True})
            for _ in range(2):
                self.source.write(self.source.read()[4096:] + bytes(4096))
                self.complete_save(target, settings)
                self.assertEqual(self.restore(target), "restored")

    def test_a_save_killed_once_it_was_reported_completed_is_restored(self):
        target = self.fresh_target()
        self.kill_at(Moment("completed"), target, Settings(4))
        self.assertEqual(self.restore(target), "restored")

    def test_a_killed_save_to_a_new_name_leaves_nothing_that_could_be_restored(self):
        target = self.path("new.mig")
        self.kill_at(Moment("active"), target, Settings(2, False, SLOW))
        if os.path.exists(target):
            self.assertEqual(self.restore(target), "refused")


def written(qmp):
    return qmp.call("query-migrate").get("ram", {}).get("transferred", 0)


def allocated(path):
    return os.stat(path).st_blocks * 512


if __name__ == "__main__":
    runner.main()
