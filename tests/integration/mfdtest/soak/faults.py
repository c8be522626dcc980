"""Operations on a disk that fails: the job says what, where and why; healed, the next one succeeds."""

import os

from . import restores
from .context import FDSET, expect
from .plan import draw
from .saving import Save, complete

NO_SPACE = "No space left on device"
EIO = "Input/output error"

#: What faultfs is told, and the cause that error-desc then names.
WRITES = (("fail write EIO skip %d", EIO), ("fail write ENOSPC skip %d", NO_SPACE),
          ("fail write EDQUOT skip %d", "Disk quota exceeded"),
          ("fail write EFBIG skip %d", "File too large"),
          ("fail write EROFS skip %d", "Read-only file system"),
          ("tear write EIO skip %d times 1", EIO))

#: FUSE itself turns a short one of several requests that it makes of a direct write into EIO.
SHORT_DIRECT = "short write 65536 direct skip %d times 10"

#: Limited: io_uring repeats such calls by itself, and a request through FUSE takes its time.
HESITATIONS = ("fail write EINTR skip %d times 8", "fail write EAGAIN skip %d times 8",
               "fail write EINVAL direct skip 1", "fail write EINVAL direct skip %d times 2",
               SHORT_DIRECT, "short write 5000 buffered skip %d times 10",
               "fail fallocate EOPNOTSUPP", "tear write EINTR skip %d times 3")

LOAD_HESITATIONS = ("fail read EINTR skip %d times 8", "short read 5000 direct",
                    "fail read EINVAL direct skip 1")

OPERATIONS = ("write", "try direct i/o", "reserve", "create", "length", "storage", "name", "open")


def _fault(soak, plan):
    """A fault that PLAN is certain to meet: commands and cause."""
    choice = soak.choice
    special = []
    if plan.parameters["x-sync"]:
        special.append(("fail fsync EIO", EIO))
    if plan.target == "new":
        special.append(("fail create EROFS", "Read-only file system"))
        if plan.parameters["x-atomic"]:
            special.append(("fail rename EIO", EIO))
        if plan.parameters["x-preallocate"]:
            special.append(("fail fallocate ENOSPC", NO_SPACE))
    if special and choice.random() < 0.4:
        return choice.choice(special)
    command, cause = choice.choice(WRITES)
    return command % choice.randint(0, 6), cause


def failing_save(soak):
    choice = soak.choice
    plan = draw(choice, soak.engines, live=choice.random() < 0.2)
    job = Save(soak, plan, soak.disk.folder)
    command, cause = _fault(soak, plan)
    soak.note(command)
    soak.disk.tell(command)
    try:
        desc = job.start()
        info = job.finish()
    finally:
        soak.disk.tell("clear")
    if info["status"] == "completed" and command.startswith("tear"):
        # The kernel makes several requests of a large write, and a short count of one that fails
        # behind another: such a write goes on where it stopped.
        soak.settle()
        restores.restore_last(soak)
        return "completed: short by FUSE"
    expect(info["status"] == "failed", "a save with '%s': %s" % (command, info))
    desc = desc or info.get("error-desc", "")
    name = "/dev/fdset/%d" % FDSET if plan.target == "fdset" else job.path
    expect(cause in desc, "no cause '%s' in: %s" % (cause, desc))
    expect(name in desc or any(block.name in desc for block in soak.blocks), "no object in: " + desc)
    expect(any(word in desc.lower() for word in OPERATIONS), "no operation in: " + desc)
    soak.settle()
    if choice.random() < 0.5:
        restores.check_leftover(soak, job)
    complete(soak, draw(choice, soak.engines), soak.disk.folder)
    restores.restore_last(soak)
    return "failed: " + cause


def hesitating_save(soak):
    choice = soak.choice
    plan = draw(choice, soak.engines, live=False)
    hesitation = choice.choice(HESITATIONS)
    command = hesitation % choice.randint(0, 6) if "%d" in hesitation else hesitation
    soak.note(command)
    job = Save(soak, plan, soak.disk.folder)
    soak.disk.tell(command)
    try:
        refusal = job.start()
        info = job.finish()
    finally:
        soak.disk.tell("clear")
    torn = hesitation == SHORT_DIRECT and EIO in info.get("error-desc", "")
    expect(refusal is None and (info["status"] == "completed" or torn),
           "a save on a disk that only hesitates: %s, %s" % (refusal, info))
    soak.settle()
    restores.restore_last(soak)
    return "failed: short by FUSE" if torn else "completed"


def failing_load(soak):
    choice = soak.choice
    complete(soak, draw(choice, soak.engines, target="new"), soak.disk.folder)
    saved = soak.saved
    command, cause = choice.choice((("fail read EIO skip %d" % choice.randint(0, 6), EIO),
                                    ("fail open EACCES", "Permission denied")))
    soak.note(command)
    with restores.Fresh(soak) as fresh:
        soak.disk.tell(command)
        try:
            desc = fresh.refusal(saved.path, saved.offset, restores.draw_settings(soak, "auto"))
        finally:
            soak.disk.tell("clear")
        soak.note("refused: %s" % desc)
        expect(desc is not None and cause in desc, "a load with '%s': %s" % (command, desc))
        expect(os.path.basename(saved.path) in desc or any(b.name in desc for b in soak.blocks),
               "no object in: " + desc)
    restores.restore_last(soak)
    return "failed, then restored"


def hesitating_load(soak):
    choice = soak.choice
    complete(soak, draw(choice, soak.engines, target="new"), soak.disk.folder)
    command = choice.choice(LOAD_HESITATIONS)
    command = command % choice.randint(0, 4) if "%d" in command else command
    soak.note(command)
    soak.disk.tell(command)
    try:
        restores.restore_last(soak)
    finally:
        soak.disk.tell("clear")
    return "restored"
