#!/usr/bin/env python3
"""The service as an administrator gets it: the Debian package in a booted container."""

import os
import re
import shutil
import stat
import unittest

from mfdtest import container, env, process, runner, service
from mfdtest.migrate import Settings, add_fd, file_uri, load, run_state, save, state_event
from mfdtest.qmp import wait_until

MIB = 1 << 20
GUEST = "--object memory-backend-memfd,id=ram0,size=%dM"
#: The highest exposure that systemd-analyze may find: ten is a service without any confinement.
EXPOSURE = 1.0


class Service(runner.TestCase):
    @classmethod
    def setUpClass(cls):
        container.need()
        cls.folder = os.path.join(env.scratch_root(), "service-%d" % os.getpid())
        os.makedirs(cls.folder)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.package = service.build_package(os.path.join(cls.folder, "package"))
        with open("/etc/os-release", encoding="utf-8") as file:
            codename = re.search(r"VERSION_CODENAME=(\w+)", file.read())[1]
        root = container.make_root(codename, service.dependencies(cls.package))
        cls.later = service.upgrade_of(cls.package, cls.folder)
        files = os.path.join(cls.folder, "files")
        os.mkdir(files)
        os.chmod(files, 0o1777)
        cls.box = container.Container(root, cls.folder, [(files, "/files"), (cls.folder, "/package")])
        cls.addClassCleanup(cls.box.stop)
        cls.install(cls.package)
        cls.box.run("useradd", "--groups", "multifdd", "member")
        cls.box.run("useradd", "stranger")

    @classmethod
    def install(cls, package):
        return cls.box.run("apt-get", "install", "-qq", "--no-install-recommends",
                           "/package/" + os.path.relpath(package, cls.folder))

    def instance(self, name, options=None, drop_in=""):
        instance = service.Instance(self.box, name, options, drop_in)
        self.addCleanup(self.stop, instance)
        return instance

    def stop(self, instance):
        self.box.run("systemctl", "stop", instance.unit, "multifdd@%s.socket" % instance.name,
                     check=False)

    def run(self, result=None):
        """As ever; the journal of a test that failed is part of what it says."""
        result = super().run(result)
        failed = [test for test, _ in result.failures + result.errors]
        if self in failed:
            env.warn(self.box.run("journalctl", "--no-pager", "--lines=60").stdout)
        return result

    def connect(self, instance):
        qmp = instance.connect()
        self.addCleanup(qmp.close)
        return qmp

    def ctl(self, *arguments, user, check=True):
        return self.box.run("multifdctl", *arguments, user=user, check=check)

    def test_the_demo_guest_starts_on_an_empty_machine(self):
        demo = self.instance("demo").start()
        self.assertEqual(demo.show("ActiveState"), "active")
        self.assertIn("demo, running", self.ctl("-g", "demo", "status", user="root").stdout)
        demo.logged(MESSAGE="^sandbox: .*filter of system calls", _PID=str(demo.pid()))
        for page in ("man8/multifdd.8.gz", "man1/multifdctl.1.gz"):
            self.assertTrue(os.path.exists(self.box.path("/usr/share/man/" + page)), page)

    def test_the_first_client_starts_the_service_and_a_member_saves_and_restores(self):
        demo = self.instance("demo")
        self.box.run("systemctl", "start", "multifdd@demo.socket")
        self.assertEqual(demo.show("ActiveState"), "inactive")
        saved = self.ctl("-g", "demo", "save", "/files/demo.mig", "--channels", "2", user="member")
        self.assertEqual(demo.show("ActiveState"), "active")
        self.assertIn("saved to /files/demo.mig", saved.stdout)
        copy = self.instance("copy", GUEST % 256 + " --incoming defer").start()
        self.ctl("-g", "copy", "restore", "/files/demo.mig", user="member")
        self.assertEqual(copy.sha256(256 * MIB), demo.sha256(256 * MIB))

    def test_a_user_outside_the_group_is_refused_by_the_kernel_and_by_the_daemon(self):
        demo = self.instance("demo").start()
        refused = self.ctl("-g", "demo", "status", user="stranger", check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("ermission denied", refused.stderr)
        os.chmod(self.box.path(demo.socket), 0o666)
        refused = self.ctl("-g", "demo", "status", user="stranger", check=False)
        self.assertEqual(refused.returncode, 2, refused.stdout)
        uid = self.box.run("id", "-u", "stranger").stdout.strip()
        demo.logged(MESSAGE=r"\b%s\b" % uid, _PID=str(demo.pid()))
        self.ctl("-g", "demo", "status", user="member")

    def test_the_socket_for_onlookers_serves_queries_alone(self):
        self.box.run("systemctl", "start", "multifdd-ro@demo.socket")
        self.addCleanup(self.box.run, "systemctl", "stop", "multifdd-ro@demo.socket")
        self.instance("demo").start()
        onlooker = ("-s", "/run/multifdd/demo-ro.qmp")
        self.assertIn("demo, running", self.ctl(*onlooker, "status", user="member").stdout)
        refused = self.ctl(*onlooker, "qmp", "stop", user="member", check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("demo, running", self.ctl("-g", "demo", "status", user="member").stdout)

    def test_the_socket_for_metrics_is_scraped_by_members_of_the_group(self):
        unit = "multifdd-metrics@demo.socket"
        self.box.run("systemctl", "start", unit)
        self.addCleanup(self.box.run, "systemctl", "stop", unit)
        demo = self.instance("demo").start()
        path = "/run/multifdd/demo.metrics"
        status = os.stat(self.box.path(path))
        group = self.box.run("getent", "group", "multifdd").stdout.split(":")[2]
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_gid), (0o660, int(group)))
        with self.box.connect(path) as scrape:
            scrape.sendall(b"GET /metrics HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
            with scrape.makefile("rb") as answer:
                head, _, text = answer.read().decode().partition("\r\n\r\n")
        self.assertIn("HTTP/1.1 200 OK", head)
        self.assertIn("\nmultifdd_build_info{", text)
        self.assertIn("demo, running", self.ctl("-g", "demo", "status", user="member").stdout)
        self.assertEqual(demo.show("ActiveState"), "active")

    def test_the_manager_shows_a_save_and_the_journal_has_its_fields(self):
        demo = self.instance("demo").start()
        # It writes 8 MiB a second: a guest that has just started is saved before anybody looks.
        memory = demo.memory(256 * MIB)
        wait_until(lambda: os.fstat(memory.fd).st_blocks * 512 >= 16 * MIB,
                   "there is memory to save for seconds")
        memory.close()
        qmp = self.connect(demo)
        Settings(2).apply(qmp)
        qmp.call("migrate-set-parameters", {"max-bandwidth": 4 * MIB})
        add_fd(qmp, 1, os.path.join(self.folder, "files", "slow.mig"), os.O_WRONLY | os.O_CREAT)
        qmp.call("migrate", {"uri": "file:/dev/fdset/1"})
        line = wait_until(lambda: re.search(r"saving .*%.*/s", demo.show("StatusText")),
                          "the status has the progress")[0]
        self.assertRegex(self.box.run("systemctl", "status", demo.unit, check=False).stdout,
                         r'Status: "saving ')
        qmp.call("migrate_cancel")
        qmp.event(state_event("cancelled"))
        env.note(line)
        qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
        wait_until(lambda: run_state(qmp) == "running", "the guest runs on")
        save(qmp, "file:/dev/fdset/1")
        started = demo.logged(MULTIFD_GUEST="^demo$", MULTIFD_JOB=".", MESSAGE_ID="^[0-9a-f]{32}$")
        completed = demo.logged(MULTIFD_GUEST="^demo$", MULTIFD_JOB=".", MESSAGE="completed",
                                MESSAGE_ID="^[0-9a-f]{32}$")
        self.assertNotEqual(started["MESSAGE_ID"], completed["MESSAGE_ID"])

    def test_a_reload_changes_the_log_level(self):
        guest = self.instance("level", GUEST % 16).start()
        pid = guest.pid()
        guest.configure('MULTIFDD_OPTIONS="%s"\nMULTIFDD_LOG_LEVEL=debug\n' % (GUEST % 16))
        guest.systemctl("reload")
        self.connect(guest)
        guest.logged(PRIORITY="^7$", _PID=str(pid))
        self.assertEqual(guest.pid(), pid)

    def test_the_watchdog_ends_a_stopped_daemon_and_its_guest_lives_on(self):
        guest = self.instance("dog", GUEST % 16, "[Service]\nWatchdogSec=1s\n").start()
        memory = guest.memory(16 * MIB)
        content = service.known_content(memory)
        memory.close()
        pid = guest.pid()
        self.box.run("kill", "-STOP", str(pid))
        guest.wait_for_another(pid)
        self.assertEqual(guest.show("NRestarts"), "1")
        self.assertEqual(guest.sha256(16 * MIB), content)

    def test_restart_kill_and_upgrade_lose_nothing_of_a_guest_of_1_gib(self):
        size = 1024 * MIB
        guest = self.instance("big", GUEST % 1024).start()
        memory = guest.memory(size)
        content = service.known_content(memory)
        memory.close()
        member = os.path.join(self.folder, "files", "member")
        qmp = self.connect(guest)
        Settings(7, parameters={"max-bandwidth": 12345678, "downtime-limit": 77}).apply(qmp)
        add_fd(qmp, 3, member, os.O_RDWR | os.O_CREAT)
        before = self.settings(qmp)
        pid = guest.pid()
        for act in (lambda: guest.systemctl("restart"),
                    lambda: self.box.run("kill", "-KILL", str(pid)),
                    lambda: self.install(self.later)):
            act()
            self.assertTrue(qmp.closed())
            pid = guest.wait_for_another(pid)
            qmp = self.connect(guest)
            self.assertEqual(self.settings(qmp), before)
            self.assertEqual(guest.sha256(size), content)
        qmp.call("remove-fd", {"fdset-id": 3})

    @staticmethod
    def settings(qmp):
        parts = {command: qmp.call(command) for command in (
            "query-migrate-parameters", "query-migrate-capabilities", "query-status",
            "query-memdev", "query-fdsets", "query-name")}
        for fdset in parts["query-fdsets"]:
            for member in fdset["fds"]:
                member.pop("fd")  # the number is the process's own
        return parts

    def test_a_running_save_is_reported_as_failed_after_a_restart(self):
        guest = self.instance("cut", GUEST % 64).start()
        memory = guest.memory(64 * MIB)
        service.known_content(memory)
        memory.close()
        qmp = self.connect(guest)
        Settings(2, parameters={"max-bandwidth": MIB}).apply(qmp)
        add_fd(qmp, 1, os.path.join(self.folder, "files", "cut.mig"), os.O_WRONLY | os.O_CREAT)
        qmp.call("migrate", {"uri": "file:/dev/fdset/1"})
        qmp.event(state_event("active"))
        pid = guest.pid()
        self.box.run("kill", "-KILL", str(pid))
        guest.wait_for_another(pid)
        info = self.connect(guest).call("query-migrate")
        self.assertEqual(info["status"], "failed")
        self.assertIn("restart", info["error-desc"])
        other = self.instance("refuse", GUEST % 64 + " --incoming defer").start()
        refused = self.ctl("-g", "refuse", "restore", "/files/cut.mig", user="root", check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertEqual(other.show("ActiveState"), "active")

    def test_a_save_needs_no_more_memory_than_the_unit_may_have(self):
        limit = 48 * MIB
        guest = self.instance("tight", "-S", "[Service]\nMemoryMax=%d\n" % limit).start()
        block = self.ram("ram0", 256 * MIB)
        service.known_content(block)
        self.assertEqual(self.memory_limit(guest), limit)
        pid = guest.pid()
        target = os.path.join(self.folder, "files", "tight.mig")
        qmp = self.connect(guest)
        qmp.call("add-fd", {"fdset-id": 9}, fds=[block.fd])
        qmp.call("object-add", {"qom-type": "memory-backend-file", "id": "ram0", "share": True,
                                "size": block.size, "mem-path": "/dev/fdset/9"})
        add_fd(qmp, 1, target, os.O_WRONLY | os.O_CREAT)
        save(qmp, "file:/dev/fdset/1", Settings(2))
        self.assertEqual(guest.pid(), pid)
        copy = self.ram("ram0", block.size)
        with process.multifdd([copy], incoming="defer") as other:
            load(other.connect(), file_uri(target), Settings(2))
        self.assertIsNone(block.difference(copy))

    def memory_limit(self, instance):
        """What the kernel holds the unit to."""
        branch = instance.show("ControlGroup")
        for name in ("%s/memory.max", "/memory%s/memory.limit_in_bytes"):
            path = self.box.path("/sys/fs/cgroup" + name % branch)
            if os.path.exists(path):
                with open(path, encoding="ascii") as file:
                    return int(file.read())
        raise unittest.SkipTest("the container has no memory controller")

    def test_the_unit_is_sound_and_exposes_little(self):
        verified = self.box.run("systemd-analyze", "verify", "--man=no", "multifdd@demo.service",
                                "multifdd-ro@demo.socket", check=False)
        self.assertEqual([line for line in verified.stderr.splitlines() if "multifdd" in line], [])
        unit = self.box.run("systemctl", "show", "--value", "-p", "FragmentPath",
                            "multifdd@demo.service").stdout.strip()
        self.box.run("cp", unit, "/tmp/multifdd@demo.service")
        report = self.box.run("systemd-analyze", "security", "--offline=yes", "--no-pager",
                              "--threshold=%d" % (EXPOSURE * 10), "/tmp/multifdd@demo.service",
                              check=False)
        exposure = re.search(r"exposure level for \S+: ([\d.]+)", report.stdout)
        self.assertLessEqual(float(exposure[1]), EXPOSURE, report.stdout)
        self.assertEqual(report.returncode, 0)
        with open(self.box.path(unit), encoding="utf-8") as file:
            comments = "\n".join(line for line in file if line.startswith("#"))
        for line in report.stdout.splitlines():
            if "✗" in line:
                name = re.search(r"✗ (\S+)", line)[1]
                word = (re.search(r"@\w+|AF_\w+", name) or re.search(r"\w+=", name))[0]
                self.assertIn(word, comments, "unexplained: " + line)

    def test_removal_stops_the_instances_and_keeps_what_they_saved(self):
        guest = self.instance("gone", GUEST % 16).start()
        self.ctl("-g", "gone", "save", "/var/lib/multifdd/gone/x.mig", "--by-path", user="root")
        self.box.run("dpkg", "--purge", "multifdd")
        self.assertFalse(os.path.exists(self.box.path(guest.socket)))
        self.assertEqual(self.box.run("pgrep", "multifdd", check=False).stdout, "")
        self.assertTrue(os.path.exists(self.box.path("/var/lib/private/multifdd/gone/x.mig")))
        self.install(self.package)


if __name__ == "__main__":
    runner.main()
