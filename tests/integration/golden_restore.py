#!/usr/bin/env python3
"""Files that a real QEMU wrote restore with exactly their RAM; an incomplete one is refused."""

import os

from mfdtest import env, golden, process, runner
from mfdtest.migrate import (MigrationFailed, Settings, allow_next_save, fdset, file_uri, load,
                             run_state, save)
from mfdtest.qmp import QmpError, wait_until

LOADS = [Settings(channels, direct_io)
         for channels in (None, 1, 2, 8) for direct_io in (False, True)]


class GoldenFiles(runner.TestCase):
    def blocks(self, sample):
        """Every block of the sample, filled so that a page nobody writes is noticed."""
        blocks = [self.ram(info["idstr"], info["used_length"]) for info in sample.blocks]
        for block in blocks:
            block.poison()
        return blocks

    def check_ram(self, sample, blocks):
        for info, block in zip(sample.blocks, blocks):
            self.assertEqual(block.sha256(), info["ram_sha256"], "RAM of block " + block.name)

    def test_every_complete_sample_restores_with_the_recorded_digests(self):
        env.need_direct_io(self.scratch)
        records = runner.Records("sample", "load", "result")
        for sample in golden.samples():
            if not sample.complete:
                continue
            source = sample.unpack(self.scratch)
            blocks = self.blocks(sample)
            for settings in LOADS:
                with records.record(sample.name, settings) as row:
                    for block in blocks:
                        block.poison()
                    with process.multifdd(blocks, sample.machine, "defer") as daemon:
                        load(daemon.connect(), file_uri(source, sample.offset), settings)
                        self.check_ram(sample, blocks)
                    row.append("%d blocks equal" % len(blocks))
            for block in blocks:
                block.close()
            os.unlink(source)
        records.check(self)

    def test_samples_restore_through_a_descriptor_set_with_direct_io(self):
        env.need_direct_io(self.scratch)
        for name in ("pc-offset-12345-16m", "q35-multifd3-dio-fdset-16m", "pc-numa2-dimm-multifd2"):
            sample = golden.sample(name)
            source, blocks = sample.unpack(self.scratch), self.blocks(sample)
            with process.multifdd(blocks, sample.machine, "defer") as daemon:
                qmp = daemon.connect()
                with fdset(qmp, 3, source, os.O_RDONLY, True) as uri:
                    load(qmp, file_uri(uri, sample.offset), Settings(4, True))
                self.check_ram(sample, blocks)

    def test_a_file_named_on_the_command_line_restores_without_a_client(self):
        sample = golden.sample("pc-offset-12345-16m")
        source, blocks = sample.unpack(self.scratch), self.blocks(sample)
        with process.multifdd(blocks, sample.machine, file_uri(source, sample.offset)) as daemon:
            qmp = daemon.connect()
            wait_until(lambda: run_state(qmp) != "inmigrate", "the file is restored")
            self.check_ram(sample, blocks)

    def test_the_incomplete_sample_is_refused_with_memory_untouched_and_the_daemon_serves_on(self):
        for sample in golden.samples():
            if sample.complete:
                continue
            source = sample.unpack(self.scratch)
            for settings in (Settings(), Settings(1), Settings(8)):
                blocks = self.blocks(sample)
                with process.multifdd(blocks, sample.machine, "defer") as daemon:
                    qmp = daemon.connect()
                    with self.assertRaises(MigrationFailed) as refused:
                        load(qmp, file_uri(source, sample.offset), settings)
                    self.assertTrue(refused.exception.desc.startswith("load of migration failed: "))
                    for block in blocks:
                        self.assertTrue(block.untouched(), "block %s was written" % block.name)
                    qmp.close()
                    self.assertEqual(run_state(daemon.connect()), "inmigrate")

    def test_the_incomplete_sample_ends_the_daemon_where_the_client_asked_for_it(self):
        sample = golden.sample("pc-cancelled-16m")
        source, blocks = sample.unpack(self.scratch), self.blocks(sample)
        with process.multifdd(blocks, sample.machine, "defer") as daemon:
            qmp = daemon.connect()
            Settings(2).apply(qmp)
            qmp.call("migrate-incoming", {"uri": file_uri(source)})
            self.assertEqual(daemon.wait(), 1)
        for block in blocks:
            self.assertTrue(block.untouched(), "block %s was written" % block.name)

    def test_another_machine_name_is_refused_in_qemus_words(self):
        sample = golden.sample("pc-plain-16m")
        source, blocks = sample.unpack(self.scratch), self.blocks(sample)
        with process.multifdd(blocks, "none", "defer") as daemon:
            with self.assertRaises(MigrationFailed):
                load(daemon.connect(), file_uri(source), Settings(2))
            self.assertIn("Machine type received is '%s' and local is 'none'" % sample.machine,
                          daemon.log())

    def test_a_restored_sample_can_be_saved_again_in_the_same_daemon(self):
        sample = golden.sample("pc-numa2-dimm-multifd2")
        source, blocks = sample.unpack(self.scratch), self.blocks(sample)
        with process.multifdd(blocks, sample.machine, "defer") as daemon:
            qmp = daemon.connect()
            load(qmp, file_uri(source), Settings(2))
            with self.assertRaises(QmpError) as refused:
                load(qmp, file_uri(source))
            self.assertEqual(refused.exception.desc,
                             "The incoming migration has already been started")
            save(qmp, file_uri(self.path("again.mig")), Settings(4))
            allow_next_save(qmp)
            save(qmp, file_uri(self.path("twice.mig")), Settings())


if __name__ == "__main__":
    runner.main()
