#!/usr/bin/env python3
"""Nothing of a guest is lost when its daemon ends and another process of the service goes on."""

import filecmp
import os
import random
import signal
import tempfile

from mfdtest import env, fdstore, golden, migrate, process, runner, stream
from mfdtest.migrate import MigrationFailed, Settings, file_uri
from mfdtest.qmp import Lost, QmpError, wait_until

MIB = 1 << 20
ENDS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
#: Of a workload, these count what one process did.
COUNTERS = ("pages-written", "last-pause-ns")


class RestartTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        # The path of a unix socket is short, so it does not live in the scratch folder.
        folder = tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def serve(self, *options, **store_options):
        service = fdstore.Service(self.folder, options, **store_options)
        service.__enter__()
        self.addCleanup(service.__exit__, None, None, None)
        return service

    def memfd(self, megabytes=1):
        fd = os.memfd_create("client", os.MFD_CLOEXEC)
        self.addCleanup(os.close, fd)
        os.ftruncate(fd, megabytes * MIB)
        return fd

    def save(self, qmp, name, settings=None):
        """Saves the stopped guest; the checksum of every block, as the file has it."""
        path = self.path(name)
        migrate.save(qmp, file_uri(path), settings)
        return {block.name: stream.ram_sha256(path, block) for block in stream.read(path).blocks}

    def load_elsewhere(self, path, size):
        """Loads the file of a block "ram" in a daemon that has no store."""
        with process.multifdd([self.ram("ram", size)], incoming="defer") as other:
            return migrate.load(other.connect(), file_uri(path), Settings(2))


def fill_memory(service, seed):
    """Random bytes in all memory that is kept, beside the daemon's back."""
    source = random.Random(seed)
    service.store.settle()  # what was answered is in its queue, perhaps not in its list
    for name in service.store.names():
        if name.startswith("ram-"):
            fd = service.store.fd(name)
            os.pwrite(fd, source.randbytes(os.fstat(fd).st_size), 0)


def portrait(qmp):
    """What a client can ask for that a restart must not change."""
    asked = {command: qmp.call(command) for command in (
        "query-fdsets", "query-memdev", "query-migrate-capabilities", "query-migrate-parameters",
        "query-status", "query-name", "query-uuid")}
    asked["query-migrate"] = qmp.call("query-migrate", {"x-multifd": True})
    objects = [entry["name"] for entry in qmp.call("qom-list", {"path": "/objects"})
               if entry["type"].startswith("child<")]
    for name in objects:
        path = "/objects/" + name
        for entry in qmp.call("qom-list", {"path": path}):
            if entry["name"] not in COUNTERS:
                asked[path, entry["name"]] = qmp.call(
                    "qom-get", {"path": path, "property": entry["name"]})
    return asked


