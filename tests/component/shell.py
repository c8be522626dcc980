#!/usr/bin/env python3
"""multifdctl shell in a terminal, where lines are edited, completed and remembered, and in a pipe."""

import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile

from mfdtest import env, process, runner
from mfdtest.played import PlayedServer
from mfdtest.terminal import Terminal

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PROMPT = "qmp>"


class ShellTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.tool = env.tool("MFD_CTL", "multifdctl")
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.history = os.path.join(self.folder, "state", "multifdctl", "history")
        # The second socket is for the test: each has room for one client.
        self.own_socket = os.path.join(self.folder, "own")
        self.program = process.multifdd([self.ram("m0", 1 << 20)], extra=[
            "-qmp", "unix:%s,server=on,wait=off" % self.own_socket])
        self.program.__enter__()
        self.addCleanup(self.program.__exit__, None, None, None)
        self.program.connect().close()

    def other_client(self):
        """What it does the shell only sees as events."""
        self.program.socket_path, shells = self.own_socket, self.program.socket_path
        qmp = self.program.connect()
        self.program.socket_path = shells
        return qmp


def last_line(screen):
    """The line that is being typed, as far as it can be seen: without blanks at its end."""
    return [line for line in screen if line][-1].rstrip()


class InATerminal(ShellTest):
    def setUp(self):
        env.need(shutil.which("tmux"), "no tmux")
        super().setUp()

    def shell(self, server=None, **variables):
        settings = {"LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", "TZ": "UTC", "HOME": self.folder,
                    "XDG_STATE_HOME": os.path.join(self.folder, "state"), **variables}
        path = (server or self.program).socket_path
        terminal = Terminal([self.tool, "-s", path, "shell"], 100, 40, variables=settings)
        terminal.__enter__()
        self.addCleanup(terminal.__exit__, None, None, None)
        self.shows_line(terminal, PROMPT)
        return terminal

    def shows_line(self, terminal, line):
        return terminal.shows(lambda screen: any(screen) and last_line(screen) == line, repr(line))

    def typed(self, terminal, text, line=None):
        """Types TEXT at the prompt, until it stands there, or LINE."""
        terminal.press("-l", text)
        return self.shows_line(terminal, line or "%s %s" % (PROMPT, text))

    def entered(self, terminal, text, answer):
        """Enters TEXT; the screen once ANSWER, a pattern, stands between it and the next prompt."""
        terminal.enter(text)
        wanted = re.compile(r"^qmp> %s\n%s\nqmp>\s*\Z" % (re.escape(text), answer), re.M | re.S)
        return terminal.shows(lambda screen: wanted.search("\n".join(screen).rstrip()),
                              "the answer to " + text)

    def leave(self, terminal, status=DONE):
        terminal.press("C-d")
        found, screen = terminal.ended()
        self.assertEqual(found, status)
        return screen

    def test_commands_are_answered_and_control_d_leaves(self):
        terminal = self.shell()
        self.assertRegex("\n".join(terminal.capture()), "multifdctl: shell: connected; Tab completes")
        self.entered(terminal, "query-status",
                     r'\{\n  "running": false,\n  "status": "prelaunch"\n\}')
        self.entered(terminal, "migrate-set-parameters multifd-channels=7", r"\{\}")
        self.entered(terminal, '{"execute": "query-name", "id": [1]}',
                     r'\{\n  "id": \[\n    1\n  \],\n  "return": .*\}')
        self.entered(terminal, "cont", r"\d\d:\d\d:\d\d\.\d{6} RESUME\n\{\}")
        self.leave(terminal)
        qmp = self.other_client()
        self.assertEqual(qmp.call("query-migrate-parameters")["multifd-channels"], 7)
        self.assertEqual(qmp.call("query-status")["running"], True)

    def test_a_command_that_fails_is_said_and_remembered_by_the_exit_status(self):
        for text, answer in (
                ("nonsense", r"error: The command nonsense has not been found \(CommandNotFound\)"),
                ("stop now", "error: .*now.*"),
                ("help nonsense", "error: no such command: nonsense"),
                (".fd /dev/null:x", "error: /dev/null:x: the mode is r, w or rw, then .*")):
            with self.subTest(text=text):
                terminal = self.shell()
                self.entered(terminal, text, answer)
                # It is still a shell.
                self.entered(terminal, "query-status", r'\{.*"prelaunch".*\}')
                self.leave(terminal, FAILED)

    def test_tab_completes_commands_arguments_and_values(self):
        terminal = self.shell()
        for typed, completed in (
                ("query-st", "query-status"),
                ("migrate-set-par", "migrate-set-parameters"),
                ("migrate-set-parameters multifd-ch", "migrate-set-parameters multifd-channels="),
                ("migrate-set-parameters direct-io=t", "migrate-set-parameters direct-io=true"),
                ("help query-migrate-c", "help query-migrate-capabilities"),
                ("query-status ", "query-status"), # takes nothing
                ('{"exec', '{"execute"'),
                ('{"execute": "query-st', '{"execute": "query-status"')):
            with self.subTest(typed=typed):
                terminal.press("-l", typed)
                terminal.press("Tab")
                self.shows_line(terminal, "%s %s" % (PROMPT, completed))
                terminal.press("C-u") # away with it
                self.shows_line(terminal, PROMPT)
        # One name only is complete; a value that ends is followed by the next argument.
        terminal.press("-l", "migrate-set-parameters direct-io=t")
        terminal.press("Tab")
        self.shows_line(terminal, "qmp> migrate-set-parameters direct-io=true")
        terminal.enter("multifd-channels=3")
        self.shows_line(terminal, PROMPT)
        self.leave(terminal)
        parameters = self.other_client().call("query-migrate-parameters")
        self.assertEqual((parameters["direct-io"], parameters["multifd-channels"]), (True, 3))

    def test_tab_lists_what_is_possible(self):
        terminal = self.shell()
        terminal.press("-l", "query-migrate")
        terminal.press("Tab")
        terminal.press("Tab")
        screen = terminal.shows(lambda lines: "query-migrate-capabilities" in "\n".join(lines) and
                                last_line(lines) == "qmp> query-migrate", "the commands")
        self.assertIn("query-migrate-parameters", " ".join(screen).split())
        terminal.press("C-u")
        self.shows_line(terminal, PROMPT)
        self.leave(terminal)

    def test_of_a_server_without_a_schema_the_names_of_commands_are_completed(self):
        names = [{"name": name} for name in ("query-status", "query-name", "stop")]
        with PlayedServer({"query-commands": names}) as server:
            terminal = self.shell(server)
            terminal.press("-l", "query-s")
            terminal.press("Tab")
            self.shows_line(terminal, "qmp> query-status")
            terminal.press("Enter")
            screen = self.shows_line(terminal, PROMPT)
            self.assertIn('  "status": "running"', screen)
            self.leave(terminal)
            self.assertEqual(server.commands()[-1], "query-status")

    def test_lines_are_edited_and_the_last_ones_come_back(self):
        terminal = self.shell()
        self.entered(terminal, "query-status", r'\{.*"prelaunch".*\}')
        self.entered(terminal, "query-name", r"\{.*\}")
        terminal.press("Up")
        self.shows_line(terminal, "qmp> query-name")
        terminal.press("Up")
        self.shows_line(terminal, "qmp> query-status")
        terminal.press("Down")
        self.shows_line(terminal, "qmp> query-name")
        terminal.press("C-w")
        self.shows_line(terminal, PROMPT)
        self.typed(terminal, "uery-name")
        terminal.press("Home")
        terminal.press("-l", "q")
        self.shows_line(terminal, "qmp> query-name")
        terminal.press("Enter")
        self.shows_line(terminal, PROMPT)
        self.leave(terminal)

    def test_history_outlives_the_shell_for_its_user_alone(self):
        terminal = self.shell()
        self.entered(terminal, "query-name", r"\{.*\}")
        self.entered(terminal, "exit-not", "error: .*")
        self.leave(terminal, FAILED)
        with open(self.history, encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(), ["query-name", "exit-not"])
        self.assertEqual(stat.S_IMODE(os.stat(self.history).st_mode), 0o600)
        terminal = self.shell()
        terminal.press("Up")
        self.shows_line(terminal, "qmp> exit-not")
        terminal.press("Up")
        self.shows_line(terminal, "qmp> query-name")
        terminal.press("C-u")
        self.shows_line(terminal, PROMPT)
        self.leave(terminal)

    def test_without_a_place_for_history_it_works_all_the_same(self):
        with open(os.path.join(self.folder, "file"), "w", encoding="utf-8"):
            pass
        in_home = os.path.join(self.folder, ".local", "state", "multifdctl", "history")
        for variables, kept in (({"XDG_STATE_HOME": "", "HOME": "nowhere"}, None),
                                ({"XDG_STATE_HOME": os.path.join(self.folder, "file")}, None),
                                ({"XDG_STATE_HOME": "relative"}, in_home)):
            with self.subTest(variables=variables):
                terminal = self.shell(**variables)
                self.entered(terminal, "query-status", r'\{.*"prelaunch".*\}')
                terminal.press("Up")
                self.shows_line(terminal, "qmp> query-status")
                terminal.press("C-u")
                self.shows_line(terminal, PROMPT)
                self.leave(terminal)
                self.assertEqual(os.path.exists(in_home), kept is not None)
        self.assertEqual(sorted(os.listdir(self.folder)), [".local", "file", "own"])

    def test_a_request_over_several_lines_has_another_prompt_until_it_is_complete(self):
        terminal = self.shell()
        terminal.enter('{"execute":')
        self.shows_line(terminal, "...>")
        terminal.enter(' "query-status"')
        terminal.enter("}")
        screen = self.shows_line(terminal, PROMPT)
        self.assertIn('  "status": "prelaunch"', screen)
        self.leave(terminal)

    def test_control_c_drops_the_line_and_what_it_continues_and_stays(self):
        terminal = self.shell()
        self.typed(terminal, "quit")
        terminal.press("C-c")
        screen = self.shows_line(terminal, PROMPT)
        self.assertTrue(any(line.startswith("qmp> quit^C") for line in screen), screen)
        terminal.enter('{"execute":')
        self.shows_line(terminal, "...>")
        terminal.press("C-c")
        self.shows_line(terminal, PROMPT)
        # Neither is part of this.
        self.entered(terminal, "query-status", r'\{.*"prelaunch".*\}')
        self.leave(terminal)
        self.assertTrue(self.program.alive())

    def test_a_termination_gives_the_terminal_back(self):
        terminal = self.shell()
        self.typed(terminal, "query")
        os.kill(terminal.pid_of("multifdctl"), 15)
        self.assertEqual(terminal.ended()[0], INTERRUPTED)

    def test_events_come_above_the_line_that_is_being_typed(self):
        qmp = self.other_client()
        terminal = self.shell()
        self.typed(terminal, "query-sta")
        qmp.call("cont")
        screen = terminal.shows(
            lambda lines: re.search(r"(?m)^\d\d:\d\d:\d\d\.\d{6} RESUME\nqmp> query-sta$",
                                    "\n".join(line.rstrip() for line in lines)),
            "the event, then the line")
        self.assertEqual(last_line(screen), "qmp> query-sta")
        terminal.enter("tus")
        screen = self.shows_line(terminal, PROMPT)
        self.assertIn('  "running": true,', screen)
        self.leave(terminal)

    def test_help_lists_commands_and_their_arguments(self):
        terminal = self.shell()
        screen = self.entered(terminal, "help query-status", "  no arguments")
        screen = self.entered(terminal, "help migrate-set-parameters", r".*\(optional\)")
        self.assertIn("  multifd-channels=int  (optional)", [line.rstrip() for line in screen])
        self.assertIn("  direct-io=bool  (optional)", [line.rstrip() for line in screen])
        terminal.tmux("clear-history")
        terminal.enter("help")
        terminal.shows(lambda lines: last_line(lines) == PROMPT and
                       not any("(optional)" in line for line in lines), "the list")
        said = terminal.capture("-S", "-", "-J")
        self.assertTrue(any(line.startswith("exit, or ^D ") for line in said), said)
        self.assertTrue({"migrate", "query-status"} <= {line.strip() for line in said})
        terminal.enter("exit")
        self.assertEqual(terminal.ended()[0], DONE)

    def test_a_descriptor_goes_with_the_next_command_only(self):
        terminal = self.shell()
        terminal.enter(".fd /dev/null:rw")
        self.entered(terminal, "add-fd fdset-id=4", r'\{.*"fdset-id": 4.*\}')
        self.entered(terminal, "add-fd fdset-id=4", "error: No file descriptor supplied .*")
        self.typed(terminal, ".fd /dev/null:rw")
        terminal.press("Enter")
        # The terminal forgets with ^C what nobody has read yet.
        self.shows_line(terminal, PROMPT)
        terminal.press("C-c")  # drops the descriptor too
        terminal.shows(lambda lines: any("^C" in line for line in lines), "^C")
        self.entered(terminal, "add-fd fdset-id=4", "error: No file descriptor supplied .*")
        self.leave(terminal, FAILED)
        sets = self.other_client().call("query-fdsets")
        self.assertEqual([(entry["fdset-id"], len(entry["fds"])) for entry in sets], [(4, 1)])

    def test_quit_ends_server_and_shell(self):
        terminal = self.shell()
        terminal.enter("quit")
        self.assertEqual(terminal.ended()[0], DONE)
        self.assertEqual(self.program.wait(), 0)

    def test_a_server_that_goes_away_is_said(self):
        terminal = self.shell()
        self.typed(terminal, "query")
        self.program.process.terminate()
        status, screen = terminal.ended()
        self.assertEqual(status, FAILED)
        self.assertIn("multifdctl: shell: connection lost", "\n".join(screen))


