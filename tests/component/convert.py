#!/usr/bin/env python3
"""multifdctl convert without QEMU: golden files, and streams put together here."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess

from mfdtest import env, golden, process, runner, stream
from mfdtest.migrate import Settings, file_uri, load, save

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PAGE = 4096

ZERO, DATA, CONTINUE = 0x02, 0x08, 0x20
END_MARK = b"\x00"


def str8(text):
    return bytes([len(text)]) + text


def eos():
    return struct.pack(">QBI", 0x10, 0x7e, 1)


def page(number, data, name=None):
    """One page as it stands in a stream; no DATA: a zero page."""
    word = number * PAGE | (DATA if data else ZERO) | (0 if name else CONTINUE)
    return struct.pack(">Q", word) + (str8(name) if name else b"") + (data or b"\0")


def part(*pages, kind=b"\2"):
    return kind + struct.pack(">I", 1) + b"".join(pages) + eos()


def ordinary(blocks, *parts, machine=b"none"):
    """An ordinary stream whose only device is the run state."""
    total = sum(pages * PAGE for _, pages in blocks)
    head = b"QEVM\0\0\0\3\7" + struct.pack(">I", len(machine)) + machine
    head += b"\1" + struct.pack(">I", 1) + str8(b"ram") + struct.pack(">IIQ", 0, 4, total | 4)
    head += b"".join(str8(name) + struct.pack(">Q", pages * PAGE) for name, pages in blocks)
    state = struct.pack(">I32sBB66s", 7, b"paused", 1, 0, b"")
    device = b"\4" + struct.pack(">I", 3) + str8(b"globalstate") + struct.pack(">II", 0, 1)
    device += state + b"\x7e" + struct.pack(">I", 3)
    described = json.dumps({"page_size": PAGE, "devices": [
        {"name": "globalstate", "instance_id": 0, "vmsd_name": "globalstate", "version": 1,
         "fields": [{"name": "all", "type": "buffer", "size": 104}]}]}).encode()
    tail = b"\x08\0\x0b\0\0" + part(kind=b"\3") + device + END_MARK
    return (head + eos() + b"".join(parts) + tail +
            b"\6" + struct.pack(">I", len(described)) + described)


def libvirt_image(stream_bytes, form, magic=b"LibvirtQemudSave"):
    xml = b"<domain type='kvm'/>".ljust(1200, b"\0")
    return struct.pack("=16s19I", magic, 2, len(xml), 1, form, 0, *[0] * 14) + xml + stream_bytes


def a_page(number):
    return bytes((number * 31 + i) % 251 + 1 for i in range(256)) * (PAGE // 256)


class Conversions(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.source, self.target = self.path("in"), self.path("out.mig")

    def run_tool(self, *words, status=DONE, text=None, **options):
        done = subprocess.run([self.tool, "convert", *words], input=text, capture_output=True,
                              timeout=10 * env.DEADLINE_S, check=False, **options)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, status, done.stdout[:1000].decode("latin-1") + said)
        if status in (FAILED, USAGE):
            self.assertTrue(said.startswith("multifdctl: convert: "), said)
            self.assertNotIn("out.mig", " ".join(os.listdir(self.scratch)), "half of an output")
        return done.stdout if status == DONE else said

    def write(self, data, name="in"):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def assert_holds(self, path, wanted, offset=0):
        """The memory of each block as a load would leave it."""
        found = {block.name: block for block in stream.read(path, offset).blocks}
        self.assertEqual({name: stream.ram_sha256(path, found[name]) for name in wanted}, wanted)

    def assert_restores(self, path, memory, offset=0):
        copy = self.ram("m0", len(memory))
        with process.multifdd([copy], incoming="defer") as daemon:
            load(daemon.connect(), file_uri(path, offset), Settings(2))
        self.assertEqual(copy.read(), memory)
        copy.close()

    def live(self):
        """A stream in which pages come again, and the memory it ends with."""
        first = [page(n, a_page(n) if n % 3 else None, None if n else b"m0") for n in range(80)]
        later = part(page(1, None, b"m0"), page(3, a_page(103)), page(3, a_page(203)),
                     page(6, a_page(106)), page(6, None), page(79, a_page(179)))
        memory = [a_page(n) if n % 3 else bytes(PAGE) for n in range(80)]
        memory[1], memory[3], memory[6], memory[79] = (bytes(PAGE), a_page(203), bytes(PAGE),
                                                       a_page(179))
        return ordinary([(b"m0", 80)], part(*first), later), b"".join(memory)


class Convert(Conversions):
    def test_golden_files_come_through_an_ordinary_stream_unchanged(self):
        for sample in golden.samples():
            if not sample.complete:
                continue
            with self.subTest(sample.name):
                source = sample.unpack(self.scratch)
                place = ["--input-offset", str(sample.offset)] if sample.offset else []
                flat, again = self.path("flat"), self.path("again")
                self.run_tool(source, flat, "--to", "sequential", "--force", *place)
                said = json.loads(self.run_tool(flat, again, "--force", "--json"))
                wanted = {block["idstr"]: block["ram_sha256"] for block in sample.blocks}
                self.assert_holds(again, wanted)
                self.assertEqual(said["machine"], sample.machine)
                self.assertEqual(said["ram-bytes"], sample.info["total_ram"])
                self.assertEqual(said["input"]["form"], "sequential")
                # Everything behind the RAM, device by device, is what QEMU wrote.
                with open(again, "rb") as file, open(source, "rb") as original:
                    file.seek(stream.read(again).ram_end)
                    original.seek(stream.read(source, sample.offset).ram_end)
                    self.assertEqual(devices_of(file.read()), devices_of(original.read()))
                os.unlink(source)

    def test_a_golden_file_moves_and_its_zero_pages_are_left_out(self):
        sample = golden.sample("none-tail-zpdnone")
        source = sample.unpack(self.scratch)
        wanted = {block["idstr"]: block["ram_sha256"] for block in sample.blocks}
        kept = json.loads(self.run_tool(source, self.path("kept"), "--json", "--offset", "777"))
        self.assert_holds(self.path("kept"), wanted, 777)
        self.assertEqual(kept["stored-pages"], 4099)
        said = json.loads(self.run_tool(source, self.target, "--json", "--zero-pages", "drop",
                                        "--checksums", "on"))
        self.assert_holds(self.target, wanted)
        self.assertLess(said["stored-pages"], 4099)
        self.assertLess(said["output"]["allocated-bytes"], kept["output"]["allocated-bytes"])
        self.assertTrue(said["output"]["checksums"])

    def test_the_last_of_a_page_counts(self):
        data, memory = self.live()
        self.run_tool(self.write(data), self.target)
        self.assert_restores(self.target, memory)
        # Nothing is left of what a page was before.
        pages = stream.read(self.target).blocks[0].pages_offset
        with open(self.target, "rb") as file:
            file.seek(pages)
            self.assertEqual(file.read(len(memory)), memory)

    def test_it_is_found_in_whatever_it_is_packed_in(self):
        data, memory = self.live()
        zstd = shutil.which("zstd")
        env.need(zstd, "no zstd")
        squeezed = subprocess.run([zstd, "-q", "-c"], input=data, capture_output=True,
                                  check=True).stdout
        half = len(data) // 2
        members = gzip.compress(data[:half]) + gzip.compress(data[half:])
        packings = [data, gzip.compress(data), members, squeezed, libvirt_image(data, 0),
                    libvirt_image(gzip.compress(data), 1), libvirt_image(squeezed, 5),
                    gzip.compress(libvirt_image(squeezed, 5))]
        for number, packed in enumerate(packings):
            with self.subTest(number):
                self.run_tool(self.write(packed), self.target, "--force", "-q")
                self.assert_restores(self.target, memory)
                self.run_tool("-", self.target, "--force", "-q", text=packed)
                self.assert_restores(self.target, memory)
                for cut in (30, len(packed) // 2, len(packed) - 60):
                    os.unlink(self.target)
                    self.run_tool(self.write(packed[:cut]), self.target, status=FAILED)
                    self.write(b"", "out.mig")

    def test_a_libvirt_header_stays_with_the_format_that_fits(self):
        data, memory = self.live()
        image = libvirt_image(data, 0)
        offset = len(image) - len(data)
        self.run_tool(self.write(image), self.target, "--keep-header", "--checksums", "on")
        with open(self.target, "rb") as file:
            header = file.read(offset)
        self.assertEqual(struct.unpack_from("=I", header, 28), (6,))
        self.assertEqual(header[:28] + header[32:], image[:28] + image[32:offset])
        self.assert_restores(self.target, memory, offset)
        self.run_tool(self.target, self.path("back"), "--keep-header", "--to", "sequential")
        self.run_tool(self.path("back"), self.target, "--force")
        with open(self.path("back"), "rb") as file:
            self.assertEqual(file.read(offset), image[:offset])
        self.assert_restores(self.target, memory)

    def test_what_cannot_be_converted_is_refused_by_name(self):
        data, _ = self.live()
        xbzrle = ordinary([(b"m0", 8)], part(struct.pack(">Q", 0x40) + str8(b"m0")))
        multifd = ordinary([(b"m0", 8)], part(struct.pack(">Q", 0x200)))
        kinds = [(b"\xfd7zXZ\0" + data, "xz -dc IN | multifdctl convert - OUT"),
                 (b"BZh9" + data, "bzip2 -dc"), (b"\x89LZO\0" + data, "lzop -dc"),
                 (libvirt_image(data, 3), "compressed with xz"),
                 (xbzrle, "xbzrle"), (multifd, "multifd")]
        cases = [(libvirt_image(data, 0, b"LibvirtQemudPart"), "not marked"),
                 (b"\x7fELF" + data, "Not a migration stream"), (b"", "Not a migration stream"),
                 (data[:-1], "past the end"), (data[:len(data) // 2], "not a finished save")]
        for status, group in ((USAGE, kinds), (FAILED, cases)):
            for content, text in group:
                with self.subTest(text):
                    self.assertIn(text, self.run_tool(self.write(content), self.target,
                                                      status=status))
        for source, text in ((self.path("none"), "No such file"), (self.scratch, "directory")):
            self.assertIn(text, self.run_tool(source, self.target, status=USAGE))
            self.run_tool(source, "--in-place", "--checksums", "on", status=USAGE)
        self.assertIn("--input-offset", self.run_tool(self.write(b"\x7fELF" + data), "--in-place",
                                                      "--checksums", "on", status=FAILED))

    def test_wrong_options_say_what_to_do(self):
        data, memory = self.live()
        self.write(data)
        old, image = self.write(b"precious", "old"), self.write(libvirt_image(data, 0), "image")
        mapped = self.path("mapped")
        self.run_tool(self.source, mapped)
        cases = [([self.source, old], "--force"), ([self.source], "OUT is missing"),
                 ([self.source, self.target, "--in-place"], "leave out OUT"),
                 ([self.source, "--in-place"], "nothing to do"),
                 ([self.source, "-"], "needs a file"),
                 ([self.source, self.target, "--keep-header"], "no libvirt header"),
                 ([self.source, self.target, "--to", "sequential"], "ordinary stream already"),
                 (["-", "--in-place", "--punch-holes"], "--in-place needs a file"),
                 (["/dev/null", "--in-place", "--punch-holes"], "is no regular file"),
                 ([self.source, "-", "--to", "sequential", "--json"], "cannot both go to"),
                 ([image, self.target, "--keep-header", "--offset", "8"], "leave out --offset"),
                 ([mapped, self.target, "--to", "sequential", "--checksums", "on"],
                  "stand behind mapped-ram streams only")]
        for words, text in cases:
            with self.subTest(text):
                self.assertIn(text, self.run_tool(*words, status=USAGE))
        with open(old, "rb") as file:
            self.assertEqual(file.read(), b"precious")
        self.run_tool(self.source, old, "--force")
        self.assert_restores(old, memory)
        with open(old, "rb") as file:
            self.assertIn("in a file", self.run_tool("-", self.target, status=USAGE,
                                                     text=file.read()))

    def test_an_interrupted_conversion_leaves_nothing(self):
        data, _ = self.live()
        read_end, write_end = os.pipe()
        with open(write_end, "wb") as pipe:
            with subprocess.Popen([self.tool, "convert", "-", self.target], stdin=read_end,
                                  stderr=subprocess.PIPE) as tool:
                os.close(read_end)
                # More than a pipe holds, so it reads, and knows its signals, by the time this is in.
                pipe.write(data[:len(data) - 100])
                pipe.flush()
                tool.send_signal(signal.SIGINT)
                said = tool.stderr.read().decode()
                self.assertEqual(tool.wait(env.DEADLINE_S), INTERRUPTED, said)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_a_stream_goes_through_a_pipe_with_its_header(self):
        data, memory = self.live()
        self.run_tool(self.write(data), self.path("mapped"))
        piped = self.run_tool(self.path("mapped"), "-", "--to", "sequential")
        self.run_tool("-", self.target, text=piped)
        self.assert_restores(self.target, memory)
        image = libvirt_image(data, 0)
        self.run_tool(self.write(image), self.path("image"), "--keep-header")
        piped = self.run_tool(self.path("image"), "-", "--to", "sequential", "--keep-header")
        offset = len(image) - len(data)
        self.assertEqual(piped[:offset], image[:offset])
        self.run_tool("-", self.target, "--force", text=piped)
        self.assert_restores(self.target, memory)

    def test_an_interruption_while_nobody_reads_ends_it(self):
        block = self.ram("m0", 4 << 20)
        block.fill(0x31)
        with process.multifdd([block]) as daemon:
            save(daemon.connect(), file_uri(self.source), Settings(2))
        with subprocess.Popen([self.tool, "convert", self.source, "-", "--to", "sequential"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            # By then it knows its signals; most does not fit into the pipe.
            self.assertEqual(tool.stdout.read(4), b"QEVM")
            tool.send_signal(signal.SIGINT)
            self.assertEqual(tool.wait(env.DEADLINE_S), INTERRUPTED)
            self.assertIn(b"multifdctl: convert: ", tool.stderr.read())

    def test_many_pages_are_written_in_parts(self):
        pages = 40_000
        block = self.ram("m0", pages * PAGE)
        for number in (0, 32_767, 32_768, pages - 1):
            os.pwrite(block.fd, a_page(number), number * PAGE)
        with process.multifdd([block]) as daemon:
            save(daemon.connect(), file_uri(self.source), Settings(2))
        self.run_tool(self.source, self.path("flat"), "--to", "sequential")
        with open(self.path("flat"), "rb") as file:
            self.assertGreater(file.read().count(eos()), 3)
        self.run_tool(self.path("flat"), self.target)
        self.assert_restores(self.target, block.read())

    def test_the_place_of_damage_is_told_with_what_it_counts_from(self):
        data, _ = self.live()
        half, packed = data[:len(data) // 2], gzip.compress(data)
        for words, content, text in (
                ([], gzip.compress(half), "offsets are those of the unpacked stream"),
                (["--input-offset", "9"], b"nine byte" + half, "count from --input-offset"),
                ([], packed[:200] + bytes(50) + packed[250:], "the gzip data is damaged")):
            with self.subTest(text):
                self.assertIn(text, self.run_tool(self.write(content), self.target, *words,
                                                  status=FAILED))
        zstd = shutil.which("zstd")
        env.need(zstd, "no zstd")
        squeezed = subprocess.run([zstd, "-q", "-c"], input=data, capture_output=True,
                                  check=True).stdout
        self.assertIn("the zstd data: ", self.run_tool(
            self.write(squeezed[:9] + b"\xff" * 40 + squeezed[49:]), self.target, status=FAILED))
        self.assertIn("go to offset 9 of -: ", self.run_tool("-", self.target, "--input-offset", "9",
                                                             status=USAGE, text=data))

    def test_checksums_are_not_written_over_what_stands_behind_the_stream(self):
        data, memory = self.live()
        self.run_tool(self.write(data), self.target)
        with open(self.target, "ab") as file:
            file.write(b"somebody else's")
        said = subprocess.run([self.tool, "convert", self.target, "--in-place", "--checksums", "on"],
                              capture_output=True, check=False, timeout=env.DEADLINE_S)
        self.assertEqual(said.returncode, USAGE)
        self.assertIn(b"something else stands behind the stream", said.stderr)
        with open(self.target, "rb") as file:
            self.assertTrue(file.read().endswith(b"somebody else's"))
        self.assert_restores(self.target, memory)

    def test_damaged_checksums_can_be_removed_and_nothing_else_is_done(self):
        data, memory = self.live()
        sums = self.path("sums")
        self.run_tool(self.write(data), sums, "--checksums", "on")
        found = subprocess.run([self.tool, "inspect", "--json", sums], capture_output=True, check=True)
        with open(sums, "r+b") as file:
            file.seek(json.loads(found.stdout)["checksums"]["offset"] + 20)
            file.write(b"\xff" * 50)
        self.assertIn("'--checksums off' alone keeps the stream without them",
                      self.run_tool(sums, "--in-place", "--zero-pages", "drop", status=FAILED))
        self.run_tool(sums, "--in-place", "--checksums", "off")
        self.assert_restores(sums, memory)

    def test_damage_is_not_given_new_checksums(self):
        data, _ = self.live()
        self.run_tool(self.write(data), self.path("sums"), "--checksums", "on")
        at = stream.read(self.path("sums")).blocks[0].pages_offset + 3 * PAGE + 5
        with open(self.path("sums"), "r+b") as file:
            file.seek(at)
            file.write(b"\0")
        for words in ([self.path("sums"), self.target],
                      [self.path("sums"), self.target, "--to", "sequential"],
                      [self.path("sums"), "--in-place", "--zero-pages", "drop"]):
            self.assertIn("page 3", self.run_tool(*words, status=FAILED))

    def test_in_place_gives_back_space_and_checksums_come_and_go(self):
        data, memory = self.live()
        file = self.path("changed")
        self.run_tool(self.write(data), file, "--zero-pages", "store")
        wanted = [(("--zero-pages", "drop", "--punch-holes"), False), (("--checksums", "on"), True),
                  (("--zero-pages", "store"), True), (("--zero-pages", "drop"), True),
                  (("--checksums", "off"), False), (("--checksums", "off"), False)]
        for words, sums in wanted:
            said = json.loads(self.run_tool(file, "--in-place", "--json", *words))
            self.assertEqual(said["checksums"], sums, words)
            self.assert_restores(file, memory)
        # The first kind: the stream names them.
        self.run_tool(self.source, file, "--force", "--checksums", "on")
        size = os.path.getsize(file)
        self.run_tool(file, "--in-place", "--checksums", "off")
        self.assertLess(os.path.getsize(file), size)
        self.assert_restores(file, memory)

    def test_in_place_holes_take_no_space(self):
        """A slot that means nothing is given back."""
        sample = golden.sample("pc-live-stale-16m")
        source = sample.unpack(self.scratch)
        wanted = {block["idstr"]: block["ram_sha256"] for block in sample.blocks}
        said = json.loads(self.run_tool(source, "--in-place", "--json", "--punch-holes"))
        self.assertLess(said["allocated-bytes"], said["allocated-bytes-before"])
        self.assert_holds(source, wanted)


class Killed(Conversions):
    """Not with a sanitizer: its runtime wants to be the first library of a program."""

    def test_a_file_that_is_killed_at_any_step_in_place_is_the_same_guest(self):
        library = os.environ.get("MFD_DIE_AFTER", "")
        env.need(library, "no way to kill a program at a step of its own (MFD_DIE_AFTER)")
        data, memory = self.live()
        plain, named, stored = self.path("plain"), self.path("named"), self.path("stored")
        self.run_tool(self.write(data), plain)
        self.run_tool(self.source, named, "--checksums", "on")
        self.run_tool(self.source, stored, "--zero-pages", "store")
        cases = [(plain, ["--checksums", "on"]), (stored, ["--zero-pages", "drop",
                                                           "--punch-holes", "--checksums", "on"]),
                 (plain, ["--zero-pages", "store"]), (named, ["--checksums", "off"]),
                 (named, ["--zero-pages", "store"])]
        for source, words in cases:
            with self.subTest(words):
                self.kill_at_every_step(source, words, library, memory)

    def kill_at_every_step(self, source, words, library, memory):
        file = self.path("killed")
        for step in range(1, 200):
            shutil.copy(source, file)
            changed = subprocess.run(
                [self.tool, "convert", file, "--in-place", *words], capture_output=True,
                timeout=env.DEADLINE_S, check=False,
                env={**os.environ, "LD_PRELOAD": library, "DIE_AFTER": str(step)})
            read = subprocess.run([self.tool, "convert", file, "-", "--to", "sequential"],
                                  capture_output=True, timeout=env.DEADLINE_S, check=False)
            # QEMU does not look at checksums: for it the stream is whole at every step.
            self.assert_holds(file, {"m0": sha256(memory)})
            if read.returncode != DONE:
                self.assertIn("trailer with the checksums: missing or damaged", read.stderr.decode())
                self.run_tool(file, "--in-place", "--checksums", "off")
            if changed.returncode == DONE:
                self.assertGreater(step, 2, "it changed nothing")
                self.assert_restores(file, memory)
                return
            self.assertEqual(changed.returncode, -signal.SIGKILL, changed.stderr)
        self.fail("no end of its steps")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def devices_of(tail):
    """What stands between the RAM section's END and the end mark, of a stream's end."""
    end = b"\3\0\0\0\1" + eos()
    tail = tail[tail.index(end) + len(end):]
    return tail[:tail.rindex(b"\0\6")]


if __name__ == "__main__":
    runner.main()
