"""What all operations use: the daemon under test, the folders, the last good file."""

import contextlib
import os
import random
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from .. import env, process
from ..faultfs import FaultFs
from ..live import Workload
from ..migrate import allow_next_save, fdset, run_state
from ..qmp import POLL_S, wait_until
from ..ram import PAGE, Ram
from . import footprint

MIB = 1 << 20
BLOCKS = (("m0", 16 * MIB), ("m1", 12 * MIB), ("/objects/m2", 4 * MIB))
TOTAL = sum(size for _, size in BLOCKS)
FINAL = ("completed", "failed", "cancelled")
FDSET = 5
_REPORTS = re.compile(r"(ERROR: (Address|Leak)|WARNING: Thread)Sanitizer|runtime error: ")


class Finding(AssertionError):
    """The daemon did what it must not."""


def expect(ok, what):
    if not ok:
        raise Finding(what)


@dataclass
class Saved:
    """A complete file: where, from which offset, and the digests of the RAM that it holds."""

    path: str
    offset: int
    digests: tuple
    checksums: bool


    def expect_in(self, blocks):
        """BLOCKS hold the RAM that was saved."""
        wrong = [block.name for block, digest in zip(blocks, self.digests)
                 if block.sha256() != digest]
        expect(not wrong, "RAM of %s differs after the restore of %s" % (", ".join(wrong), self.path))


def digests(blocks):
    return tuple(block.sha256() for block in blocks)


def make_blocks():
    return [Ram(name, size) for name, size in BLOCKS]


class Soak:
    """The daemon under test, its guest stopped between two operations, and one connection to it."""

    def __init__(self, scratch, seed):
        self.scratch = scratch
        self.seed = seed
        self.cleanups = contextlib.ExitStack()
        self.choice = random.Random(seed)
        self.operation = "the start"
        self.doing = []  # what it has drawn and met
        self.saved = None
        self.names = 0
        self.engines = ("auto", "pwritev", "io_uring")

    def __enter__(self):
        with self.cleanups:
            self.disk = FaultFs(self)
            self.blocks = make_blocks()
            for block in self.blocks:
                self.addCleanup(block.close)
            for block in self.blocks:
                self.scribble(block, block.size // PAGE // 2)
            workloads = [word for number in range(2) for word in
                         Workload("mix", 24 * MIB, 1, self.seed & 0xffff).option(
                             self.blocks[number].name, "load%d" % number)]
            # One client is served at a time on a socket: that of visitors is another one. The
            # path of a unix socket is short, so it does not live in the scratch folder.
            folder = self.cleanups.enter_context(tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp"))
            self.visitors = os.path.join(folder, "qmp")
            self.daemon = self.cleanups.enter_context(process.multifdd(
                self.blocks,
                extra=workloads + ["-qmp", "unix:%s,server=on,wait=off" % self.visitors]))
            self.pid = self.daemon.process.pid
            self.qmp = self.daemon.connect()
            self.qmp.call("stop")
            self.idle = footprint.sample(self.pid, 0)
            self.cleanups = self.cleanups.pop_all()
        return self

    def __exit__(self, *error):
        return self.cleanups.__exit__(*error)

    def addCleanup(self, act, *arguments):  # as FaultFs asks it of a test case
        self.cleanups.callback(act, *arguments)

    def path(self, name):
        return os.path.join(self.scratch, name)

    def begin(self, number):
        """Operation NUMBER draws from a generator of its own: the same seed gives it the same
        numbers, however many the operations before it have drawn."""
        self.choice = random.Random("%d-%d" % (self.seed, number))
        self.doing = []
        self.qmp.events.clear()

    def note(self, text):
        """Something for the report of a failure."""
        self.doing.append(str(text))

    # The guest.

    def scribble(self, block, pages):
        """New content in runs of PAGES pages together; every third run becomes zero."""
        while pages > 0:
            run = min(pages, self.choice.randint(1, 256), block.size // PAGE)
            at = self.choice.randrange(block.size // PAGE - run + 1)
            kind = self.choice.randrange(3)
            if kind == 0:
                data = bytes(run * PAGE)
            elif kind == 1:
                data = self.choice.randbytes(PAGE) * run
            else:
                data = self.choice.randbytes(run * PAGE)
            os.pwrite(block.fd, data, at * PAGE)
            pages -= run

    def change_ram(self):
        """What a guest does between two saves. Only while it is stopped."""
        for block in self.blocks:
            if self.choice.random() < 0.7:
                self.scribble(block, self.choice.randint(1, 1024))
        # Whatever was zeroed, there is enough left for a fault at a later write to be met.
        os.pwrite(self.blocks[0].fd, self.choice.randbytes(8 * MIB), 4 * MIB)

    def digests(self):
        return digests(self.blocks)

    def workload(self, name):
        return self.qmp.call("qom-get", {"path": "/objects/load0", "property": name})

    def pages_written(self):
        return self.workload("pages-written")

    def run_guest(self):
        self.qmp.call("cont")
        self.wait_guest_writes()

    def wait_guest_writes(self):
        before = self.pages_written()
        wait_until(lambda: self.pages_written() > before, "the guest writes")

    def run_state(self):
        return run_state(self.qmp)

    def settle(self):
        """Stops the guest, whatever state a save has left it in, and waits until the daemon has
        let go of all that it had for the save."""
        if self.run_state() == "postmigrate":
            allow_next_save(self.qmp)
        self.qmp.call("stop")
        expect(self.qmp.call("query-fdsets") == [], "a set of descriptors is left")
        expect(self.workload("throttle") == 0, "the guest is throttled still")
        footprint.wait_idle(self.pid, self.idle, self.blocks)

    def check_alive(self):
        status = self.daemon.process.poll()
        expect(status is None, "the daemon ended with status %s" % status)

    # Files.

    def new_name(self):
        self.names += 1
        return "save%d.mig" % self.names

    def sweep(self):
        """Removes what saves have left, but for the last good file."""
        for folder in (self.scratch, self.disk.folder):
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if name.endswith(".mig") and not (self.saved and self.saved.path == path):
                    os.unlink(path)

    def forget(self, path):
        """The file at PATH is about to be written."""
        if self.saved and self.saved.path == path:
            self.saved = None

    def wait_final(self, meanwhile=lambda info: None):
        """query-migrate once the job has ended; MEANWHILE sees what it says before."""
        end = time.monotonic() + env.DEADLINE_S
        while True:
            info = self.qmp.call("query-migrate")
            if info.get("status") in FINAL:
                return info
            meanwhile(info)
            expect(time.monotonic() < end, "the job does not end: %s" % info)
            time.sleep(POLL_S)


def passed_file(qmp, target, path, access, direct):
    """A context with PATH, or with the name of a set that has its descriptors."""
    if target == "fdset":
        return fdset(qmp, FDSET, path, access, direct)
    return contextlib.nullcontext(path)


def end_program(program):
    """Ends PROGRAM as its user does; it must leave with status 0, which with a sanitizer also says
    that nothing leaked."""
    for qmp in program.connections:
        qmp.close()
    expect(program.alive(), "a daemon has ended by itself: " + program.describe())
    program.process.send_signal(signal.SIGTERM)
    try:
        status = program.process.wait(env.DEADLINE_S)
    except subprocess.TimeoutExpired as error:
        raise Finding("a daemon does not end at SIGTERM: " + program.describe()) from error
    expect(status == 0, "status %s at the end: %s" % (status, program.describe()))
    check_log(program)


def check_log(program):
    report = _REPORTS.search(program.log())
    expect(not report, "a sanitizer reports: " + program.describe())
