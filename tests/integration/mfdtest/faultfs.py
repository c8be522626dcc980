"""A file system that fails on command (faultfs.cpp)."""

import os
import select
import subprocess
import tempfile

from . import env

#: The library below faultfs is no subject of a test: its leaks and what looks like races in it,
#: since it is built without sanitizers, must not decide about one.
_UNWATCHED = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "report_bugs=0"}


class FaultFs:
    """Mounted at `folder` while it is used; what is written there lies in `backing` as well."""

    def __init__(self, test):
        program = os.environ.get("MFD_FAULTFS", "")
        env.need(program, "no faultfs: MFD_FAULTFS names no program")
        env.need(os.path.exists("/dev/fuse"), "no /dev/fuse")
        self.backing, self.folder = (os.path.realpath(test.path(name))
                                     for name in ("backing", "faulty"))
        os.mkdir(self.backing)
        os.mkdir(self.folder)
        self.errors = tempfile.TemporaryFile()
        self.program = subprocess.Popen([program, self.backing, self.folder], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=_environment())
        test.addCleanup(self.close)
        said = self._answer()
        assert said == "ready\n", self._sad("did not mount, but said %r" % said)

    def tell(self, *commands):
        for command in commands:
            try:
                self.program.stdin.write(command + "\n")
                self.program.stdin.flush()
            except OSError as error:
                raise AssertionError(self._sad("does not listen: %s" % error)) from error
            said = self._answer()
            assert said == "ok\n", self._sad("said %r to '%s'" % (said, command))

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        """Ends it, which unmounts; whatever keeps it from that, nothing stays mounted."""
        try:
            self.program.stdin.close()
        except OSError:
            pass  # it has ended, and its status says how
        try:
            status = self.program.wait(env.DEADLINE_S)
            assert status == 0, self._sad("ended with status %d" % status)
            assert not self._mounted(), self._sad("ended, but is still mounted")
        except subprocess.TimeoutExpired as error:
            raise AssertionError(self._sad("did not end in %d s" % env.DEADLINE_S)) from error
        finally:
            self.program.kill()
            self.program.wait()
            self.program.stdout.close()
            self.errors.close()
            if self._mounted():
                subprocess.run(["umount", "-l", self.folder], check=False)

    def _mounted(self):
        """By the kernel's list: a look at the folder itself fails once its program is gone."""
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            return any(line.split()[1].replace("\\040", " ") == self.folder for line in mounts)

    def _answer(self):
        ready, _, _ = select.select([self.program.stdout], [], [], env.DEADLINE_S)
        return self.program.stdout.readline() if ready else ""

    def _sad(self, what):
        self.errors.seek(0)
        said = self.errors.read().decode("utf-8", "replace")
        return "faultfs at %s %s (status %s); on its standard error:\n%s" % (
            self.folder, what, self.program.poll(), said or "nothing")


def _environment():
    variables = dict(os.environ)
    for name, option in _UNWATCHED.items():
        variables[name] = ":".join(filter(None, (variables.get(name), option)))
    return variables
