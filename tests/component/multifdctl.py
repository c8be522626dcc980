#!/usr/bin/env python3
"""multifdctl as people use it: what it prints, its exit status, and what it leaves on the server."""

import json
import os
import signal
import stat
import subprocess

from mfdtest import env, process, runner, stream

MIB = 1 << 20
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def tool():
    path = os.environ.get("MFD_CTL", "")
    env.need(path and os.access(path, os.X_OK), "no multifdctl: MFD_CTL names no program")
    return path


def environment(**variables):
    """That of the test without a server in it."""
    inherited = {name: value for name, value in os.environ.items() if name != "MULTIFD_SOCKET"}
    return {**inherited, **variables}


class Multifdctl(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = tool()
        self.file = self.path("ram.mig")
        self.block = self.ram("m0", 64 * MIB)
        self.block.fill(0x5c)

    def start(self, block=None, **options):
        """The program under test, listening, and with nobody connected."""
        program = process.subject([block or self.block], **options)
        program.connect().close()
        return program

    def command(self, program, *words):
        return [self.tool, "-s", program.socket_path, *words]

    def run_tool(self, program, *words, status=DONE, text=None):
        done = subprocess.run(self.command(program, *words), input=text, capture_output=True,
                              text=True, timeout=env.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def ask(self, program, *words):
        return json.loads(self.run_tool(program, "qmp", *words).stdout)

    def settings(self, program):
        parameters = self.ask(program, "query-migrate-parameters")
        capabilities = self.ask(program, "query-migrate-capabilities")
        return parameters, sorted(capabilities, key=lambda entry: entry["capability"])

    def assert_restores(self, *options):
        copy = self.ram("m0", self.block.size)
        with self.start(copy, incoming="defer") as other:
            self.run_tool(other, "restore", self.file, *options)
            self.assertEqual(self.ask(other, "query-fdsets"), [])
        self.assertIsNone(self.block.difference(copy))
        copy.close()

    def test_a_saved_file_restores_and_the_server_keeps_nothing_of_it(self):
        with self.start() as program:
            before = self.settings(program)
            done = self.run_tool(program, "save", self.file, "--channels", "5")
            self.assertIn("saved to %s in " % self.file, done.stdout)
            self.assertIn("pages stored", done.stdout)
            self.assertEqual(self.settings(program), before)
            self.assertEqual(self.ask(program, "query-fdsets"), [])
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assert_restores("--channels", "3")

    def test_every_way_of_saving_restores(self):
        for options in ([], ["--no-direct-io"], ["--no-multifd"], ["--by-path"],
                        ["--zero-page-detection", "none"], ["--stop", "--channels", "1"]):
            with self.subTest(options=options), self.start() as program:
                self.run_tool(program, "save", self.file, *options)
                self.assert_restores()

    def test_bytes_before_the_offset_survive(self):
        with open(self.file, "wb") as file:
            file.write(b"header" * 1000)
        with self.start() as program:
            self.run_tool(program, "save", self.file, "--offset", "8K")
        with open(self.file, "rb") as file:
            self.assertEqual(file.read(6000), b"header" * 1000)
        stream.read(self.file, 8192)
        self.assert_restores("--offset", "8K")

    def test_a_guest_that_ran_runs_on_if_that_is_wanted(self):
        for options, after in (([], "postmigrate"), (["--keep-running"], "running"),
                               (["--stop", "--keep-running"], "running")):
            with self.subTest(options=options), self.start(paused=False) as program:
                self.run_tool(program, "save", self.file, *options)
                self.assertEqual(self.ask(program, "query-status")["status"], after)

    def test_an_interrupted_save_is_cancelled_and_leaves_no_file(self):
        with self.start(paused=False) as program:
            before = self.settings(program)
            with subprocess.Popen(self.command(program, "save", self.file, "--max-bandwidth", "1M"),
                                  stderr=subprocess.PIPE, text=True) as save:
                # The first line of progress comes while most is still to do.
                first = save.stderr.readline()
                self.assertIn("save: ", first)
                save.send_signal(signal.SIGINT)
                rest = save.stderr.read()
                self.assertEqual(save.wait(env.DEADLINE_S), INTERRUPTED, rest)
            self.assertIn("multifdctl: save: cancelled", rest)
            self.assertFalse(os.path.exists(self.file))
            self.assertEqual(self.ask(program, "query-migrate")["status"], "cancelled")
            self.assertEqual(self.ask(program, "query-status")["status"], "running")
            self.assertEqual(self.ask(program, "query-fdsets"), [])
            self.assertEqual(self.settings(program), before)
            self.run_tool(program, "save", self.file)
            self.assert_restores()

    def test_a_file_that_cannot_be_opened_changes_nothing(self):
        with self.start(paused=False) as program:
            done = self.run_tool(program, "save", self.path("none/f"), "--stop", status=FAILED)
            self.assertIn("none/f': No such file or directory", done.stderr)
            self.assertEqual(self.ask(program, "query-status")["status"], "running")
            self.assertEqual(self.ask(program, "query-migrate"), {})

    def test_a_damaged_file_is_refused_with_the_servers_reason(self):
        with open(self.file, "wb") as file:
            file.write(b"no migration stream" * 1000)
        self.block.poison()
        with self.start(incoming="defer") as program:
            done = self.run_tool(program, "restore", self.file, status=FAILED)
            self.assertIn("multifdctl: restore: load of migration failed: ", done.stderr)
            self.assertEqual(self.ask(program, "query-fdsets"), [])
        self.assertTrue(self.block.untouched())

    def test_a_server_that_does_not_wait_for_a_restore_is_told_apart(self):
        with self.start() as program:
            done = self.run_tool(program, "restore", self.file, status=FAILED)
            self.assertIn("start it with --incoming defer", done.stderr)

    def test_status_is_text_or_the_replies_as_json(self):
        with self.start() as program:
            text = self.run_tool(program, "status").stdout
            self.assertIn("prelaunch", text)
            self.assertIn("m0, 64.00 MiB", text)
            replies = json.loads(self.run_tool(program, "status", "--json").stdout)
            self.assertEqual(replies["query-status"], {"status": "prelaunch", "running": False})
            self.assertEqual(replies["query-migrate"], {})

    def test_qmp_prints_the_reply_and_tells_errors_by_its_status(self):
        with self.start() as program:
            self.ask(program, "migrate-set-parameters", "multifd-channels=7", "direct-io=true")
            parameters = self.ask(program, "query-migrate-parameters")
            self.assertEqual((parameters["multifd-channels"], parameters["direct-io"]), (7, True))
            self.ask(program, "add-fd", '{"fdset-id": 4}', "--fd", "/dev/null:rw")
            self.assertEqual([entry["fdset-id"] for entry in self.ask(program, "query-fdsets")], [4])
            done = self.run_tool(program, "qmp", "nonsense", status=FAILED)
            self.assertIn("The command nonsense has not been found (CommandNotFound)", done.stderr)
            self.run_tool(program, "qmp", "stop", "no-argument", status=USAGE)
            done = self.run_tool(program, "qmp", "add-fd", "--fd", "/dev/null:rx", status=USAGE)
            self.assertIn("--fd: /dev/null:rx: the mode is r, w or rw, then", done.stderr)

    def test_the_shell_reads_commands_from_a_pipe(self):
        with self.start() as program:
            done = self.run_tool(program, "shell",
                                 text='cont\n{"execute": "query-status",\n "id": 9}\n\n# nothing\n')
            self.assertIn(" RESUME\n", done.stdout)
            self.assertIn('"id": 9', done.stdout)
            self.assertIn('"status": "running"', done.stdout)
            self.run_tool(program, "shell", text="nonsense\nquery-status\n", status=FAILED)
            self.assertIn("ends inside a request",
                          self.run_tool(program, "shell", text='{"execute":\n', status=FAILED).stderr)

    def test_quit_returns_when_the_server_is_gone(self):
        with self.start() as program:
            self.run_tool(program, "quit")
            self.assertEqual(program.wait(), 0)
            done = self.run_tool(program, "status", status=USAGE)
            self.assertIn("connect to %s: " % program.socket_path, done.stderr)

    def test_the_end_of_a_job_is_an_object_if_that_is_wanted(self):
        path = self.path("object")
        with self.start() as program:
            said = json.loads(self.run_tool(program, "save", path, "--json").stdout)
        self.assertEqual((said["file"], said["query-migrate"]["status"]), (path, "completed"))
        with self.start(incoming="defer") as program:
            said = json.loads(self.run_tool(program, "restore", path, "--no-direct-io",
                                            "--json").stdout)
        self.assertEqual((said["direct-io"], said["query-migrate"]["status"]), (False, "completed"))

    def test_cancel_without_a_job_fails(self):
        with self.start() as program:
            self.assertIn("nothing runs",
                          self.run_tool(program, "cancel", status=FAILED).stderr)

    def test_a_guest_of_a_service_is_named_instead_of_its_socket(self):
        def said(*words, **variables):
            done = subprocess.run([self.tool, *words], capture_output=True, text=True, check=False,
                                  env=environment(**variables))
            self.assertEqual(done.returncode, USAGE, done.stdout)
            return done.stderr
        # None of this name runs.
        guest = "mfd-test-%d" % os.getpid()
        text = "no guest %s has a socket here: 'multifdctl top' lists those there are" % guest
        for command in ("status", "watch"):
            self.assertIn(text, said("-g", guest, command))
            # The one that is typed counts.
            self.assertIn(text, said("-g", guest, command, MULTIFD_SOCKET="/none"))
            self.assertIn("connect to /none: ", said(command, MULTIFD_SOCKET="/none"))
            self.assertIn("name two servers; leave out one", said("-g", guest, "-s", "/none", command))
            self.assertIn("'a/b' is no name of a guest", said("-g", "a/b", command))
            self.assertIn("which server? Give its socket with -s PATH", said(command))

    def test_wrong_options_end_with_the_usage_status(self):
        for words in ([], ["save"], ["nonsense"], ["save", ""], ["save", "f", "--channels", "0"],
                      ["-g", "nobody", "status"], ["-s", __file__, "status"],
                      ["save", "f", "--offset", "1X"], ["save", "f", "--direct-io", "--no-direct-io"],
                      ["status"]):
            with self.subTest(words=words):
                done = subprocess.run([self.tool, *words], capture_output=True, text=True,
                                      check=False, env=environment())
                self.assertEqual(done.returncode, USAGE)
                self.assertTrue(done.stderr.startswith("multifdctl: "), done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_guest_that_was_saved_is_not_saved_again_before_it_runs(self):
        with self.start() as program:
            self.run_tool(program, "save", self.path("first"))
            refused = self.run_tool(program, "save", self.path("second"), status=FAILED).stderr
            self.assertIn("'multifdctl resume'", refused)


if __name__ == "__main__":
    runner.main()
