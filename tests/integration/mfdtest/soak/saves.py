"""Operations that save: stopped or live, cancelled, held up, or with the file cut meanwhile."""

import os

from . import restores
from .context import MIB, TOTAL, expect
from .plan import draw
from .saving import Save, complete

#: Of a save that is to be caught in the middle.
SLOW = (4 * MIB, 16 * MIB, 64 * MIB)


def save(soak, live=False):
    complete(soak, draw(soak.choice, soak.engines, live))
    if soak.choice.random() < 0.4:
        restores.restore_last(soak)
        return "completed, restored"
    return "completed"


def save_live(soak):
    return save(soak, True)


def cancel(soak):
    """At a moment somewhere between before the first byte and after the last."""
    choice = soak.choice
    plan = draw(choice, soak.engines, live=choice.random() < 0.5).with_parameters(
        max_bandwidth=choice.choice((0,) + SLOW))
    job = Save(soak, plan)
    looks, share = choice.choice((0, 1, 3, 10, 10000)), choice.random() * 1.3
    soak.note("cancel after %d looks or %.2f of RAM" % (looks, share))
    refusal = job.start()
    expect(refusal is None, "migrate was refused: %s" % refusal)
    _look(soak, looks, share)
    soak.qmp.call("migrate_cancel")
    info = job.finish()
    expect(info["status"] in ("cancelled", "completed"), "after a cancel: %s" % info)
    soak.settle()
    if info["status"] == "cancelled" and choice.random() < 0.6:
        restores.check_leftover(soak, job)
    if choice.random() < 0.3:
        complete(soak, draw(choice, soak.engines))
        restores.restore_last(soak)
    return info["status"]


def _look(soak, looks, share):
    """Until LOOKS looks at the job were taken, it has moved SHARE of RAM, or it has ended."""
    def moment(info):
        nonlocal looks
        looks -= 1
        if looks <= 0 or info.get("ram", {}).get("transferred", 0) >= share * TOTAL:
            raise StopIteration

    try:
        soak.wait_final(moment)
    except StopIteration:
        pass


def hang(soak):
    """A disk that hangs: clients are answered, and it is waited for, or the save is cancelled."""
    choice = soak.choice
    plan = draw(choice, soak.engines, live=False)
    job = Save(soak, plan, soak.disk.folder)
    # `migrate` itself opens the file, takes its first bytes from an old one and tries direct I/O: two
    # writes and a sync, which its answer waits for.
    command = choice.choice(("hang write skip %d" % choice.randint(2, 8), "hang fsync skip 1"))
    soak.note(command)
    soak.disk.tell(command)
    try:
        refusal = job.start()
        expect(refusal is None, "migrate was refused: %s" % refusal)
        for _ in range(20):
            soak.qmp.call("query-migrate")
        cancelled = choice.random() < 0.5
        if cancelled:
            soak.qmp.call("migrate_cancel")
    finally:
        soak.disk.tell("release")
    info = job.finish()
    soak.disk.tell("clear")
    allowed = ("completed", "cancelled") if cancelled else ("completed",)
    expect(info["status"] in allowed, "a save on a disk that hung: %s" % info)
    soak.settle()
    if info["status"] == "completed":
        restores.restore_last(soak)
    return info["status"]


def cut_meanwhile(soak):
    """Somebody truncates the file while it is written: whatever the save says, a restore of it is
    refused or exact, for it has checksums."""
    choice = soak.choice
    plan = draw(choice, soak.engines, live=False, target="fdset").with_parameters(
        x_checksum=True, max_bandwidth=choice.choice(SLOW))
    job = Save(soak, plan)
    share = choice.random()
    refusal = job.start()
    expect(refusal is None, "migrate was refused: %s" % refusal)
    _look(soak, 10000, share)
    length = choice.randrange(os.path.getsize(job.path) + 1)
    soak.note("cut to %d bytes at %.2f of RAM" % (length, share))
    os.truncate(job.path, length)
    soak.qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
    info = job.finish()
    expect(info["status"] in ("completed", "failed"), "after a cut: %s" % info)
    soak.saved = None
    soak.settle()
    restores.check_leftover(soak, job)
    return info["status"]