class InAPipe(ShellTest):
    def run_shell(self, text, status=DONE):
        done = subprocess.run([self.tool, "-s", self.program.socket_path, "shell"],
                              input=text, capture_output=True, text=True, timeout=env.DEADLINE_S,
                              check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_the_last_line_needs_no_end_and_exit_ends_before_the_rest(self):
        self.assertIn('"prelaunch"', self.run_shell("query-status").stdout)
        self.assertEqual(self.run_shell("exit\nquit\n").stdout, "")
        self.assertTrue(self.program.alive())

    def test_what_fails_is_named_on_stderr_and_the_rest_is_done(self):
        done = self.run_shell("nonsense\n{\"execute\": 1}\nhelp nonsense\ncont\n", FAILED)
        self.assertIn("multifdctl: shell: The command nonsense has not been found "
                      "(CommandNotFound)\n", done.stderr)
        self.assertEqual(done.stderr.count("multifdctl: shell: "), 3)
        self.assertIn("multifdctl: shell: no such command: nonsense\n", done.stderr)
        self.assertIn(" RESUME\n{}\n", done.stdout)

    def test_an_interruption_ends_it(self):
        with subprocess.Popen([self.tool, "-s", self.program.socket_path, "shell"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
            shell.stdin.write("query-status\n")
            shell.stdin.flush()
            self.assertEqual(shell.stdout.readline(), "{\n") # signals are blocked by now
            shell.send_signal(2)
            self.assertEqual(shell.wait(env.DEADLINE_S), INTERRUPTED)
            shell.stdin.close()

    def test_a_server_that_goes_away_before_the_next_command_is_said(self):
        with subprocess.Popen([self.tool, "-s", self.program.socket_path, "shell"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as shell:
            shell.stdin.write("query-status\n")
            shell.stdin.flush()
            self.assertEqual(shell.stdout.readline(), "{\n")
            self.program.process.terminate()
            self.assertIn("multifdctl: shell: connection lost", shell.stderr.read())
            self.assertEqual(shell.wait(env.DEADLINE_S), FAILED)
            shell.stdin.close()

    def test_a_socket_that_nobody_serves_is_a_wrong_argument(self):
        with socket.socket(socket.AF_UNIX) as dead:
            self.program.socket_path = os.path.join(self.folder, "dead")
            dead.bind(self.program.socket_path)
        self.assertIn("nothing listens there", self.run_shell("", USAGE).stderr)


if __name__ == "__main__":
    runner.main()
