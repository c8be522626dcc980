#!/usr/bin/env python3
"""multifdctl pause, resume, set, caps, objects, fdsets: what they do, print and refuse."""

import json
import os
import subprocess

from mfdtest import env, migrate, process, runner
from mfdtest.qmp import wait_until

MIB = 1 << 20
DONE, FAILED, USAGE = 0, 1, 2


class CtlCommands(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.block = self.ram("m0", 16 * MIB)
        self.block.fill(0x5c)
        self.program = None

    def start(self, **options):
        self.program = process.subject([self.block], **options)
        self.program.__enter__()
        self.addCleanup(self.program.__exit__, None, None, None)
        self.program.connect().close()
        return self.program

    def run_tool(self, *words, status=DONE):
        done = subprocess.run([self.tool, "-s", self.program.socket_path, *words],
                              capture_output=True, text=True, timeout=env.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status != DONE:
            self.assertTrue(done.stderr.startswith("multifdctl: %s: " % words[0]), done.stderr)
        return done

    def said(self, *words):
        return self.run_tool(*words).stdout

    def json(self, *words):
        return json.loads(self.said(*words, "--json"))

    def save_that_waits(self):
        """Before its last pass; nobody is connected."""
        qmp = self.program.connect()
        migrate.Settings(channels=2).apply(qmp)
        qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": "pause-before-switchover", "state": True}]})
        qmp.call("migrate", {"uri": "file:" + self.path("save")})
        qmp.close()
        self.wait_for_job("pre-switchover")

    def wait_for_job(self, status):
        qmp = self.program.connect()
        wait_until(lambda: qmp.call("query-migrate")["status"] == status, "the job is " + status)
        qmp.close()

    def refusal(self, *words, status=USAGE):
        return self.run_tool(*words, status=status).stderr


class RunState(CtlCommands):
    def test_pause_and_resume_change_the_run_state_and_say_when_they_did_not(self):
        self.start(paused=False)
        self.assertEqual(self.said("resume"), "was running (running)\n")
        self.assertEqual(self.said("pause"), "paused (paused)\n")
        self.assertEqual(self.json("pause"), {"did": "stop", "status": "paused", "running": False})
        self.assertEqual(self.said("pause"), "was not running (paused)\n")
        self.assertEqual(self.json("resume"), {"did": "cont", "status": "running", "running": True})

    def test_a_guest_that_waits_for_its_memory_is_told_what_to_do_after_it(self):
        self.start(incoming="defer")
        self.assertEqual(self.said("resume"), "will run once it is restored (inmigrate)\n")
        self.assertEqual(self.said("pause"), "will stay paused once it is restored (inmigrate)\n")

    def test_resume_lets_a_save_go_on_that_waits_before_its_last_pass(self):
        self.start(paused=False)
        self.save_that_waits()
        self.assertEqual(self.json("resume")["did"], "migrate-continue")
        self.wait_for_job("completed")


class Parameters(CtlCommands):
    def test_parameters_are_listed_with_units_and_set_with_them(self):
        self.start()
        self.assertRegex(self.said("set"), r"(?m)^PARAMETER +VALUE$")
        self.assertRegex(self.said("set"), r"(?m)^downtime-limit +300 ms$")
        self.assertRegex(self.said("set", "max-bandwidth", "64MiB/s"),
                         r"(?m)^max-bandwidth +64\.00 MiB/s$")
        self.assertEqual(self.json("set", "max-bandwidth"), {"max-bandwidth": 64 * MIB})
        self.assertEqual(self.json("set", "downtime-limit=2s", "direct-io=on", "cpu-throttle-initial=30%"),
                         {"downtime-limit": 2000, "direct-io": True, "cpu-throttle-initial": 30})
        self.assertEqual(self.json("set")["downtime-limit"], 2000)
        self.assertEqual(self.json("set", "zero-page-detection", "legacy"),
                         {"zero-page-detection": "legacy"})
        self.assertEqual(self.said("set", "x-sync"), "x-sync has its default\n")
        self.assertEqual(self.json("set", "x-sync"), {})

    def test_a_wrong_name_or_value_says_what_would_be_right_and_changes_nothing(self):
        self.start()
        before = self.json("set")
        self.assertIn("Did you mean 'max-bandwidth'? 'multifdctl set' lists",
                      self.refusal("set", "max-bandwith", "1G"))
        self.assertIn("Did you mean 'max-bandwidth'?", self.refusal("set", "max-bandwith"))
        self.assertIn("'quick' is no rate: write", self.refusal("set", "max-bandwidth", "quick"))
        self.assertIn("is none of ", self.refusal("set", "zero-page-detection", "all"))
        self.assertIn("NAME=VALUE", self.refusal("set", "max-bandwidth", "1G", "downtime-limit"))
        self.assertIn("between 1 and 255",
                      self.refusal("set", "multifd-channels", "0", status=FAILED))
        self.assertEqual(self.json("set"), before)


class Capabilities(CtlCommands):
    def test_capabilities_are_listed_and_switched(self):
        self.start()
        self.assertRegex(self.said("caps"), r"(?m)^mapped-ram +off$")
        self.assertRegex(self.said("caps", "mapped-ram", "on"), r"(?m)^mapped-ram +on$")
        self.assertEqual(self.json("caps", "mapped-ram"), {"mapped-ram": True})
        self.assertEqual(self.json("caps", "mapped-ram", "off"), {"mapped-ram": False})
        self.assertIs(self.json("caps")["multifd"], False)

    def test_an_unknown_capability_and_a_wrong_state_are_refused(self):
        self.start()
        self.assertIn("Did you mean 'mapped-ram'?", self.refusal("caps", "maped-ram", "on"))
        self.assertIn("neither on nor off", self.refusal("caps", "mapped-ram", "maybe"))

    def test_what_a_running_save_forbids_is_refused_with_the_way_out(self):
        self.start(paused=False)
        self.save_that_waits()
        self.assertIn("multifdctl cancel", self.refusal("caps", "events", "on", status=FAILED))
        self.assertEqual(self.json("cancel"), {"did": "migrate_cancel", "status": "cancelled"})


class Objects(CtlCommands):
    def test_objects_are_listed_added_and_deleted(self):
        self.start()
        self.assertRegex(self.said("objects"),
                         r"(?m)^m0 +memory-backend-file +16\.00 MiB  shared$")
        self.assertEqual(self.said("objects", "add", "memory-backend-ram,id=m1,size=1M,share=on"),
                         "added m1\n")
        found = {entry["id"]: entry for entry in self.json("objects")}
        self.assertEqual((found["m1"]["type"], found["m1"]["size"], found["m1"]["share"]),
                         ("memory-backend-ram", MIB, True))
        self.assertEqual(self.said("objects", "del", "m1"), "deleted m1\n")
        added = self.json("objects", "add", "memory-backend-ram,id=m1,size=1M")
        self.assertEqual((added["id"], added["size"]), ("m1", MIB))
        self.assertEqual(self.json("objects", "del", "m1"), {"id": "m1"})
        self.assertEqual([entry["id"] for entry in self.json("objects", "list")], ["m0"])

    def test_wrong_descriptions_are_refused_before_the_server_hears_of_them(self):
        self.start()
        self.assertIn("'add' needs TYPE,id=ID", self.refusal("objects", "add"))
        self.assertIn("begins with no type", self.refusal("objects", "add", "id=m1,size=1M"))
        self.assertIn("Did you mean 'size'?",
                      self.refusal("objects", "add", "memory-backend-ram,id=m1,sise=1M"))
        self.assertIn("is no size", self.refusal("objects", "add", "memory-backend-ram,id=m1,size=big"))
        self.assertIn("'del' needs an ID", self.refusal("objects", "del"))
        self.assertIn("m9", self.refusal("objects", "del", "m9", status=FAILED))


class Fdsets(CtlCommands):
    def test_descriptors_are_added_to_sets_listed_and_removed(self):
        self.start()
        path = self.path("ram.mig")
        self.assertEqual(self.said("fdsets"), "no fdsets; 'multifdctl fdsets add FILE:rw' makes one\n")
        self.assertIn("commands name it /dev/fdset/7",
                      self.said("fdsets", "add", path + ":rw+creat", "--set", "7"))
        self.json("fdsets", "add", path + ":r", "--set", "7", "--opaque", "again")
        (found,) = self.json("fdsets")
        self.assertEqual(found["fdset-id"], 7)
        self.assertEqual({fd["opaque"] for fd in found["fds"]}, {path + ":rw+creat", "again"})
        self.assertRegex(self.said("fdsets"), r"(?m)^ +7 +\d+  again$")
        self.said("fdsets", "remove", "7", str(found["fds"][0]["fd"]))
        self.assertEqual(len(self.json("fdsets")[0]["fds"]), 1)
        self.assertEqual(self.json("fdsets", "remove", "7"), {"fdset-id": 7})
        self.assertEqual(self.json("fdsets"), [])

    def test_misuse_is_refused_with_an_example(self):
        self.start()
        self.assertIn("FILE:MODE", self.refusal("fdsets", "add"))
        self.assertIn("FILE:rw", self.refusal("fdsets", "add", "file"))
        self.assertIn("No such file", self.refusal("fdsets", "add", self.path("none") + ":r"))
        self.assertIn("SET FD", self.refusal("fdsets", "remove", "seven"))
        self.assertIn("SET FD", self.refusal("fdsets", "remove"))
        self.assertIn("takes nothing behind it", self.refusal("fdsets", "list", "7"))
        self.assertIn("7", self.refusal("fdsets", "remove", "7", status=FAILED))
        self.assertIn("belong to 'add'", self.refusal("fdsets", "--opaque", "x"))


class Everywhere(CtlCommands):
    def test_without_a_server_every_command_says_how_to_name_one(self):
        for words in (["pause"], ["resume"], ["set"], ["caps"], ["objects"], ["fdsets"]):
            with self.subTest(words=words):
                done = subprocess.run([self.tool, *words], capture_output=True, text=True, check=False,
                                      env={name: value for name, value in os.environ.items()
                                           if name != "MULTIFD_SOCKET"})
                self.assertEqual(done.returncode, USAGE)
                self.assertIn("which server? Give its socket with -s PATH", done.stderr)


if __name__ == "__main__":
    runner.main()
