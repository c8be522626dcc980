#!/usr/bin/env python3
"""What the daemon cannot do once it has started, tried from inside; and that it still works."""

import errno
import os
import signal
import subprocess

from mfdtest import env, runner
from mfdtest.migrate import Settings, add_fd, allow_next_save, load, save
from mfdtest.process import multifdd
from mfdtest.qmp import QmpError

_KILLED = -signal.SIGSYS


class Inside(runner.TestCase):
    """One attempt each, from a thread of the started daemon."""

    def run_probe(self, what, argument, *options):
        return subprocess.run(
            [env.tool("MFD_SANDBOX_PROBE", "sandbox_probe"), what, str(argument), "-object", "memory-backend-ram,id=ram,size=1M",
             "-object", "x-guest-workload,id=guest,memdev=ram", *options],
            cwd=self.scratch, capture_output=True, text=True, timeout=env.DEADLINE_S, check=False)

    def attempt(self, what, argument="", *options):
        """The exit status if a signal ended it, else what it printed: "done" or an errno."""
        run = self.run_probe(what, argument, "-sandbox", "strict", *options)
        if run.returncode == 0:
            said = run.stdout.strip()
            return said if said == "done" else errno.errorcode[int(said)]
        self.assertLess(run.returncode, 0, run.stderr)
        return run.returncode

    def test_what_needs_no_right_is_done(self):
        self.assertEqual(self.attempt("nothing"), "done")
        self.assertEqual(self.attempt("datagram"), "done")  # to the service manager
        self.assertEqual(self.attempt("read", "/etc/passwd"), "done")

    def test_no_program_is_executed_and_no_process_made(self):
        self.assertEqual(self.attempt("execute", "/bin/true"), _KILLED)
        self.assertEqual(self.attempt("fork"), _KILLED)
        self.assertEqual(self.attempt("map-code"), _KILLED)

    def test_no_socket_is_made_but_for_datagrams_on_this_machine(self):
        self.assertEqual(self.attempt("inet-socket"), _KILLED)
        self.assertEqual(self.attempt("unix-socket"), _KILLED)

    def test_other_processes_are_neither_read_nor_signalled(self):
        self.assertEqual(self.attempt("trace", os.getpid()), _KILLED)
        self.assertEqual(self.attempt("read-process", os.getpid()), _KILLED)
        self.assertEqual(self.attempt("signal", os.getpid()), _KILLED)

    def test_rights_and_devices_stay_out_of_reach(self):
        self.assertEqual(self.attempt("become-root"), _KILLED)
        self.assertEqual(self.attempt("ioctl"), _KILLED)

    def test_its_own_end_is_not_taken_for_a_violation(self):
        self.assertEqual(self.attempt("abort"), -signal.SIGABRT)

    def test_a_kernel_without_landlock_is_named_and_strict_does_not_start(self):
        run = self.run_probe("lack-landlock", "", "-sandbox", "on")
        self.assertIn("this system lacks Landlock", run.stderr)
        self.assertEqual(run.stdout, "done\n")
        run = self.run_probe("lack-landlock", "", "-sandbox", "strict")
        self.assertEqual(run.returncode, 1)
        self.assertIn("--sandbox strict: this system lacks Landlock", run.stderr)

    def test_any_file_is_opened_by_default_but_no_node_made(self):
        self.assertEqual(self.attempt("create", self.path("file")), "done")
        self.assertEqual(self.attempt("make-fifo", self.path("fifo")), _KILLED)

    def test_only_allowed_directories_are_opened(self):
        inside, outside = self.path("inside"), self.path("outside")
        os.mkdir(inside)
        os.mkdir(outside)
        os.symlink(outside, os.path.join(inside, "way-out"))
        allow = ("-allow-dir", inside)
        self.assertEqual(self.attempt("create", os.path.join(inside, "file"), *allow), "done")
        self.assertEqual(self.attempt("write-carefully", inside, *allow), "done")
        for path in (outside, os.path.join(inside, ".."), os.path.join(inside, "way-out")):
            self.assertEqual(self.attempt("create", os.path.join(path, "file"), *allow), "EACCES")
        self.assertEqual(self.attempt("read", "/etc/passwd", *allow), "EACCES")
        self.assertEqual(self.attempt("ring-open", "/etc/passwd", *allow), "EACCES")
        self.assertEqual(os.listdir(outside), [])

    def test_no_file_is_opened_with_descriptors_only(self):
        self.assertEqual(self.attempt("read", "/etc/passwd", "-fd-only"), "EACCES")
        self.assertEqual(self.attempt("create", self.path("file"), "-fd-only"), "EACCES")
        self.assertEqual(self.attempt("create", "/dev/shm/mfd-sandbox", "-fd-only"), "EACCES")
        self.assertEqual(self.attempt("ring-open", "/etc/passwd", "-fd-only"), "EACCES")


