#!/usr/bin/env python3
"""A disk that fails: the job says what, where and why, the guest runs on, and the next save succeeds;
a disk that only hesitates is waited for."""

import os
import time
from dataclasses import dataclass

from mfdtest import process, runner
from mfdtest.faultfs import FaultFs
from mfdtest.migrate import (MigrationFailed, Settings, fdset, file_uri, load, run_state, save,
                             state_event, wait_final)
from mfdtest.qmp import QmpError, wait_until

MIB = 1 << 20
PAGES = "write pages of block m0 at file offset 0x"
PREALLOCATE = {"x-preallocate": True}
#: How long a disk hangs at least; MFD_HANG_S=60 is a minute.
HANG_S = float(os.environ.get("MFD_HANG_S", "0"))
#: A write in the middle of the pages.
LATER = "skip 5"


@dataclass
class Fault:
    """What faultfs is told, and what error-desc then contains."""

    commands: tuple
    texts: tuple
    parameters: dict = None
    pages: tuple = (False, True)  # buffered, direct


#: {direct} is direct or buffered, as the pages go.
SAVES_THAT_FAIL = {
    "EIO": Fault(("fail write EIO %s {direct}" % LATER,), (PAGES, "Input/output error")),
    "ENOSPC": Fault(("fail write ENOSPC %s {direct}" % LATER,), (PAGES, "No space left on device")),
    "EDQUOT": Fault(("fail write EDQUOT %s {direct}" % LATER,), (PAGES, "Disk quota exceeded")),
    "EFBIG": Fault(("fail write EFBIG %s {direct}" % LATER,), (PAGES, "File too large")),
    "goes read-only": Fault(("fail write EROFS %s" % LATER, "fail fsync EROFS",
                             "fail truncate EROFS skip 1"), ("Read-only file system",)),
    "torn write": Fault(("tear write EIO %s times 1 {direct}" % LATER,),
                        (PAGES, "Input/output error")),
    # io_uring's own threads repeat these without an end, so not with direct I/O.
    "EAGAIN for ever": Fault(("fail write EAGAIN %s" % LATER,),
                             (PAGES, "Resource temporarily unavailable"), pages=(False,)),
    "EINTR for ever": Fault(("fail write EINTR %s" % LATER,),
                            (PAGES, "Interrupted system call"), pages=(False,)),
    "header refused": Fault(("fail write ENOSPC buffered",),
                            ("write stream header: '{path}' at 0x8: ", "No space left on device")),
    "length refused": Fault(("fail truncate EFBIG",), ("'{path}'", "File too large")),
    "space refused": Fault(("fail fallocate ENOSPC",),
                           ("reserve the space of migration file '{path}'",
                            "No space left on device"), PREALLOCATE),
    "no new file": Fault(("fail create EROFS",),
                         ("Could not create '{path}'", "Read-only file system")),
    "sync refused": Fault(("fail fsync EIO",),
                          ("bring '{path}' to stable storage", "Input/output error")),
    "name refused": Fault(("fail rename EIO",),
                          ("give the complete file its name '{path}'", "Input/output error")),
}

SAVES_THAT_SUCCEED = {
    "EINTR now and then": ("fail write EINTR skip 3 times 40",),
    "EAGAIN now and then": ("fail write EAGAIN skip 3 times 40",),
    "EINTR at the first direct write": ("fail write EINTR direct times 2",),
    "all direct writes but the first refused": ("fail write EINVAL direct skip 1",),
    "some direct writes refused": ("fail write EINVAL direct skip 3 times 2",),
    # Of a short direct write to a FUSE file the kernel makes EIO.
    "short writes": ("short write 5000 buffered",),
    "no space reserved": ("fail fallocate EOPNOTSUPP",),
}

LOADS_THAT_FAIL = {
    "EIO": Fault(("fail read EIO skip 6",), ("read pages of block m0, page ", "Input/output error")),
    "EAGAIN for ever": Fault(("fail read EAGAIN skip 6",), ("Resource temporarily unavailable",),
                             pages=(False,)),
    "not opened": Fault(("fail open EACCES",), ("Could not open '{path}'", "Permission denied")),
}

LOADS_THAT_SUCCEED = {
    "EINTR now and then": ("fail read EINTR skip 1 times 40",),
    "EINTR at the first direct read": ("fail read EINTR direct times 2",),
    "short reads": ("short read 5000 direct",),  # in the page cache they mean the file's end
    "all direct reads but the first refused": ("fail read EINVAL direct skip 1",),
}


