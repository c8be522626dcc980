"""A QMP server that is played by the test: other versions, odd answers, ends at a bad moment."""

import json
import os
import shutil
import socket
import tempfile
import threading

from . import env

CAPABILITIES = ("events", "mapped-ram", "multifd", "pause-before-switchover")

#: What any server answers, unless the test has another answer.
_USUAL = {
    "qmp_capabilities": {},
    "query-name": {},
    "query-status": {"status": "running", "running": True},
    "query-memdev": [],
    "query-migrate": {},
    "query-migrate-capabilities": [{"capability": name, "state": False} for name in CAPABILITIES],
    "query-migrate-parameters": {"multifd-channels": 2, "direct-io": False, "max-bandwidth": 0},
    "migrate-set-capabilities": {},
    "migrate-set-parameters": {},
    "migrate": {},
    "migrate-incoming": {},
    "add-fd": {"fdset-id": 3, "fd": 9},
    "remove-fd": {},
    "query-fdsets": [],
    "stop": {},
    "cont": {},
}


class Refusal(Exception):
    """An answer that is an error reply."""


class HangUp(Exception):
    """No answer; the connection is closed."""


class Last:
    """An answer behind which the connection is closed."""

    def __init__(self, answer):
        self.answer = answer


class Silence(Exception):
    """No answer; the connection stays."""


class PlayedServer:
    """A context manager. ANSWERS, by command: a value, one of the above, Turns of them, or a function
    that is given the arguments and returns one. `asked` has (command, arguments) in their order. It
    serves one client after the other, in a thread of its own."""

    def __init__(self, answers, path=None):
        self.answers = {**_USUAL, **answers}
        self.asked = []
        self.fault = None
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.socket_path = path or os.path.join(self.folder, "qmp")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.socket_path)
        self._listening.listen(8)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(env.DEADLINE_S)
        self._listening.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.fault and not kind:
            raise self.fault

    def commands(self):
        return [command for command, _ in self.asked]

    def arguments_of(self, command):
        return [arguments for name, arguments in self.asked if name == command]

    def _serve(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return  # shut down
            try:
                with client:
                    self._talk(client)
            except (HangUp, ConnectionError):
                pass
            except Exception as fault:  # pylint: disable=broad-except  # raised where it is seen
                self.fault = fault

    def _talk(self, client):
        client.sendall(b'{"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 0}, '
                       b'"package": ""}, "capabilities": []}}\r\n')
        # Descriptors that come along are dropped by a read that does not ask for them.
        with client.makefile("rb") as lines:
            for line in lines:
                self._answer(client, json.loads(line))

    def _answer(self, client, request):
        command, arguments = request["execute"], request.get("arguments", {})
        self.asked.append((command, arguments))
        answer = self.answers.get(command, Refusal("The command %s has not been found" % command))
        if isinstance(answer, Turns):
            answer = answer.next()
        if callable(answer):
            answer = answer(arguments)
        ends = isinstance(answer, Last)
        if ends:
            answer = answer.answer
        reply = {"return": answer}
        if isinstance(answer, Refusal):
            reply = {"error": {"class": "GenericError", "desc": str(answer)}}
        elif isinstance(answer, Silence):
            return
        elif isinstance(answer, HangUp):
            raise answer
        if "id" in request:
            reply["id"] = request["id"]
        client.sendall(json.dumps(reply).encode() + b"\r\n")
        if ends:
            raise HangUp


class Turns:
    """Answers one after the other; the last one stays."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def next(self):
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
