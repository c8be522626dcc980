#!/usr/bin/env python3
"""Checksums behind a stream: written by every way of saving, asked for and looked at as told."""

import os
import re

from mfdtest import env, golden, process, runner, stream
from mfdtest.migrate import MigrationFailed, Settings, allow_next_save, file_uri, load, save

MIB = 1 << 20
UNIT = 4096
WAYS = [Settings(), Settings(2), Settings(3, True)]
PAGES = 8 * MIB // UNIT

#: Of the member that names the trailer; see FORMAT.md.
MARK = re.compile(rb', "x-multifdd": \{"checksums": "([0-9a-f]{16})"\}\}')


class Checksums(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.target = self.path("save.mig")
        self.source, self.copy = self.ram("m0", PAGES * UNIT), self.ram("m0", PAGES * UNIT)
        # Every third page is zero.
        self.source.write(b"".join(bytes(UNIT) if page % 3 == 0 else page.to_bytes(8, "big") * 512
                                   for page in range(PAGES)))

    def save(self, settings, **parameters):
        with process.multifdd([self.source]) as daemon:
            save(daemon.connect(), file_uri(self.target),
                 Settings(settings.channels, settings.direct_io, parameters))

    def restore(self, settings, verify, target=None, block=None):
        """Whether the restore compared checksums, or the text of its refusal."""
        block = block or self.copy
        block.poison()
        with process.multifdd([block], incoming="defer") as daemon:
            qmp = daemon.connect()
            try:
                load(qmp, file_uri(target or self.target),
                     Settings(settings.channels, settings.direct_io, {"x-verify": verify}))
            except MigrationFailed as failed:
                return failed.desc
            return qmp.call("query-migrate", {"x-multifd": True})["x-multifd"]["verified"]

    def refusal(self, verify, target=None, block=None):
        text = self.restore(Settings(2), verify, target, block)
        self.assertIsInstance(text, str, "accepted")
        return text

    def end(self):
        return stream.end(self.target, stream.read(self.target))

    def damage(self, at):
        with open(self.target, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x10]))

    def test_every_way_of_saving_writes_what_every_way_of_restoring_compares(self):
        records = runner.Records("save", "restore", "result")
        for saving in WAYS:
            for detection in ("none", "multifd"):
                self.save(saving, **{"zero-page-detection": detection})
                for loading in WAYS:
                    with records.record("%s, %s" % (saving, detection), loading) as row:
                        self.assertIs(self.restore(loading, "require"), True)
                        self.assertIsNone(self.source.difference(self.copy))
                        row.append("compared, RAM equal")
        records.check(self)

    def test_a_save_without_checksums_ends_with_its_stream(self):
        self.save(Settings(2), **{"x-checksum": False})
        self.assertEqual(os.path.getsize(self.target), self.end())
        self.assertIs(self.restore(Settings(2), "auto"), False)
        self.assertIsNone(self.source.difference(self.copy))
        self.assertIn("x-verify is 'require', but the file has no checksums",
                      self.refusal("require"))
        self.assertTrue(self.copy.untouched())

    def test_a_file_by_qemu_has_none(self):
        sample = golden.sample("none-tail-zpdnone")
        target, info = sample.unpack(self.scratch), sample.blocks[0]
        block = self.ram(info["idstr"], info["used_length"])
        self.assertIs(self.restore(Settings(2), "auto", target, block), False)
        self.assertEqual(block.sha256(), info["ram_sha256"])
        self.assertIn("the file has no checksums", self.refusal("require", target, block))
        self.assertTrue(block.untouched())

    def test_a_damaged_page_is_named_and_can_be_had_on_request(self):
        self.save(Settings(2))
        block, = stream.read(self.target).blocks
        at = block.pages_offset + 1000 * UNIT + 5
        self.damage(at)
        for verify in ("auto", "require"):
            self.assertIn("block m0, page 1000, at 0x%x: its checksum is" % (at - 5),
                          self.refusal(verify))
        self.assertIs(self.restore(Settings(2), "off"), False)
        self.assertEqual(self.source.difference(self.copy), "block m0 differs first in page 0x3e8")

    def test_damaged_metadata_are_refused_before_memory_is_written(self):
        self.save(Settings(2))
        block, = stream.read(self.target).blocks
        for at, said in ((block.bitmap_offset, "ramblock m0: bitmap (256 bytes)"),
                         (self.end() - 10, "vmdescription"),
                         ((self.end() + UNIT - 1) // UNIT * UNIT + 30, "trailer")):
            self.damage(at)
            self.assertIn(said, self.refusal("auto"))
            self.assertTrue(self.copy.untouched())
            self.damage(at)
        os.truncate(self.target, self.end())
        self.assertIn("missing or damaged; the vmdescription names it", self.refusal("auto"))
        self.assertIs(self.restore(Settings(2), "off"), False)
        self.assertIsNone(self.source.difference(self.copy))

    def test_a_file_saved_again_names_its_own_checksums_and_no_others(self):
        self.save(Settings(2))
        first = MARK.findall(open(self.target, "rb").read())
        self.assertEqual(len(first), 1)
        with process.multifdd([self.copy], incoming="defer") as daemon:
            qmp = daemon.connect()
            load(qmp, file_uri(self.target), Settings(2))
            save(qmp, file_uri(self.target), Settings(2))
            allow_next_save(qmp)
            again = MARK.findall(open(self.target, "rb").read())
            self.assertEqual(len(again), 1)
            self.assertNotEqual(again, first)
            save(qmp, file_uri(self.path("plain.mig")), Settings(2, False, {"x-checksum": False}))
        self.assertIs(self.restore(Settings(2), "require"), True)
        self.assertIsNone(self.source.difference(self.copy))
        with open(self.path("plain.mig"), "rb") as file:
            self.assertNotIn(b"x-multifdd", file.read())
        self.assertIs(self.restore(Settings(2), "auto", self.path("plain.mig")), False)
        self.assertIsNone(self.source.difference(self.copy))


if __name__ == "__main__":
    runner.main()
