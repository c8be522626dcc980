"""The measurements: contents, and what each peer is asked to do with them."""

from dataclasses import dataclass

#: Name here: content of the harness, what its zero pages are.
CONTENTS = {
    "all data": ("random", "allocated"),
    "half zero": ("half", "allocated"),
    "runs": ("runs", "allocated"),
    "all zero": ("zero", "allocated"),
    "untouched": ("zero", "hole"),
}
#: There is nothing to restore of the others.
RESTORED = ("all data", "half zero", "runs")
OPERATIONS = ("save", "cold", "warm")


@dataclass(frozen=True)
class Config:
    """One way to save or restore. channels 0: without multifd."""

    peer: str
    channels: int = 0
    direct: bool = False
    sync: bool = True

    def __str__(self):
        if self.peer not in ("QEMU", "multifdd"):
            return self.peer
        many = "no multifd" if self.channels == 0 else "%d channels" % self.channels
        return "%s, %s, %s%s" % (self.peer, "direct-io" if self.direct else "buffered", many,
                                 "" if self.sync else ", no sync")


FIO = Config("fio, same bytes")
#: A source buffer that fits the processor's cache is written faster than guest RAM can be where the
#: disk is a virtual one, whose host copies.
FIO_COLD = Config("fio, same bytes, large source")
ALLOCATION = Config("allocation of the pages alone")
OUR_DIRECT = Config("multifdd", 2, True)
OUR_BUFFERED = Config("multifdd", 2, False)
OUR_UNSYNCED = Config("multifdd", 2, False, sync=False)
OUR_SINGLE = Config("multifdd", 0, False, sync=False)
#: QEMU uses direct I/O with multifd only.
QEMU_SINGLE = Config("QEMU", 0, False)
SAVES = (OUR_DIRECT, OUR_BUFFERED, OUR_UNSYNCED, OUR_SINGLE, Config("QEMU", 2, True),
         Config("QEMU", 8, True), QEMU_SINGLE, Config("QEMU", 2, False))
LOADS = (OUR_DIRECT, OUR_BUFFERED, Config("QEMU", 2, True), QEMU_SINGLE,
         Config("QEMU", 2, False))
FILE_MAKER = OUR_DIRECT
