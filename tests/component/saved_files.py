#!/usr/bin/env python3
"""Saved files looked at by multifdctl alone: what it shows, how it judges, what it takes out."""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess

from mfdtest import env, golden, process, runner, stream
from mfdtest.migrate import Settings, file_uri, save

MIB, GIB, PAGE = 1 << 20, 1 << 30, 4096
DONE, FAILED, TROUBLE = 0, 1, 2

#: Damage that a file by itself does not show: nothing contradicts it, or it has no meaning.
NOT_IN_THE_FILE = {"unchanged", "padding-nonzero", "vmdesc-marker", "truncate-in-after-end-mark",
                   "machine-name-differs", "idstr-unknown", "bitmap-all-clear",
                   "bitmap-one-bit-clear"}

#: A verdict on damage says where it is, or in which block.
PLACE = re.compile(r"at 0x[0-9a-f]+|ramblock", re.IGNORECASE)


def dashed(name):
    return name.replace("_", "-")


def hexdump(data, at=0):
    """As `hexdump -C` prints it."""
    lines, last, starred = [], None, False
    for offset in range(0, len(data), 16):
        line = data[offset:offset + 16]
        if line == last:
            lines += [] if starred else ["*"]
            starred = True
            continue
        last, starred = line, False
        left, right = (" ".join("%02x" % byte for byte in half) for half in (line[:8], line[8:]))
        text = "".join(chr(byte) if 0x20 <= byte < 0x7f else "." for byte in line)
        lines.append("%08x  %s  %s  |%s|" % (at + offset, left, right, text))
    return "\n".join(lines + ["%08x" % (at + len(data))]) + "\n"


