#!/usr/bin/env python3
"""multifdctl where the kernel refuses: no direct I/O, no holes, disks that fail or are full, no more
descriptors. What it says, and that it leaves nothing half made."""

import errno
import json
import os
import shutil
import subprocess
import tempfile

from mfdtest import env, process, runner, stream
from mfdtest.refusal import NO_DIRECT_IO, Refused, refusing

DONE, FAILED, USAGE = 0, 1, 2
MIB, PAGE = 1 << 20, 4096

#: Of pages only, which begin at 1 MiB: metadata is read and written in small pieces there.
READ_PAGES = Refused("pread64", errno.EIO, at_least={2: 32 * PAGE, 3: MIB})
WRITE_PAGES = Refused("pwrite64", errno.ENOSPC, at_least={2: 32 * PAGE})
SYNC = Refused("fdatasync", errno.EIO)
LENGTH = Refused("ftruncate", errno.EFBIG)
NO_HOLES = Refused("fallocate", errno.EOPNOTSUPP)
HOLES_FAIL = Refused("fallocate", errno.EIO)
SIGNALS = Refused("signalfd4", errno.EMFILE)
NO_SOCKET = Refused("socket", errno.EMFILE)


class RefusedTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.file, self.out = self.path("ram.mig"), self.path("out")
        self.block = self.ram("m0", 4 * MIB)
        self.block.fill(0x5c)
        # Zeros between the data.
        os.pwrite(self.block.fd, bytes(MIB), MIB)

    def run_tool(self, refused, *words, status=DONE, **options):
        done = subprocess.run([self.tool, *words], capture_output=True, check=False, text=True,
                              timeout=2 * env.DEADLINE_S, preexec_fn=refusing(*refused), **options)
        self.assertEqual(done.returncode, status, done.stdout[:1000] + done.stderr)
        return done

    def refusal(self, refused, *words, status=FAILED):
        return self.run_tool([refused], *words, status=status).stderr

    def start(self, block=None, **options):
        program = process.multifdd([block or self.block], **options)
        program.__enter__()
        self.addCleanup(program.__exit__, None, None, None)
        program.connect().close()
        return program

    def saved(self, *options):
        program = self.start()
        subprocess.run([self.tool, "-s", program.socket_path, "save", self.file, "-q", *options],
                       check=True, timeout=env.DEADLINE_S)
        return self.file

    def converted(self, *options):
        """A saved file of which the zero pages are stored."""
        self.saved()
        subprocess.run([self.tool, "convert", self.file, self.out, "-q", "--zero-pages", "store",
                        *options], check=True, timeout=env.DEADLINE_S)
        return self.out

    def assert_restores(self, path, refused=(), text=""):
        copy = self.ram("m0", self.block.size)
        other = self.start(copy, incoming="defer")
        done = self.run_tool(refused, "-s", other.socket_path, "restore", path)
        self.assertIn(text, done.stderr)
        self.assertIsNone(self.block.difference(copy))


class Jobs(RefusedTest):
    def test_without_direct_io_the_page_cache_serves_and_that_is_said(self):
        program = self.start()
        text = " has no O_DIRECT, going through the page cache instead"
        done = self.run_tool([NO_DIRECT_IO], "-s", program.socket_path, "save", self.file)
        self.assertIn("multifdctl: save: the file system of " + self.file + text, done.stderr)
        self.assertIn("saved to " + self.file, done.stdout)
        self.assert_restores(self.file, [NO_DIRECT_IO], text)

    def test_direct_io_that_fails_otherwise_changes_nothing(self):
        program = self.start()
        refused = Refused("openat", errno.EACCES, any_bit={2: os.O_DIRECT})
        self.assertIn("open %s with O_DIRECT: Permission denied" % self.file,
                      self.refusal(refused, "-s", program.socket_path, "save", self.file))
        self.assertEqual(os.listdir(self.scratch), [])
        self.assertEqual(program.connect().call("query-migrate"), {})

    def test_a_save_that_does_not_reach_stable_storage_is_no_file(self):
        program = self.start()
        self.assertIn("write %s to stable storage: Input/output error" % self.file,
                      self.refusal(SYNC, "-s", program.socket_path, "save", self.file))
        self.assertEqual(os.listdir(self.scratch), [])

    def test_without_signals_or_sockets_nothing_begins(self):
        program = self.start()
        with open(self.file, "wb"):
            pass
        for words in (["save", self.out], ["restore", self.file], ["watch"], ["top"], ["shell"],
                      ["convert", self.file, self.out], ["bench", self.scratch]):
            with self.subTest(words=words):
                said = self.refusal(SIGNALS, "-s", program.socket_path, *words)
                self.assertEqual(said.splitlines()[0],
                                 "multifdctl: %s: signalfd: Too many open files" % words[0])
        for words in (["save", self.out], ["status"], ["pause"], ["watch"], ["qmp", "stop"]):
            with self.subTest(words=words):
                self.assertIn("connect to %s: Too many open files" % program.socket_path,
                              self.refusal(NO_SOCKET, "-s", program.socket_path, *words,
                                           status=USAGE))
        self.assertFalse(os.path.exists(self.out))

    def test_a_connect_that_is_refused_is_said_in_words(self):
        program = self.start()
        for error, text in ((errno.EACCES, "permission denied (run as the user or group"),
                            (errno.EPERM, "permission denied"),
                            (errno.ENOTSOCK, "not a socket"), (errno.EPROTOTYPE, "not a stream socket"),
                            (errno.ENOMEM, "Cannot allocate memory")):
            self.assertIn("multifdctl: status: connect to %s: %s" % (program.socket_path, text),
                          self.refusal(Refused("connect", error), "-s", program.socket_path, "status",
                                       status=USAGE))

    def test_a_folder_of_sockets_that_cannot_be_read_is_said(self):
        for refused, text, status in (
                (Refused("getdents64", errno.EIO), "list %s: Input/output error", USAGE),
                (Refused("epoll_create1", errno.EMFILE), "wait for input", FAILED),
                (Refused("eventfd2", errno.EMFILE), "eventfd", FAILED)):
            said = self.refusal(refused, "top", "--directory", self.scratch, "--once",
                                status=status)
            self.assertIn(text % self.scratch if "%" in text else text, said)