class Restarts(RestartTest):
    def pass_descriptors(self, qmp):
        """Sets with everything that a client may pass, the same memory twice among it."""
        memory, log = self.memfd(2), self.memfd()
        with open(self.path("direct"), "wb"):
            pass
        direct = os.open(self.path("direct"), os.O_WRONLY | os.O_DIRECT)
        eventfd = os.eventfd(0)
        read, write = os.pipe()
        os.close(read)  # the other end is gone, which must not make the manager drop this one
        for number, opaque, fd in ((9, "removed", memory), (5, "guest", memory), (6, None, log),
                                   (5, "again", memory), (2, "direct", direct), (2, None, eventfd),
                                   (3, "pipe \u20ac", write)):
            arguments = {"fdset-id": number}
            if opaque is not None:
                arguments["opaque"] = opaque
            qmp.call("add-fd", arguments, fds=[fd])
        qmp.call("remove-fd", {"fdset-id": 9})
        qmp.call("getfd", {"fdname": "monitor"}, fds=[eventfd])
        for fd in (direct, eventfd, write):
            os.close(fd)

    def test_a_client_finds_everything_as_it_was(self):
        env.need_direct_io(self.scratch)
        with open(self.path("backing"), "wb") as file:
            file.truncate(4 * MIB)
        service = self.serve(
            "-name", "db1", "-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "-machine", "m1", "-S",
            "-object", "memory-backend-memfd,id=m0,size=8M,prealloc=on",
            "-object", "memory-backend-memfd,id=private,size=2M,share=off",
            "-object", "memory-backend-ram,id=r0,size=4M",
            "-object", "memory-backend-shm,id=s0,size=4M",
            "-object", "memory-backend-file,id=f0,size=4M,share=on,discard-data=on,mem-path="
            + self.path("backing"))
        qmp = service.qmp
        self.pass_descriptors(qmp)
        qmp.call("object-add", {
            "qom-type": "memory-backend-file", "id": "c0", "size": 2 * MIB, "share": True,
            "mem-path": "/dev/fdset/5", "x-ramblock": "/rom@x", "x-dirty-log": "/dev/fdset/6"})
        for name in ("gone", "late"):
            qmp.call("object-add", {"qom-type": "memory-backend-memfd", "id": name, "size": MIB})
        qmp.call("object-add", {"qom-type": "x-guest-workload", "id": "load", "memdev": "late",
                                "pattern": "random", "rate": MIB, "seed": 3, "threads": 2})
        qmp.call("object-del", {"id": "gone"})
        fill_memory(service, 1)
        settings = Settings(3, True, {"x-io-engine": "pwritev", "downtime-limit": 77})
        before = self.save(qmp, "before", settings)
        self.assertEqual(sorted(before),
                         ["/rom@x", "f0", "late", "m0", "private", "r0", "s0"])
        asked = portrait(qmp)

        for name, how in ENDS.items():
            with self.subTest(end=name):
                pushes = service.store.pushes
                qmp = service.restart(how).qmp
                self.assertEqual(portrait(qmp), asked)
                # Nothing had to be stored anew.
                self.assertEqual(service.store.pushes, pushes)
        qmp.call("system_reset")  # it may be saved again, and has not run
        self.assertEqual(self.save(qmp, "after"), before)

        # What clients know by number or name is there.
        number = next(fd["fd"] for entry in asked["query-fdsets"] for fd in entry["fds"]
                      if fd.get("opaque") == "direct")
        qmp.call("remove-fd", {"fdset-id": 2, "fd": number})
        qmp.call("closefd", {"fdname": "monitor"})
        added = qmp.call("add-fd", {"fdset-id": 2}, fds=[self.memfd()])
        self.assertNotIn(added["fd"], [fd["fd"] for entry in asked["query-fdsets"]
                                       for fd in entry["fds"]])

    def test_a_running_guest_runs_on_and_memory_stays_what_it_is(self):
        service = self.serve("-object", "memory-backend-ram,id=ram,size=4M", "-object",
                             "x-guest-workload,id=load,memdev=ram,pattern=zeroing,rate=64M")
        for how in ENDS.values():
            qmp = service.restart(how).qmp
            self.assertEqual(qmp.call("query-status"), {"running": True, "status": "running"})
            wait_until(lambda: qmp.call("qom-get", {"path": "load", "property": "pages-written"}),
                       "the guest writes")
        self.assertEqual(qmp.call("qom-get", {"path": "ram", "property": "share"}), False)

    def test_device_state_of_a_loaded_file_is_in_a_save_after_the_restart(self):
        sample = next(sample for sample in golden.samples()
                      if sample.complete and "none" not in sample.machine)
        service = self.serve("-machine", sample.machine, "-incoming", "defer",
                             "--incoming-create-blocks")
        qmp = service.qmp
        migrate.load(qmp, file_uri(sample.unpack(self.scratch), sample.offset), Settings(2))
        qmp.call("cont")
        qmp.call("stop")
        # With checksums each file would have a random number of its own.
        plain = Settings(2, False, {"x-checksum": False})
        self.save(qmp, "before", plain)
        for how in ENDS.values():
            qmp = service.restart(how).qmp
            migrate.allow_next_save(qmp)
            self.save(qmp, "after", plain)
            self.assertTrue(filecmp.cmp(self.path("before"), self.path("after"), shallow=False))

    def test_quit_ends_the_guest_for_good(self):
        service = self.serve("-S", "-object", "memory-backend-ram,id=ram,size=1M")
        service.qmp.call("object-add", {"qom-type": "memory-backend-ram", "id": "more",
                                        "size": MIB})
        service.qmp.call("quit")
        # The reply came, so the store is empty.
        self.assertEqual(service.store.names(), [])
        service.daemon.wait()
        service.end()
        service.start()
        self.assertEqual([entry["id"] for entry in service.qmp.call("query-memdev")], ["ram"])


