#!/usr/bin/env python3
"""Mistakes made when saving: QEMU's words, no file and no memory changed, the next save works."""

import os
from dataclasses import dataclass

from mfdtest import env, process, runner
from mfdtest.migrate import (MigrationFailed, Settings, add_fd, allow_next_save, file_uri, load,
                             run_state, save, state_event, wait_final)
from mfdtest.qmp import QmpError, wait_until

MIB = 1 << 20
CONTENT = b"a file that was there before\n" * 1000

WRITE, READ, BOTH, DIRECT = os.O_WRONLY, os.O_RDONLY, os.O_RDWR, os.O_DIRECT


@dataclass
class Mistake:
    """A save that is refused with TEXT. {target} is an existing file, {folder} the one it is in,
    {fd} the number that add-fd gave to the first of the descriptors OPENS."""

    name: str
    text: str
    uri: str = "file:{target}"
    settings: Settings = Settings(2)
    opens: tuple = ()
    qemu_dies: bool = False
    more: bool = False  # the daemon's text goes on behind QEMU's


FDSET = "file:/dev/fdset/5"
NO_MATCH = "Failed to find file descriptor with matching flags="
DIRECT_IO = Settings(2, True)

MISTAKES = [
    Mistake("no such set", "Failed to find fdset /dev/fdset/7", "file:/dev/fdset/7"),
    Mistake("no such set, direct-io", "Failed to find fdset /dev/fdset/7", "file:/dev/fdset/7",
            DIRECT_IO),
    Mistake("no set number", "Could not parse fdset /dev/fdset/abc", "file:/dev/fdset/abc"),
    Mistake("direct-io, no direct descriptor", NO_MATCH + "0x4001", FDSET, DIRECT_IO, (WRITE,),
            qemu_dies=True),
    Mistake("direct-io, two plain descriptors", NO_MATCH + "0x4001", FDSET, DIRECT_IO,
            (WRITE, WRITE), qemu_dies=True),
    Mistake("direct-io, only a direct descriptor", NO_MATCH + "0x41", FDSET, DIRECT_IO,
            (WRITE | DIRECT,)),
    Mistake("only a direct descriptor", NO_MATCH + "0x41", FDSET, opens=(WRITE | DIRECT,)),
    Mistake("direct-io, direct one read-write", NO_MATCH + "0x4001", FDSET, DIRECT_IO,
            (WRITE, BOTH | DIRECT), qemu_dies=True),
    Mistake("read-write descriptors", NO_MATCH + "0x41", FDSET, DIRECT_IO, (BOTH, BOTH | DIRECT)),
    Mistake("read-only descriptor", NO_MATCH + "0x41", FDSET, opens=(READ,)),
    Mistake("synchronous descriptor", "Failed to dup() given file descriptor fd={fd}", FDSET,
            opens=(WRITE | os.O_SYNC,)),
    Mistake("data-synchronous descriptor", "Failed to dup() given file descriptor fd={fd}", FDSET,
            opens=(WRITE | os.O_DSYNC,)),
    # Writing to it is refused by the kernel to everybody, whatever the test runs as.
    Mistake("read-only path", "Could not create '/proc/sys/kernel/ostype': Permission denied",
            "file:/proc/sys/kernel/ostype", more=True),
    Mistake("directory", "Could not create '{folder}': Is a directory", "file:{folder}"),
    Mistake("missing folder", "Could not create '{folder}/none/x': No such file or directory",
            "file:{folder}/none/x"),
    Mistake("no name", "Could not create '': No such file or directory", "file:"),
    Mistake("offset with hex and unit", "file URI has bad offset 0x20M: Invalid argument",
            "file:{target},offset=0x20M"),
    Mistake("offset empty", "file URI has bad offset : Invalid argument", "file:{target},offset="),
    Mistake("offset negative", "file URI has bad offset -1: Numerical result out of range",
            "file:{target},offset=-1"),
    Mistake("offset too large", "file URI has bad offset 16E: Numerical result out of range",
            "file:{target},offset=16E"),
    Mistake("other transport", "Migration requires seekable transport (e.g. file)",
            "tcp:127.0.0.1:1"),
    Mistake("unknown protocol", "unknown migration protocol: disk:x", "disk:x"),
]


@dataclass
class BadCommand:
    name: str
    text: str
    command: str
    arguments: dict


COMMANDS = [
    BadCommand("unknown capability", "Parameter 'capability' does not accept value 'maped-ram'",
               "migrate-set-capabilities",
               {"capabilities": [{"capability": "maped-ram", "state": True}]}),
    BadCommand("channels 0", "Parameter 'multifd_channels' expects a value between 1 and 255",
               "migrate-set-parameters", {"multifd-channels": 0}),
    BadCommand("channels 256", "Parameter 'multifd-channels' expects uint8_t",
               "migrate-set-parameters", {"multifd-channels": 256}),
    BadCommand("channels as text",
               "Parameter 'multifd-channels' expects uint64",
               "migrate-set-parameters", {"multifd-channels": "2"}),
    BadCommand("neither uri nor channels", "need either 'uri' or 'channels' argument",
               "migrate", {}),
    BadCommand("unknown argument", "Parameter 'url' is unexpected", "migrate", {"url": "file:x"}),
    BadCommand("resume of nothing", "Cannot resume if there is no paused migration", "migrate",
               {"uri": "file:/nowhere", "resume": True}),
    BadCommand("load where nothing waits for one",
               "'-incoming' was not specified on the command line", "migrate-incoming",
               {"uri": "file:/nowhere"}),
    BadCommand("set to remove is not there", "File descriptor named 'fdset-id:9' not found",
               "remove-fd", {"fdset-id": 9}),
    BadCommand("add-fd without a descriptor", "No file descriptor supplied via SCM_RIGHTS",
               "add-fd", {"fdset-id": 1}),
]


