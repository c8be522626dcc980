#!/usr/bin/env python3
"""Power cuts, by model: a save's writes are traced and replayed as far as a disk may have got with
them. Every file that this leaves is refused or restores exactly.

MFD_SEED says which of the many files are looked at; it is printed. MFD_REORDERINGS is how many for
each operation of a save.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field

from mfdtest import env, live, process, ram, runner
from mfdtest.faultfs import FaultFs
from mfdtest.live import MIB, Workload
from mfdtest.migrate import Settings, fdset, file_uri, save, state_event, wait_final
from mfdtest.qmp import wait_until

SEED = int(os.environ.get("MFD_SEED") or random.SystemRandom().getrandbits(32))
REORDERINGS = int(os.environ.get("MFD_REORDERINGS", "8"))
#: Of all saves together.
ENOUGH_REORDERINGS = 2000

BLOCKS = (("m0", 2 * MIB), ("m1", MIB), ("m2", MIB // 2))
BEFORE, AFTER = 11, 12  # what the blocks hold at the save before and at the traced one
#: The magic number of the stream lies across two sectors.
OFFSET = 0x11fc
#: Of a live save, beside its first pass.
WRITES_BESIDE = 200


@dataclass(frozen=True)
class Place:
    """Where a save goes. A file that is over an old one was written by the same program."""

    name: str
    over_old: bool = True
    offset: int = 0
    in_fdset: bool = False
    parameters: dict = field(default_factory=dict)


PLACES = (Place("new path", False),
          Place("new path, x-atomic off", False, parameters={"x-atomic": False}),
          Place("over an old save"),
          Place("its blocks reused", parameters={"x-reuse-blocks": True}),
          Place("fdset", in_fdset=True),
          Place("at an offset", offset=OFFSET, parameters={"x-reuse-blocks": True}))
OVER, REUSED = PLACES[2], PLACES[3]


@dataclass(frozen=True)
class Variant:
    place: Place
    direct_io: bool = False
    checksums: bool = True
    channels: int = 4
    pattern: str = None       # of a guest that writes meanwhile
    old_checksums: bool = None  # None: as the traced save
    parameters: dict = field(default_factory=dict)

    def __str__(self):
        words = [self.place.name, "direct" if self.direct_io else "buffered",
                 "checksums" if self.checksums else "no checksums",
                 "multifd %d" % self.channels if self.channels else "single"]
        if self.pattern:
            words.append("live, " + self.pattern)
        if self.old_checksums is not None:
            words.append("the old save %s" % ("with" if self.old_checksums else "without"))
        return ", ".join(words + ["%s %s" % item for item in self.parameters.items()])

    def settings(self):
        return Settings(self.channels, self.direct_io,
                        {"x-checksum": self.checksums, **self.place.parameters, **self.parameters})


def variants():
    for number, place in enumerate(PLACES):
        for checksums in (True, False):
            # Only channels write directly.
            yield Variant(place, False, checksums, 4 if (number + checksums) % 2 else None)
            yield Variant(place, True, checksums)
    for direct_io in (False, True):
        for checksums in (True, False):
            yield Variant(REUSED, direct_io, checksums, old_checksums=not checksums)
    yield Variant(PLACES[1], False, False, pattern="random")
    yield Variant(PLACES[1], True, False, pattern="random",
                  parameters={"x-preallocate": True})
    yield Variant(OVER, True, True, pattern="mix")
    yield Variant(REUSED, False, False, pattern="mix")
    yield Variant(REUSED, True, False, pattern="zeroing")


#: Saves that promise nothing: where the model finds nothing wrong here, it would find nothing at all.
#: The second has the syncs of a durable save, which the model is told not to look at.
CONTROLS = (("x-sync off", Variant(REUSED, False, False, parameters={"x-sync": False}), False),
            ("x-sync off", Variant(PLACES[1], True, False, parameters={"x-sync": False}), False),
            ("syncs left out", Variant(REUSED, True, False), True),
            ("syncs left out", Variant(OVER, False, False), True),
            ("syncs left out", Variant(PLACES[0], False, False), True))


class CrashModel(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.replay_program = env.tool("MFD_CRASH_REPLAY", "crash_replay")
        self.disk = FaultFs(self)
        self.target = self.disk.path("guest.mig")
        self.backing = os.path.join(self.disk.backing, "guest.mig")
        self.blocks = [self.ram(name, size) for name, size in BLOCKS]
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else self.scratch
        self.memory = tempfile.mkdtemp(prefix="mfd-crash-", dir=memory)
        self.addCleanup(shutil.rmtree, self.memory, True)

    def keep_memory(self, suffix):
        """The memory of the guest in files of its own."""
        paths = []
        for block in self.blocks:
            paths.append(self.path(block.name + suffix))
            with open(paths[-1], "wb") as file:
                file.write(block.read())
        return paths

    def fill(self, seed):
        for number, block in enumerate(self.blocks):
            block.fill(seed + 100 * number)

    @contextlib.contextmanager
    def uri(self, qmp, variant):
        if variant.place.in_fdset:
            with fdset(qmp, 1, self.target, os.O_WRONLY, variant.direct_io) as name:
                yield file_uri(name)
        else:
            yield file_uri(self.target, variant.place.offset)

    def save(self, variant):
        """A save that the file system traces. The paths of the trace and of its base, if any."""
        base = ""
        if os.path.exists(self.backing):
            base = shutil.copy(self.backing, self.path("base"))
        workload = Workload(variant.pattern, 8 * MIB) if variant.pattern else None
        extra = workload.option(self.blocks[0].name) if workload else ()
        with process.multifdd(self.blocks, extra=extra) as daemon:
            self.disk.tell("trace " + self.path("trace"))
            if workload:
                self.save_live(live.Guest(daemon), file_uri(self.target), variant.settings())
            else:
                qmp = daemon.connect()
                with self.uri(qmp, variant) as uri:
                    save(qmp, uri, variant.settings())
            self.disk.tell("untrace")
        return self.path("trace"), base

    def save_live(self, guest, uri, settings):
        """The first pass stands still until the guest has written beside it."""
        guest.qmp.call("cont")
        # The first direct write only asks for the alignment. The buffered ones begin with the header;
        # the tracking of writes begins behind it.
        self.disk.tell("hang write " + ("direct skip 1" if settings.direct_io else
                                        "buffered skip 3"))
        try:
            guest.start_save(uri, settings)
            guest.qmp.event(state_event("active"))
            guest.wait_written(WRITES_BESIDE)
        finally:
            self.disk.tell("clear")
        info = wait_final(guest.qmp)
        self.assertEqual(info["status"], "completed", info.get("error-desc"))
        self.assertGreater(info["ram"]["dirty-sync-count"], 1)
        wait_until(lambda: not guest.qmp.call("query-status")["running"], "the guest stands still")

    def replay(self, variant, ignore_syncs=False):
        """What the model counted of a save like that."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.backing)
        before = [""] * len(BLOCKS)
        if variant.place.over_old:
            self.fill(BEFORE)
            before = self.keep_memory(".before")
            old = variant.checksums if variant.old_checksums is None else variant.old_checksums
            self.save(Variant(variant.place, variant.direct_io, old, variant.channels))
        self.fill(AFTER)
        trace, base = self.save(variant)
        durable = variant.parameters.get("x-sync", True) and not ignore_syncs
        spec = {"trace": trace, "target": "/guest.mig", "base": base,
                "result": shutil.copy(self.backing, self.path("result")),
                "offset": variant.place.offset, "durable": durable, "ignore_syncs": ignore_syncs,
                "seed": SEED, "reorderings": REORDERINGS, "scratch": self.memory,
                "keep": self.path("wrong.mig"),
                "blocks": [{"name": block.name, "before": earlier, "after": later}
                           for block, earlier, later in zip(self.blocks, before,
                                                      self.keep_memory(".after"))]}
        with open(self.path("spec.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        said = subprocess.run([self.replay_program, self.path("spec.json")], text=True,
                              capture_output=True, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        return json.loads(said.stdout)

    COLUMNS = ("writes", "syncs", "cuts", "torn", "reorderings", "absent", "refused", "old", "new",
               "wrong")

    def keep(self, variant):
        """What it takes to run the replay of a save once more."""
        folder = tempfile.mkdtemp(prefix="crash-model-", dir=env.scratch_root())
        for name in os.listdir(self.scratch):
            if os.path.isfile(self.path(name)):
                shutil.copy(self.path(name), folder)
        spec = os.path.join(folder, "spec.json")
        with open(spec, encoding="utf-8") as file:
            text = file.read()
        with open(spec, "w", encoding="utf-8") as file:
            file.write(text.replace(self.scratch, folder).replace(self.memory, folder))
        return "%s; again with: %s %s" % (variant, self.replay_program, spec)

    def test_no_power_cut_leaves_a_file_that_restores_to_other_memory(self):
        env.note("MFD_SEED=%d MFD_REORDERINGS=%d" % (SEED, REORDERINGS))
        records = runner.Records("save", *self.COLUMNS)
        totals = dict.fromkeys(self.COLUMNS, 0)
        for variant in variants():
            with records.record(variant) as row:
                counts = self.replay(variant)
                row.extend(counts[name] for name in self.COLUMNS)
                for name in self.COLUMNS:
                    totals[name] += counts[name]
                if counts["wrong"]:
                    self.fail("\n".join(counts["findings"] + [self.keep(variant)]))
                self.assertGreater(counts["new"], 0)
        records.rows.append(["all"] + [totals[name] for name in self.COLUMNS])
        records.check(self)
        self.assertGreaterEqual(totals["reorderings"], ENOUGH_REORDERINGS)

    def test_the_model_finds_the_wrong_memory_of_saves_without_syncs(self):
        env.note("MFD_SEED=%d MFD_REORDERINGS=%d" % (SEED, REORDERINGS))
        records = runner.Records("control", "save", *self.COLUMNS)
        for name, variant, ignore_syncs in CONTROLS:
            with records.record(name, variant) as row:
                counts = self.replay(variant, ignore_syncs)
                row.extend(counts[name] for name in self.COLUMNS)
                self.assertGreater(counts["wrong"], 0, "the model has no eyes")
        records.check(self)


if __name__ == "__main__":
    runner.main()
