"""What a daemon occupies by the kernel's account, and whether that stays the same.

`private` is anonymous memory, in RAM or in swap: guest RAM is shared memory here, so it is not in it.
"""

import os
import statistics
from dataclasses import astuple, dataclass, fields

from ..live import tracked
from ..qmp import Lost, wait_until

MIB = 1 << 20

@dataclass(frozen=True)
class Allowance:
    """By how much the last quarter may be above the time after the warm-up."""

    mappings: int
    private: int
    share: float = 0.10  # of the private memory after the warm-up

    def __str__(self):
        return "mappings + %d, private memory + %d %% + %d MiB" % (
            self.mappings, self.share * 100, self.private // MIB)


#: What the allocator wavers by: each thread may get an arena of its own.
PLAIN = Allowance(32, 4 * MIB)
#: The books of a sanitizer are private memory too, and grow with every path of the code that is taken
#: for the first time. Leaks are found by LeakSanitizer when the daemon ends.
SANITIZED = Allowance(256, 96 * MIB, 0.25)


def allowance(program):
    with open(program, "rb") as file:
        code = file.read()
    return SANITIZED if b"__asan_init" in code or b"__tsan_init" in code else PLAIN


@dataclass(frozen=True)
class Sample:
    seconds: float
    descriptors: int
    threads: int
    mappings: int
    private: int


def sample(pid, seconds):
    with open("/proc/%d/maps" % pid, "rb") as maps:
        mappings = sum(1 for _ in maps)
    return Sample(seconds, _count(pid, "fd"), _count(pid, "task"), mappings, _private(pid))


def wait_idle(pid, before, blocks):
    """Until the daemon has as many descriptors and threads as BEFORE, and watches no writes to
    BLOCKS: a thread that was joined is listed for a moment still, those of io_uring for longer."""
    def idle():
        return (_count(pid, "fd"), _count(pid, "task")) == (before.descriptors, before.threads) \
            and not any(tracked(pid, block) for block in blocks)
    try:
        wait_until(idle, "the daemon has %d descriptors and %d threads again and tracks no writes" % (
            before.descriptors, before.threads))
    except Lost as lost:
        raise AssertionError("%s; it has\n%s" % (lost, _listing(pid))) from lost


class Series:
    """The samples of a run of SECONDS, and the verdict on them."""

    def __init__(self, seconds, allowed):
        self.warm_up = min(60, seconds * 0.1)
        self.allowed = allowed
        self.samples = []

    def add(self, taken):
        self.samples.append(taken)

    def columns(self):
        """First, medians of the tenth behind the warm-up and of the last quarter, last."""
        end = self.samples[-1].seconds
        warm = [s for s in self.samples if self.warm_up <= s.seconds <= self.warm_up + end * 0.1]
        late = [s for s in self.samples if s.seconds >= end * 0.75]
        return {"first": self.samples[0], "after warm-up": _median(warm or self.samples[:1]),
                "last quarter": _median(late), "last": self.samples[-1]}

    def table(self):
        rows = [("", *self.columns())]
        for field in fields(Sample)[1:]:
            unit = (lambda v: "%.1f MiB" % (v / MIB)) if field.name == "private" else str
            rows.append((field.name, *(unit(getattr(column, field.name))
                                       for column in self.columns().values())))
        return rows

    def findings(self):
        """Sentences on what is not flat."""
        columns = self.columns()
        first, warm, late = columns["first"], columns["after warm-up"], columns["last quarter"]
        found = []
        for name in ("descriptors", "threads"):
            other = {getattr(s, name) for s in self.samples} - {getattr(first, name)}
            if other:
                found.append("%s: %d at first, then also %s" % (name, getattr(first, name),
                                                                sorted(other)))
        limits = {"mappings": warm.mappings + self.allowed.mappings,
                  "private": warm.private * (1 + self.allowed.share) + self.allowed.private}
        for name, limit in limits.items():
            if getattr(late, name) > limit:
                found.append("%s: %d after the warm-up, %d in the last quarter, more than %d" % (
                    name, getattr(warm, name), getattr(late, name), limit))
        return found

    def as_json(self):
        return {name: dict(zip((f.name for f in fields(Sample)), astuple(column)))
                for name, column in self.columns().items()}


def _median(samples):
    middle = [int(statistics.median(getattr(s, field.name) for s in samples))
              for field in fields(Sample)]
    return Sample(*middle)


def _count(pid, what):
    return len(os.listdir("/proc/%d/%s" % (pid, what)))


def _private(pid):
    kib = 0
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(("RssAnon:", "VmSwap:")):
                kib += int(line.split()[1])
    return kib << 10


def _listing(pid):
    """Descriptors and threads with their names."""
    lines = []
    for number in sorted(os.listdir("/proc/%d/fd" % pid), key=int):
        try:
            lines.append("fd %s %s" % (number, os.readlink("/proc/%d/fd/%s" % (pid, number))))
        except OSError:
            pass  # closed meanwhile
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/comm" % (pid, task), encoding="ascii",
                      errors="replace") as comm:
                lines.append("thread %s %s" % (task, comm.read().strip()))
        except OSError:
            pass
    return "\n".join(lines)