class SavesThatAreRefused(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.target = self.path("target")
        self.good = self.path("good.mig")
        self.block = self.ram("m0", 8 * MIB)
        self.block.fill(3)
        self.digest = self.block.sha256()
        with open(self.target, "wb") as file:
            file.write(CONTENT)

    def fill_in(self, text, fd=-1):
        return text.format(target=self.target, folder=self.scratch, fd=fd)

    def refusal(self, qmp, mistake):
        """The text of the error reply, or error-desc where the save fails after it has begun."""
        fds = [add_fd(qmp, 5, self.target, flags) for flags in mistake.opens]
        try:
            save(qmp, self.fill_in(mistake.uri), mistake.settings)
        except QmpError as error:
            return error.desc, fds
        except MigrationFailed as failed:
            return failed.desc, fds
        finally:
            if fds:
                qmp.call("remove-fd", {"fdset-id": 5})
        self.fail("the save was accepted")

    def assert_nothing_changed(self, qmp):
        with open(self.target, "rb") as file:
            self.assertEqual(file.read(), CONTENT, "the file that was there")
        self.assertEqual(self.block.sha256(), self.digest, "guest memory")
        self.assertEqual(qmp.call("query-status")["status"], "prelaunch")
        self.assertEqual(qmp.call("query-fdsets"), [])

    def assert_good_save(self, qmp):
        save(qmp, file_uri(self.good), Settings(2))
        copy = self.ram("m0", self.block.size)
        with process.subject([copy], incoming="defer") as other:
            load(other.connect(), file_uri(self.good), Settings(2))
        self.assertIsNone(self.block.difference(copy))
        copy.close()

    def test_every_mistake_gets_qemus_text_and_changes_nothing(self):
        records = runner.Records("mistake", "answer")
        for mistake in MISTAKES:
            if mistake.qemu_dies and env.subject() == "qemu":
                continue
            with records.record(mistake.name) as row, process.subject([self.block]) as daemon:
                qmp = daemon.connect()
                text, fds = self.refusal(qmp, mistake)
                wanted = self.fill_in(mistake.text, fds[0] if fds else -1)
                # Where QEMU dies there is no text to equal: its usual words, then more.
                more = mistake.qemu_dies or mistake.more
                self.assertEqual(text[:len(wanted)] if more else text, wanted)
                self.assert_nothing_changed(qmp)
                self.assert_good_save(qmp)
                row.append(text)
        records.check(self)

    def test_every_bad_command_gets_qemus_text_and_the_next_one_works(self):
        records = runner.Records("mistake", "answer")
        with process.subject([self.block]) as daemon:
            qmp = daemon.connect()
            for bad in COMMANDS:
                with records.record(bad.name) as row:
                    with self.assertRaises(QmpError) as refused:
                        qmp.call(bad.command, bad.arguments)
                    self.assertEqual(refused.exception.desc, bad.text)
                    self.assert_nothing_changed(qmp)
                    row.append(bad.text)
            self.assert_good_save(qmp)
        records.check(self)

    def test_multifd_without_mapped_ram_is_refused(self):
        with process.subject([self.block]) as daemon:
            qmp = daemon.connect()
            qmp.call("migrate-set-capabilities", {
                "capabilities": [{"capability": "multifd", "state": True}]})
            with self.assertRaises(QmpError) as refused:
                qmp.call("migrate", {"uri": file_uri(self.target)})
            self.assertEqual(refused.exception.desc,
                             "Migration requires multi-channel URIs (e.g. tcp)")
            self.assert_nothing_changed(qmp)
            self.assert_good_save(qmp)

    def test_a_second_save_while_one_runs_is_refused_and_the_first_one_completes(self):
        self.block.write(b"\x01" * self.block.size)
        with process.subject([self.block]) as daemon:
            qmp = daemon.connect()
            Settings(2, parameters={"max-bandwidth": MIB}).apply(qmp)
            qmp.call("migrate", {"uri": file_uri(self.good)})
            qmp.event(state_event("active"))
            for command, arguments in (
                    ("migrate", {"uri": file_uri(self.target)}),
                    ("migrate-set-capabilities", {"capabilities": []})):
                with self.assertRaises(QmpError) as refused:
                    qmp.call(command, arguments)
                self.assertEqual(refused.exception.desc, "There's a migration process in progress")
            qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
            self.assertEqual(wait_final(qmp)["status"], "completed")
            with open(self.target, "rb") as file:
                self.assertEqual(file.read(), CONTENT)
            allow_next_save(qmp)
            self.assert_good_save(qmp)

    def test_a_save_after_a_completed_one_needs_a_guest_that_ran_in_between(self):
        with process.subject([self.block]) as daemon:
            qmp = daemon.connect()
            save(qmp, file_uri(self.good), Settings(2))
            wait_until(lambda: run_state(qmp) == "postmigrate", "the save is over")
            with self.assertRaises(QmpError) as refused:
                qmp.call("migrate", {"uri": file_uri(self.target)})
            self.assertEqual(refused.exception.desc,
                             "Can't migrate the vm that was paused due to previous migration")
            with open(self.target, "rb") as file:
                self.assertEqual(file.read(), CONTENT)
            allow_next_save(qmp)
            self.assert_good_save(qmp)


if __name__ == "__main__":
    runner.main()
