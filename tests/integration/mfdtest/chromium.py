"""A page in a headless Chromium, driven through the pipe of its DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from . import env

#: Its start alone takes long where everything else runs at the same time.
_DEADLINE_S = 5 * env.DEADLINE_S

_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync",
            "--disable-extensions", "--disable-background-networking",
            "--disable-component-update", "--disable-dev-shm-usage", "--no-first-run",
            "--no-default-browser-check", "--force-device-scale-factor=1", "--hide-scrollbars",
            "--remote-debugging-pipe")


def need():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    env.need(path, "no Chromium: chromium is not installed")
    return path


class Page:
    """A context manager: the one page of a browser, which ends with it."""

    def __init__(self, path, width=1280, height=800):
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.log = os.path.join(self.folder, "log")
        self.last_id, self.events, self.rest, self.session = 0, [], b"", None
        from_us, self.to_browser = os.pipe()
        self.from_browser, to_us = os.pipe()
        # The browser wants them as descriptors 3 and 4; both may be in use here.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (from_us, to_us)]
        def place():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)
        words = [need(), *_OPTIONS, "--user-data-dir=" + os.path.join(self.folder, "profile"),
                 "about:blank"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, preexec_fn=place, close_fds=False, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        for end in (from_us, to_us, *ends):
            os.close(end)
        try:
            self._open(path, width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to_browser)
        os.close(self.from_browser)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, path, width, height):
        target = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Network.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self._wait(lambda: any(event["method"] == "Page.loadEventFired" for event in self.events))

    def _wait(self, done):
        """Takes in messages until DONE; its value."""
        end = time.monotonic() + _DEADLINE_S
        while not (value := done()):
            ready, _, _ = select.select([self.from_browser], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.from_browser, 1 << 20) if ready else b""
            if not piece:
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    raise AssertionError("the browser says no more:\n" + log.read()[-4000:])
            *whole, self.rest = (self.rest + piece).split(b"\0")
            self.events += [json.loads(text) for text in whole]
        return value

    def call(self, method, **parameters):
        self.last_id += 1
        number = self.last_id
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        # Short enough for the pipe, so this does not block.
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        reply = self._wait(lambda: next((one for one in self.events if one.get("id") == number),
                                        None))
        self.events.remove(reply)
        self.events = [one for one in self.events if "method" in one]
        if "error" in reply:
            raise AssertionError("%s: %s" % (method, reply["error"]))
        return reply["result"]

    def evaluate(self, expression):
        """The value of EXPRESSION in the page, when two more frames have been drawn."""
        result = self.call("Runtime.evaluate", awaitPromise=True, returnByValue=True, expression=(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame("
            "() => done(%s))))" % expression))
        if "exceptionDetails" in result:
            raise AssertionError("%s: %s" % (expression, result["exceptionDetails"]))
        return result["result"].get("value")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def move(self, x, y):
        self.mouse("mouseMoved", x, y)

    def wheel(self, x, y, delta):
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=delta)

    def drag(self, start, end):
        button = {"button": "left", "buttons": 1}
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, clickCount=1, **button)
        self.mouse("mouseMoved", *end, **button)
        self.mouse("mouseReleased", *end, clickCount=1, button="left")

    def key(self, key, text=""):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self):
        """A PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def requests(self):
        """What the page has asked the network or the file system for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def faults(self):
        """Scripts that failed, and what the console was told."""
        return [event["params"] for event in self.events
                if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")]
