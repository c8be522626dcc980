"""Operations that save: stopped or live, cancelled, held up, or with the file cut meanwhile."""

import os

from ..qmp import QmpError
from . import restores
from .context import MIB, TOTAL, Saved, expect, passed_file
from .plan import draw

#: Of a save that is to be caught in the middle.
SLOW = (4 * MIB, 16 * MIB, 64 * MIB)


class Save:
    """One save by PLAN to PATH: prepare(), start(), finish()."""

    def __init__(self, soak, plan, folder=None):
        self.soak = soak
        self.plan = plan
        folder = folder or soak.scratch
        existing = soak.saved and os.path.dirname(soak.saved.path) == folder
        if plan.target != "new" and existing and soak.choice.random() < 0.7:
            self.path = soak.saved.path
        else:
            self.path = os.path.join(folder, soak.new_name())
            if plan.target == "over":
                with open(self.path, "wb") as file:
                    file.write(soak.choice.randbytes(MIB) * soak.choice.randint(0, 8))
        #: What a restore may find if this save does not complete.
        self.previous = soak.saved if soak.saved and soak.saved.path == self.path else None
        soak.note("%s (%s)" % (plan, self.path))
        soak.forget(self.path)
        self.before = None

    def start(self):
        """Gives back the text of a refusal, or None."""
        soak, plan = self.soak, self.plan
        plan.apply(soak.qmp)
        soak.change_ram()
        if plan.live:
            soak.run_guest()
        else:
            self.before = soak.digests()
        self.state = soak.run_state()
        self.passed = passed_file(soak.qmp, plan.target, self.path, os.O_WRONLY, plan.direct)
        name = self.passed.__enter__()
        try:
            soak.qmp.call("migrate", {"uri": plan.uri(name)})
        except QmpError as error:
            return error.desc
        return None

    def finish(self, meanwhile=lambda info: None):
        """Waits for the end and checks what holds for every outcome; query-migrate's last word."""
        soak, plan = self.soak, self.plan
        stopped = []

        def look(info):
            meanwhile(info)
            if "x-not-converging" in info and not stopped:
                stopped.append(soak.qmp.call("stop"))

        info = soak.wait_final(look)
        self.passed.__exit__(None, None, None)
        status = info["status"]
        soak.note("ended: %s %s" % (status, info.get("error-desc", "")))
        if status == "completed":
            expect(soak.run_state() == "postmigrate", "run state after a save: " + soak.run_state())
            digests = soak.digests()
            expect(plan.live or digests == self.before, "RAM changed during a stopped save")
            soak.keep(Saved(self.path, plan.offset, digests, plan.checksums))
        else:
            self._check_guest_unharmed(bool(stopped))
            if plan.appears_complete:
                expect(not os.path.exists(self.path), "%s is left" % self.path)
        folder = os.path.dirname(self.path)
        hidden = [name for name in os.listdir(folder) if name.startswith(".")]
        expect(not hidden, "left in %s: %s" % (folder, hidden))
        return info

    def _check_guest_unharmed(self, was_stopped):
        soak = self.soak
        if self.plan.live and not was_stopped:
            expect(soak.run_state() == "running", "run state of a live guest: " + soak.run_state())
            soak.wait_guest_writes()
        elif not self.plan.live:
            expect(soak.run_state() == self.state, "run state %s became %s" % (
                self.state, soak.run_state()))
            expect(soak.digests() == self.before, "RAM changed during a save that did not complete")

    def check_leftover(self):
        """The file of a save that did not complete is refused, or holds RAM exactly as it was, now
        or when it was saved before."""
        if not os.path.exists(self.path):
            return
        allowed = [self.before] if self.before else []
        if self.previous:
            allowed.append(self.previous.digests)
        offsets = {self.plan.offset} | ({self.previous.offset} if self.previous else set())
        for offset in sorted(offsets):
            restores.refused_or_exact(self.soak, self.path, offset, allowed)
        os.unlink(self.path)


def complete(soak, plan, folder=None):
    """A save that must complete."""
    job = Save(soak, plan, folder)
    refusal = job.start()
    expect(refusal is None, "migrate was refused: %s" % refusal)
    info = job.finish()
    expect(info["status"] == "completed", "a save without a fault: %s" % info)
    soak.settle()
    return "completed"


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
        job.check_leftover()
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
    command = "hang %s skip %d" % (choice.choice(("write", "write", "fsync")), choice.randint(0, 8))
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
    job.check_leftover()
    return info["status"]
