#!/usr/bin/env python3
"""Every file system a guest is likely to be saved on, buffered and direct: saves and restores on a
healthy disk, on a full one, on a read-only one, and on one that fails or hangs underneath."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest

from mfdtest import disk, process, runner
from mfdtest.faultfs import FaultFs
from mfdtest.migrate import (MigrationFailed, Settings, file_uri, load, run_state, save, state_event,
                             wait_final)
from mfdtest.qmp import Qmp, QmpError, wait_until

MIB = 1 << 20
GUEST = 32 * MIB
#: What a full disk has left, and what it must have so that the guest fits again.
LEFT, NEEDED = 12 * MIB, GUEST + 8 * MIB
WAYS = (Settings(2), Settings(2, True))
#: Questions while the disk hangs.
ANSWERS = 200
FAILS = r"(block m0|guest\.mig).*: (Input/output error|Read-only file system)"


def pages(settings):
    return "direct" if settings.direct_io else "buffered"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class FileSystems(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.block = self.ram("m0", GUEST)
        self.block.write(os.urandom(GUEST))

    def on_every(self, act, *columns, kinds=disk.KINDS, faulty=None):
        """ACT(disk, settings) for each file system, buffered and direct. What it gives back are the
        cells of its row; what cannot be tested here is named at the end."""
        records = runner.Records("file system", "pages", *columns)
        missing = []
        for kind in kinds:
            with contextlib.ExitStack() as ends:
                try:
                    image = faulty and faulty.path("%s-%d.img" % (kind.type, kind.sector))
                    place = disk.Disk(self, kind, image=image)
                except unittest.SkipTest as reason:
                    missing.append("%s: %s" % (kind.name, reason))
                    continue
                for settings in WAYS:
                    if not self.takes_direct(place, settings, records):
                        continue
                    with records.record(kind.name, pages(settings)) as row:
                        if faulty:
                            ends.callback(faulty.tell, "clear")
                        row.extend(act(place, settings))
                    place.forget("guest.mig")
        records.check(self)
        if missing:
            self.skipTest("; ".join(missing))

    def takes_direct(self, place, settings, records):
        """tmpfs knows O_DIRECT since Linux 6.6. Before that a direct save is refused by name."""
        if not settings.direct_io:
            return True
        probe = place.path("probe")
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600))
            return True
        except OSError:
            with records.record(place.kind.name, "direct") as row, self.daemon() as qmp:
                row.append(self.refusal(lambda: save(qmp, file_uri(place.path("guest.mig")),
                                                     settings)))
                self.assertRegex(row[-1], "O_DIRECT|direct")
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(probe)

    @contextlib.contextmanager
    def daemon(self, **options):
        """A guest that has run; memory that others may write is saved while it stands still."""
        with process.subject([self.block], paused=False, **options) as running:
            qmp = running.connect()
            qmp.call("stop")
            yield qmp

    def refusal(self, job):
        with self.assertRaises((MigrationFailed, QmpError)) as failed:
            job()
        return failed.exception.desc

    def assert_runs_and_saves(self, qmp, place, settings):
        """After a save that failed: the guest is as before, and the next save succeeds."""
        self.assertEqual(run_state(qmp), "paused")
        qmp.call("cont")
        qmp.call("stop")
        save(qmp, file_uri(place.path("guest.mig")), settings)
        self.assert_restores(place, settings)

    def assert_restores(self, place, settings):
        copy = self.ram("m0", GUEST)
        copy.poison()
        with process.subject([copy], incoming="defer") as other:
            load(other.connect(), file_uri(place.path("guest.mig")), settings)
        self.assertIsNone(self.block.difference(copy))
        copy.close()

    def test_what_is_saved_is_restored(self):
        def act(place, settings):
            with self.daemon() as qmp:
                save(qmp, file_uri(place.path("guest.mig")), settings)
            cells = []
            for other in WAYS:
                place.remount()
                self.assert_restores(place, other)
                cells.append("same RAM")
            return cells

        self.on_every(act, "restored buffered", "restored direct")

    def test_a_full_disk_fails_the_save_and_with_room_the_next_one_succeeds(self):
        def act(place, settings):
            with open(place.path("other"), "wb") as other:
                other.write(os.urandom(MIB))
            before = sha256(place.path("other"))
            place.fill("filler", LEFT)
            self.assertLess(place.free_bytes(), GUEST, "the guest does not fit")
            with self.daemon() as qmp:
                desc = self.refusal(lambda: save(qmp, file_uri(place.path("guest.mig")), settings))
                self.assertRegex(desc, r"(block m0|guest\.mig).*: No space left on device")
                self.assertEqual(qmp.call("query-migrate")["status"], "failed")
                self.assertFalse(os.path.exists(place.path("guest.mig")))
                os.unlink(place.path("filler"))
                subprocess.run(["sync", "-f", place.folder], check=True)
                wait_until(lambda: place.free_bytes() > NEEDED, "there is room again")
                self.assert_runs_and_saves(qmp, place, settings)
            self.assertEqual(sha256(place.path("other")), before, "the file beside it")
            return [desc]

        self.on_every(act, "error-desc")

    def test_a_read_only_file_system_refuses_the_save(self):
        def act(place, settings):
            with self.daemon() as qmp:
                place.set_writable(False)
                desc = self.refusal(lambda: save(qmp, file_uri(place.path("guest.mig")), settings))
                self.assertRegex(desc, r"guest\.mig.*: Read-only file system")
                place.set_writable(True)
                self.assert_runs_and_saves(qmp, place, settings)
            return [desc]

        self.on_every(act, "refused with")

    def test_a_disk_that_fails_under_a_save_is_named_and_the_next_save_succeeds(self):
        faulty = FaultFs(self)

        def act(place, settings):
            with self.daemon() as qmp:
                faulty.tell("fail write EIO")
                desc = self.refusal(lambda: save(qmp, file_uri(place.path("guest.mig")), settings))
                faulty.tell("clear")
                self.assertRegex(desc, FAILS)
                self.assertEqual(qmp.call("query-migrate")["status"], "failed")
                # The file system may have stopped by itself. Mounted anew it is usable again, and
                # that it can be shows that nothing of it is held open.
                place.remount()
                self.assertFalse(os.path.exists(place.path("guest.mig")))
                self.assert_runs_and_saves(qmp, place, settings)
            return [desc]

        self.on_every(act, "error-desc", kinds=disk.KINDS[:-1], faulty=faulty)

    def test_a_disk_that_fails_under_a_load_is_named_and_the_next_load_succeeds(self):
        faulty = FaultFs(self)

        def act(place, settings):
            with self.daemon() as qmp:
                save(qmp, file_uri(place.path("guest.mig")), settings)
            place.remount()
            self.read_ends(place.path("guest.mig"))
            copy = self.ram("m0", GUEST)
            with process.subject([copy], incoming="defer") as other:
                qmp = other.connect()
                faulty.tell("fail read EIO")
                desc = self.refusal(lambda: load(qmp, file_uri(place.path("guest.mig")), settings))
                faulty.tell("clear")
                self.assertRegex(desc, FAILS)
            copy.close()
            self.assert_restores(place, settings)
            return [desc]

        self.on_every(act, "error-desc", kinds=disk.KINDS[:-1], faulty=faulty)

    @staticmethod
    def read_ends(path):
        """Brings what is read first of a file into the cache, and nothing of its pages."""
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            length = os.fstat(file.fileno()).st_size
            file.read(MIB)
            file.seek(max(0, length - MIB // 2))
            file.read()

    def test_a_disk_that_hangs_under_a_save_is_waited_for_while_clients_are_answered(self):
        faulty = FaultFs(self)
        # A socket serves one client at a time, and its path has to be short.
        folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder)
        second = os.path.join(folder, "qmp")
        extra = ("-qmp", "unix:%s,server=on,wait=off" % second)

        def act(place, settings):
            with self.daemon(extra=extra) as qmp, contextlib.closing(Qmp(second)) as onlooker:
                settings.apply(qmp)
                faulty.tell("hang write")
                try:
                    # Answered when the file is open, and on some file systems that takes a write.
                    qmp.send("migrate", {"uri": file_uri(place.path("guest.mig"))})
                    wait_until(lambda: self.is_saving(onlooker), "the save has begun")
                    for _ in range(ANSWERS):
                        self.assertTrue(self.is_saving(onlooker))
                finally:
                    faulty.tell("release")
                qmp.reply("migrate")
                self.assertEqual(wait_final(qmp)["status"], "completed")
            self.assert_restores(place, settings)
            return ["completed"]

        self.on_every(act, "after the disk went on", kinds=disk.KINDS[:-1], faulty=faulty)

    @staticmethod
    def is_saving(qmp):
        return qmp.call("query-migrate").get("status") in ("setup", "active", "device")

    def test_a_file_system_that_stops_writing_under_a_save_is_named(self):
        def act(place, settings):
            with self.daemon() as qmp:
                Settings(2, settings.direct_io, {"max-bandwidth": 8 * MIB}).apply(qmp)
                qmp.call("migrate", {"uri": file_uri(place.path("guest.mig"))})
                qmp.event(state_event("active"))
                wait_until(lambda: qmp.call("query-migrate")["ram"]["transferred"] > MIB,
                           "the save writes")
                place.report_damage()
                qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
                info = wait_final(qmp)
                self.assertEqual(info["status"], "failed", info)
                self.assertRegex(info["error-desc"], FAILS)
                place.remount()
                self.assert_runs_and_saves(qmp, place, settings)
            return [info["error-desc"]]

        self.on_every(act, "error-desc", kinds=disk.KINDS[:2])


if __name__ == "__main__":
    runner.main()