def allocated(path):
    """Bytes on the file system, after it has decided where they go."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    return os.stat(path).st_blocks * 512


class FileTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")

    def run_tool(self, *words, status=DONE, binary=False):
        done = subprocess.run([self.tool, *words], capture_output=True, text=not binary,
                              timeout=env.DEADLINE_S * 5, check=False)
        self.assertEqual(done.returncode, status, "%s\n%s%s" % (words, done.stdout, done.stderr))
        return done

    def ask(self, *words, status=DONE):
        return json.loads(self.run_tool(*words, "--json", status=status).stdout)

    def saved(self, name, *blocks, machine="none", channels=2, **parameters):
        """A file of multifdd with these blocks."""
        path = self.path(name)
        with process.multifdd(blocks, machine=machine) as daemon:
            save(daemon.connect(), file_uri(path), Settings(channels, parameters=parameters))
        return path

    def poke(self, path, at, data):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(data)


class Golden(FileTest):
    """QEMU's files, about which the manifest says everything."""

    def setUp(self):
        super().setUp()
        self.files = [(sample, sample.unpack(self.scratch), self.place(sample))
                      for sample in golden.samples()]

    @staticmethod
    def place(sample):
        return ["--offset", hex(sample.offset)] if sample.offset else []

    def assert_members(self, found, expected, but=()):
        """What the manifest has of an object, under names with dashes."""
        for name, value in expected.items():
            if name not in but:
                self.assertEqual(found.get(dashed(name)), value, name)

    def test_inspect_says_what_the_manifest_says(self):
        for sample, path, place in self.files:
            with self.subTest(sample.name):
                info = sample.info
                on_disk = allocated(path)
                found = self.ask("inspect", path, *place, "--runs", "--deep",
                                 status=DONE if sample.complete else FAILED)
                self.assertEqual(found["file-size"], info["uncompressed_size"])
                self.assertEqual(found["allocated"], on_disk)
                self.assert_members(found, {name: info[name] for name in (
                    "complete", "stream_offset", "total_ram", "part_sections")})
                self.assert_members(found, {name: info[name] for name in (
                    "end", "trailing", "vmdesc", "page_size") if name in info})
                self.assert_members(found["configuration"], info["configuration"], ["subsections"])
                for ours, theirs in zip(found["configuration"]["subsections"],
                                        info["configuration"]["subsections"], strict=True):
                    self.assert_members(ours, theirs)
                for ours, theirs in zip(found["sections"], info["sections"], strict=True):
                    self.assert_members(ours, theirs)
                for ours, theirs in zip(found["blocks"], info["blocks"], strict=True):
                    self.assert_block(ours, theirs)
                self.assert_devices(found)
                if not sample.complete:
                    self.assertIn(info["stopped"].split()[-1], found["problem"])

    def assert_block(self, found, info):
        self.assert_members(found, info, ["bitmap_sha256", "ram_sha256", "set_runs", "contents",
                                          "stale_page_indexes"])
        bitmap = bytearray(info["bitmap_size"])
        stale, at = [], 0
        for state, first, count in found["runs"]:
            self.assertEqual(first, at, "the runs leave no page out")
            at += count
            for page in range(first, at):
                if state == "stored":
                    bitmap[page // 8] |= 1 << page % 8
                elif state == "stale":
                    stale.append(page)
        self.assertEqual(at, info["num_pages"])
        self.assertEqual(hashlib.sha256(bitmap).hexdigest(), info["bitmap_sha256"])
        self.assertEqual(len(stale), info["stale_pages"])
        if info.get("stale_page_indexes"):
            self.assertEqual(stale, info["stale_page_indexes"])
        if info.get("set_runs") is not None:
            self.assertEqual([run[1:] for run in found["runs"] if run[0] == "stored"],
                             info["set_runs"])

    def assert_devices(self, found):
        """The vmdescription lists the FULL sections."""
        sections = [section for section in found["sections"] if section["type"] == "FULL"]
        self.assertEqual([(device["name"], device["instance-id"], device["version"],
                           device["size"]) for device in found["devices"]],
                         [(section["idstr"], section["instance-id"], section["version-id"],
                           section["footer-offset"] - section["body-offset"])
                          for section in sections])

    def test_the_text_of_inspect_names_machine_and_blocks(self):
        for sample, path, place in self.files:
            text = self.run_tool("inspect", path, *place,
                                 status=DONE if sample.complete else FAILED).stdout
            self.assertIn(sample.machine, text)
            for block in sample.blocks:
                self.assertIn("    %s " % block["idstr"], text)

    def test_verify_tells_complete_files_from_the_cancelled_one(self):
        for sample, path, place in self.files:
            with self.subTest(sample.name):
                if sample.complete:
                    for depth in ([], ["--deep"]):
                        done = self.run_tool("verify", path, *place, *depth)
                        self.assertIn(": complete, no checksums", done.stdout)
                    continue
                done = self.run_tool("verify", path, *place, status=FAILED)
                self.assertIn("the save did not get to its end", done.stdout)

    def test_extract_gives_every_block_as_it_was(self):
        for sample, path, place in self.files:
            for index, block in enumerate(sample.blocks):
                with self.subTest("%s %s" % (sample.name, block["idstr"])):
                    out = self.path("%s.%d" % (sample.name, index))
                    words = ["extract", path, block["idstr"], *place]
                    if not sample.complete:
                        self.run_tool(*words, "-o", out, status=FAILED)
                        self.assertFalse(os.path.exists(out), "nothing is left of it")
                        continue
                    self.run_tool(*words, "-o", out)
                    with open(out, "rb") as file:
                        self.assertEqual(hashlib.sha256(file.read()).hexdigest(),
                                         block["ram_sha256"])
                    said = self.run_tool(*words, binary=True).stdout
                    self.assertEqual(hashlib.sha256(said).hexdigest(), block["ram_sha256"])
                    os.unlink(out)

    def test_each_file_is_the_same_as_itself_and_no_other(self):
        (first, path, _), (other, changed, _) = self.files[0], self.files[1]
        self.assertIn("the same memory", self.run_tool("diff", path, path).stdout)
        found = self.ask("diff", path, changed, status=FAILED)
        self.assertFalse(found["same"])
        sizes = [{block["idstr"]: block["num_pages"] for block in sample.blocks}
                 for sample in (first, other)]
        for block in found["blocks"]:
            self.assertEqual(block.get("pages-a"), sizes[0].get(block["name"]))
            self.assertEqual(block.get("pages-b"), sizes[1].get(block["name"]))


class Documented(FileTest):
    def members(self, value):
        if isinstance(value, dict):
            return set(value).union(*(self.members(member) for member in value.values()))
        if isinstance(value, list):
            return set().union(*(self.members(member) for member in value))
        return set()

    def test_every_member_of_every_object_is_documented(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "qmp", "ctl",
                               "FILES.md"), encoding="utf-8") as file:
            listed = set(re.findall(r"`([a-z-]+)`", file.read()))
        block = self.ram("m0", MIB)
        block.fill(1)
        sparse, whole = self.saved("a.mig", block), golden.sample("pc-plain-16m").unpack(self.scratch)
        said = [self.ask("inspect", path, "--runs", "--deep") for path in (sparse, whole)]
        said += [self.ask("verify", path, "--deep") for path in (sparse, whole)]
        said.append(self.ask("extract", whole, "--elf", "-o", self.path("core")))
        said.append(self.ask("extract", whole, "m0", "-o", self.path("block")))
        said.append(self.ask("diff", sparse, whole, status=FAILED))
        said.append(self.ask("map", sparse, "--against", whole))
        said.append(self.ask("convert", whole, self.path("converted")))
        said.append(self.ask("convert", self.path("converted"), "--in-place", "--checksums", "on"))
        os.truncate(sparse, 2 * MIB)
        said.append(self.ask("inspect", sparse, status=FAILED))
        said.append(self.ask("verify", sparse, status=FAILED))
        self.assertEqual(self.members(said) - listed, set())


