"""One save or one load: capabilities, parameters, the command, the wait for the final state."""

import contextlib
import os
from dataclasses import dataclass, field

from . import env
from .qmp import wait_until

_FINAL = ("completed", "failed", "cancelled")


class MigrationFailed(Exception):
    """The migration ended otherwise than completed; `desc` is the error-desc of query-migrate."""

    def __init__(self, info):
        self.info = info
        self.desc = info.get("error-desc", "")
        super().__init__("migration %s: %s" % (info.get("status"), self.desc))


@dataclass(frozen=True)
class Settings:
    """channels: number of multifd channels, None for a migration without multifd."""

    channels: int = None
    direct_io: bool = False
    parameters: dict = field(default_factory=dict)

    def __str__(self):
        multifd = "single" if self.channels is None else "multifd %d" % self.channels
        return multifd + (" direct-io" if self.direct_io else "")

    def apply(self, qmp):
        on = {"mapped-ram": True, "multifd": self.channels is not None, "events": True}
        qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": name, "state": state} for name, state in on.items()]})
        parameters = {"max-bandwidth": 0, "direct-io": self.direct_io}
        if self.channels is not None:
            parameters["multifd-channels"] = self.channels
        parameters.update(self.parameters)
        qmp.call("migrate-set-parameters", parameters)


def state_event(*states):
    """Accepts the MIGRATION events of these states."""
    return lambda event: event["event"] == "MIGRATION" and event["data"]["status"] in states


def wait_final(qmp, timeout=None):
    """What query-migrate says once the migration has ended, whichever way."""
    qmp.event(state_event(*_FINAL), timeout)
    return wait_until(lambda: _when_final(qmp), "query-migrate agrees with the event")


def _when_final(qmp):
    info = qmp.call("query-migrate")
    return info if info.get("status") in _FINAL else None


def _completed(info):
    if info["status"] != "completed":
        raise MigrationFailed(info)
    return info


def save(qmp, uri, settings=None, timeout=None):
    if settings is not None:
        settings.apply(qmp)
    qmp.call("migrate", {"uri": uri})
    return _completed(wait_final(qmp, timeout))


def load(qmp, uri, settings=None, timeout=None):
    if settings is not None:
        settings.apply(qmp)
    qmp.call("migrate-incoming", {"uri": uri, "exit-on-error": False})
    return _completed(wait_final(qmp, timeout))


def run_state(qmp):
    return qmp.call("query-status")["status"]


def allow_next_save(qmp):
    """After a completed save a guest must run or be reset before the next one is accepted."""
    wait_until(lambda: run_state(qmp) == "postmigrate", "the save is over")
    if env.subject() == "qemu":
        # The processor of a real machine would change RAM if it ran, if only for a moment.
        qmp.call("system_reset")
    else:
        qmp.call("cont")
        qmp.call("stop")


def file_uri(name, offset=0):
    return "file:%s" % name + (",offset=0x%x" % offset if offset else "")


def add_fd(qmp, number, path, flags, mode=0o600):
    """Opens PATH and hands the descriptor over; the number it has on the other side."""
    fd = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        return qmp.call("add-fd", {"fdset-id": number}, fds=[fd])["fd"]
    finally:
        os.close(fd)


@contextlib.contextmanager
def fdset(qmp, number, path, access, direct):
    """A set with a plain descriptor of PATH, and a direct one beside it where that is wanted."""
    add_fd(qmp, number, path, access | (os.O_CREAT if access == os.O_WRONLY else 0))
    if direct:
        add_fd(qmp, number, path, access | os.O_DIRECT)
    yield "/dev/fdset/%d" % number
    qmp.call("remove-fd", {"fdset-id": number})
