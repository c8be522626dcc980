#!/usr/bin/env python3
"""multifdd under a service manager: passed sockets, notices, watchdog, reload, end, the journal."""

import os
import re
import signal
import tempfile

from mfdtest import manager, migrate, runner
from mfdtest.qmp import QmpError, wait_until

SIZE = 64 << 20
GUEST = ("-name", "db1", "-object", "memory-backend-memfd,id=ram,size=64M")
#: With content, and a save that ends only when somebody ends it.
WRITES = GUEST + ("-object", "x-guest-workload,id=load,memdev=ram,pattern=random")
NEVER = {"downtime-limit": 0, "max-bandwidth": 4 * SIZE}
AT_ONCE = {"downtime-limit": 2000000}
CATALOG = os.path.join(os.path.dirname(__file__), "../../systemd/multifdd.catalog")
RATE = r"\d[\d.]* [KMGT]?i?B/s"


class ServiceTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        # The path of a unix socket is short, so it does not live in the scratch folder.
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp"))

    def enterContext(self, manager_):  # Python 3.11 has it
        value = manager_.__enter__()
        self.addCleanup(manager_.__exit__, None, None, None)
        return value

    def start(self, *options, ready=True, **plan):
        self.service = manager.Service(self.folder, options, **plan)
        self.enterContext(self.service)
        if ready:
            self.first = self.service.notices.having(READY="1")
        return self.service

    def never_ending_save(self):
        qmp = self.service.connect()
        migrate.Settings(channels=2, parameters=NEVER).apply(qmp)
        qmp.call("migrate", {"uri": "file:" + self.path("save")})
        return qmp

    def assert_refused(self, text):
        self.assertEqual(self.service.wait(), 1)
        self.assertIn(text, self.service.log())


class Notices(ServiceTest):
    def status(self, pattern):
        return self.service.notices.status(pattern)

    def test_ready_comes_when_clients_can_connect_and_the_status_follows_the_guest(self):
        self.start(*GUEST)
        self.assertTrue(os.path.exists(self.service.socket_path))
        self.assertEqual(self.first,
                         {"READY": "1", "STATUS": "running, 64.00 MiB in 1 block"})
        qmp = self.service.connect()
        qmp.call("stop")
        self.status("paused, 64.00 MiB in 1 block")
        qmp.call("object-add", {"qom-type": "memory-backend-memfd", "id": "more", "size": SIZE})
        self.status("paused, 128.00 MiB in 2 blocks")
        qmp.call("object-del", {"id": "more"})
        self.status("paused, 64.00 MiB in 1 block")

    def test_a_save_shows_its_progress_and_how_it_ended(self):
        self.start(*WRITES)
        qmp = self.never_ending_save()
        self.status(r"saving \d+ %.*")
        self.status(r"saving \d+ % at " + RATE + ", not converging: .*")
        qmp.call("migrate_cancel")
        self.status("running, 64.00 MiB in 1 block; last save cancelled")
        migrate.wait_final(qmp)
        qmp.call("migrate-set-parameters", AT_ONCE)
        qmp.call("migrate", {"uri": "file:" + self.path("save")})
        self.status(r"stopped, 64.00 MiB in 1 block; last save completed in \d[\d.]* m?s")
        migrate.allow_next_save(qmp)
        with self.assertRaises(QmpError):
            qmp.call("migrate", {"uri": "file:/no/such/folder/save"})
        self.status("paused, 64.00 MiB in 1 block; last save failed: .*No such file or directory")

    def test_a_restore_that_ends_the_daemon_leaves_its_reason_as_the_status(self):
        with open(self.path("bad"), "wb") as file:
            file.write(b"no stream at all")
        self.start("-m", "64M", "-incoming", "file:" + self.path("bad"))
        self.assertEqual(self.first["STATUS"], "restoring 0 %")
        stopping = self.service.notices.having(STOPPING="1")
        self.assertIn("load of migration failed: Invalid argument: ", stopping["STATUS"])
        self.assertEqual(self.service.wait(), 1)

    def test_a_start_that_fails_says_why(self):
        self.start("-object", "no-such-type,id=x", ready=False)
        self.status("cannot start: .*no-such-type.*")
        self.assertEqual(self.service.wait(), 1)

    def test_the_child_of_daemonize_names_itself(self):
        self.start("-daemonize", "-pidfile", self.path("pid"), variables={"WATCHDOG_USEC": "200000"})
        with open(self.path("pid"), encoding="ascii") as file:
            pid = int(file.read())
        self.assertEqual(int(self.first["MAINPID"]), pid)
        for _ in range(2):
            self.service.notices.having(WATCHDOG="1")
        self.assertEqual(self.service.wait(), 0)
        os.kill(pid, signal.SIGTERM)
        self.service.notices.having(STOPPING="1")
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon is gone")

    def test_the_watchdog_is_fed_again_and_again_even_while_a_save_runs(self):
        self.start(*WRITES, variables={"WATCHDOG_USEC": "200000"})
        for _ in range(3):
            self.service.notices.having(WATCHDOG="1")
        self.never_ending_save()
        self.status("saving .*")
        for _ in range(3):
            self.service.notices.having(WATCHDOG="1")

    def test_the_watchdog_of_another_process_is_none_of_its_business(self):
        self.start(*GUEST, variables={"WATCHDOG_USEC": "200000"}, pid_offset=1)
        self.service.connect().call("stop")
        self.status("paused.*")
        self.assertFalse([notice for notice in self.service.notices.seen if "WATCHDOG" in notice])