class Jobs(RestartTest):
    SIZE = 64 * MIB

    def test_a_save_that_was_running_has_failed_and_its_file_is_refused(self):
        service = self.serve("-object", "memory-backend-memfd,id=ram,size=%d" % self.SIZE,
                             "-object", "x-guest-workload,id=load,memdev=ram,rate=1M")
        fill_memory(service, 2)
        for name, how in ENDS.items():
            path = self.path(name)
            with open(path, "wb"):
                pass  # a file that is there is written in place
            Settings(2, parameters={"max-bandwidth": 16 * MIB}).apply(service.qmp)
            service.qmp.call("migrate", {"uri": file_uri(path)})
            wait_until(lambda: service.qmp.call("query-migrate").get("ram", {})
                       .get("transferred", 0) > 4 * MIB, "pages are written")
            qmp = service.restart(how).qmp
            said = {"status": "failed", "error-desc": "the daemon was restarted while the save to "
                                                      "file:%s ran" % path}
            self.assertEqual(qmp.call("query-migrate"), said)
            self.assertIn(said["error-desc"], service.daemon.log())
            self.assertEqual(qmp.call("query-status")["status"], "running")
            with self.assertRaises(MigrationFailed):
                self.load_elsewhere(path, self.SIZE)
            # It stays so, until the next save.
            self.assertEqual(service.restart(how).qmp.call("query-migrate"), said)
        migrate.save(service.qmp, file_uri(self.path("whole")), Settings(2))
        self.load_elsewhere(self.path("whole"), self.SIZE)
        done = service.qmp.call("query-migrate")
        self.assertEqual(service.restart().qmp.call("query-migrate"), done)

    def test_memory_of_an_interrupted_load_is_not_run_and_not_saved_until_it_is_loaded_whole(self):
        source = self.ram("ram", 8 * MIB)
        source.fill(4)
        path = self.path("saved")
        with process.multifdd([source], paused=False) as other:
            migrate.save(other.connect(), file_uri(path), Settings(2))
        service = self.serve("-incoming", "defer", "-object",
                             "memory-backend-memfd,id=ram,size=8M")
        Settings(2).apply(service.qmp)
        # It dies as soon as the manager knows that there is a load.
        service.store.on_push = lambda name: service.daemon.process.kill()
        with self.assertRaises(Lost):
            service.qmp.call("migrate-incoming", {"uri": file_uri(path)})
        service.store.on_push = lambda name: None
        for how in ENDS.values():
            qmp = service.restart(how).qmp
            self.assertEqual(qmp.call("query-migrate"), {
                "status": "failed",
                "error-desc": "the daemon was restarted while the load from file:%s ran" % path})
            for command, arguments in (("cont", {}), ("migrate", {"uri": file_uri(path)})):
                with self.assertRaisesRegex(QmpError, "loaded in part only"):
                    qmp.call(command, arguments)
            self.assertEqual(qmp.call("query-status")["status"], "inmigrate")
        migrate.load(qmp, file_uri(path))
        self.assertEqual(qmp.call("query-status")["status"], "running")
        qmp = service.restart().qmp
        self.assertEqual(qmp.call("query-status")["status"], "running")
        qmp.call("stop")
        saved = self.save(qmp, "again")
        self.assertEqual(saved, {"ram": source.sha256()})

    def test_a_load_that_ends_the_daemon_can_be_tried_again_by_the_next_process(self):
        with open(self.path("bad"), "wb") as file:
            file.write(b"no stream at all")
        service = self.serve("-incoming", "defer", "-object",
                             "memory-backend-memfd,id=ram,size=8M")
        Settings(2).apply(service.qmp)
        service.qmp.call("migrate-incoming", {"uri": file_uri(self.path("bad"))})
        self.assertEqual(service.daemon.wait(), 1)
        qmp = service.restart().qmp
        self.assertIn("load of migration failed: Invalid argument",
                      qmp.call("query-migrate")["error-desc"])
        with self.assertRaises(MigrationFailed):
            migrate.load(qmp, file_uri(self.path("bad")))


