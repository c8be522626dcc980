#!/usr/bin/env python3
"""multifdd in the background: ready when it returns, a reason when it cannot, nothing left behind."""

import os
import subprocess

from mfdtest import env, runner
from mfdtest.qmp import Qmp, wait_until


class Background(runner.TestCase):
    def start(self, *options):
        """Runs multifdd with relative paths in the scratch folder."""
        return subprocess.run([env.daemon(), "-daemonize", *options], cwd=self.scratch,
                              capture_output=True, text=True, timeout=env.DEADLINE_S, check=False)

    def pid(self):
        with open(self.path("pid"), encoding="ascii") as file:
            return int(file.read())

    def wait_for_end(self, pid):
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon is gone")

    def test_clients_can_connect_when_the_command_returns_and_quit_leaves_no_files(self):
        done = self.start("-qmp", "unix:qmp,server=on,wait=off", "-pidfile", "pid", "-D", "log")
        self.assertEqual(done.returncode, 0, done.stderr)
        pid = self.pid()
        qmp = Qmp(self.path("qmp"))
        self.assertEqual(qmp.call("query-status")["status"], "running")
        qmp.call("quit")
        qmp.close()
        self.wait_for_end(pid)
        self.assertEqual(os.listdir(self.scratch), ["log"])

    def test_a_start_that_fails_says_why_and_leaves_with_failure(self):
        done = self.start("-qmp", "unix:no/such/folder,server=on,wait=off", "-pidfile", "pid")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no/such/folder", done.stderr)
        self.assertIn("No such file or directory", done.stderr)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_the_pid_file_of_a_living_daemon_is_not_taken(self):
        done = self.start("-qmp", "unix:qmp,server=on,wait=off", "-pidfile", "pid")
        self.assertEqual(done.returncode, 0, done.stderr)
        pid = self.pid()
        second = self.start("-pidfile", "pid")
        self.assertEqual(second.returncode, 1)
        self.assertIn("cannot lock PID file pid", second.stderr)
        self.assertEqual(self.pid(), pid)
        os.kill(pid, 15)
        self.wait_for_end(pid)
        self.assertEqual(os.listdir(self.scratch), [])


if __name__ == "__main__":
    runner.main()