class End(ServiceTest):
    def test_sigterm_cancels_the_save_and_asks_for_the_time_that_takes(self):
        self.start(*WRITES)
        qmp = self.never_ending_save()
        self.service.notices.status("saving .*")
        self.service.process.send_signal(signal.SIGTERM)
        stopping = self.service.notices.having(STOPPING="1")
        self.assertEqual(stopping["STATUS"], "stopping, waiting for the running job to end")
        self.assertGreater(
            int(self.service.notices.having(EXTEND_TIMEOUT_USEC=r"\d+")["EXTEND_TIMEOUT_USEC"]), 0)
        data = qmp.event(lambda event: event["event"] == "SHUTDOWN")["data"]
        self.assertEqual(data, {"guest": False, "reason": "host-signal"})
        qmp.event(migrate.state_event("cancelled"))
        self.assertEqual(self.service.wait(), 0)
        self.assertIn("save cancelled: file:%s, 1 block, 64.00 MiB of RAM" % self.path("save"),
                      self.service.log())

    def test_quit_stops_as_well(self):
        self.start(*GUEST)
        self.service.connect().call("quit")
        self.assertEqual(self.service.notices.having(STOPPING="1")["STATUS"], "stopping")
        self.assertEqual(self.service.wait(), 0)


class Reload(ServiceTest):
    def env_file(self, text):
        path = self.path("env")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def reload(self):
        """A reload in systemd's order; the log level that it came to."""
        self.service.process.send_signal(signal.SIGHUP)
        begun = self.service.notices.having(RELOADING="1")
        self.assertGreater(int(begun["MONOTONIC_USEC"]), 0)
        self.assertEqual(self.service.notices.having(READY="1")["STATUS"], self.first["STATUS"])
        with open(self.path("log"), encoding="utf-8") as file:
            return re.findall(r"reloaded: log level (\w+)", file.read())[-1:]

    def test_sighup_takes_the_log_level_of_the_environment_file(self):
        options = ["-D", self.path("log"), "--env-file", self.env_file("MULTIFDD_LOG_LEVEL=debug")]
        self.start(*GUEST, *options)
        self.service.connect()
        self.env_file("# quieter\nMULTIFDD_LOG_LEVEL = 'info'\n")
        self.assertEqual(self.reload(), ["info"])
        with open(self.path("log"), encoding="utf-8") as file:
            self.assertIn(" debug: Client connected", file.read())
        for text, complaint in (
                ("MULTIFDD_LOG_LEVEL=loud\n", "the log level stays: 'loud' of MULTIFDD_LOG_LEVEL"),
                (None, "the log level stays: open %s: No such file" % self.path("env"))):
            if text:
                self.env_file(text)
            else:
                os.unlink(self.path("env"))
            self.assertEqual(self.reload(), ["info"])
            with open(self.path("log"), encoding="utf-8") as file:
                self.assertIn(complaint, file.read())

    def test_sighup_opens_the_log_file_anew(self):
        os.mkdir(self.path("old"))
        self.start(*GUEST, "-D", self.path("log"))
        os.rename(self.path("log"), self.path("old/log"))
        self.assertEqual(self.reload(), ["info"])
        os.rename(self.path("log"), self.path("old/log"))
        os.mkdir(self.path("log"))
        self.service.process.send_signal(signal.SIGHUP)
        self.service.notices.having(READY="1")
        with open(self.path("old/log"), encoding="utf-8") as file:
            self.assertIn("the log file stays as it is: ", file.read())


