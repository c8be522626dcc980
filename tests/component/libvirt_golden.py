#!/usr/bin/env python3
"""Conversations that libvirt held with QEMU, played to multifdd."""

import os
import struct

from conversation import Player, fill_in, open_like_the_manager, read
from mfdtest import disk, env, process, runner, stream
from mfdtest.migrate import Settings, file_uri, load, save, state_event

MIB = 1 << 20
OFFSET = 0x10671


def management_header():
    """As libvirt writes it: magic, five integers, 14 unused ones, then the description."""
    start = struct.pack("=16s19I", b"LibvirtQemudPart", 2, OFFSET - 92, 1, 6, 1189, *[0] * 14)
    return start + b"<domain/>".ljust(OFFSET - 92, b"\0")


class LibvirtConversations(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need_direct_io(self.scratch)
        self.image = self.path("image.save")
        self.block = self.ram("m0", 64 * MIB)
        self.block.fill(0x77)
        self.header = management_header()

    def variables(self, **more):
        return dict(IMG=self.image, OFF=hex(OFFSET), **more)

    def start(self, block, paused=False, **options):
        return process.subject([block], paused=paused, **options)

    def player(self, program):
        """A manager's connection: negotiated, and told to report migration events."""
        qmp = program.connect()
        qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": "events", "state": True}]})
        return Player(program, qmp, self.header)

    def save(self):
        _, steps = read("libvirt-save.jsonl")
        with self.start(self.block) as program:
            self.player(program).play(fill_in(steps, self.variables()))

    def assert_image_holds(self, block):
        """The header survives, and the stream behind it restores."""
        with open(self.image, "rb") as file:
            self.assertEqual(file.read(OFFSET), self.header, "the management header")
        stream.read(self.image, OFFSET)
        copy = self.ram("m0", block.size)
        with process.subject([copy], incoming="defer") as other:
            load(other.connect(), file_uri(self.image, OFFSET), Settings(4, True))
        self.assertIsNone(block.difference(copy))

    def test_the_save_conversation_matches_and_leaves_a_good_image(self):
        self.save()
        self.assert_image_holds(self.block)

    def test_the_restore_conversation_matches_with_inherited_descriptors(self):
        self.save()
        copy = self.ram("m0", self.block.size)
        _, steps = read("libvirt-restore.jsonl")
        steps = fill_in(steps, self.variables())
        spawn, steps = steps[0]["spawn"], steps[1:]
        fds = {entry["name"]: open_like_the_manager(entry, self.header) for entry in spawn["fds"]}
        try:
            extra = fill_in(spawn["argv"][2:], fds)
            with self.start(copy, True, incoming=spawn["argv"][1], extra=extra,
                            fds=tuple(fds.values())) as program:
                qmp = program.connect()
                sets = qmp.call("query-fdsets")
                self.assertEqual([entry["opaque"] for entry in sets[0]["fds"]], [
                    "libvirt-incoming-migrate-buffered-fd",
                    "libvirt-incoming-migratedirect-io-fd"])
                # The greeting and the negotiation have passed when the connection stands.
                rest = [step for step in steps
                        if step.get("send", {}).get("execute") != "qmp_capabilities"]
                Player(program, qmp, self.header).play(rest)
                self.assertTrue(qmp.call("query-status")["running"])
        finally:
            for fd in fds.values():
                os.close(fd)
        self.assertIsNone(self.block.difference(copy))

    def test_the_cancel_conversation_matches_and_nothing_holds_the_image_open(self):
        _, steps = read("libvirt-save-cancel.jsonl")
        self.block.write(b"\x33" * self.block.size)
        with self.start(self.block) as program:
            player = self.player(program)
            self.own_descriptor_set(player.qmp)
            player.before = lambda command: self.slow_down(player.qmp, command)
            player.play(fill_in(steps, self.variables()))
            os.unlink(self.image)
            player.qmp.call("remove-fd", {"fdset-id": 1})
            self.assertNotIn(self.image, open_files(program), "the image is still open")

    def slow_down(self, qmp, command):
        """Stands for the operator's disk: the save is half-way when the operator cancels it."""
        if command == "migrate":
            qmp.call("migrate-set-parameters", {"max-bandwidth": MIB})

    def own_descriptor_set(self, qmp):
        """The guest of the recording has its serial log in set 0."""
        with open(self.path("serial.log"), "wb") as log:
            qmp.call("add-fd", {"fdset-id": 0}, fds=[log.fileno()])

    def test_the_disk_full_conversation_matches_and_a_save_elsewhere_works(self):
        _, steps = read("libvirt-save-enospc.jsonl")
        self.block.write(b"\x33" * self.block.size)
        with self.start(self.block) as program:
            player = self.player(program)
            self.cancel_a_save(player.qmp)
            self.image = os.path.join(disk.mount_small(self, 24), "image.save")
            player.play(fill_in(steps, self.variables()))
            desc = player.qmp.call("query-migrate")["error-desc"]
            self.assertIn("No space left on device", desc)
            player.qmp.call("remove-fd", {"fdset-id": 2})
            os.unlink(self.image)
            self.image = self.path("elsewhere.save")
            with open(self.image, "wb") as file:
                file.write(self.header)
            player.qmp.call("stop")
            save(player.qmp, file_uri(self.image, OFFSET), Settings(4, True))
        self.assert_image_holds(self.block)

    def cancel_a_save(self, qmp):
        """What the recording starts from: its guest had a save cancelled, and its set leaked."""
        Settings(4, parameters={"max-bandwidth": MIB}).apply(qmp)
        qmp.call("migrate", {"uri": file_uri(self.path("cancelled.mig"))})
        qmp.event(state_event("active"))
        qmp.call("migrate_cancel")
        qmp.event(state_event("cancelled"))
        qmp.events.clear()

    def test_a_save_with_direct_io_left_on_and_one_descriptor_is_answered_and_survived(self):
        """libvirt never turns direct-io off again; QEMU dies here and takes the guest with it."""
        env.need(env.subject() != "qemu", "QEMU ends with a segmentation fault here")
        _, steps = read("libvirt-save-sticky-directio.jsonl")
        with self.start(self.block) as program:
            player = self.player(program)
            player.play(fill_in(steps, self.variables()))
            status = player.qmp.call("query-migrate")
            if status["status"] == "completed":
                self.assert_image_holds(self.block)
            else:
                self.assertIn("Failed to find file descriptor with matching flags=0x4001",
                              status["error-desc"])
            self.assertTrue(program.alive())


def open_files(program):
    folder = "/proc/%d/fd" % program.process.pid
    return [os.readlink(os.path.join(folder, name)).removesuffix(" (deleted)")
            for name in os.listdir(folder)]


if __name__ == "__main__":
    runner.main()