class Damaged(FileTest):
    def test_verify_judges_every_corruption(self):
        sample, cases = golden.corruptions()
        self.assertEqual(len(cases), 91, "90, and the file as it was")
        source, damaged = sample.unpack(self.scratch), self.path("damaged.mig")
        records = runner.Records("case", "verdict")
        for case in cases:
            case.apply(source, damaged)
            with records.record(case.name) as row:
                fine = case.name in NOT_IN_THE_FILE
                done = self.run_tool("verify", damaged, status=DONE if fine else FAILED)
                row.append(done.stdout.split(": ", 1)[1].split("\n")[0])
                verdict = self.ask("verify", damaged, status=DONE if fine else FAILED)
                if fine:
                    self.assertIn("complete, no checksums", done.stdout)
                    self.assertEqual(verdict["verdict"], "no-checksums")
                else:
                    self.assertRegex(done.stdout, PLACE)
                    self.assertEqual(verdict["verdict"], "damaged")
                    self.run_tool("extract", damaged, "m0", "-o", self.path("out"), status=FAILED)
                    self.run_tool("diff", source, damaged, status=TROUBLE)
                if case.name == "bitmap-all-clear":
                    self.assertIn("their slots hold data", done.stdout)
        records.check(self)

    def test_a_flipped_bit_in_a_page_is_named_by_whoever_reads_it(self):
        block = self.ram("m0", 4 * MIB)
        block.write(b"".join(page.to_bytes(8, "little") * 512 for page in range(1024)))
        path = self.saved("a.mig", block)
        sound = self.path("sound.mig")
        shutil.copyfile(path, sound)
        layout = stream.read(path).blocks[0]
        self.assertIn("complete and intact: 1 023 pages", self.run_tool("verify", path).stdout)
        self.poke(path, layout.pages_offset + 700 * PAGE + 9, b"\x40")
        damage = r"block m0, page 700, at 0x%x: its checksum is" % (layout.pages_offset + 700 * PAGE)
        self.assertRegex(self.run_tool("verify", path, status=FAILED).stdout, damage)
        self.assertRegex(self.ask("verify", path, status=FAILED)["problem"], damage)
        out = self.path("out")
        done = self.run_tool("extract", path, "m0", "-o", out, status=FAILED)
        self.assertRegex(done.stderr, damage + ".*; --no-verify takes it as it is")
        self.assertFalse(os.path.exists(out))
        self.assertRegex(self.run_tool("diff", sound, path, status=TROUBLE).stderr, damage)
        # Other pages are not held up by it, and it can be seen.
        self.run_tool("extract", path, "m0", "--range", "0-699", "-o", out)
        self.run_tool("extract", path, "m0", "--no-verify", "--force", "-o", out)
        found = self.ask("diff", "--no-verify", sound, path, status=FAILED)
        self.assertEqual(found["blocks"][0]["runs"], [[700, 1]])

    def test_damage_to_metadata_with_checksums_is_found(self):
        block = self.ram("m0", MIB)
        block.fill(3)
        path = self.saved("a.mig", block)
        self.poke(path, stream.read(path).blocks[0].bitmap_offset, b"\0")
        self.assertRegex(self.run_tool("verify", path, status=FAILED).stdout,
                         "bitmap .*does not match its checksum")
        found = self.ask("inspect", path, status=FAILED)
        self.assertTrue(found["complete"])
        self.assertIn("does not match its checksum", found["problem"])

    def test_names_of_a_file_cannot_talk_to_the_terminal(self):
        sample = golden.sample("none-tail-zpdnone")
        path = sample.unpack(self.scratch)
        self.poke(path, sample.blocks[0]["header_offset"] + 1, b"\x1bc")
        for words in (["inspect", path], ["inspect", path, "--json"], ["verify", path],
                      ["diff", path, path, "--json"]):
            said = self.run_tool(*words).stdout
            self.assertNotIn("\x1b", said)
        self.assertIn(r"\x1bc", self.run_tool("inspect", path).stdout)

    def test_what_is_no_saved_file_is_told_apart(self):
        fifo, empty, text = self.path("fifo"), self.path("empty"), self.path("text")
        os.mkfifo(fifo)
        with open(empty, "wb"), open(text, "wb") as file:
            file.write(b"not a stream\n" * 1000)
        for path, status in ((self.path("none"), TROUBLE), (self.scratch, TROUBLE),
                             (fifo, TROUBLE), (empty, FAILED), (text, FAILED)):
            for words in (["inspect", path], ["verify", path],
                          ["extract", path, "m0", "-o", self.path("out")]):
                with self.subTest(words=words):
                    self.run_tool(*words, status=status)
            self.run_tool("diff", path, path, status=TROUBLE)
            self.run_tool("map", path, "-o", self.path("nothing.svg"), status=status)
            self.assertFalse(os.path.exists(self.path("nothing.svg")))
        packed = self.path("packed")
        with open(packed, "wb") as file:
            file.write(b"\x28\xb5\x2f\xfd" + bytes(1000))
        self.assertIn("zstd -d", self.run_tool("verify", packed, status=TROUBLE).stderr)
        self.assertIn("zstd -d", self.run_tool("inspect", packed, status=FAILED).stdout)

    def test_a_place_is_asked_for_only_where_one_could_help(self):
        other = self.saved("good", self.ram("m0", MIB))
        unfinished = self.saved("unfinished", self.ram("m1", MIB))
        self.poke(unfinished, 0, bytes(8))
        said = self.run_tool("verify", unfinished, status=FAILED).stdout
        self.assertIn("a save that did not end", said)
        self.assertNotIn("--offset", said)
        text = self.path("text")
        with open(text, "wb") as file:
            file.write(b"not a stream\n" * 1000)
        self.assertIn("--offset-b", self.run_tool("diff", other, text, status=TROUBLE).stderr)
        self.assertIn("--offset-a", self.run_tool("diff", text, other, status=TROUBLE).stderr)