class Activation(ServiceTest):
    def test_passed_sockets_are_served_the_read_only_ones_for_queries_alone(self):
        names = ("qmp", "qmp-libvirt", "qmp-ro", "qmp-ro-watch")
        self.start(*GUEST, sockets=names, own_socket=False)
        for name in names:
            qmp = self.service.connect(name)
            self.assertEqual(qmp.call("query-name"), {"name": "db1"})
            if name.startswith("qmp-ro"):
                with self.assertRaises(QmpError):
                    qmp.call("quit")
        for number in range(len(names)):
            with open("/proc/%d/fdinfo/%d" % (self.service.process.pid, 3 + number),
                      encoding="ascii") as file:
                flags = int(re.search(r"flags:\s+(\d+)", file.read())[1], 8)
            self.assertTrue(flags & os.O_CLOEXEC)
        # Those made by others stay when the daemon ends.
        self.service.process.terminate()
        self.assertEqual(self.service.wait(), 0)
        for name in names:
            self.assertTrue(os.path.exists(self.service.listening_at[name]))

    def test_sockets_survive_going_to_the_background(self):
        self.start("-daemonize", "-pidfile", self.path("pid"), sockets=["qmp"], own_socket=False)
        qmp = self.service.connect("qmp")
        self.assertEqual(self.service.wait(), 0)
        qmp.call("quit")
        wait_until(lambda: not os.path.exists(self.path("pid")), "the daemon is gone")

    def test_an_explicit_socket_beside_passed_ones_is_refused(self):
        self.start(*GUEST, sockets=["qmp-a"], ready=False)
        self.assert_refused("-qmp does not go with the socket 'qmp-a' that the service manager "
                            "passed")

    def test_what_was_passed_to_another_process_is_left_alone(self):
        self.start(*GUEST, sockets=["qmp"], pid_offset=1)
        self.assertEqual(self.service.connect().call("query-name"), {"name": "db1"})

    def test_a_socket_without_a_role_is_refused_by_its_name(self):
        self.start(*GUEST, sockets=["guest.socket"], ready=False)
        self.assert_refused("descriptor 'guest.socket' passed by the service manager: a socket "
                            "needs FileDescriptorName=qmp")

    def test_a_file_in_place_of_the_socket_is_refused_by_its_name(self):
        with open(os.devnull, "rb") as null:
            self.start(*GUEST, passed=[("qmp", null.fileno())], own_socket=False, ready=False)
        self.assert_refused("descriptor 'qmp' passed by the service manager: is not a listening "
                            "unix stream socket")

    def test_another_descriptor_is_closed_with_a_warning(self):
        with open(os.devnull, "rb") as null:
            self.start(*GUEST, passed=[("leftover", null.fileno())])
        self.assertIn("descriptor 'leftover' passed by the service manager has no use here",
                      self.service.log())
        self.service.connect().call("query-name")


class InTheJournal(ServiceTest):
    def next(self, pattern):
        return self.service.journal.message(pattern)

    def test_entries_have_fields_by_which_a_guest_and_a_job_are_found(self):
        self.start(*WRITES, "--log-level", "debug", journal=True)
        self.assertNotIn("MULTIFD_JOB", self.next("io_uring: "))
        qmp = self.service.connect()
        migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(2, parameters=AT_ONCE))
        started = self.next("^save started: ")
        self.assertEqual(started["MESSAGE_ID"], "9ce46d47e33a41949f5cfad614fc5e0f")
        self.assertEqual(started["MULTIFD_GUEST"], "db1")
        self.assertRegex(started["MULTIFD_JOB"], "^[0-9a-f]{32}$")
        self.assertEqual(started["MULTIFD_URI"], "file:" + self.path("save"))
        self.assertEqual(started["MULTIFD_RAM_BYTES"], str(SIZE))
        self.assertEqual(started["PRIORITY"], "6")
        self.assertEqual(started["SYSLOG_IDENTIFIER"], "multifdd")
        self.assertEqual(self.next("^event MIGRATION ")["MULTIFD_JOB"], started["MULTIFD_JOB"])
        completed = self.next("^save completed: ")
        self.assertEqual(completed["MESSAGE_ID"], "4f5d4b5f0e8346a6bd7ce90aedd9653d")
        self.assertEqual(completed["MULTIFD_JOB"], started["MULTIFD_JOB"])
        self.assertEqual(completed["MULTIFD_BLOCKS"], "1")
        self.assertGreater(int(completed["MULTIFD_FILE_BYTES"]), 0)
        self.assertGreaterEqual(int(completed["MULTIFD_DURATION_MS"]), 0)

        migrate.allow_next_save(qmp)
        with self.assertRaises(QmpError):
            qmp.call("migrate", {"uri": "file:/no/such/folder/save"})
        failed = self.next("^save failed: ")
        self.assertEqual(failed["MESSAGE_ID"], "a95bbf1d56ab441d8cd5f4a7c9a70735")
        self.assertNotEqual(failed["MULTIFD_JOB"], started["MULTIFD_JOB"])
        self.assertIn("No such file or directory", failed["MULTIFD_REASON"])
        self.assertEqual(failed["PRIORITY"], "3")
        self.assertEqual(self.service.log(), "")
        # The texts of journalctl -x.
        with open(CATALOG, encoding="ascii") as file:
            explained = re.findall(r"(?m)^-- ([0-9a-f]{32})$", file.read())
        for entry in (started, completed, failed):
            self.assertIn(entry["MESSAGE_ID"], explained)

    def test_a_log_file_goes_before_the_journal(self):
        self.start(*GUEST, "-D", self.path("log"), journal=True)
        self.service.connect().call("quit")
        self.assertEqual(self.service.wait(), 0)
        self.service.journal.send(b"MESSAGE=the first\n")
        self.assertEqual(self.service.journal.message("")["MESSAGE"], "the first")

    def test_a_start_that_fails_is_an_error_of_the_stream(self):
        self.start("-object", "no-such-type,id=x", journal=True, ready=False)
        self.assertEqual(self.service.wait(), 1)
        self.assertRegex(self.service.log(), "(?m)^<3>multifdd: -object no-such-type")


if __name__ == "__main__":
    runner.main()
