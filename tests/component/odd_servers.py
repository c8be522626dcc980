#!/usr/bin/env python3
"""multifdctl with servers that are old, that refuse, or that go away in the middle: what it says, and
what it asks them to put back. The server is played by the test."""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile

from mfdtest import env, runner
from mfdtest.played import HangUp, Last, PlayedServer, Refusal, Silence, Turns

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
ACTIVE = {"status": "active", "ram": {"total": 1 << 20, "remaining": 1 << 19, "transferred": 1 << 19,
                                      "dirty-sync-count": 1}}
COMPLETED = {"status": "completed", "total-time": 5, "downtime": 1, "setup-time": 1,
             "ram": {**ACTIVE["ram"], "remaining": 0}}
WAITS = {"status": "inmigrate", "running": False}


class OddServers(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.file = self.path("ram.mig")
        self.running = queue.Queue()

    def interrupt(self, answer):
        """An answer before which the tool gets ^C."""
        def send(_):
            # The server may be asked before the test knows that the tool runs.
            tool = self.running.get(timeout=env.DEADLINE_S)
            tool.send_signal(signal.SIGINT)
            self.running.put(tool)
            return answer
        return send

    def outputs(self, server, *words, status=DONE):
        with subprocess.Popen([self.tool, "-s", server.socket_path, *words], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as tool:
            self.running.put(tool)
            out, said = tool.communicate(timeout=2 * env.DEADLINE_S)
            self.running.get()
        self.assertEqual(tool.returncode, status, out + said)
        return out, said

    def run_tool(self, server, *words, status=DONE):
        out, said = self.outputs(server, *words, status=status)
        return out if status == DONE else said

    def saved(self, answers, *options, status=FAILED):
        """What the tool says of a save, and the server."""
        with PlayedServer(answers) as server:
            said = self.run_tool(server, "save", self.file, *options, status=status)
        return said, server

    def restored(self, answers, *options, status=FAILED):
        with open(self.file, "wb"):
            pass
        with PlayedServer({"query-status": WAITS, **answers}) as server:
            said = self.run_tool(server, "restore", self.file, *options, status=status)
        return said, server


class Saves(OddServers):
    def test_a_server_without_the_format_or_direct_io_is_named_as_too_old(self):
        said, server = self.saved({"query-migrate-capabilities": []})
        self.assertIn("the server has no mapped-ram (QEMU has it from 9.0)", said)
        self.assertNotIn("migrate", server.commands())
        old = {"query-migrate-parameters": {"multifd-channels": 2},
               "query-migrate": COMPLETED}
        said, server = self.saved(old, "--direct-io")
        self.assertIn("no direct-io (QEMU has it from 9.1); leave out --direct-io", said)
        self.assertNotIn("migrate", server.commands())
        said, server = self.saved(old, status=DONE)
        self.assertIn("saved to " + self.file, said)
        self.assertNotIn("direct-io", server.arguments_of("migrate-set-parameters")[0])
        self.assertEqual(len(server.arguments_of("add-fd")), 1)

    def test_the_reason_of_a_failure_is_said_and_no_file_is_made(self):
        for info, reason in (({"error-desc": "disk on fire"}, "disk on fire"),
                             ({}, "the server gives no reason; its log may")):
            said, server = self.saved({"query-migrate": {"status": "failed", **info}}, "--stop")
            self.assertIn("multifdctl: save: %s; %s was not made\n" % (reason, self.file), said)
            self.assertFalse(os.path.exists(self.file))
            # All is put back: descriptors, settings, the run state.
            self.assertEqual(server.arguments_of("remove-fd"), [{"fdset-id": 3}])
            self.assertEqual(server.commands()[-1], "cont")
            self.assertEqual(server.arguments_of("migrate-set-capabilities")[-1], {"capabilities": [
                {"capability": name, "state": False} for name in ("events", "mapped-ram", "multifd")]})

    def test_somebody_elses_cancel_is_told_from_an_own_one(self):
        said, _ = self.saved({"query-migrate": {"status": "cancelled"}})
        self.assertIn("save: cancelled by somebody else; %s was not made" % self.file, said)

    def test_a_save_that_completes_before_its_cancel_arrives_is_kept(self):
        with PlayedServer({"query-migrate": Turns(ACTIVE, self.interrupt(ACTIVE), COMPLETED),
                           "migrate_cancel": {}}) as server:
            out, said = self.outputs(server, "save", self.file)
        self.assertIn("was complete before it could be cancelled", said)
        self.assertIn("saved to " + self.file, out)
        self.assertIn("migrate_cancel", server.commands())
        self.assertTrue(os.path.exists(self.file))

    def test_a_second_interruption_leaves_a_server_that_still_cancels(self):
        said, server = self.saved(
            {"query-migrate": Turns(self.interrupt(ACTIVE), self.interrupt(ACTIVE), ACTIVE),
             "migrate_cancel": {}}, status=INTERRUPTED)
        self.assertIn("cancelling (interrupt again to leave without waiting)", said)
        self.assertIn("left while the server still cancels; its settings and the fdset stay", said)
        self.assertNotIn("remove-fd", server.commands())

    def test_a_server_that_goes_away_leaves_no_half_of_a_file_with_a_name(self):
        lost = {"query-migrate": Turns(ACTIVE, HangUp())}
        said, _ = self.saved(lost)
        self.assertIn("connection lost", said)
        self.assertIn("the save goes on in it, for nothing: %s was not made" % self.file, said)
        self.assertFalse(os.path.exists(self.file))
        said, _ = self.saved(lost, "--by-path")
        self.assertIn("%s is incomplete until it ends" % self.file, said)

    def test_a_server_that_goes_away_while_nothing_is_asked_is_noticed(self):
        said, server = self.saved({"query-migrate": Last(ACTIVE)})
        self.assertIn("connection lost", said)
        self.assertEqual(server.commands().count("query-migrate"), 1)

    def test_what_cannot_be_put_back_is_said(self):
        said, _ = self.saved({"query-migrate": {"status": "failed", "error-desc": "no"},
                              "cont": Refusal("not now")}, "--stop")
        self.assertIn("save: the guest does not run on: cont: not now", said)
        with PlayedServer({"query-migrate": COMPLETED,
                           "remove-fd": Refusal("it is stuck")}) as server:
            _, said = self.outputs(server, "save", self.file)
        self.assertIn("save: tidying up: remove-fd: it is stuck", said)
        self.assertIn("save: capabilities and parameters stay as the job had them", said)
        # Once for the job, and not again.
        self.assertEqual(len(server.arguments_of("migrate-set-capabilities")), 1)

    def test_a_refused_job_changes_nothing(self):
        said, server = self.saved({"migrate": Refusal("There's a migration process in progress")})
        self.assertIn("There's a migration process in progress", said)
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual(server.arguments_of("remove-fd"), [{"fdset-id": 3}])
        said, server = self.saved({"add-fd": {"fd": 1}})
        self.assertIn("add-fd: the reply names no fdset", said)
        self.assertNotIn("migrate", server.commands())
        said, server = self.saved({"migrate-set-parameters": Refusal("out of range")})
        self.assertIn("out of range", said)
        self.assertEqual(len(server.arguments_of("migrate-set-capabilities")), 2)


class Restores(OddServers):
    def test_how_a_restore_ends_is_told_apart(self):
        for answers, options, status, text in (
                ({"query-migrate": {"status": "cancelled"}}, [], FAILED, "cancelled by somebody else"),
                ({"query-migrate": {"status": "failed", "error-desc": "bad file"}}, [], FAILED,
                 "bad file (the server's log may say more"),
                ({"query-migrate": COMPLETED, "cont": Refusal("not now")}, ["--cont"], FAILED,
                 "restore: cont: not now"),
                ({"query-migrate": Turns(ACTIVE, HangUp())}, [], FAILED, "connection lost")):
            with self.subTest(text=text):
                self.assertIn(text, self.restored(answers, *options, status=status)[0])

    def test_an_interrupted_one_goes_on_in_the_server(self):
        said, server = self.restored({"query-migrate": Turns(ACTIVE, self.interrupt(ACTIVE), ACTIVE)},
                                     status=INTERRUPTED)
        self.assertIn("left while the restore goes on in the server", said)
        # The server may still need both.
        self.assertNotIn("remove-fd", server.commands())
        self.assertEqual(len(server.arguments_of("migrate-set-parameters")), 1)


class Commands(OddServers):
    def refused(self, answers, *words, status=FAILED):
        with PlayedServer(answers) as server:
            said = self.run_tool(server, *words, status=status)
        self.assertTrue(said.startswith("multifdctl: %s: " % words[0]), said)
        return said

    def test_cancel_is_told_what_cannot_be_cancelled(self):
        self.assertIn("a restore runs, and a server cannot take it back",
                      self.refused({"query-migrate": ACTIVE, "query-status": WAITS}, "cancel"))
        self.assertIn("the job ended before it could be cancelled: completed",
                      self.refused({"query-migrate": Turns(ACTIVE, ACTIVE, COMPLETED),
                                    "migrate_cancel": {}}, "cancel"))

    def test_quit_that_is_refused_fails_and_one_without_a_reply_has_worked(self):
        self.assertIn("quit: not allowed", self.refused({"quit": Refusal("not allowed")}, "quit"))
        with PlayedServer({"quit": HangUp()}) as server:
            self.run_tool(server, "quit")

    def test_a_reply_that_does_not_come_is_said(self):
        self.assertIn("connection lost", self.refused({"stop": HangUp()}, "qmp", "stop"))

    def test_memory_that_a_machine_made_and_its_policy_are_listed(self):
        answers = {
            "qom-list": [{"name": "m0", "type": "child<memory-backend-ram>"},
                         {"name": "t0", "type": "child<iothread>"},
                         {"name": "type", "type": "string"}],
            "query-memdev": [
                {"id": "m0", "size": 1 << 20, "share": False, "prealloc": True, "policy": "bind",
                 "host-nodes": [0, 1]},
                {"id": "pc.ram", "size": 1 << 21, "share": True, "policy": "default"}]}
        with PlayedServer(answers) as server:
            said = self.run_tool(server, "objects")
            listed = json.loads(self.run_tool(server, "objects", "--json"))
        self.assertRegex(said, r"(?m)^m0 .*1\.00 MiB  private, preallocated, bind \[0,1\]$")
        self.assertRegex(said, r"(?m)^pc\.ram .*2\.00 MiB  shared$")
        self.assertEqual([entry.get("size") for entry in listed if entry["id"] == "pc.ram"],
                         [1 << 21])

    def test_a_server_without_objects_is_told_how_to_get_some(self):
        with PlayedServer({"qom-list": []}) as server:
            self.assertIn("no objects; 'multifdctl objects add", self.run_tool(server, "objects"))

    def test_what_is_no_qmp_is_said(self):
        for greeting in (b"SSH-2.0-OpenSSH\r\n", b'{"hello": 1}\r\n', b"[]\r\n"):
            with self.subTest(greeting=greeting), PlayedServer({}) as server:
                server._talk = lambda client, text=greeting: client.sendall(text)
                said = self.run_tool(server, "status", status=USAGE)
                self.assertIn("connect to %s: " % server.socket_path, said)


class Onlookers(OddServers):
    def test_watch_asks_a_server_without_channels_in_its_own_way(self):
        def migrate(arguments):
            if arguments:
                return Refusal("Parameter 'x-multifd' is unexpected")
            return turns.next()
        turns = Turns(ACTIVE, COMPLETED)
        with PlayedServer({"query-migrate": migrate}) as server:
            said = self.run_tool(server, "watch")
        self.assertIn("save completed in 5 ms: 1.00 MiB, ", said.splitlines()[-1])
        # It was told once.
        self.assertEqual([bool(arguments) for arguments in server.arguments_of("query-migrate")],
                         [True, False, False])

    def test_watch_says_why_it_ends(self):
        with PlayedServer({"query-migrate": Refusal("not here")}) as server:
            self.assertIn("watch: query-migrate: not here",
                          self.run_tool(server, "watch", status=FAILED))
        with PlayedServer({"query-migrate": Turns(ACTIVE, HangUp())}) as server:
            said = self.run_tool(server, "watch", status=FAILED)
        self.assertIn("watch: connection lost", said)

    def test_watch_without_a_terminal_says_that_a_server_hangs(self):
        with PlayedServer({"query-migrate": Turns(ACTIVE, Silence())}) as server:
            with subprocess.Popen([self.tool, "-s", server.socket_path, "watch"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as watch:
                self.assertRegex(watch.stderr.readline(),
                                 r"^multifdctl: watch: no reply for \d+ s: the server hangs$")
                watch.send_signal(signal.SIGTERM)
                self.assertEqual(watch.wait(env.DEADLINE_S), INTERRUPTED)

    def top(self, folder):
        done = subprocess.run([self.tool, "top", "--directory", folder, "--json", "--timeout", "3"],
                              capture_output=True, text=True, check=True, timeout=env.DEADLINE_S)
        return json.loads(done.stdout)

    def test_top_asks_old_servers_names_hanging_ones_and_takes_the_other_socket(self):
        folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder, True)
        def refuses(arguments):
            return Refusal("Parameter 'x-multifd' is unexpected") if arguments else ACTIVE
        with PlayedServer({"query-migrate": refuses}, os.path.join(folder, "a.qmp")), \
             PlayedServer({"query-memdev": Silence()}, os.path.join(folder, "b.qmp")), \
             PlayedServer({}, os.path.join(folder, "c.qmp")), \
             PlayedServer({"query-status": HangUp()}, os.path.join(folder, "c-ro.qmp")):
            old, hangs, other = self.top(folder)
        self.assertEqual((old["name"], old["job"]["status"]), ("a", "active"))
        self.assertEqual((hangs["name"], hangs["problem"]),
                         ("b", "no reply in time: the server hangs"))
        self.assertEqual((other["name"], other["status"]), ("c", "running"))
        self.assertTrue(other["socket"].endswith("c.qmp"), other)


if __name__ == "__main__":
    runner.main()
