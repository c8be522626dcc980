"""A program in a terminal of tmux: its screen as text, keys, another size."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile

from . import env
from .qmp import wait_until

#: Runs the program between two looks at the terminal's settings, and stays, so that the screen does.
#: ^C is for the program, not for the shell.
_SCRIPT = """trap : INT
stty -g >before
%s
printf 'status=%%d\\n' $?
stty -g >after
exec sleep 1000000
"""


class Terminal:
    """A context manager; the program gets `variables` besides the environment of the test."""

    def __init__(self, words, columns=80, rows=24, variables=None):
        env.need(shutil.which("tmux"), "no tmux")
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.columns, self.rows = columns, rows
        settings = " ".join("%s=%s" % (name, shlex.quote(value))
                            for name, value in (variables or {}).items())
        with open(os.path.join(self.folder, "script"), "w", encoding="utf-8") as file:
            file.write(_SCRIPT % ("env %s %s" % (settings, shlex.join(words))))
        self.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  "cd %s && exec sh script" % shlex.quote(self.folder))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            env.warn("---- the screen was:\n%s\n----" % "\n".join(self.capture()))
        self.tmux("kill-server", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def tmux(self, *words, check=True):
        settings = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm-256color")
        settings.pop("NO_COLOR", None)
        settings.pop("TMUX", None)
        return subprocess.run(["tmux", "-S", os.path.join(self.folder, "tmux"), *words],
                              capture_output=True, text=True, check=check, env=settings,
                              timeout=env.DEADLINE_S).stdout

    def capture(self, *options):
        """The lines of the screen, as many as it has rows."""
        lines = self.tmux("capture-pane", "-p", *options).split("\n")[:-1]
        return lines + [""] * (self.rows - len(lines))

    def shows(self, accept, what):
        """Waits for a screen that ACCEPT takes and that is drawn: it is the same a moment later."""
        def same_twice():
            screen = self.capture()
            return screen if accept(screen) and self.capture() == screen else None
        return wait_until(same_twice, "the terminal shows " + what)

    def shows_now(self, accept, what):
        """As above, of a screen that may be another one a moment later."""
        def accepted():
            screen = self.capture()
            return screen if accept(screen) else None
        return wait_until(accepted, "the terminal shows " + what)

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def enter(self, text):
        """Types TEXT and ends the line."""
        self.press("-l", text)
        self.press("Enter")

    def pid_of(self, program):
        """The process of PROGRAM in the terminal."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        with open("/proc/%s/task/%s/children" % (shell, shell), encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        for pid in children:
            if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == program:
                return pid
        raise AssertionError("%s does not run in the terminal" % program)

    def ended(self):
        """Waits for the program's end: its exit status and what it left on the screen. The terminal
        must be as it was before."""
        # Behind "^C", where the terminal shows what is typed.
        found = re.compile(r"^(?:\^C)?status=(\d+)$", re.MULTILINE)
        screen = self.shows(lambda lines: found.search("\n".join(lines)), "the exit status")
        def settings(name):
            with open(os.path.join(self.folder, name), encoding="ascii") as file:
                return file.read()
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "after")) and settings("after"),
                   "the settings of the terminal are known")
        state = self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split()
        if settings("before") != settings("after") or state != ["0", "1"]:
            raise AssertionError("the terminal is not as it was before: %s" % state)
        return int(found.search("\n".join(screen))[1]), screen
