#!/usr/bin/env python3
"""multifdctl bench, tiny: what it prints, what it draws, and that it leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import xml.etree.ElementTree

from mfdtest import env, runner
from mfdtest.qmp import wait_until

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
TINY = ("--size", "8M", "--rounds", "1", "--channels", "1,3")
SVG = "{http://www.w3.org/2000/svg}"


class Bench(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.folder = self.path("measured")
        os.mkdir(self.folder)
        # Where its sockets are: their paths have to be short, and one that is killed leaves them.
        self.temporary = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.temporary, True)
        self.environment = {**os.environ, "TMPDIR": self.temporary}

    def command(self, *words):
        which = [] if "--multifdd" in words else ["--multifdd", env.daemon()]
        return [self.tool, "bench", self.folder, *which, *words]

    def run_tool(self, *words, status=DONE):
        done = subprocess.run(self.command(*words), capture_output=True, text=True,
                              timeout=5 * env.DEADLINE_S, check=False,
                              env=self.environment)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(os.listdir(self.folder) + os.listdir(self.temporary), [], "left behind")
        return done.stdout if status == DONE else done.stderr

    def test_a_table_ends_with_advice(self):
        said = self.run_tool(*TINY, "-q")
        self.assertIn("8.00 MiB of guest memory, median of 1", said)
        for way in ("raw, buffered", "1 channel, buffered", "3 channels, buffered"):
            self.assertRegex(said, r"\n  %s +[\d.]+ [KMG]iB/s +[\d.]+ [KMG]iB/s\n" % way)
        self.assertRegex(said, r"\nHere, use multifd-channels=[13] and direct-io=(on|off): .*\.\n$")

    def test_the_numbers_as_json_and_the_plot_agree(self):
        plot = self.path("plot.svg")
        said = json.loads(self.run_tool(*TINY, "--json", "--svg", plot))
        self.assertEqual(said["guest-bytes"], 8 << 20)
        ways = [(run["multifd-channels"], run["direct-io"]) for run in said["runs"]]
        direct = [(1, True), (3, True)] if "direct" in said["raw"] else []
        self.assertEqual(ways, direct + [(1, False), (3, False)])
        self.assertTrue(all(run["save"] > 0 and run["restore"] > 0 for run in said["runs"]))
        self.assertIn(said["advice"]["multifd-channels"], (1, 3))
        drawn = xml.etree.ElementTree.parse(plot).getroot()
        self.assertEqual(drawn.tag, SVG + "svg")
        for words in (("--svg", plot), ("--svg", self.path("none/plot.svg"))):
            self.run_tool(*TINY, *words, status=USAGE)
        self.assertEqual(len(drawn.findall(SVG + "circle")), 2 * len(ways))
        texts = [text.text for text in drawn.findall(SVG + "text")]
        self.assertIn("save, buffered", texts)
        self.assertIn("multifd-channels", texts)

    def test_an_interrupted_one_leaves_nothing(self):
        with subprocess.Popen(self.command("--size", "8M", "--rounds", "99"),
                              stderr=subprocess.PIPE, text=True, env=self.environment) as tool:
            # It has files there by then, and a daemon.
            wait_until(lambda: children(tool.pid), "a daemon runs")
            daemons = children(tool.pid)
            tool.send_signal(signal.SIGINT)
            self.assertIn("interrupted; nothing is left", tool.stderr.read())
            self.assertEqual(tool.wait(env.DEADLINE_S), INTERRUPTED)
        self.assertEqual(os.listdir(self.folder) + os.listdir(self.temporary), [])
        self.assertFalse([pid for pid in daemons if os.path.exists("/proc/%d" % pid)])

    def test_its_daemon_goes_away_when_it_is_killed(self):
        with subprocess.Popen(self.command("--size", "8M", "--rounds", "99"),
                              stderr=subprocess.DEVNULL, env=self.environment) as tool:
            wait_until(lambda: children(tool.pid), "a daemon runs")
            daemons = children(tool.pid)
            tool.kill()
            tool.wait(env.DEADLINE_S)
        wait_until(lambda: not [pid for pid in daemons if alive(pid)], "the daemon is gone")

    def test_what_cannot_be_measured_is_refused_with_what_to_do(self):
        self.assertIn("--size", self.run_tool("--size", "1P", status=FAILED))
        self.assertIn("at least 1M", self.run_tool("--size", "5K", status=USAGE))
        for words, text in [([self.path("none")], "No such file"), ([__file__], "is no folder"),
                            ([self.folder, "--multifdd", self.path("none")], "No such file"),
                            ([self.folder, *TINY, "--multifdd", "/bin/false"], "ended at its start")]:
            done = subprocess.run([self.tool, "bench", *words], capture_output=True, text=True,
                                  timeout=env.DEADLINE_S, check=False, env=self.environment)
            self.assertNotEqual(done.returncode, DONE)
            self.assertIn(text, done.stderr)
            self.assertEqual(os.listdir(self.folder), [])

    def test_multifdd_is_found_beside_it_or_in_path(self):
        programs = self.path("bin")
        os.mkdir(programs)
        alone = shutil.copy(self.tool, self.path("multifdctl"))
        words = [alone, "bench", self.folder, "-q", "--size", "1M", "--channels", "1", "--json"]
        def run(path):
            return subprocess.run(words, capture_output=True, text=True, check=False,
                                  timeout=2 * env.DEADLINE_S, env={**self.environment, "PATH": path})
        done = run("/none:" + programs)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("multifdd is neither beside this program nor in PATH; name it with --multifdd",
                      done.stderr)
        os.symlink(os.path.abspath(env.daemon()), os.path.join(programs, "multifdd"))
        done = run("/none:" + programs)
        self.assertEqual(done.returncode, DONE, done.stderr)
        # So little is measured more than once.
        self.assertEqual(json.loads(done.stdout)["rounds"], 3)

    def test_the_last_word_of_a_daemon_that_does_not_start_is_passed_on(self):
        broken = self.path("broken")
        with open(broken, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho one\necho it is broken\necho\nexit 1\n")
        os.chmod(broken, 0o700)
        self.assertIn("multifdd ended at its start (it is broken)",
                      self.run_tool(*TINY, "--multifdd", broken, status=FAILED))


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return re.sub(r".*\) ", "", file.read())[0] not in "ZX"
    except OSError:
        return False


if __name__ == "__main__":
    runner.main()