class Serving(runner.TestCase):
    """The program itself, confined."""

    def threads(self, pid):
        """The status file of each thread, as a dictionary."""
        found = []
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, thread), encoding="utf-8") as file:
                found.append(dict(line.split(":\t", 1) for line in file.read().splitlines()))
        return found

    def test_every_thread_is_confined_emulated_guests_too(self):
        with multifdd([], paused=False, extra=[
                "-sandbox", "strict", "-object", "memory-backend-ram,id=ram,size=4M",
                "-object", "x-guest-workload,id=guest,memdev=ram,threads=3"]) as program:
            program.connect()
            threads = self.threads(program.process.pid)
            self.assertEqual(len(threads), 4)
            for thread in threads:
                self.assertEqual(thread["NoNewPrivs"], "1")
                self.assertEqual(thread["Seccomp"].split()[0], "2")
                for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    self.assertEqual(int(thread[kind], 16), 0, kind)
                if os.getuid() == 0:
                    self.assertEqual(int(thread["CapBnd"], 16), 0)

    def test_guest_ram_stays_out_of_core_dumps_whatever_it_is_made_of(self):
        size = 6 << 20
        kinds = ("memfd", "ram", "shm", "file")
        options = ["-object=memory-backend-%s,id=%s,size=%d%s" % (
            kind, kind, size, ",mem-path=" + self.path("ram") if kind == "file" else "")
            for kind in kinds]
        with multifdd([], extra=options) as program:
            program.connect()
            found = []
            with open("/proc/%d/smaps" % program.process.pid, encoding="utf-8") as file:
                for line in file:
                    if line.startswith("Size:"):
                        bytes_ = int(line.split()[1]) << 10
                    if line.startswith("VmFlags:") and bytes_ == size:
                        found.append("dd" in line.split())
            self.assertEqual(found, [True] * len(kinds))

    def test_with_descriptors_only_files_are_refused_by_name_and_saved_by_descriptor(self):
        env.need_direct_io(self.scratch)
        target = self.path("saved")
        settings = Settings(channels=2, direct_io=True)
        block = self.ram("ram", 8 << 20)
        block.fill(7)
        digest = block.sha256()
        socket_path = self.path("qmp2")
        with multifdd([block], extra=["-fd-only", "-sandbox", "strict", "-pidfile", self.path("pid"),
                                      "-qmp", "unix:%s,server=on" % socket_path]) as program:
            qmp = program.connect()
            for command, arguments in (
                    ("migrate", {"uri": "file:" + target}),
                    ("object-add", {"qom-type": "memory-backend-file", "id": "m", "size": 1 << 20,
                                    "mem-path": self.path("memory")}),
                    ("object-add", {"qom-type": "memory-backend-shm", "id": "m", "size": 1 << 20})):
                with self.assertRaises(QmpError) as refused:
                    settings.apply(qmp)
                    qmp.call(command, arguments)
                self.assertIn("--fd-only", refused.exception.desc)
            self.assertFalse(os.path.exists(target))
            add_fd(qmp, 1, target, os.O_WRONLY | os.O_CREAT)
            add_fd(qmp, 1, target, os.O_WRONLY | os.O_DIRECT)
            save(qmp, "file:/dev/fdset/1")
            qmp.call("quit")
            self.assertEqual(program.wait(), 0)
        self.assertEqual([name for name in os.listdir(self.scratch) if name != "saved"], [])
        block.clear()
        with multifdd([block], incoming="defer", extra=["-fd-only"]) as program:
            qmp = program.connect()
            add_fd(qmp, 1, target, os.O_RDONLY)
            add_fd(qmp, 1, target, os.O_RDONLY | os.O_DIRECT)
            load(qmp, "file:/dev/fdset/1", settings)
        self.assertEqual(block.sha256(), digest)

    def test_a_guest_that_writes_is_saved_by_name_into_an_allowed_directory_only(self):
        env.need_direct_io(self.scratch)
        with multifdd([], paused=False, extra=[
                "-allow-dir", self.scratch, "-sandbox", "strict",
                "-object", "memory-backend-ram,id=ram,size=16M",
                "-object", "x-guest-workload,id=guest,memdev=ram,rate=1M"]) as program:
            qmp = program.connect()
            with self.assertRaises(QmpError) as refused:
                save(qmp, "file:%s/../outside" % self.scratch, Settings(channels=2))
            self.assertIn("--allow-dir", refused.exception.desc)
            info = save(qmp, "file:" + self.path("saved"), Settings(channels=2))
            self.assertGreaterEqual(info["ram"]["dirty-sync-count"], 2)
            # A new file has no name until it is complete, and is opened a second time for this.
            allow_next_save(qmp)
            save(qmp, "file:" + self.path("direct"), Settings(channels=2, direct_io=True))
            self.assertTrue(os.path.exists(self.path("direct")))
            qmp.call("object-add", {"qom-type": "memory-backend-shm", "id": "shm", "size": 1 << 20})

    def test_files_of_others_are_closed_to_root_and_the_error_says_why(self):
        env.need(os.getuid() == 0, "giving up root's rights needs the superuser")
        os.mkdir(self.path("theirs"), 0o700)
        os.chown(self.path("theirs"), 65533, 65533)
        target = self.path("theirs/saved")
        with multifdd([], extra=["-object", "memory-backend-ram,id=ram,size=1M"]) as program:
            qmp = program.connect()
            for command, arguments in (
                    ("migrate", {"uri": "file:" + target}),
                    ("object-add", {"qom-type": "memory-backend-file", "id": "m", "size": 1 << 20,
                                    "mem-path": target})):
                with self.assertRaises(QmpError) as refused:
                    Settings(channels=2).apply(qmp)
                    qmp.call(command, arguments)
                self.assertIn("Permission denied (as root, too", refused.exception.desc)

    def test_a_way_of_starting_that_contradicts_itself_is_refused(self):
        for options, text in ((["-fd-only", "-allow-dir", self.scratch], "excludes"),
                              (["-fd-only", "-incoming", "file:" + self.path("none")], "--fd-only"),
                              (["-allow-dir", self.path("none")], "No such file or directory")):
            run = subprocess.run([env.daemon(), *options], capture_output=True, text=True,
                                 timeout=env.DEADLINE_S, check=False)
            self.assertEqual(run.returncode, 1, options)
            self.assertIn(text, run.stderr)


if __name__ == "__main__":
    runner.main()
