#!/usr/bin/env python3
"""multifdctl watch and top in a terminal: what they show, at which size, and how they leave it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from mfdtest import env, migrate, process, runner
from mfdtest.qmp import wait_until
from mfdtest.terminal import Terminal

SIZES = ((80, 24), (200, 50))
SIZE = 64 << 20
#: A save at this rate goes on until somebody ends it or sets another rate.
SLOW = {"max-bandwidth": 128 << 10}
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
RATE = r"[\d.]+ [KMG]?i?B/s"


class TerminalTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need(shutil.which("tmux"), "no tmux")
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def start(self, name="db"):
        """A daemon with a socket of its own for onlookers; a client at the other one."""
        onlookers = os.path.join(self.folder, name + "-ro.qmp")
        block = self.ram("m0", SIZE)
        block.fill(0x5c)
        program = process.multifdd([block], paused=False, extra=[
            "-name", name, "-qmp", "unix:%s,server=on,wait=off,readonly=on" % onlookers])
        program.__enter__()
        self.addCleanup(program.__exit__, None, None, None)
        return program, program.connect(), onlookers

    def save(self, qmp, channels=4):
        migrate.Settings(channels=channels, parameters=SLOW).apply(qmp)
        qmp.call("migrate", {"uri": "file:" + self.path("save")})
        wait_until(lambda: qmp.call("query-migrate").get("ram", {}).get("dirty-sync-count"),
                   "the first pass runs")

    def terminal(self, *words, size=SIZES[0], **variables):
        terminal = Terminal([self.tool, *words], *size,
                            variables={"LC_ALL": "C.UTF-8", **variables})
        terminal.__enter__()
        self.addCleanup(terminal.__exit__, None, None, None)
        return terminal


def is_view(screen, size, channels):
    """A complete picture of a save, for just this size."""
    columns, rows = size
    text = "\n".join(screen)
    return (len(screen) == rows and screen[0].startswith("multifdctl watch  db  guest running ")
            and len(screen[0]) == columns and re.fullmatch(r".* [\d.:]+( m?s)?", screen[0])
            and re.fullmatch(r"save  active  pass \d+( .*)?", screen[2])
            and re.search(r"\d %  of 64\.00 MiB$", screen[3])
            and re.fullmatch("throughput +%s   dirty rate +%s" % (RATE, RATE), screen[4])
            and re.search(r"(?m)^ *%s [│|]" % RATE, text)
            and all(re.search(r"(?m)^ +%d [█░▏▎▍▌▋▊▉]+ +%s .*p99 +\d+ us$" % (channel, RATE), text)
                    for channel in range(channels))
            and screen[-1] == "q quit; the job goes on")


class Watch(TerminalTest):
    def test_a_save_is_shown_at_every_size_and_follows_another_one(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        for size in SIZES:
            with self.subTest(size=size):
                terminal = self.terminal("-s", onlookers, "watch", size=size)
                terminal.shows(lambda screen, size=size: is_view(screen, size, 4), "the save")
                other = SIZES[1 - SIZES.index(size)]
                terminal.resize(*other)
                terminal.shows(lambda screen, other=other: is_view(screen, other, 4),
                               "the save at another size")
                terminal.resize(30, 5)
                terminal.shows(lambda screen: screen[0].startswith("save: ") and
                               screen[4] == "q quit; the job goes on", "one line of progress")
                terminal.press("q")
                status, screen = terminal.ended()
                self.assertEqual(status, DONE)
                self.assertIn("the save goes on", screen)
        self.assertEqual(qmp.call("query-migrate")["status"], "active")

    def test_interruptions_leave_the_terminal_as_it_was(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        for how in ("^C", "SIGTERM"):
            with self.subTest(how=how):
                terminal = self.terminal("-s", onlookers, "watch")
                terminal.shows(lambda screen: is_view(screen, SIZES[0], 4), "the save")
                if how == "^C":
                    terminal.press("C-c")
                else:
                    os.kill(terminal.pid_of("multifdctl"), signal.SIGTERM)
                self.assertEqual(terminal.ended()[0], INTERRUPTED)
        self.assertEqual(qmp.call("query-migrate")["status"], "active")

    def test_the_end_of_the_job_is_the_verdict(self):
        _, qmp, onlookers = self.start()
        for command, arguments, verdict, expected in (
                ("migrate_cancel", None, "save cancelled", FAILED),
                ("migrate-set-parameters", {"max-bandwidth": 0}, "save completed in ", DONE)):
            with self.subTest(verdict=verdict):
                self.save(qmp)
                terminal = self.terminal("-s", onlookers, "watch")
                terminal.shows(lambda screen: is_view(screen, SIZES[0], 4), "the save")
                qmp.call(command, arguments)
                status, screen = terminal.ended()
                self.assertEqual(status, expected)
                self.assertTrue(screen[0].startswith(verdict), screen[0])

    def test_a_server_that_hangs_is_said_and_q_leaves_at_once(self):
        program, qmp, onlookers = self.start()
        self.save(qmp)
        terminal = self.terminal("-s", onlookers, "watch")
        terminal.shows(lambda screen: is_view(screen, SIZES[0], 4), "the save")
        program.process.send_signal(signal.SIGSTOP)
        self.addCleanup(program.process.send_signal, signal.SIGCONT)
        terminal.shows(lambda screen: re.fullmatch(r"no reply for \d+ s: the server hangs +q quit",
                                                   screen[-1]), "that nobody answers")
        terminal.resize(100, 30)
        terminal.shows(lambda screen: screen[-1].startswith("no reply") and len(screen[-1]) == 100,
                       "the same at another size")
        terminal.press("q")
        self.assertEqual(terminal.ended()[0], DONE)  # while the server still hangs

    def test_a_server_that_goes_away_is_said_with_what_was_seen_last(self):
        program, qmp, onlookers = self.start()
        self.save(qmp)
        terminal = self.terminal("-s", onlookers, "watch")
        terminal.shows(lambda screen: is_view(screen, SIZES[0], 4), "the save")
        program.kill()
        status, screen = terminal.ended()
        self.assertEqual(status, FAILED)
        self.assertIn("multifdctl: watch: connection lost", screen[0])
        self.assertIn("last seen: save: ", "".join(screen))

    def test_a_job_that_has_not_begun_is_waited_for_if_that_is_wanted(self):
        _, qmp, onlookers = self.start()
        terminal = self.terminal("-s", onlookers, "watch", "--wait")
        terminal.shows(lambda screen: screen[2] == "no job runs; waiting for one" and
                       screen[-1].startswith("q quit"), "that it waits")
        self.save(qmp, channels=2)
        terminal.shows(lambda screen: is_view(screen, SIZES[0], 2), "the save")
        terminal.press("q")
        self.assertEqual(terminal.ended()[0], DONE)

    def test_colours_are_left_out_where_nobody_wants_them(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            with self.subTest(variables=variables):
                terminal = self.terminal("-s", onlookers, "watch", **variables)
                terminal.shows(lambda screen: is_view(screen, SIZES[0], 4), "the save")
                text = "".join(terminal.capture("-e"))
                self.assertEqual(bool(re.search(r"\x1b\[(\d+;)*3[0-7]m", text)), coloured)
                terminal.press("q")
                terminal.ended()

    def test_a_terminal_without_unicode_gets_ascii(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        terminal = self.terminal("-s", onlookers, "watch", LC_ALL="C")
        screen = terminal.shows(lambda screen: screen[-1].startswith("q quit") and
                                any(re.match("  3 [#-]+ ", line) for line in screen), "the save")
        self.assertTrue("".join(screen).isascii())


class Progress(TerminalTest):
    def test_a_save_has_a_bar_that_goes_away_with_it(self):
        program, qmp, _ = self.start()
        qmp.close()
        file = self.path("file")
        words = ["-s", program.socket_path, "save", file]
        bar = re.compile(r"^save  \[=*> *\] +\d+ %% +%s/64\.00 MiB +%s .*$"
                         % (r"[\d.]+ [KMG]?i?B", RATE))
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            with self.subTest(variables=variables):
                terminal = self.terminal(*words, "--max-bandwidth", "128K", **variables)
                terminal.shows_now(lambda screen: bar.match(screen[0]), "a bar")
                self.assertEqual("\x1b[32m" in "".join(terminal.capture("-e")), coloured)
                terminal.resize(40, 10)
                terminal.shows_now(lambda screen: re.match(r"^save +\d+ % +[\d.]+ ", screen[0]),
                                   "numbers without a bar")
                terminal.press("C-c")
                status, screen = terminal.ended()
                self.assertEqual(status, INTERRUPTED)
                self.assertIn("multifdctl: save: cancelled; ", "".join(screen))
                self.assertFalse(os.path.exists(file))
        terminal = self.terminal(*words)
        status, screen = terminal.ended()
        self.assertEqual(status, DONE)
        self.assertTrue(screen[0].startswith("saved to "), screen)

    def test_an_interrupted_save_takes_its_line_off_a_narrow_terminal_too(self):
        program, qmp, _ = self.start()
        qmp.close()
        terminal = self.terminal("-s", program.socket_path, "save", self.path("file"),
                                 "--max-bandwidth", "128K", size=(40, 10))
        terminal.shows_now(lambda screen: re.match(r"^save +\d+ % +[\d.]+ ", screen[0]), "numbers")
        terminal.press("C-c")
        status, screen = terminal.ended()
        self.assertEqual(status, INTERRUPTED)
        self.assertTrue(screen[0].startswith("multifdctl: save: cancelling "), screen)

    def test_streams_and_memory_are_not_written_to_a_terminal(self):
        program, qmp, _ = self.start()
        qmp.close()
        file = self.path("f")
        subprocess.run([self.tool, "-s", program.socket_path, "save", file, "-q"], check=True,
                       timeout=env.DEADLINE_S)
        for words, text in ((["extract", file, "m0"], "memory is not written to a terminal: name a "
                             "file with -o, or see it with --hex"),
                            (["convert", file, "-", "--to", "sequential"],
                             "a stream is nothing for a terminal; name a file, or pipe it somewhere")):
            with self.subTest(words=words):
                status, screen = self.terminal(*words, size=(200, 10)).ended()
                self.assertIn(status, (1, 2))
                self.assertIn("multifdctl: %s: %s" % (words[0], text), screen)
        status, screen = self.terminal("extract", file, "m0", "--page", "0", "--hex").ended()
        self.assertEqual(status, DONE)
        self.assertTrue(any(line.startswith("00000000 ") for line in screen), screen)


class Lines(TerminalTest):
    def test_a_terminal_that_cannot_be_drawn_on_gets_lines(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        terminal = self.terminal("-s", onlookers, "watch", TERM="dumb")
        terminal.shows(lambda screen: re.match(r"save: \d+ %, .* of 64\.00 MiB, ", screen[0]),
                       "a line")
        terminal.press("C-c")
        self.assertEqual(terminal.ended()[0], INTERRUPTED)

    def test_without_a_terminal_lines_come_and_the_verdict_last(self):
        _, qmp, onlookers = self.start()
        self.save(qmp)
        with subprocess.Popen([self.tool, "-s", onlookers, "watch"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as watch:
            self.assertRegex(watch.stdout.readline(), r"^save: \d+ %, .* of 64\.00 MiB, ")
            qmp.call("migrate_cancel")
            self.assertEqual(watch.stdout.read().splitlines()[-1], "save cancelled")
            self.assertEqual(watch.wait(env.DEADLINE_S), FAILED)

    def test_without_a_job_the_last_one_is_told(self):
        _, qmp, onlookers = self.start()
        def watch():
            done = subprocess.run([self.tool, "-s", onlookers, "watch"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=env.DEADLINE_S, check=False)
            return done.returncode, done.stdout
        self.assertEqual(watch(), (FAILED, "no job has run\n"))
        migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(channels=2))
        status, text = watch()
        self.assertEqual(status, DONE)
        self.assertRegex(text, r"^save completed in .*: 64\.00 MiB, .* downtime ")


class Top(TerminalTest):
    def setUp(self):
        super().setUp()
        self.idle, _, _ = self.start("idle")
        self.busy, qmp, _ = self.start("busy")
        self.save(qmp)
        # A socket that nobody serves any more.
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(os.path.join(self.folder, "dead.qmp"))

    def once(self, *options):
        done = subprocess.run([self.tool, "top", "--directory", self.folder, *options],
                              capture_output=True, text=True, timeout=env.DEADLINE_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""))
        return done.stdout

    def test_every_instance_is_named_with_its_job_or_why_it_is_not_reached(self):
        lines = self.once("--once", "--timeout", "60").splitlines()
        self.assertRegex(lines[0], r"^GUEST +STATE +RAM +JOB +DONE +RATE$")
        self.assertRegex(lines[1], r"^busy-ro +running +64\.00 MiB  save active +\d+ % +" + RATE)
        self.assertRegex(lines[2], r"^dead +not reached: nothing listens there")
        self.assertRegex(lines[3], r"^idle-ro +running +64\.00 MiB  -$")
        busy, dead, idle = json.loads(self.once("--json", "--timeout", "60"))
        self.assertEqual((busy["name"], busy["status"], busy["ram-bytes"]),
                         ("busy-ro", "running", 64 << 20))
        self.assertEqual((busy["job"]["kind"], busy["job"]["status"]), ("save", "active"))
        self.assertIn("nothing listens", dead["problem"])
        self.assertNotIn("job", idle)

    def test_the_live_table_follows_sockets_sizes_and_servers_that_hang(self):
        terminal = self.terminal("top", "--directory", self.folder, "--timeout", "2")
        def is_table(screen, size):
            return (len(screen) == size[1] and len(screen[0]) == size[0]
                    and screen[0].endswith("3 guests, 1 jobs, 1 not reached")
                    and re.match(r"busy-ro +running .* save active +\d+ % +" + RATE, screen[3])
                    and re.match(r"dead +not reached: ", screen[4])
                    and re.match(r"idle-ro +running ", screen[5]) and screen[-1] == "q quit")
        for size in (SIZES[0], SIZES[1], SIZES[0]):
            terminal.resize(*size)
            terminal.shows(lambda screen, size=size: is_table(screen, size), "the table")
        os.unlink(os.path.join(self.folder, "dead.qmp"))
        terminal.shows(lambda screen: screen[0].endswith("2 guests, 1 jobs, 0 not reached"),
                       "that one has gone")
        self.idle.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.idle.process.send_signal, signal.SIGCONT)
        terminal.shows(lambda screen: re.match(r"idle-ro +not reached: no greeting", screen[4]),
                       "that one hangs")
        terminal.press("q")
        self.assertEqual(terminal.ended()[0], DONE)

    def test_control_c_leaves_the_live_table(self):
        terminal = self.terminal("top", "--directory", self.folder)
        terminal.shows_now(lambda screen: screen[-1] == "q quit", "the table")
        terminal.press("C-c")
        self.assertEqual(terminal.ended()[0], INTERRUPTED)

    def test_a_folder_without_sockets_says_what_may_be_missing(self):
        self.folder = self.path("none")
        refused = subprocess.run([self.tool, "top", "--once", "--directory", self.folder],
                                 capture_output=True, text=True, check=False)
        self.assertEqual((refused.returncode, refused.stdout), (USAGE, ""))
        self.assertIn("No such file", refused.stderr)
        os.mkdir(self.folder)
        self.assertEqual(self.once(), "no sockets in %s\n" % self.folder)
        self.assertEqual(json.loads(self.once("--json")), [])


if __name__ == "__main__":
    runner.main()
