#!/usr/bin/env python3
"""A published QMP client library, written by others for QEMU, saves and restores unchanged."""

import os
import shutil
import subprocess

from mfdtest import env, process, ram, runner

HERE = os.path.dirname(os.path.abspath(__file__))

#: Where Debian's package golang-github-digitalocean-go-qemu-dev puts its sources.
GO_PATH = "/usr/share/gocode"
LIBRARY = os.path.join(GO_PATH, "src/github.com/digitalocean/go-qemu/qmp")

MIB = 1 << 20


class ForeignClient(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need(shutil.which("go"), "no Go compiler")
        env.need(os.path.isdir(LIBRARY), "the client library go-qemu is not installed")
        env.need_direct_io(self.scratch)
        self.client = self.path("client")
        environment = dict(os.environ, GO111MODULE="off", GOPATH=GO_PATH,
                           GOCACHE=self.path("cache"))
        subprocess.run(["go", "build", "-o", self.client,
                        os.path.join(HERE, "foreign_client", "main.go")],
                       env=environment, check=True)

    def test_a_client_that_knows_nothing_of_multifdd_saves_and_restores(self):
        source, target = self.ram("m0", 64 * MIB), self.ram("m0", 64 * MIB)
        source.write(ram.recipe().fill(1, source.size // 4096))
        with process.subject([source]) as saver, \
                process.subject([target], incoming="defer") as loader:
            # The connection of the test only tells that the socket listens; it makes room.
            for program in (saver, loader):
                program.connect().close()
            done = subprocess.run([self.client, saver.socket_path, loader.socket_path,
                                   self.path("guest.mig")],
                                  capture_output=True, text=True, timeout=env.DEADLINE_S,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("saved and restored", done.stdout)
        self.assertIsNone(source.difference(target))


if __name__ == "__main__":
    runner.main()
