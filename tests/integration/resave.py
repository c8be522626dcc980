#!/usr/bin/env python3
"""A machine saved by QEMU, restored into multifdd and saved again, is taken back by QEMU."""

import os

from mfdtest import env, golden, process, ram, runner, stream
from mfdtest.migrate import Settings, file_uri, load, run_state, save
from mfdtest.qmp import wait_until

LOADS = [Settings(), Settings(2), Settings(4, True)]

#: What the samples had for firmware: it is saved as RAM, and never runs here.
FIRMWARE_SEED, FIRMWARE_PAGES = 0xB16F, 32


class RestoredAndSavedAgain(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        env.need_direct_io(self.scratch)
        self.firmware = self.path("fw.bin")
        with open(self.firmware, "wb") as file:
            file.write(ram.recipe().fill(FIRMWARE_SEED, FIRMWARE_PAGES))

    def visible_blocks(self, sample):
        """The blocks that had a file of their own: those the command line names."""
        line = " ".join(sample.info["command_line"])
        return [info for info in sample.blocks
                if "$DIR/%s.ram" % info["idstr"].rsplit("/", 1)[-1] in line]

    def pass_through(self, sample, source, target, settings):
        """Restores SOURCE into a daemon that knows nothing of its blocks, and saves it again."""
        with process.multifdd([], sample.machine, "defer",
                              ["--incoming-create-blocks"]) as daemon:
            qmp = daemon.connect()
            load(qmp, file_uri(source, sample.offset), settings)
            save(qmp, file_uri(target), settings)

    def load_with_qemu(self, sample, target, offset, settings):
        """QEMU takes all device state, and the RAM that can be seen from outside is as recorded."""
        infos = self.visible_blocks(sample)
        blocks = [self.ram(info["idstr"], info["used_length"]) for info in infos]
        with process.qemu_sample(sample, self.firmware, blocks) as qemu:
            qmp = qemu.connect()
            load(qmp, file_uri(target, offset), settings)
            wait_until(lambda: run_state(qmp) != "inmigrate", "QEMU has taken over the machine")
            state = run_state(qmp)
        for info, block in zip(infos, blocks):
            self.assertEqual(block.sha256(), info["ram_sha256"], "RAM of block " + block.name)
            block.close()
        return state

    def check_file(self, sample, target):
        """All blocks, also those only the file shows, are as recorded."""
        found = {block.name: block for block in stream.read(target).blocks}
        for info in sample.blocks:
            self.assertEqual(stream.ram_sha256(target, found[info["idstr"]]), info["ram_sha256"],
                             "RAM of block " + info["idstr"])

    def test_qemu_continues_with_ram_and_device_state_that_went_through_multifdd(self):
        records = runner.Records("sample", "through multifdd", "loads by QEMU")
        for sample in golden.samples():
            if not sample.complete:
                continue
            source, target = sample.unpack(self.scratch), self.path("again.mig")
            for settings in (Settings(), Settings(4, True)):
                with records.record(sample.name, settings) as row:
                    self.pass_through(sample, source, target, settings)
                    self.check_file(sample, target)
                    if not runs_here(sample):
                        row.append("not loaded: no KVM, whose device state it holds; file checked")
                        continue
                    for loading in LOADS:
                        direct = self.load_with_qemu(sample, source, sample.offset, loading)
                        passed = self.load_with_qemu(sample, target, 0, loading)
                        self.assertEqual(passed, direct, "the run state the machine comes up in")
                    row.append("accepted, %s" % passed)
        records.check(self)


def runs_here(sample):
    """Device state of a machine that ran under KVM is not accepted without it."""
    return sample.info["accel"] != "kvm" or os.access("/dev/kvm", os.R_OK | os.W_OK)


if __name__ == "__main__":
    runner.main()
