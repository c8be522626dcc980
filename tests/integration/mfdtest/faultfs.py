"""A file system that fails on command (faultfs.cpp)."""

import os
import subprocess

from . import env


class FaultFs:
    """Mounted at `folder` while it is used; what is written there lies in `backing` as well."""

    def __init__(self, test):
        program = os.environ.get("MFD_FAULTFS", "")
        env.need(program, "no faultfs: MFD_FAULTFS names no program")
        env.need(os.path.exists("/dev/fuse"), "no /dev/fuse")
        self.backing, self.folder = test.path("backing"), test.path("faulty")
        os.mkdir(self.backing)
        os.mkdir(self.folder)
        self.program = subprocess.Popen([program, self.backing, self.folder], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        test.addCleanup(self.close)
        assert self.program.stdout.readline() == "ready\n", "faultfs did not mount"

    def tell(self, *commands):
        for command in commands:
            self.program.stdin.write(command + "\n")
            self.program.stdin.flush()
            answer = self.program.stdout.readline()
            assert answer == "ok\n", answer

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        self.program.stdin.close()
        self.program.stdout.close()
        assert self.program.wait(env.DEADLINE_S) == 0, "faultfs failed"
