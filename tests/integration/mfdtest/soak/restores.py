"""Operations that restore, each into a daemon of its own that must also end well."""

import contextlib
import os

from .. import process
from ..migrate import (MigrationFailed, Settings, file_uri, load, run_state, save,
                       wait_final)
from ..qmp import QmpError
from .context import MIB, Saved, digests, end_program, expect, make_blocks, passed_file
from .plan import draw
from .saving import complete


class Fresh:
    """A daemon that waits for a load, its memory poisoned. A context manager: the end is checked,
    unless an error comes first."""

    def __init__(self, soak):
        self.soak = soak

    def __enter__(self):
        with contextlib.ExitStack() as cleanups:
            self.blocks = make_blocks()
            for block in self.blocks:
                cleanups.callback(block.close)
                block.poison()
            self.program = cleanups.enter_context(process.multifdd(self.blocks, incoming="defer"))
            self.qmp = self.program.connect()
            self.cleanups = cleanups.pop_all()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            return self.cleanups.__exit__(kind, error, trace)
        with self.cleanups:
            end_program(self.program)
        return None

    def load(self, path, offset, settings, by_set=False):
        with passed_file(self.qmp, "fdset" if by_set else "path", path, os.O_RDONLY,
                         settings.direct_io) as name:
            load(self.qmp, file_uri(name, offset), settings)

    def refusal(self, path, offset, settings):
        """Why a load fails, or None if it does not."""
        try:
            self.load(path, offset, settings)
        except (MigrationFailed, QmpError) as error:
            return error.desc
        return None

    def untouched(self):
        return all(block.untouched() for block in self.blocks)


def draw_settings(soak, verify):
    choice = soak.choice
    settings = Settings(choice.choice((None, 1, 2, 4)), choice.random() < 0.5,
                        {"x-verify": verify, "x-io-engine": choice.choice(soak.engines)})
    soak.note("restore: %s, %s" % (settings, settings.parameters))
    return settings


def need_file(soak):
    """There is a last good file from now on."""
    if soak.saved is None:
        complete(soak, draw(soak.choice, soak.engines))


def restore_last(soak):
    """The last file brings back the RAM that was saved, page by page."""
    need_file(soak)
    saved, choice = soak.saved, soak.choice
    verify = choice.choice(("auto", "off", "require") if saved.checksums else ("auto", "off"))
    with Fresh(soak) as fresh:
        fresh.load(saved.path, saved.offset, draw_settings(soak, verify), choice.random() < 0.3)
        saved.expect_in(fresh.blocks)
    return "restored, verify " + verify


def refused_or_exact(soak, path, offset, allowed):
    """A restore of PATH fails, or brings RAM as one of ALLOWED; "refused" or "restored"."""
    with Fresh(soak) as fresh:
        desc = fresh.refusal(path, offset, draw_settings(soak, "auto"))
        if desc is not None:
            expect(len(desc) > 20, "a refusal without a reason: '%s'" % desc)
            return "refused"
        expect(digests(fresh.blocks) in allowed, "RAM that was never saved, from " + path)
        return "restored"


def check_leftover(soak, job):
    """The file of a save that did not complete is refused, or holds RAM exactly as it was, then or
    when it was saved before."""
    if not os.path.exists(job.path):
        return
    allowed = [job.before] if job.before else []
    offsets = {job.plan.offset}
    if job.previous:
        allowed.append(job.previous.digests)
        offsets.add(job.previous.offset)
    for offset in sorted(offsets):
        refused_or_exact(soak, job.path, offset, allowed)


def require_checksums(soak):
    """A file without checksums is refused where they are required, and memory stays untouched;
    another daemon then loads it."""
    complete(soak, draw(soak.choice, soak.engines).with_parameters(x_checksum=False))
    saved = soak.saved
    with Fresh(soak) as fresh:
        desc = fresh.refusal(saved.path, saved.offset, draw_settings(soak, "require"))
        expect(desc is not None and "no checksums" in desc, "x-verify=require: %s" % desc)
        expect(fresh.untouched(), "memory was touched by a refused restore")
    restore_last(soak)
    return "refused, then restored"


def flip(soak):
    """A bit of a file with checksums turns over: the restore is refused or exact."""
    if soak.saved is None or not soak.saved.checksums:
        complete(soak, draw(soak.choice, soak.engines).with_parameters(x_checksum=True))
    saved = soak.saved
    at = soak.choice.randrange(saved.offset, os.path.getsize(saved.path))
    bit = 1 << soak.choice.randrange(8)
    soak.note("bit 0x%02x at 0x%x" % (bit, at))
    _turn(saved.path, at, bit)
    outcome = refused_or_exact(soak, saved.path, saved.offset, [saved.digests])
    _turn(saved.path, at, bit)
    return outcome


def _turn(path, at, bit):
    fd = os.open(path, os.O_RDWR)
    try:
        os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ bit]), at)
    finally:
        os.close(fd)


def resave(soak):
    """A guest that was restored, and has changed, is saved from there and restored again."""
    need_file(soak)
    path = soak.path(soak.new_name())
    with Fresh(soak) as fresh:
        fresh.load(soak.saved.path, soak.saved.offset, draw_settings(soak, "auto"))
        soak.saved.expect_in(fresh.blocks)
        fresh.qmp.call("stop")
        soak.scribble(fresh.blocks[0], 512)
        now = digests(fresh.blocks)
        settings = Settings(soak.choice.choice((None, 2)), soak.choice.random() < 0.5,
                            {"x-checksum": True})
        soak.note("resave: %s" % settings)
        save(fresh.qmp, file_uri(path), settings)
        expect(digests(fresh.blocks) == now, "RAM changed during the save of a restored guest")
    soak.saved = Saved(path, 0, now, True)
    restore_last(soak)
    return "saved and restored"


def cut_while_loading(soak):
    """Somebody truncates a file while it is loaded: refused, or all was read before."""
    need_file(soak)
    saved, choice = soak.saved, soak.choice
    settings = draw_settings(soak, "auto")
    settings.parameters["max-bandwidth"] = choice.choice((4 * MIB, 32 * MIB))
    with Fresh(soak) as fresh:
        settings.apply(fresh.qmp)
        fresh.qmp.call("migrate-incoming", {"uri": file_uri(saved.path, saved.offset),
                                            "exit-on-error": False})
        for _ in range(choice.randint(0, 20)):
            fresh.qmp.call("query-migrate")
        length = choice.randrange(os.path.getsize(saved.path))
        soak.note("cut to %d" % length)
        os.truncate(saved.path, length)
        soak.saved = None
        fresh.qmp.call("migrate-set-parameters", {"max-bandwidth": 0})
        info = wait_final(fresh.qmp)
        if info["status"] == "completed":
            saved.expect_in(fresh.blocks)
        else:
            expect(info["status"] == "failed" and info.get("error-desc"), "after a cut: %s" % info)
        run_state(fresh.qmp)
    return info["status"]
