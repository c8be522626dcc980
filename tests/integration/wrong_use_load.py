#!/usr/bin/env python3
"""Mistakes made when loading: a text that helps, memory untouched, and the daemon still there."""

import os
from dataclasses import dataclass

from mfdtest import env, process, runner
from mfdtest.migrate import (MigrationFailed, Settings, add_fd, file_uri, load, run_state, save)
from mfdtest.qmp import QmpError

MIB = 1 << 20
OFFSET = 0x10671

WRITE, READ, BOTH, DIRECT = os.O_WRONLY, os.O_RDONLY, os.O_RDWR, os.O_DIRECT

FDSET = "file:/dev/fdset/5,offset=0x10671"
NO_MATCH = "Failed to find file descriptor with matching flags="
DIRECT_IO = Settings(2, True)


@dataclass
class Refused:
    """An error reply to migrate-incoming: nothing has begun, a correct load may follow."""

    name: str
    text: str
    uri: str
    settings: Settings = Settings(2)
    opens: tuple = ()


REFUSED = [
    Refused("no such set", "Failed to find fdset /dev/fdset/7", "file:/dev/fdset/7"),
    Refused("no set number", "Could not parse fdset /dev/fdset/1x", "file:/dev/fdset/1x"),
    Refused("direct-io, no direct descriptor", NO_MATCH + "0x4000", FDSET, DIRECT_IO, (READ,)),
    Refused("direct-io, no plain descriptor", NO_MATCH + "0x0", FDSET, DIRECT_IO, (READ | DIRECT,)),
    Refused("only a direct descriptor", NO_MATCH + "0x0", FDSET, opens=(READ | DIRECT,)),
    Refused("read-write descriptor", NO_MATCH + "0x0", FDSET, opens=(BOTH,)),
    Refused("write-only descriptor", NO_MATCH + "0x0", FDSET, opens=(WRITE,)),
    Refused("synchronous descriptor", "Failed to dup() given file descriptor fd={fd}", FDSET,
            opens=(READ | os.O_SYNC,)),
    Refused("no such file", "Could not open '{folder}/none': No such file or directory",
            "file:{folder}/none"),
    Refused("missing folder", "Could not open '{folder}/none/x': No such file or directory",
            "file:{folder}/none/x"),
    Refused("offset with hex and unit", "file URI has bad offset 0x20M: Invalid argument",
            "file:{source},offset=0x20M"),
    Refused("unknown protocol", "unknown migration protocol: disk:x", "disk:x"),
]


@dataclass
class Failed:
    """A load that begins and fails. {error-desc} says so; the log or the text say what is wrong."""

    name: str
    words: tuple
    uri: str = "file:{source},offset=0x10671"
    block: str = "m0"
    size: int = 8 * MIB
    machine: str = "none"


FAILED = [
    Failed("directory", ("Is a directory",), "file:{folder}"),
    Failed("wrong offset", ("Not a migration stream",), "file:{source},offset=0x1000"),
    Failed("offset past the end", ("Not a migration stream",), "file:{source},offset=1G"),
    Failed("block missing", ('Unknown ramblock "m0", cannot accept migration',), block="m1"),
    Failed("block shorter here", ("m0",), size=4 * MIB),
    Failed("block longer here", ("m0",), size=16 * MIB),
    Failed("other machine", ("Machine type received is 'none' and local is 'pc-q35-10.0'",),
           machine="pc-q35-10.0"),
]


class LoadsThatAreRefused(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.source = self.path("saved.mig")
        self.saved = self.ram("m0", 8 * MIB)
        self.saved.fill(3)
        with process.subject([self.saved]) as daemon:
            save(daemon.connect(), file_uri(self.source, OFFSET), Settings(2))

    def fill_in(self, text, fd=-1):
        return text.format(source=self.source, folder=self.scratch, fd=fd)

    def poisoned(self, name, size):
        block = self.ram(name, size)
        block.poison()
        return block

    def assert_serves_a_good_load(self, qmp, block):
        load(qmp, file_uri(self.source, OFFSET), Settings(2))
        self.assertIsNone(self.saved.difference(block))

    def test_every_mistake_gets_qemus_text_and_a_correct_load_still_works(self):
        records = runner.Records("mistake", "answer")
        for mistake in REFUSED:
            block = self.poisoned("m0", self.saved.size)
            with records.record(mistake.name) as row, \
                    process.subject([block], incoming="defer") as daemon:
                qmp = daemon.connect()
                fds = [add_fd(qmp, 5, self.source, flags) for flags in mistake.opens]
                with self.assertRaises(QmpError) as refused:
                    load(qmp, self.fill_in(mistake.uri), mistake.settings)
                self.assertEqual(refused.exception.desc,
                                 self.fill_in(mistake.text, fds[0] if fds else -1))
                self.assertTrue(block.untouched(), "guest memory was written")
                self.assertEqual(run_state(qmp), "inmigrate")
                self.assert_serves_a_good_load(qmp, block)
                row.append(refused.exception.desc)
            block.close()
        records.check(self)

    def test_a_load_that_cannot_fit_fails_untouched_with_the_reason_and_the_daemon_serves_on(self):
        records = runner.Records("mistake", "reason")
        for mistake in FAILED:
            block = self.poisoned(mistake.block, mistake.size)
            with records.record(mistake.name) as row, \
                    process.subject([block], mistake.machine, "defer") as daemon:
                qmp = daemon.connect()
                with self.assertRaises(MigrationFailed) as failed:
                    load(qmp, self.fill_in(mistake.uri), Settings(2))
                desc, said = failed.exception.desc, failed.exception.desc + "\n" + daemon.log()
                self.assertTrue(desc.startswith("load of migration failed: "), desc)
                for words in mistake.words:
                    self.assertIn(words, said)
                self.assertTrue(block.untouched(), "guest memory was written")
                self.assertEqual(run_state(qmp), "inmigrate")
                qmp.close()
                self.assertEqual(run_state(daemon.connect()), "inmigrate")
                row.append(last_line(said))
            block.close()
        records.check(self)

    def test_a_second_load_is_refused(self):
        block = self.poisoned("m0", self.saved.size)
        with process.subject([block], incoming="defer") as daemon:
            qmp = daemon.connect()
            self.assert_serves_a_good_load(qmp, block)
            with self.assertRaises(QmpError) as refused:
                load(qmp, file_uri(self.source, OFFSET))
            self.assertEqual(refused.exception.desc,
                             "The incoming migration has already been started")
            self.assertIsNone(self.saved.difference(block))

    def test_a_save_while_a_load_is_awaited_is_refused(self):
        target = self.path("target")
        block = self.poisoned("m0", self.saved.size)
        with process.subject([block], incoming="defer") as daemon:
            qmp = daemon.connect()
            Settings(2).apply(qmp)
            with self.assertRaises(QmpError) as refused:
                qmp.call("migrate", {"uri": file_uri(target)})
            self.assertEqual(refused.exception.desc, "Guest is waiting for an incoming migration")
            self.assertFalse(os.path.exists(target))
            self.assert_serves_a_good_load(qmp, block)

    def test_a_failed_load_ends_the_daemon_with_status_1_unless_the_client_forbids_it(self):
        with process.subject([self.poisoned("other", MIB)], incoming="defer") as daemon:
            qmp = daemon.connect()
            Settings(2).apply(qmp)
            qmp.call("migrate-incoming", {"uri": file_uri(self.source, OFFSET)})
            self.assertEqual(daemon.wait(), 1)


def last_line(text):
    """The line of a log that names the reason: the last that speaks of an error."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line), lines[0])


if __name__ == "__main__":
    runner.main()