class Files(RefusedTest):
    def test_pages_that_cannot_be_read_are_named(self):
        path = self.saved()
        # inspect looks at contents only when it is asked to.
        self.run_tool([READ_PAGES], "inspect", path)
        for words in (["inspect", path, "--deep"], ["verify", path],
                      ["extract", path, "m0", "-o", self.out],
                      ["convert", path, self.out], ["diff", path, path + ".copy"]):
            with self.subTest(words=words):
                shutil.copyfile(path, path + ".copy")
                done = subprocess.run([self.tool, *words], capture_output=True, text=True,
                                      check=False, timeout=env.DEADLINE_S,
                                      preexec_fn=refusing(READ_PAGES))
                self.assertIn(done.returncode, (FAILED, USAGE), done.stdout)
                self.assertIn("Input/output error", done.stderr)
                self.assertIn("ram.mig", done.stderr)
                self.assertFalse(os.path.exists(self.out))

    def test_an_output_that_cannot_be_written_is_not_left(self):
        path = self.saved()
        for refused, text, words in (
                (WRITE_PAGES, "No space left on device", ["extract", path, "m0", "-o", self.out]),
                (LENGTH, "give %s its length: File too large" % self.out,
                 ["extract", path, "m0", "-o", self.out]),
                (WRITE_PAGES, "make room, or write to another file system",
                 ["convert", path, self.out]),
                (WRITE_PAGES, "pages of block m0", ["convert", path, self.out]),
                (LENGTH, "give the file a length of ", ["convert", path, self.out]),
                (SYNC, "bring %s to stable storage: Input/output error" % self.out,
                 ["convert", path, self.out, "--checksums", "off"]),
                (SYNC, "bring the checksums to stable storage: Input/output error",
                 ["convert", path, self.out, "--checksums", "on"])):
            with self.subTest(text=text):
                done = subprocess.run([self.tool, *words], capture_output=True, text=True,
                                      check=False, timeout=env.DEADLINE_S,
                                      preexec_fn=refusing(refused))
                self.assertIn(done.returncode, (FAILED, USAGE), done.stdout)
                self.assertIn(text, done.stderr)
                self.assertFalse(os.path.exists(self.out))

    def test_a_pipe_that_cannot_be_written_is_said(self):
        path = self.saved()
        with open("/dev/full", "wb") as full:
            for words in (["extract", path, "m0"], ["extract", path, "m0", "--hex"],
                          ["convert", path, "-", "--to", "sequential"], ["inspect", path],
                          ["inspect", path, "--json"]):
                with self.subTest(words=words):
                    done = subprocess.run([self.tool, *words], stdout=full, stderr=subprocess.PIPE,
                                          text=True, check=False, timeout=env.DEADLINE_S)
                    self.assertIn(done.returncode, (FAILED, USAGE))
                    self.assertRegex(done.stderr, "No space left|cannot write to standard output")

    def with_old_data_in_a_slot(self):
        """A file whose zero pages are not stored any more, and one of them has a slot full of data."""
        path = self.converted()
        subprocess.run([self.tool, "convert", path, "--in-place", "-q", "--zero-pages", "drop"],
                       check=True, timeout=env.DEADLINE_S)
        slot = stream.read(path).blocks[0].pages_offset + MIB + PAGE
        with open(path, "r+b") as file:
            file.seek(slot)
            file.write(b"old data" * (PAGE // 8))
        return path, slot

    def test_without_holes_in_files_the_slots_of_zero_pages_get_zeros(self):
        path, slot = self.with_old_data_in_a_slot()
        self.run_tool([NO_HOLES], "convert", path, "--in-place", "--zero-pages", "store")
        with open(path, "rb") as file:
            file.seek(slot)
            self.assertEqual(file.read(PAGE), bytes(PAGE))
        self.assert_restores(path)

    def test_in_place_every_failure_leaves_the_same_memory(self):
        sums = self.converted("--checksums", "on")
        shutil.copyfile(sums, self.path("sums"))
        os.unlink(sums)
        old, _ = self.with_old_data_in_a_slot()
        sums = self.path("sums")
        drop = ["--zero-pages", "drop", "--punch-holes"]
        for source, refused, words, text in (
                (sums, READ_PAGES, drop, "Input/output error"),
                (sums, HOLES_FAIL, drop, "Input/output error"),
                (sums, SYNC, drop, "bring %s to stable storage"),
                (sums, SYNC, ["--checksums", "off"], "bring %s to stable storage"),
                (sums, LENGTH, ["--checksums", "off"], "cut the checksums off %s"),
                (sums, Refused("openat", errno.EROFS, any_bit={2: os.O_RDWR}), drop,
                 "open %s for writing: Read-only file system"),
                (old, HOLES_FAIL, ["--zero-pages", "store"], "punch a hole at "),
                (old, SYNC, ["--checksums", "on"], "to stable storage")):
            with self.subTest(refused=refused.call, words=words):
                copy = self.path("copy")
                shutil.copyfile(source, copy)
                said = self.refusal(refused, "convert", copy, "--in-place", *words, status=USAGE)
                self.assertIn(text % copy if "%" in text else text, said)
                # What was to be removed may be gone half; this finishes it.
                self.run_tool([], "convert", copy, "--in-place", "--checksums", "off")
                self.assert_restores(copy)


class Bench(RefusedTest):
    def setUp(self):
        super().setUp()
        self.folder = self.path("measured")
        os.mkdir(self.folder)
        self.temporary = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.temporary, True)

    def bench(self, refused, *words, status=DONE):
        done = self.run_tool(refused, "bench", self.folder, "-q", "--multifdd", env.daemon(),
                             "--channels", "1,2", *words, status=status,
                             env={**os.environ, "TMPDIR": self.temporary})
        self.assertEqual(os.listdir(self.folder) + os.listdir(self.temporary), [], "left behind")
        return done.stdout if status == DONE else done.stderr

    def test_a_file_system_without_direct_io_is_measured_without(self):
        said = self.bench([NO_DIRECT_IO], "--size", "8M", "--rounds", "1")
        self.assertIn("this file system knows no direct I/O", said)
        self.assertNotIn(", direct", said)
        plot = self.path("plot.svg")
        found = json.loads(self.bench([NO_DIRECT_IO], "--size", "8M", "--rounds", "1", "--json",
                                      "--svg", plot))
        self.assertEqual([run["direct-io"] for run in found["runs"]], [False, False])
        self.assertNotIn("direct", found["raw"])
        with open(plot, encoding="utf-8") as file:
            self.assertNotIn(", direct", file.read())

    def test_what_fails_is_named(self):
        for refused, text in (
                (Refused("memfd_create", errno.ENOMEM), "make the guest's memory"),
                (Refused("openat", errno.EACCES, any_bit={2: os.O_DIRECT}), "create "),
                (WRITE_PAGES, "No space left on device"), (SYNC, "to stable storage"),
                (READ_PAGES, "Input/output error")):
            with self.subTest(text=text):
                self.assertIn(text, self.bench([refused], "--size", "8M", "--rounds", "1",
                                               status=FAILED))

    def test_a_plot_that_cannot_be_written_is_a_failure(self):
        plot = self.path("plot.svg")
        # Of the plot alone: sockets and counters are written in smaller pieces.
        full = Refused("write", errno.ENOSPC, at_least={0: 3, 2: 1000})
        self.assertIn("write %s: No space left on device" % plot,
                      self.bench([full], "--size", "1M", "--rounds", "1", "--svg", plot,
                                 status=FAILED))
        self.assertFalse(os.path.exists(plot))
        self.assertIn("no regular file", self.bench([], "--svg", "/dev/full", status=USAGE))


if __name__ == "__main__":
    runner.main()