class Piped(FileTest):
    def test_a_reader_that_has_seen_enough_is_no_error_to_be_told(self):
        path = self.saved("m", self.ram("m0", 16 * MIB))
        for words in (["extract", path, "m0"], ["inspect", path, "--json"]):
            with self.subTest(words=words):
                with subprocess.Popen([self.tool, *words], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE) as tool:
                    tool.stdout.close()
                    self.assertEqual(tool.stderr.read(), b"")
                self.assertEqual(tool.returncode, FAILED)


class Extracted(FileTest):
    def setUp(self):
        super().setUp()
        self.sample = golden.sample("none-tail-zpdnone")
        self.file = self.sample.unpack(self.scratch)
        self.out = self.path("out")

    def test_zero_pages_that_are_stored_become_holes(self):
        self.run_tool("extract", self.file, "m0", "-o", self.out)
        info = self.sample.blocks[0]
        self.assertEqual(os.stat(self.out).st_size, info["used_length"])
        data = (info["bits_set"] - info["set_but_zero_pages"]) * PAGE
        self.assertLess(allocated(self.out), data + MIB)
        self.assertEqual(os.stat(self.out).st_mode & 0o777, 0o600)

    def test_pages_and_ranges_are_those_of_the_block(self):
        self.run_tool("extract", self.file, "m0", "-o", self.out)
        with open(self.out, "rb") as file:
            whole = file.read()
        for words, first, end in ((["--page", "7"], 7, 8), (["--page", "0x1002"], 4098, 4099),
                                  (["--range", "100-355"], 100, 356),
                                  (["--range", "0x0-4098"], 0, 4099)):
            with self.subTest(words=words):
                data = whole[first * PAGE:end * PAGE]
                said = self.run_tool("extract", self.file, "m0", *words, binary=True).stdout
                self.assertEqual(said, data)
                self.run_tool("extract", self.file, "m0", *words, "--force", "-o", self.out)
                with open(self.out, "rb") as file:
                    self.assertEqual(file.read(), data)
                said = self.run_tool("extract", self.file, "m0", *words, "--hex").stdout
                self.assertEqual(said, hexdump(data, first * PAGE))

    def test_a_hex_dump_goes_into_a_file_too(self):
        data = self.run_tool("extract", self.file, "m0", "--range", "3-6", binary=True).stdout
        said = self.run_tool("extract", self.file, "m0", "--range", "3-6", "--hex", "-o", self.out).stdout
        self.assertIn(self.out, said)
        with open(self.out, encoding="ascii") as file:
            self.assertEqual(file.read(), hexdump(data, 3 * PAGE))

    def test_the_table_of_a_core_names_the_segments(self):
        ram, rom = self.ram("pc.ram", 4 * MIB), self.ram("pc.bios", 128 << 10)
        path = self.saved("pc.mig", ram, rom, machine="pc-i440fx-10.0")
        said = self.run_tool("extract", path, "--elf", "-o", self.out).stdout
        self.assertRegex(said, r"(?m)^  0x0 +4\.00 MiB  pc\.ram$")
        self.assertRegex(said, r"(?m)^  0xfffe0000 +128\.00 KiB  pc\.bios$")
        said = self.run_tool("extract", path, "pc.bios", "--elf", "--force", "-o", self.out).stdout
        self.assertNotIn("pc.ram", said)
        done = self.run_tool("extract", path, "none", "--elf", "--force", "-o", self.out,
                             status=TROUBLE)
        self.assertIn("there is no block none in the file; it has pc.ram, pc.bios", done.stderr)

    def test_what_cannot_be_is_refused_and_leaves_no_file(self):
        for words in (["nonsense"], [], ["m0", "--page", "4099"], ["m0", "--range", "9-8"],
                      ["m0", "--range", "a-b"], ["m0", "--page", "1", "--range", "1-2"],
                      ["--elf", "--at", "m0"], ["--elf", "--at", "m0=1"],
                      ["--elf", "--ram", "none"], ["--elf", "--page", "1"], ["m0", "--ram", "m0"]):
            with self.subTest(words=words):
                self.run_tool("extract", self.file, *words, "-o", self.out, status=TROUBLE)
                self.assertFalse(os.path.exists(self.out))
        self.assertIn("it has m0", self.run_tool("extract", self.file, "m1", status=TROUBLE).stderr)
        self.run_tool("extract", self.file, "--elf", status=TROUBLE)
        self.run_tool("extract", self.file, "m0", "-o", self.path("none/out"), status=TROUBLE)

    def test_a_file_that_is_there_stays_without_force(self):
        with open(self.out, "wb") as file:
            file.write(b"mine")
        done = self.run_tool("extract", self.file, "m0", "-o", self.out, status=TROUBLE)
        self.assertIn("--force", done.stderr)
        with open(self.out, "rb") as file:
            self.assertEqual(file.read(), b"mine")
        self.run_tool("extract", self.file, "m0", "--force", "-o", self.out)
        self.assertEqual(os.stat(self.out).st_size, self.sample.blocks[0]["used_length"])
        # Only a file is replaced, and nothing half made is left.
        for path in (self.scratch, "/dev/null"):
            self.run_tool("extract", self.file, "m0", "--force", "-o", path, status=TROUBLE)
        self.assertEqual(sorted(os.listdir(self.scratch)), ["none-tail-zpdnone.mig", "out"])

    def test_a_sparse_block_of_8_gib_stays_sparse(self):
        block = self.ram("m0", 8 * GIB)
        marks = {page: os.urandom(PAGE) for page in (0, 1, 77_777, 1 << 20, (1 << 21) - 1)}
        for page, data in marks.items():
            os.pwrite(block.fd, data, page * PAGE)
        path = self.saved("sparse.mig", block)
        said = self.ask("extract", path, "m0", "-o", self.out)
        self.assertEqual((said["size"], said["data"]), (8 * GIB, len(marks) * PAGE))
        self.assertEqual(os.stat(self.out).st_size, 8 * GIB)
        self.assertLess(allocated(self.out), 4 * MIB)
        with open(self.out, "rb") as file:
            for page, data in marks.items():
                file.seek(page * PAGE)
                self.assertEqual(file.read(PAGE), data)
        # The same file again by another way: nothing but the marks is in it.
        again = self.ram("m0", 8 * GIB)
        for page, data in marks.items():
            os.pwrite(again.fd, data, page * PAGE)
        self.assertTrue(self.ask("diff", path, self.saved("again.mig", again))["same"])


