#!/usr/bin/env python3
"""Streams that stock QEMU wrote in one form, converted, are loaded by stock QEMU in the other."""

import os
import subprocess

from mfdtest import env, process, runner
from mfdtest.migrate import Settings, file_uri, load, run_state, save
from mfdtest.qmp import wait_until
from mfdtest.ram import difference

MIB = 1 << 20

#: The ways to load a mapped-ram file.
MAPPED = [Settings(), Settings(3), Settings(2, True)]
LAYOUTS = {"none": [("m0", 48 * MIB)],
           "pc": [("n0", 60 * MIB), ("n1", 68 * MIB), ("d0", 128 * MIB)]}
MACHINES = {"none": process.qemu_none, "pc": process.qemu_pc}

#: What a person sees of the devices' state: processors and interrupt controllers.
SHOWN = ["info registers -a", "info pic", "info lapic"]


class Sequential:
    """A migration as it is without any capability."""

    def __str__(self):
        return "ordinary"

    @staticmethod
    def apply(qmp):
        qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": name, "state": name == "events"}
            for name in ("events", "mapped-ram", "multifd")]})
        qmp.call("migrate-set-parameters", {"max-bandwidth": 0})


class Convert(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.qemu()
        env.need_direct_io(self.scratch)
        self.saved, self.converted = self.path("saved"), self.path("converted")

    def convert(self, *words):
        done = subprocess.run([env.tool("MFD_CTL", "multifdctl"), "convert", *words],
                              capture_output=True, text=True, timeout=10 * env.DEADLINE_S,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def blocks(self, machine):
        return [self.ram(name, size) for name, size in LAYOUTS[machine]]

    def devices(self, qmp, machine):
        """What the machine shows of its devices."""
        shown = SHOWN if machine == "pc" else []
        return [qmp.call("human-monitor-command", {"command-line": line}) for line in shown]

    def save(self, machine, settings):
        """A guest that ran for a while, so that its devices are not as after a reset."""
        blocks = self.blocks(machine)
        for seed, block in enumerate(blocks):
            block.fill(0x2000 + seed)
        with MACHINES[machine](blocks) as program:
            qmp = program.connect()
            if machine == "pc":
                fresh = self.devices(qmp, machine)
                qmp.call("cont")
                wait_until(lambda: self.devices(qmp, machine)[1:] != fresh[1:],
                           "the firmware has set up an interrupt controller")
                qmp.call("stop")
            devices, state = self.devices(qmp, machine), run_state(qmp)
            save(qmp, file_uri(self.saved), settings)
        return blocks, devices, state

    def assert_loads(self, machine, offset, settings, saved):
        blocks, devices, state = saved
        copies = self.blocks(machine)
        for copy in copies:
            # Memory of a load from a mapped-ram file has to be zero, as QEMU does it.
            if isinstance(settings, Sequential):
                copy.poison()
        with MACHINES[machine](copies, incoming="defer") as program:
            qmp = program.connect()
            load(qmp, file_uri(self.converted, offset), settings)
            wait_until(lambda: run_state(qmp) != "inmigrate", "QEMU has taken over the machine")
            self.assertEqual(run_state(qmp), state)
            self.assertEqual(self.devices(qmp, machine), devices)
            self.assertIsNone(difference(blocks, copies))
        for copy in copies:
            copy.close()

    def check_to_mapped_ram(self, machine):
        saved = self.save(machine, Sequential())
        records = runner.Records("machine", "converted with", "loads by QEMU")
        for words, offset in [((), 0), (("--checksums", "on", "--offset", "12345"), 12345),
                              (("--zero-pages", "store"), 0)]:
            with records.record(machine, " ".join(words)) as row:
                self.convert(self.saved, self.converted, "--force", *words)
                for settings in MAPPED:
                    self.assert_loads(machine, offset, settings, saved)
                row.append("RAM and devices equal: " + ", ".join(map(str, MAPPED)))
        records.check(self)

    def check_to_sequential(self, machine):
        saved = self.save(machine, Settings(4))
        self.convert(self.saved, self.converted, "--to", "sequential")
        self.assert_loads(machine, 0, Sequential(), saved)

    def test_an_ordinary_stream_of_machine_none_loads_as_mapped_ram(self):
        self.check_to_mapped_ram("none")

    def test_an_ordinary_stream_of_a_pc_loads_as_mapped_ram(self):
        self.check_to_mapped_ram("pc")

    def test_a_mapped_ram_file_of_machine_none_loads_as_an_ordinary_stream(self):
        self.check_to_sequential("none")

    def test_a_mapped_ram_file_of_a_pc_loads_as_an_ordinary_stream(self):
        self.check_to_sequential("pc")

    def test_a_stream_goes_from_qemu_through_a_pipe_into_a_mapped_ram_file(self):
        """`migrate exec:` needs no room for the ordinary stream at all."""
        (block,) = blocks = self.blocks("none")
        block.fill(0x51)
        tool = env.tool("MFD_CTL", "multifdctl")
        with process.qemu_none(blocks) as program:
            qmp = program.connect()
            state = run_state(qmp)
            save(qmp, "exec:%s convert - %s" % (tool, self.converted), Sequential())
            wait_until(lambda: os.path.exists(self.converted), "the file appears")
        self.assert_loads("none", 0, Settings(3), (blocks, [], state))

    def test_what_was_changed_in_place_loads(self):
        saved = self.save("pc", Settings(2, parameters={"zero-page-detection": "none"}))
        os.rename(self.saved, self.converted)
        for words in [("--zero-pages", "drop", "--punch-holes"), ("--checksums", "on"),
                      ("--zero-pages", "store"), ("--zero-pages", "drop", "--checksums", "off")]:
            self.convert(self.converted, "--in-place", *words)
            self.assert_loads("pc", 0, Settings(3), saved)


if __name__ == "__main__":
    runner.main()
