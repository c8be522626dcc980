#!/usr/bin/env python3
"""Who may connect, and what a socket for queries alone refuses."""

import os
import socket
from contextlib import ExitStack

from mfdtest import env, runner
from mfdtest.process import multifdd
from mfdtest.qmp import Qmp, QmpError


class QueriesOnly(runner.TestCase):
    def test_every_command_that_changes_something_is_refused_and_no_descriptor_kept(self):
        endpoint = "unix:%s,server=on,readonly=on" % self.path("look")
        with multifdd([], extra=["-qmp", endpoint]) as program:
            program.connect()
            qmp = Qmp(self.path("look"), program.alive)
            names = {command["name"] for command in qmp.call("query-commands")}
            harmless = {name for name in names if name.startswith("query-")}
            harmless |= {"qom-get", "qom-list", "qmp_capabilities"}
            self.assertLess({"quit", "stop", "cont", "migrate", "migrate_cancel", "add-fd", "getfd",
                             "object-del", "migrate-set-parameters"}, names - harmless)
            for name in names - harmless:
                with self.assertRaises(QmpError) as refused:
                    qmp.call(name)
                self.assertIn("for queries only", refused.exception.desc)
            folder = "/proc/%d/fd" % program.process.pid
            before = os.listdir(folder)
            null = os.open("/dev/null", os.O_RDONLY)
            self.addCleanup(os.close, null)
            qmp.call("query-status", fds=[null])
            self.assertEqual(os.listdir(folder), before)


class OtherUsers(runner.TestCase):
    """Only the superuser can play them."""

    OTHER = 65533  # nobody's number on a system of today

    def setUp(self):
        super().setUp()
        env.need(os.getuid() == 0, "being other users needs the superuser")

        os.chmod(self.scratch, 0o755)
        self.running = ExitStack()
        self.addCleanup(self.running.close)

    def start(self, *options, endpoint="mode=0666"):
        program = self.running.enter_context(multifdd([], extra=[
            "-qmp", "unix:%s,server=on,%s" % (self.path("qmp"), endpoint), *options]))
        program.connect()  # on a socket of its own; from then on it serves
        return program

    def greeting_as(self, user, group, groups=()):
        """What a process of that user reads first from the socket; b"" when it is turned away."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups(list(groups))
            os.setgid(group)
            os.setuid(user)
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(env.DEADLINE_S)
            try:
                client.connect(self.path("qmp"))
                os.write(write, client.recv(4096))
            except OSError as error:
                os.write(write, b"error: " + os.strerror(error.errno).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as said:
            text = said.read()
        os.waitpid(child, 0)
        return text

    def test_another_user_is_turned_away_and_those_behind_it_are_served(self):
        program = self.start()
        for _ in range(50):
            self.assertEqual(self.greeting_as(self.OTHER, self.OTHER), b"")
        self.assertIn("multifdd", str(Qmp(self.path("qmp"), program.alive).greeting))
        told = [line for line in program.log().splitlines() if "Refused the connection" in line]
        self.assertEqual(len(told), 1)
        self.assertIn("user %d, group %d" % (self.OTHER, self.OTHER), told[0])

    def test_users_and_groups_that_are_named_are_served_and_no_others(self):
        self.start("-allow-uid", str(self.OTHER), "-allow-gid", "daemon", "-allow-uid", "root")
        member_of = 1  # the group "daemon" of every Debian
        self.assertIn(b"QMP", self.greeting_as(self.OTHER, self.OTHER))
        self.assertIn(b"QMP", self.greeting_as(self.OTHER - 1, member_of))
        self.assertIn(b"QMP", self.greeting_as(self.OTHER - 1, self.OTHER, [7, member_of]))
        self.assertEqual(self.greeting_as(self.OTHER - 1, self.OTHER, [7]), b"")

    def test_the_sockets_group_is_served_without_being_named(self):
        self.start(endpoint="mode=0660,group=%d" % self.OTHER)
        status = os.stat(self.path("qmp"))
        self.assertEqual((status.st_mode & 0o777, status.st_gid), (0o660, self.OTHER))
        self.assertIn(b"QMP", self.greeting_as(self.OTHER - 1, self.OTHER - 1, [self.OTHER]))
        self.assertEqual(self.greeting_as(self.OTHER - 1, self.OTHER - 1),
                         b"error: Permission denied")


if __name__ == "__main__":
    runner.main()
