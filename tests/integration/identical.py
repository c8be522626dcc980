#!/usr/bin/env python3
"""The same RAM saved by QEMU and by multifdd: entries, headers, bitmaps and slots byte for byte."""

from mfdtest import env, golden, process, runner, stream
from mfdtest.migrate import Settings, allow_next_save, file_uri, load, save

MIB = 1 << 20


class SameBytesAsQemu(runner.TestCase):
    def assert_same_ram_section(self, theirs, ours, start=0):
        """Everything from the magic to the footer behind the last page slot."""
        wanted, got = stream.read(theirs, start), stream.read(ours, start)
        self.assertEqual(got.blocks, wanted.blocks)
        at = stream.compare(theirs, ours, start, wanted.ram_end)
        if at is not None:
            self.fail("the files differ first at 0x%x: %s" % (at, stream.locate(wanted, at)))

    def save_with(self, program, target, settings, offset):
        with open(target, "wb") as file:
            file.write(b"\x11" * offset)
        with program as running:
            save(running.connect(), file_uri(target, offset), settings)

    def compare_saves(self, size, settings, offset):
        block = self.ram("m0", size)
        block.fill(7)
        theirs, ours = self.path("qemu.mig"), self.path("ours.mig")
        self.save_with(process.qemu_none([block]), theirs, settings, offset)
        self.save_with(process.subject([block]), ours, settings, offset)
        block.close()
        self.assert_same_ram_section(theirs, ours, offset)

    def test_ram_of_any_size_saved_by_either_program_is_the_same_bytes(self):
        env.need_direct_io(self.scratch)
        everything = {"zero-page-detection": "none"}
        cases = [(256 * MIB, Settings(4, True), 0), (256 * MIB, Settings(), 0x10671),
                 (4099 * 4096, Settings(2), 1), (4099 * 4096, Settings(1, True, everything), 0),
                 (63 * 4096, Settings(8), 0), (64 * 4096, Settings(), 0),
                 (65 * 4096, Settings(2, True), 0xfffff), (4096, Settings(), 0)]
        records = runner.Records("size", "save", "offset", "result")
        for size, settings, offset in cases:
            with records.record(hex(size), settings, hex(offset)) as row:
                self.compare_saves(size, settings, offset)
                row.append("identical")
        records.check(self)

    def test_samples_of_many_blocks_saved_again_are_the_same_bytes(self):
        """Slots of clear pages count too, so the live sample with its old data is left out."""
        records = runner.Records("sample", "saved again", "result")
        for sample in golden.samples():
            if not sample.complete or any(info["stale_pages"] for info in sample.blocks):
                continue
            with records.record(sample.name, "") as row:
                self.save_sample_again(sample)
                row.append("identical")
        records.check(self)

    def save_sample_again(self, sample):
        source, ours = sample.unpack(self.scratch), self.path("again.mig")
        parameters = {key: value for key, value in sample.info["parameters"].items()
                      if key == "zero-page-detection"}
        with process.multifdd([], sample.machine, "defer",
                              ["--incoming-create-blocks"] + uuid_options(sample)) as daemon:
            qmp = daemon.connect()
            load(qmp, file_uri(source, sample.offset), Settings(2))
            qmp.call("migrate-set-capabilities", {"capabilities": [
                {"capability": "validate-uuid", "state": bool(uuid_options(sample))}]})
            for settings in (Settings(None, False, parameters), Settings(4, False, parameters)):
                save(qmp, file_uri(ours, sample.offset), settings)
                wanted = stream.read(source, sample.offset)
                self.assertEqual(stream.read(ours, sample.offset).blocks, wanted.blocks)
                at = stream.compare(source, ours, wanted.ram_offset, wanted.ram_end)
                self.assertIsNone(at, at and "differ at 0x%x: %s" % (at, stream.locate(wanted, at)))
                allow_next_save(qmp)


def uuid_options(sample):
    """The options that gave the sample's guest its UUID, which is recorded before the blocks."""
    line = sample.info["command_line"]
    return line[line.index("-uuid"):][:2] if "-uuid" in line else []


if __name__ == "__main__":
    runner.main()
