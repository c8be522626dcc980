"""One save from its plan to its end, with what holds whichever way it ends."""

import os

from ..qmp import QmpError
from .context import MIB, Saved, expect, passed_file


class Save:
    """One save by PLAN: start(), and whatever start() says, finish()."""

    def __init__(self, soak, plan, folder=None):
        self.soak = soak
        self.plan = plan
        folder = folder or soak.scratch
        existing = soak.saved and os.path.dirname(soak.saved.path) == folder
        # Bytes before the offset are none of a save's business, but in a file that is not cut the
        # pages of a stream that begins there are overwritten.
        if existing and plan.parameters["x-reuse-blocks"]:
            existing = soak.saved.offset == plan.offset
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
        self.before = self.state = self.passed = None

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
            soak.saved = Saved(self.path, plan.offset, digests, plan.checksums)
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


def complete(soak, plan, folder=None):
    """A save that must complete."""
    job = Save(soak, plan, folder)
    refusal = job.start()
    expect(refusal is None, "migrate was refused: %s" % refusal)
    info = job.finish()
    expect(info["status"] == "completed", "a save without a fault: %s" % info)
    soak.settle()
    return "completed"
