#!/usr/bin/env python3
"""Whatever multifdd saves, stock QEMU loads: every way of saving times every way of loading."""

import itertools
import os

from mfdtest import env, process, runner
from mfdtest.migrate import (Settings, allow_next_save, fdset, file_uri, load, save)
from mfdtest.ram import difference

MIB = 1 << 20

#: An offset a management layer really uses: its header of odd length lies before the stream.
HEADER_BYTES = 0x10671

SAVES = [Settings(channels, direct_io)
         for channels in (None, 1, 2, 4, 8) for direct_io in (False, True)]
TARGETS = list(itertools.product(("path", "fdset"), (0, HEADER_BYTES)))
LOADS = [Settings(), Settings(3), Settings(3, True)]


def header(length):
    return bytes((i * 7 + 3) % 256 for i in range(length))


class QemuLoadsWhatMultifddSaved(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        env.need_direct_io(self.scratch)
        self.target = self.path("save.mig")

    def blocks(self, layout):
        return [self.ram(name, size) for name, size in layout]

    def save(self, qmp, settings, how, offset):
        """Saves behind a header of OFFSET bytes, which must survive."""
        with open(self.target, "wb") as file:
            file.write(header(offset) + b"\xaa" * 5000)
        if how == "path":
            save(qmp, file_uri(self.target, offset), settings)
        else:
            direct = settings.direct_io and settings.channels is not None
            with fdset(qmp, 1, self.target, os.O_WRONLY, direct) as name:
                save(qmp, file_uri(name, offset), settings)
        with open(self.target, "rb") as file:
            self.assertEqual(file.read(offset), header(offset), "the bytes before the stream")
        allow_next_save(qmp)

    def load(self, qemu, destination, source, settings, offset):
        for block in destination:
            block.clear()
        with qemu(destination, incoming="defer") as program:
            load(program.connect(), file_uri(self.target, offset), settings)
        self.assertIsNone(difference(source, destination))

    def run_matrix(self, qemu, machine, layout):
        source, destination = self.blocks(layout), self.blocks(layout)
        for seed, block in enumerate(source):
            block.fill(0x1000 + seed)
        records = runner.Records("saved by %s" % env.subject(), "to", "offset", "loads by QEMU")
        with process.subject(source, machine) as program:
            qmp = program.connect()
            for settings, (how, offset) in itertools.product(SAVES, TARGETS):
                with records.record(settings, how, hex(offset)) as row:
                    self.save(qmp, settings, how, offset)
                    for loading in LOADS:
                        self.load(qemu, destination, source, loading, offset)
                    row.append("RAM equal: " + ", ".join(str(loading) for loading in LOADS))
        records.check(self)

    def test_one_block_of_256_mib_reaches_machine_none_whole(self):
        self.run_matrix(process.qemu_none, "none", [("m0", 256 * MIB)])

    def test_three_blocks_of_256_mib_together_reach_a_pc_whole(self):
        layout = [("n0", 60 * MIB), ("n1", 68 * MIB), ("d0", 128 * MIB)]
        self.run_matrix(process.qemu_pc, process.PC_MACHINE, layout)


if __name__ == "__main__":
    runner.main()
