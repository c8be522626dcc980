"""Plays a conversation that libvirt held with QEMU; its rules stand in its first line."""

import json
import os

from mfdtest import env
from mfdtest.qmp import Lost, QmpError, wait_until

FINAL = ("completed", "failed", "cancelled")

#: Sent by QEMU whenever a pass over memory begins; the recordings list only some of them.
UNLISTED_EVENTS = ("MIGRATION_PASS",)


#: Commands about the machine that a daemon without a machine still has to carry out.
GUEST_COMMANDS = ("stop", "cont")


class Mismatch(AssertionError):
    pass


def fits(pattern, value):
    """Members that PATTERN does not name are allowed, in objects of any depth."""
    if isinstance(pattern, str) and pattern.startswith("@"):
        return {"@any": True,
                "@int": isinstance(value, int) and not isinstance(value, bool),
                "@num": isinstance(value, (int, float)) and not isinstance(value, bool)}[pattern]
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and fits(part, value[name]) for name, part in pattern.items())
    if isinstance(pattern, list):
        return (isinstance(value, list) and len(value) == len(pattern)
                and all(map(fits, pattern, value)))
    return pattern == value


def read(name):
    """The meta line and the steps of a conversation."""
    with open(env.shared("golden", name), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    return lines[0]["_meta"], lines[1:]


def fill_in(value, variables):
    """VALUE with ${NAME} replaced in every text."""
    text = json.dumps(value)
    for name, replacement in variables.items():
        text = text.replace("${%s}" % name, json.dumps(str(replacement))[1:-1])
    return json.loads(text)


def open_like_the_manager(entry, header):
    """Opens a descriptor as the recording says; one that truncates has written the header first."""
    flags = 0
    for name in entry["flags"]:
        flags |= getattr(os, name)
    fd = os.open(entry["open"], flags | os.O_CLOEXEC, int(entry.get("mode", "0600"), 8))
    if flags & os.O_TRUNC:
        os.write(fd, header)
    os.lseek(fd, int(str(entry.get("position", "0")), 0), os.SEEK_SET)
    return fd


class Player:
    """Plays the steps of one conversation to a running program."""

    def __init__(self, program, qmp, header):
        self.program = program
        self.qmp = qmp
        self.header = header
        #: Event patterns that must still come, in this order.
        self.wanted_events = []
        self.last_data = None
        #: Called with the name of a command before it is sent.
        self.before = lambda command: None

    def play(self, steps):
        for step in steps:
            if "send" in step:
                self._send(step)
            elif step.get("async"):
                self._expect_event(step)
            elif "action" in step:
                self._act(step["action"])
            else:
                raise Mismatch("a step of unknown kind: %s" % json.dumps(step))
        self.finish()

    def finish(self):
        """Every event that is not optional has come by now or comes within the deadline."""
        while any(not step.get("optional") for step in self.wanted_events):
            self._take_event()

    def _send(self, step):
        if step.get("optional"):
            return
        command = step["send"]
        self.before(command["execute"])
        fds = [open_like_the_manager(entry, self.header) for entry in step.get("fds", [])]
        try:
            reply = self._call(command["execute"], command.get("arguments"), fds)
        finally:
            for fd in fds:
                os.close(fd)
        patterns = step.get("any_of") or [step["expect"]]
        # The machine around the memory is not there: questions about it may be refused.
        if step["scope"] == "vm" and "error" in reply and command["execute"] not in GUEST_COMMANDS:
            return
        if not any(fits(without_id(pattern), reply) for pattern in patterns):
            raise Mismatch("%s was answered with %s, expected %s" % (
                json.dumps(command), json.dumps(reply), json.dumps(patterns)))

    def _call(self, command, arguments, fds):
        try:
            return {"return": self.qmp.call(command, arguments, fds)}
        except QmpError as error:
            return {"error": {"class": error.error_class, "desc": error.desc}}

    def _expect_event(self, step):
        """A greeting is not an event; the client has read it. What follows a state waits for it."""
        if "QMP" in step["expect"]:
            if not fits(step["expect"], self.qmp.greeting):
                raise Mismatch("greeting %s" % json.dumps(self.qmp.greeting))
            return
        self.wanted_events.append(step)
        if step["expect"]["event"] == "MIGRATION" and not step.get("optional"):
            self.finish()

    def _take_event(self):
        event = self.qmp.event(lambda event: True)
        if env.subject() == "qemu" and event.get("data") == {"status": "failed"} == self.last_data:
            return  # QEMU may report a failed channel twice
        self.last_data = event.get("data")
        while self.wanted_events:
            step = self.wanted_events.pop(0)
            if fits(step["expect"], event):
                return
            if not step.get("optional"):
                self.wanted_events.insert(0, step)
                break
        if event["event"] not in UNLISTED_EVENTS:
            raise Mismatch("event %s came, expected %s" % (
                json.dumps(event), json.dumps([step["expect"] for step in self.wanted_events[:1]])))

    def _act(self, action):
        if "kill" in action:
            self.program.process.terminate()
            self.finish()
            if self.program.wait() != 0:
                raise Mismatch("SIGTERM ended it with %d" % self.program.process.returncode)
        elif "sleep_ms" in action:
            # The pause only gave the migration time to end.
            wait_until(self._migration_is_over, "the migration has ended")
        else:
            raise Mismatch("an action of unknown kind: %s" % json.dumps(action))

    def _migration_is_over(self):
        if not self.program.alive():
            raise Lost("the program has ended with %s" % self.program.process.returncode)
        return self.qmp.call("query-migrate").get("status") in FINAL


def without_id(pattern):
    """The client of the tests matches replies to commands by their order instead."""
    return {name: part for name, part in pattern.items() if name != "id"}
