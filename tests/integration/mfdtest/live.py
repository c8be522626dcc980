"""Guests that write while they are saved: the daemon's emulated one, and what can be seen of it."""

import json
import os
import select
import subprocess
from dataclasses import dataclass

from . import env, process
from .migrate import Settings, load, state_event, wait_final
from .qmp import Lost, wait_until
from .ram import PAGE, Borrowed

MIB = 1 << 20

#: Of the daemon, for memory that it cannot stop the writer of.
STOP_NEEDED = "X_MULTIFDD_STOP_NEEDED"


@dataclass(frozen=True)
class Workload:
    """The object x-guest-workload; rate in bytes per second, 0 for as fast as it goes."""

    pattern: str = "random"
    rate: int = 32 * MIB
    threads: int = 2
    seed: int = 7

    def option(self, memdev, name="load0"):
        return ["-object", "x-guest-workload,id=%s,memdev=%s,pattern=%s,rate=%d,threads=%d,seed=%d"
                % (name, memdev, self.pattern, self.rate, self.threads, self.seed)]


class Guest:
    """A running daemon with an emulated guest, and one connection to it."""

    def __init__(self, program, name="load0"):
        self.program = program
        self.pid = program.process.pid
        self.qmp = program.connect()
        self.path = "/objects/" + name

    def get(self, name):
        return self.qmp.call("qom-get", {"path": self.path, "property": name})

    def pages_written(self):
        return self.get("pages-written")

    def wait_written(self, pages):
        """Until so many more pages were written than now."""
        enough = self.pages_written() + pages
        wait_until(lambda: self.pages_written() >= enough, "the guest has written %d pages" % pages)

    def status(self):
        return self.qmp.call("query-migrate").get("status")

    def bandwidth(self, bytes_per_second):
        self.qmp.call("migrate-set-parameters", {"max-bandwidth": bytes_per_second})

    def start_save(self, uri, settings=Settings(2)):
        settings.apply(self.qmp)
        self.qmp.call("migrate", {"uri": uri})

    def save_beside_writes(self, uri, settings, pages):
        """A save whose first pass is held back until the guest has written so many pages beside it;
        from then on it goes at full speed. Gives back the final query-migrate."""
        self.start_save(uri, Settings(settings.channels, settings.direct_io,
                                      dict(settings.parameters, **{"max-bandwidth": 48 * MIB})))
        self.qmp.event(state_event("active"))
        self.wait_written(pages)
        self.bandwidth(0)
        return wait_final(self.qmp)


def guest(block, workload, **options):
    """The daemon with BLOCK and an emulated guest that writes to it once it is told to run."""
    return process.multifdd([block], extra=workload.option(block.name), **options)


class Writer:
    """The example of a shared dirty log's writer: a process of its own that lends memory to the
    daemon, as block "shared0", and writes to it. A context manager."""

    BLOCK = "shared0"

    def __init__(self, socket_path, mebibytes, rate_mib, **options):
        argv = [env.tool("MFD_DIRTY_LOG_WRITER", "dirty_log_writer"), socket_path,
                "--mib", str(mebibytes), "--rate", str(rate_mib)]
        for name, value in options.items():
            argv += ["--" + name, str(value)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.memory = Borrowed(self.BLOCK, self.answer("memory"))
        except BaseException:
            self._end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.memory.close()
        self._end()

    def answer(self, word):
        """What follows WORD in the next line that the writer prints."""
        ready, _, _ = select.select([self.process.stdout], [], [], env.DEADLINE_S)
        line = b""
        while ready and not line.endswith(b"\n"):
            byte = self.process.stdout.raw.read(1)
            if not byte:
                break
            line += byte
        said, _, rest = line.decode().strip().partition(" ")
        if said != word:
            raise Lost("the writer said %r in place of '%s'" % (line, word))
        return rest

    def ask(self, command, word):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(word)

    def writes(self):
        return int(self.ask("count", "writes"))

    def wait_written(self, pages):
        enough = self.writes() + pages
        wait_until(lambda: self.writes() >= enough, "the writer has written %d pages" % pages)

    def _end(self):
        self.process.stdin.close()
        try:
            self.process.wait(env.DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def pages_tool():
    return env.tool("MFD_GUEST_PAGES", "guest_pages")


def fill(block, seed):
    """Three quarters of the pages get content of generation 0; the others stay untouched."""
    subprocess.run([pages_tool(), "fill", block.path, str(seed)], check=True)


def check(block, slices=1):
    """How many pages are "zero" and "whole", which are "damaged", and "last-generations"."""
    said = subprocess.run([pages_tool(), "check", block.path, str(slices)], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(said)


def restore(subject, block, uri, settings):
    """Loads URI into BLOCK with SUBJECT (process.multifdd or process.qemu_none)."""
    block.clear()
    with subject([block], incoming="defer") as program:
        load(program.connect(), uri, settings)


def total_pages(block):
    return block.size // PAGE


class Footprint:
    """What a daemon occupies, by the kernel's account: threads, descriptors, and whether the memory
    of a block is registered for the tracking of writes."""

    def __init__(self, pid, block):
        self.threads = len(os.listdir("/proc/%d/task" % pid))
        self.descriptors = len(os.listdir("/proc/%d/fd" % pid))
        self.tracked = tracked(pid, block)

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return "%d threads, %d descriptors, writes %stracked" % (
            self.threads, self.descriptors, "" if self.tracked else "not ")


def tracked(pid, block):
    """Whether userfaultfd watches the mapping of BLOCK ("uw": writes, "um": missing pages)."""
    flags = None
    with open("/proc/%d/smaps" % pid, encoding="utf-8") as file:
        inside = False
        for line in file:
            if "-" in line.split(" ", 1)[0]:
                inside = line.rstrip().endswith(block.path)
            elif inside and line.startswith("VmFlags:"):
                flags = (flags or set()) | set(line.split()[1:])
    assert flags is not None, "no mapping of %s" % block.path
    return bool(flags & {"uw", "um"})