class Compared(FileTest):
    def setUp(self):
        super().setUp()
        self.block = self.ram("m0", 16 * MIB)
        self.block.fill(1)
        self.before = self.saved("before.mig", self.block)

    def after(self, **parameters):
        return self.saved("after.mig", self.block, **parameters)

    def test_the_same_memory_saved_otherwise_is_the_same(self):
        for parameters in ({"zero-page-detection": "none"}, {"x-checksum": False}):
            other = self.after(**parameters)
            self.assertTrue(self.ask("diff", self.before, other)["same"])
            self.run_tool("diff", other, self.before)

    def test_runs_of_changed_pages_are_listed(self):
        memory = bytearray(self.block.read())
        runs = [[0, 1], [5, 3], [1000, 300], [4095, 1]]
        for first, count in runs:
            for page in range(first, first + count):
                memory[page * PAGE + page % PAGE] ^= 0xff
        self.block.write(bytes(memory))
        other = self.after()
        found = self.ask("diff", self.before, other, status=FAILED)
        self.assertEqual(found["differing-pages"], sum(count for _, count in runs))
        self.assertEqual(found["blocks"], [{
            "name": "m0", "same": False, "pages-a": 4096, "pages-b": 4096,
            "differing-pages": 305, "runs": runs}])
        text = self.run_tool("diff", self.before, other, status=FAILED).stdout
        self.assertEqual(text, "m0: 305 pages of 4 096 differ, in 4 runs\n"
                               "  0\n  5-7\n  1000-1299\n  4095\n")
        brief = self.run_tool("diff", "--brief", self.before, other, status=FAILED).stdout
        self.assertEqual(brief, text.split("\n", maxsplit=1)[0] + "\n")

    def test_blocks_of_one_file_only_and_of_other_lengths_differ(self):
        more = self.ram("m1", MIB)
        shorter = self.ram("m0", 8 * MIB)
        shorter.write(self.block.read()[:8 * MIB])
        other = self.saved("other.mig", shorter, more)
        found = {block["name"]: block
                 for block in self.ask("diff", self.before, other, status=FAILED)["blocks"]}
        self.assertEqual(found["m0"], {"name": "m0", "same": False, "pages-a": 4096,
                                       "pages-b": 2048, "differing-pages": 0, "runs": []})
        self.assertEqual(found["m1"], {"name": "m1", "same": False, "pages-b": 256})
        text = self.run_tool("diff", other, self.before, status=FAILED).stdout
        self.assertIn("m1: only in A, 256 pages\n", text)