class Model:
    """Changes at random, and what a client should see after them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = 0
        self.fdsets, self.objects, self.limit = {}, ["ram"], 300

    def seen(self):
        return ({number: list(texts) for number, texts in self.fdsets.items()},
                list(self.objects), self.limit)

    def change(self):
        """The next command, its arguments, and whether it takes a descriptor."""
        self.made += 1
        number, text = self.random.randrange(3), "text %d" % self.made
        kind = self.random.choice(("add-fd", "add-fd", "remove-fd", "object-add", "object-del",
                                   "limit"))
        if kind == "remove-fd" and number in self.fdsets:
            del self.fdsets[number]
            return "remove-fd", {"fdset-id": number}, False
        if kind == "object-add":
            self.objects.append("o%d" % self.made)
            return "object-add", {"qom-type": "memory-backend-ram", "size": 4096,
                                  "id": self.objects[-1]}, False
        if kind == "object-del" and len(self.objects) > 1:
            gone = self.objects.pop(self.random.randrange(1, len(self.objects)))
            return "object-del", {"id": gone}, False
        if kind == "add-fd":
            self.fdsets.setdefault(number, []).append(text)
            return "add-fd", {"fdset-id": number, "opaque": text}, True
        self.limit = 1000 + self.made
        return "migrate-set-parameters", {"downtime-limit": self.limit}, False


def see(qmp):
    return ({entry["fdset-id"]: [fd["opaque"] for fd in entry["fds"]]
             for entry in qmp.call("query-fdsets")},
            [entry["id"] for entry in qmp.call("query-memdev")],
            qmp.call("query-migrate-parameters")["downtime-limit"])


class Crashes(RestartTest):
    OPTIONS = ("-object", "memory-backend-memfd,id=ram,size=1M")

    def perform(self, qmp, change, wait=True):
        command, arguments, descriptor = change
        fds = [self.memfd()] if descriptor else []
        (qmp.call if wait else qmp.send)(command, arguments, fds=fds)

    def test_what_was_answered_survives_a_kill_at_any_moment(self):
        seed = 20260
        service = self.serve(*self.OPTIONS)
        model, moments = Model(seed), random.Random(seed)
        for _ in range(30):
            for _ in range(moments.randrange(6)):
                self.perform(service.qmp, model.change())
            answered = model.seen()
            self.perform(service.qmp, model.change(), wait=False)
            service.restart()
            found = see(service.qmp)
            # The last one was not answered: it happened, or it did not.
            self.assertIn(found, (answered, model.seen()))
            if found != model.seen():
                model.fdsets, model.objects, model.limit = found

    def test_a_store_cut_off_after_any_message_has_a_whole_guest(self):
        """As if the daemon had died right after each of the messages that it sends."""
        cut = 0
        while True:
            service = fdstore.Service(self.folder, self.OPTIONS)
            service.store.ignore_after = cut
            with service:
                model, states = Model(7), [Model(7).seen()]
                for _ in range(8):
                    self.perform(service.qmp, model.change())
                    states.append(model.seen())
                sent = service.store.messages
                service.end()
                service.store.ignore_after = None
                service.start()
                self.assertIn(see(service.qmp), states)
                # Nothing is left over: one state, and what it names.
                service.store.settle()
                names = service.store.names()
                self.assertEqual(len([name for name in names if name.startswith("state-")]), 1)
                self.assertEqual(len(names), len(service.qmp.call("query-memdev")) + 1 + sum(
                    len(entry["fds"]) for entry in service.qmp.call("query-fdsets")))
            os.unlink(service.store.path)
            if cut >= sent:
                break
            cut += 1
        env.note("cut off after each of %d messages" % cut)
        self.assertGreater(cut, 20)


class Refusals(RestartTest):
    OPTIONS = ("-object", "memory-backend-ram,id=ram,size=1M")

    def refused(self, text, damage):
        service = fdstore.Service(self.folder, self.OPTIONS)
        with service:
            service.end()
            damage(service.store)
            log = service.refused()
            self.assertIn(text, log)
            self.assertIn("To give it up, stop the service", log)
        os.unlink(service.store.path)

    def test_a_guest_that_cannot_be_taken_over_is_not_replaced_by_an_empty_one(self):
        def garbage(content, seal=True):
            def damage(store):
                fd = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                os.write(fd, content)
                if seal:
                    fdstore.seal(fd)
                store.drop("state-2")
                store.put("state-2", fd)
                os.close(fd)
            return damage
        self.refused("state-2: it is not sealed", garbage(b"x" * 100, seal=False))
        self.refused("state-2: it is no state of multifdd", garbage(b"x" * 100))
        self.refused("state-2: its version is 7", garbage(b"MFDSTATE\7\0\0\0" + bytes(90)))
        self.refused("the store has no descriptor 'ram-1'", lambda store: store.drop("ram-1"))
        self.refused("there are descriptors, but no state", lambda store: store.drop("state-2"))
        self.refused("the file behind guest memory 'ram' ends at 0x1000",
                     lambda store: os.ftruncate(store.fd("ram-1"), 4096))

    def test_what_the_state_does_not_name_is_removed(self):
        service = self.serve(*self.OPTIONS)
        service.end()
        service.store.put("ram-77", self.memfd())
        service.start()
        service.qmp.call("query-status")
        service.store.settle()
        self.assertEqual(sorted(service.store.names()), ["ram-1", "state-2"])

    def test_private_changes_to_a_file_are_refused_since_no_descriptor_leads_to_them(self):
        with open(self.path("backing"), "wb") as file:
            file.truncate(MIB)
        service = self.serve()
        with self.assertRaisesRegex(QmpError, "'f' with share=off: its changes would be lost"):
            service.qmp.call("object-add", {"qom-type": "memory-backend-file", "id": "f",
                                            "size": MIB, "mem-path": self.path("backing")})
        service.qmp.call("object-add", {"qom-type": "memory-backend-file", "id": "f", "size": MIB,
                                        "mem-path": self.path("backing"), "readonly": True})

    def test_another_command_line_is_noticed_and_has_no_effect(self):
        service = self.serve("-name", "one", *self.OPTIONS)
        service.options = ["-name", "two", "-object", "memory-backend-ram,id=other,size=2M"]
        qmp = service.restart().qmp
        self.assertEqual(qmp.call("query-name"), {"name": "one"})
        self.assertEqual([entry["id"] for entry in qmp.call("query-memdev")], ["ram"])
        for option in ("name", "object"):
            self.assertIn("option -%s is not as it was" % option, service.daemon.log())
        self.assertNotIn("option -S is not", service.daemon.log())

    def test_a_full_store_keeps_the_guest_as_it_was_and_that_is_said(self):
        service = self.serve(*self.OPTIONS, capacity=3)
        service.qmp.call("add-fd", {"fdset-id": 1}, fds=[self.memfd()])
        self.assertIn("raise FileDescriptorStoreMax=", service.daemon.log())
        self.assertEqual(len(service.qmp.call("query-fdsets")), 1)
        self.assertEqual(service.restart().qmp.call("query-fdsets"), [])

    def test_keeping_can_be_switched_off(self):
        service = self.serve(*self.OPTIONS)
        service.options += ["--keep-state", "off"]
        service.restart()
        self.assertIn("is given up", service.daemon.log())
        service.store.settle()
        self.assertEqual(service.store.names(), [])

    def test_keeping_needs_a_manager(self):
        with process.Program([env.daemon(), "--keep-state", "on"]) as daemon:
            self.assertEqual(daemon.wait(), 1)
            self.assertIn("no service manager started this process", daemon.log())


if __name__ == "__main__":
    runner.main()
