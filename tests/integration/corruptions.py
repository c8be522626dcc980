#!/usr/bin/env python3
"""Damaged files: refused with a reason and guest memory untouched, or restored exactly as saved."""

import re

from mfdtest import env, golden, process, runner
from mfdtest.migrate import MigrationFailed, Settings, file_uri, load, run_state

#: Damage that nothing else in a file written by QEMU contradicts: a cleared bit means a zero page.
#: These may pass with other RAM than was saved.
UNDETECTABLE = {"bitmap-all-clear", "bitmap-one-bit-clear"}

#: What QEMU says about most files, which tells nobody what to look at.
BARE = re.compile(r"load of migration failed: (Invalid argument|Operation not supported"
                  r"|Input/output error|No such file or directory|Numerical result out of range)")

#: A refusal names an offset of the file or a block.
PLACE = re.compile(r"at 0x[0-9a-f]+|ramblock", re.IGNORECASE)

MODES = {"single": Settings(), "multifd2": Settings(2), "direct": Settings(2, True)}


class DamagedFiles(runner.TestCase):
    def restore(self, target, settings, blocks):
        """The reason of the refusal, or None if the daemon accepted the file."""
        with process.multifdd(blocks, incoming="defer") as daemon:
            qmp = daemon.connect()
            try:
                load(qmp, file_uri(target), settings)
                return None
            except MigrationFailed as failed:
                self.assertEqual(run_state(qmp), "inmigrate", "the daemon serves on")
                return reason(failed.desc, daemon.log())

    def judge(self, case, block, saved_sha256, refusal):
        """The verdict for the table; an assertion where it is not good enough."""
        if refusal is not None:
            self.assertTrue(block.untouched(), "refused, but guest memory was written")
            self.assertRegex(refusal, PLACE, "refused without a word about what is wrong and where")
            return "refused: " + refusal
        if block.sha256() == saved_sha256:
            return "restored as saved"
        self.assertIn(case.name, UNDETECTABLE, "accepted with wrong RAM")
        return "restored with other RAM (nothing in the file contradicts it)"

    def test_every_damaged_file_is_refused_untouched_or_restored_exactly(self):
        sample, cases = golden.corruptions()
        source, damaged = sample.unpack(self.scratch), self.path("damaged.mig")
        info = sample.blocks[0]
        block = self.ram(info["idstr"], info["used_length"])
        env.need_direct_io(self.scratch)
        records = runner.Records("case", "load", "QEMU's verdict", "ours")
        for case in cases:
            case.apply(source, damaged)
            for mode, settings in MODES.items():
                block.poison()
                with records.record(case.name, mode, theirs(case, mode)) as row:
                    refusal = self.restore(damaged, settings, [block])
                    row.append(self.judge(case, block, info["ram_sha256"], refusal))
        records.check(self)

    def test_the_undamaged_file_is_accepted(self):
        sample, cases = golden.corruptions()
        info = sample.blocks[0]
        block = self.ram(info["idstr"], info["used_length"])
        block.poison()
        self.assertEqual(cases[0].name, "unchanged")
        self.assertIsNone(self.restore(sample.unpack(self.scratch), Settings(2), [block]))
        self.assertEqual(block.sha256(), info["ram_sha256"])


def theirs(case, mode):
    """QEMU's outcome in a few words; it was recorded for single-channel and multifd loads."""
    verdict = case.verdict("single" if mode == "single" else "multifd2")
    if verdict["result"] == "completed":
        return "completed" if verdict["ram_as_saved"] else "completed, WRONG RAM"
    return verdict["result"]


def reason(desc, log):
    """The words that name what is wrong: behind the bare errno text, or on a line of the log."""
    rest = BARE.sub("", desc).strip(" :")
    if rest:
        return rest
    lines = [line for line in log.splitlines() if "error" in line.lower() and BARE.sub("", line)]
    return re.sub(r"^(\[[^]]*\]\s*)+", "", lines[-1]) if lines else ""


if __name__ == "__main__":
    runner.main()