class Core(FileTest):
    """ELF cores, read by programs of others."""

    def setUp(self):
        super().setUp()
        for name in ("gdb", "readelf"):
            env.need(shutil.which(name), "no %s" % name)
        self.core = self.path("core")

    def words(self, *addresses):
        """What gdb reads there, 8 bytes each."""
        commands = [word for address in addresses for word in ("-ex", "x/1gx 0x%x" % address)]
        done = subprocess.run(["gdb", "-nx", "-q", "-batch", *commands, "-c", self.core],
                              capture_output=True, text=True, timeout=env.DEADLINE_S, check=True)
        found = dict(re.findall(r"^(0x[0-9a-f]+):\s+(0x[0-9a-f]+)$", done.stdout, re.MULTILINE))
        return [int(found["0x%x" % address], 16) for address in addresses]

    def segments(self):
        """Address, offset and size of what readelf lists; it must find nothing wrong."""
        done = subprocess.run(["readelf", "-h", "-l", "-n", "-W", self.core], capture_output=True,
                              text=True, check=True)
        self.assertEqual(done.stderr, "")
        self.assertIn("CORE (Core file)", done.stdout)
        self.assertIn("NT_PRSTATUS", done.stdout)
        loads = re.findall(r"^\s+LOAD\s+(\w+) (\w+) (\w+) (\w+) (\w+)", done.stdout, re.MULTILINE)
        for _, virtual, physical, in_file, in_memory in loads:
            self.assertEqual((virtual, in_file), (physical, in_memory))
        return [(int(virtual, 16), int(offset, 16), int(size, 16))
                for offset, virtual, _, size, _ in loads]

    def assert_said(self, said):
        """What --json says of the segments is what readelf finds."""
        self.assertEqual(self.segments(), [(part["address"], part["offset"], part["pages"] * PAGE)
                                           for part in said["segments"]])

    def test_gdb_reads_the_memory_of_a_qemu_guest(self):
        sample = golden.sample("none-tail-zpdnone")
        path = sample.unpack(self.scratch)
        memory = self.run_tool("extract", path, "m0", binary=True).stdout
        self.assert_said(self.ask("extract", path, "--elf", "-o", self.core))
        pages = [page for page in range(4099) if any(memory[page * PAGE:page * PAGE + 8])][:40]
        places = [page * PAGE for page in pages] + [4098 * PAGE + 8]
        self.assertEqual(self.words(*places),
                         [struct.unpack_from("<Q", memory, place)[0] for place in places])

    def test_the_vmcoreinfo_of_a_linux_guest_becomes_a_note(self):
        ram = self.ram("m0", 16 * MIB)
        text = b"OSRELEASE=6.1.0-53-cloud-amd64\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=1\n"
        os.pwrite(ram.fd, b"OSRELEASE=no such page\n", 5 * PAGE)
        os.pwrite(ram.fd, text, 7 * PAGE)
        said = self.ask("extract", self.saved("linux", ram), "--elf", "-o", self.core)
        self.assertEqual(said["kernel"], "6.1.0-53-cloud-amd64")
        self.assert_said(said)
        notes = subprocess.run(["readelf", "-n", self.core], capture_output=True, text=True,
                               check=True)
        self.assertEqual(notes.stderr, "")
        self.assertRegex(notes.stdout, r"VMCOREINFO +0x%08x" % len(text))
        with open(self.core, "rb") as file:
            self.assertIn(b"VMCOREINFO\0\0" + text, file.read(8 * PAGE))

    def test_a_pc_is_split_around_4_gib(self):
        ram, bios = self.ram("pc.ram", 4 * GIB), self.ram("pc.bios", 128 << 10)
        rom = self.ram("pc.rom", 128 << 10)
        known = {0x1000: 0x1122334455667788, 3 * GIB - 8: 2, 3 * GIB: 3, 4 * GIB - 8: 4}
        for offset, word in known.items():
            os.pwrite(ram.fd, struct.pack("<Q", word), offset)
        os.pwrite(bios.fd, b"\xea\x5b\xe0\0\xf0rom", (128 << 10) - 16)
        os.pwrite(rom.fd, b"optrom55", 0)
        for machine, low in (("pc-i440fx-10.0", 3 * GIB), ("pc-q35-9.2", 2 * GIB)):
            with self.subTest(machine):
                path = self.saved("%s.mig" % machine, ram, bios, rom, machine=machine)
                said = self.ask("extract", path, "--elf", "--force", "-o", self.core)
                self.assert_said(said)
                self.assertEqual([(part["block"], part["address"], part["first-page"])
                                  for part in said["segments"]],
                                 [("pc.ram", 0, 0), ("pc.bios", 0xfffe0000, 0),
                                  ("pc.ram", 4 * GIB, low // PAGE), ("pc.rom", 1 << 40, 0)])
                places = [offset if offset < low else 4 * GIB + offset - low for offset in known]
                self.assertEqual(self.words(*places, 0xfffffff0, 1 << 40),
                                 [*known.values(), int.from_bytes(b"\xea\x5b\xe0\0\xf0rom", "little"),
                                  int.from_bytes(b"optrom55", "little")])
                self.assertLess(allocated(self.core), 8 * MIB)

    def test_blocks_whose_place_is_not_known_are_asked_for(self):
        sample = golden.sample("pc-numa2-dimm-multifd2")
        path = sample.unpack(self.scratch)
        done = self.run_tool("extract", path, "--elf", "-o", self.core, status=TROUBLE)
        self.assertIn("d0, n1, n0", done.stderr)
        said = self.ask("extract", path, "--elf", "-o", self.core, "--ram", "n0,n1",
                        "--at", "d0=0x100000000")
        self.assert_said(said)
        self.assertEqual([part["address"] for part in said["segments"]
                          if part["block"] in ("n0", "n1", "d0")], [0, 8 * MIB, 4 * GIB])
        for block, address in (("n0", 0), ("n1", 8 * MIB), ("d0", 4 * GIB)):
            memory = self.run_tool("extract", path, block, binary=True).stdout
            page = next(page for page in range(len(memory) // PAGE)
                        if any(memory[page * PAGE:page * PAGE + 8]))
            self.assertEqual(self.words(address + page * PAGE),
                             [struct.unpack_from("<Q", memory, page * PAGE)[0]])


class Libvirt(FileTest):
    """Save images: libvirt's header, then the stream."""

    FORMATS = {"raw": 0, "gzip": 1, "sparse": 6}

    def image(self, magic=b"LibvirtQemudSave", kind="sparse", align=1):
        with open(env.shared("golden", "libvirt-save-header.json"), encoding="utf-8") as file:
            example = json.load(file)["example"]
        xml = b"<domain><name>vm</name></domain>"
        header = magic + struct.pack("<5I", 2, example["data_len"], 1, self.FORMATS[kind],
                                     len(xml) + 1)
        self.assertEqual(len(header) + 56 + example["data_len"], example["stream_offset"])
        offset = -(-example["stream_offset"] // align) * align
        path = self.path("vm.save")
        with open(path, "wb") as file:
            file.write((header + bytes(56) + xml).ljust(offset, b"\0"))
        block = self.ram("pc.ram", 4 * MIB)
        block.fill(7)
        with process.multifdd([block]) as daemon:
            save(daemon.connect(), "%s,offset=%d" % (file_uri(path), offset), Settings(2))
        return path, offset, block

    def test_the_stream_behind_the_header_is_found(self):
        for align in (1, PAGE, MIB):
            with self.subTest(align=align):
                path, offset, block = self.image(align=align)
                found = self.ask("inspect", path)
                self.assertEqual(found["stream-offset"], offset)
                self.assertEqual((found["libvirt"]["format"], found["libvirt"]["was-running"]),
                                 ("sparse", True))
                self.assertIn("complete and intact", self.run_tool("verify", path).stdout)
                said = self.run_tool("inspect", path, "--deep").stdout
                self.assertIn("save image of version 2, format sparse, guest was running", said)
                self.assertRegex(said, r"(?m)^ +0 of the stored pages are zero$")
                memory = self.run_tool("extract", path, "pc.ram", binary=True).stdout
                self.assertEqual(memory, block.read())

    def test_an_image_that_libvirt_did_not_finish_is_incomplete(self):
        path, _, _ = self.image(magic=b"LibvirtQemudPart")
        self.assertIn("libvirt has not marked",
                      self.run_tool("verify", path, status=FAILED).stdout)

    def test_a_compressed_image_is_for_convert(self):
        path, offset, _ = self.image(kind="gzip")
        self.poke(path, offset, b"\x1f\x8b\x08\0")
        self.assertIn("multifdctl convert", self.run_tool("verify", path, status=TROUBLE).stderr)

    def test_a_header_that_lies_about_its_length_is_refused(self):
        path, _, _ = self.image()
        self.poke(path, 20, b"\xff\xff\xff\x7f")
        for command in ("inspect", "verify"):
            self.assertIn("past the end of the file",
                          self.run_tool(command, path, status=FAILED).stderr)


if __name__ == "__main__":
    runner.main()