class FailingDisk(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.disk = FaultFs(self)
        self.target = self.disk.path("guest.mig")
        self.block = self.ram("m0", 16 * MIB)
        self.block.fill(5)

    def apply(self, commands, settings):
        direct = "direct" if settings.direct_io else "buffered"
        self.disk.tell(*(command.format(direct=direct) for command in commands))

    def assert_texts(self, texts, desc):
        for text in texts:
            self.assertIn(text.format(path=self.target), desc)

    def restore_and_compare(self, settings=Settings(2)):
        copy = self.ram("m0", self.block.size)
        with process.subject([copy], incoming="defer") as other:
            load(other.connect(), file_uri(self.target), settings)
        self.assertIsNone(self.block.difference(copy))
        copy.close()

    def every(self, faults, act):
        records = runner.Records("fault", "pages", "result")
        for name, fault in faults.items():
            for direct in getattr(fault, "pages", (False, True)):
                settings = Settings(2, direct)
                with records.record(name, "direct" if direct else "buffered") as row:
                    try:
                        row.append(act(fault, settings))
                    finally:
                        self.disk.tell("clear")
        records.check(self)

    def refusal(self, job):
        """Why JOB failed. A file that cannot be opened is the answer to the command already."""
        with self.assertRaises((MigrationFailed, QmpError)) as failed:
            job()
        return getattr(failed.exception, "desc", str(failed.exception))

    def failing_save(self, fault, settings):
        faulty = Settings(2, settings.direct_io, fault.parameters or {})
        if os.path.exists(self.target):
            os.unlink(self.target)
        with process.subject([self.block], paused=False) as daemon:
            qmp = daemon.connect()
            qmp.call("stop")  # memory that others may write is saved while they stand still
            self.apply(fault.commands, faulty)
            desc = self.refusal(lambda: save(qmp, file_uri(self.target), faulty))
            self.assert_texts(fault.texts, desc)
            self.assertEqual(qmp.call("query-migrate")["status"], "failed")
            self.disk.tell("clear")
            self.assertEqual(os.listdir(self.disk.folder), [], "nothing is left of the file")
            self.assertEqual(run_state(qmp), "paused")
            qmp.call("cont")
            qmp.call("stop")
            save(qmp, file_uri(self.target), settings)
        self.restore_and_compare(settings)
        os.unlink(self.target)
        return desc

    def test_a_save_that_fails_says_why_and_the_next_one_succeeds(self):
        self.every(SAVES_THAT_FAIL, self.failing_save)

    def saved_in_spite(self, commands, settings):
        reserve = Settings(2, settings.direct_io, PREALLOCATE if "fallocate" in commands[0] else {})
        with process.subject([self.block]) as daemon:
            self.apply(commands, settings)
            save(daemon.connect(), file_uri(self.target), reserve)
            self.disk.tell("clear")
            said = "through the page cache, since direct I/O was refused" in daemon.log()
            self.assertEqual(said, settings.direct_io and "EINVAL" in commands[0])
        self.restore_and_compare(settings)
        os.unlink(self.target)
        return "saved"

    def test_a_save_goes_on_where_the_disk_only_hesitates(self):
        self.every(SAVES_THAT_SUCCEED, self.saved_in_spite)

    def loaded_in_spite(self, commands, settings):
        self.apply(commands, settings)
        self.restore_and_compare(settings)
        self.disk.tell("clear")
        return "restored"

    def test_a_load_goes_on_where_the_disk_only_hesitates(self):
        with process.subject([self.block]) as daemon:
            save(daemon.connect(), file_uri(self.target), Settings(2))
        self.every(LOADS_THAT_SUCCEED, self.loaded_in_spite)

    def failing_load(self, fault, settings):
        copy = self.ram("m0", self.block.size)
        with process.subject([copy], incoming="defer") as daemon:
            self.apply(fault.commands, settings)
            qmp = daemon.connect()
            desc = self.refusal(lambda: load(qmp, file_uri(self.target), settings))
            self.disk.tell("clear")
        copy.close()
        self.assert_texts(fault.texts, desc)
        self.restore_and_compare(settings)
        return desc

    def test_a_load_that_fails_says_why_and_the_next_one_succeeds(self):
        with process.subject([self.block]) as daemon:
            save(daemon.connect(), file_uri(self.target), Settings(2))
        self.every(LOADS_THAT_FAIL, self.failing_load)

    def test_what_short_reads_bring_is_compared_as_well(self):
        self.block.write(b"\x5a" * self.block.size)
        with process.subject([self.block]) as daemon:
            save(daemon.connect(), file_uri(self.target), Settings(2))
        with open(os.path.join(self.disk.backing, "guest.mig"), "r+b") as file:
            file.seek(MIB)  # the first page
            byte = file.read(1)
            file.seek(MIB)
            file.write(bytes([byte[0] ^ 1]))
        copy = self.ram("m0", self.block.size)
        with process.subject([copy], incoming="defer") as daemon:
            self.disk.tell("short read 5000 direct")
            with self.assertRaises(MigrationFailed) as failed:
                load(daemon.connect(), file_uri(self.target), Settings(2, True))
        copy.close()
        self.assertIn("block m0, page 0, at 0x100000", failed.exception.desc)

    def test_a_disk_that_hangs_is_waited_for_while_clients_are_answered(self):
        for direct in (False, True):
            with process.subject([self.block]) as daemon:
                qmp = daemon.connect()
                Settings(2, direct).apply(qmp)
                self.disk.tell("hang write skip 10")
                qmp.call("migrate", {"uri": file_uri(self.target)})
                qmp.event(state_event("active"))
                end = time.monotonic() + HANG_S
                self.assertEqual(qmp.call("query-migrate")["status"], "active")
                while time.monotonic() < end:
                    self.assertEqual(qmp.call("query-migrate")["status"], "active")
                self.assertEqual(run_state(qmp), "prelaunch")
                self.disk.tell("release")
                self.assertEqual(wait_final(qmp)["status"], "completed")
            self.restore_and_compare(Settings(2, direct))
            os.unlink(self.target)

    def test_a_file_that_somebody_cuts_while_it_is_loaded_is_refused(self):
        with process.subject([self.block]) as daemon:
            save(daemon.connect(), file_uri(self.target), Settings(2))
        for direct in (False, True):
            copy = self.ram("m0", self.block.size)
            with process.subject([copy], incoming="defer") as daemon:
                qmp = daemon.connect()
                Settings(2, direct).apply(qmp)
                # FUSE reads a MiB at most: of 13 MiB most are still to be read.
                self.disk.tell("hang read skip 4")
                qmp.call("migrate-incoming", {"uri": file_uri(self.target),
                                              "exit-on-error": False})
                qmp.event(state_event("active"))
                whole = os.path.join(self.disk.backing, "guest.mig")
                length = os.path.getsize(whole)
                with open(whole, "rb") as file:
                    content = file.read()
                os.truncate(whole, 2 * MIB)
                self.disk.tell("release")
                info = wait_final(qmp)
                self.assertEqual(info["status"], "failed", info)
                self.assertRegex(info["error-desc"], "block m0|guest.mig' at 0x")
            copy.close()
            with open(whole, "wb") as file:
                file.write(content)
            self.assertEqual(os.path.getsize(whole), length)

    def test_a_file_that_somebody_cuts_while_it_is_saved_fails_the_save(self):
        # The pages at the end are zero, so no later write makes the file as long as it was.
        self.block.write(os.urandom(12 * MIB) + bytes(4 * MIB))
        real = os.path.join(self.disk.backing, "guest.mig")
        for direct in (False, True):
            with process.subject([self.block]) as daemon:
                qmp = daemon.connect()
                with fdset(qmp, 1, self.target, os.O_WRONLY, direct) as name:
                    Settings(2, direct, {"max-bandwidth": 2 * MIB}).apply(qmp)
                    qmp.call("migrate", {"uri": file_uri(name)})
                    qmp.event(state_event("active"))
                    wait_until(lambda: qmp.call("query-migrate")["ram"]["transferred"] > MIB,
                               "the save writes")
                    os.truncate(real, MIB)
                    qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
                    info = wait_final(qmp)
                    self.assertEqual(info["status"], "failed", info)
                    self.assertRegex(info["error-desc"],
                                     "file '/dev/fdset/1' was shortened by somebody else")
                    self.assertEqual(run_state(qmp), "prelaunch")
                    save(qmp, file_uri(name), Settings(2, direct))
            self.restore_and_compare(Settings(2, direct))
            os.unlink(self.target)


if __name__ == "__main__":
    runner.main()
