#!/usr/bin/env python3
"""Files with one bit flipped, given to QEMU and to multifdd.

MFD_FLIPS bits are flipped (default 16), MFD_SEED says which; both are printed. The unit test
"bit_flips" does ten thousand to multifdd alone. QEMU takes a second or so for each.
"""

import collections
import os
import random

from mfdtest import env, process, runner, stream
from mfdtest.migrate import MigrationFailed, Settings, file_uri, load, save
from mfdtest.qmp import Lost

UNIT = 4096
PAGES = 384
#: What a load of this file takes QEMU a hundredth of.
HUNG_S = 20
OUTCOMES = ("refused", "crashed", "hung", "wrong RAM", "right RAM")


class FlippedBits(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        self.target = self.path("flips.mig")
        self.source, self.copy = self.ram("m0", PAGES * UNIT), self.ram("m0", PAGES * UNIT)
        self.stored = [page % 3 != 0 for page in range(PAGES)]
        self.source.write(b"".join(page.to_bytes(8, "big") * 512 if stored else bytes(UNIT)
                                   for page, stored in enumerate(self.stored)))
        with process.multifdd([self.source]) as daemon:
            save(daemon.connect(), file_uri(self.target), Settings(2))

    def regions(self):
        """The parts of the file, each with what it is and how many of ten flips go there."""
        info = stream.read(self.target)
        block, = info.blocks
        end = stream.end(self.target, info)
        head = (end + UNIT - 1) // UNIT * UNIT
        slots = [range(block.pages_offset + page * UNIT, block.pages_offset + (page + 1) * UNIT)
                 for page in range(PAGES)]
        entries = [range(head + UNIT + 4 * page, head + UNIT + 4 * page + 4)
                   for page in range(PAGES)]
        stored = [page for page in range(PAGES) if self.stored[page]]
        free = [page for page in range(PAGES) if not self.stored[page]]
        return [("header, configuration, block list", [range(0, block.bitmap_offset)], 2),
                ("bitmap", [range(block.bitmap_offset, block.bitmap_offset + block.bitmap_bytes)],
                 1),
                ("stored pages", [slots[page] for page in stored], 2),
                ("sections, end mark", [range(block.end, end - 900)], 1),
                ("vmdescription", [range(end - 800, end)], 1),
                ("trailer: head", [range(head, head + 120)], 1),
                ("trailer: table", [entries[page] for page in stored], 1),
                ("padding, free slots and entries",
                 [range(block.bitmap_offset + block.bitmap_bytes, block.pages_offset)] +
                 [slots[page] for page in free] + [entries[page] for page in free], 1)]

    def flip(self, at, bit):
        with open(self.target, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0] ^ 1 << bit
            file.seek(at)
            file.write(bytes([byte]))

    def outcome(self, program):
        """What a program makes of the file."""
        self.copy.clear()
        with program([self.copy], incoming="defer") as running:
            try:
                load(running.connect(), file_uri(self.target), Settings(2), HUNG_S)
            except MigrationFailed:
                return "refused"
            except Lost:
                # Killed by a signal, or still busy; QEMU leaves with status 1 on some damage.
                if running.alive():
                    return "hung"
                return "crashed" if running.wait() < 0 else "refused"
        return "wrong RAM" if self.source.difference(self.copy) else "right RAM"

    def test_multifdd_refuses_or_restores_exactly_what_qemu_takes_in_many_ways(self):
        seed = int(os.environ.get("MFD_SEED", "0")) or random.SystemRandom().getrandbits(32)
        chosen = random.Random(seed)
        regions = self.regions()
        drawn = chosen.choices(regions, [weight for _, _, weight in regions],
                               k=int(os.environ.get("MFD_FLIPS", "16")))
        found = collections.defaultdict(collections.Counter)
        records = runner.Records("part", "flipped", "QEMU", "multifdd")
        for name, ranges, _ in drawn:
            at, bit = chosen.choice(chosen.choice(ranges)), chosen.randrange(8)
            with records.record(name, "bit %d at 0x%x" % (bit, at)) as row:
                self.flip(at, bit)
                for who, program in (("QEMU", process.qemu_none), ("ours", process.multifdd)):
                    row.append(self.outcome(program))
                    found[name, who][row[-1]] += 1
                self.flip(at, bit)
                harmless = name.startswith("padding")
                self.assertEqual(row[-1], "right RAM" if harmless else "refused")
        env.note("MFD_SEED=%d" % seed)
        env.note(runner.table([("part", "who") + OUTCOMES] +
                              [(name, who) + tuple(counts[outcome] for outcome in OUTCOMES)
                               for (name, who), counts in sorted(found.items())]))
        records.check(self)


if __name__ == "__main__":
    runner.main()
