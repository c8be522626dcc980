#!/usr/bin/env python3
"""Manual pages and completions know every option and command that --help shows, and no other."""

import os
import re
import subprocess

from mfdtest import env, runner

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
#: Each program and the source of its page.
PROGRAMS = [("multifdd", "daemon/multifdd.8.in"), ("multifdctl", "qmp/ctl/multifdctl.1.in")]
OPTION = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")


def printed(program, *arguments):
    return subprocess.run([env.tool("MFD_CTL", program) if program == "multifdctl" else env.daemon(),
                           *arguments], capture_output=True, text=True, check=True).stdout


def described(program, *command):
    """The options of --help: what stands in the first column."""
    text = printed(program, *command, "--help").split("\nExamples:")[0].split("\nExample:")[0]
    columns = re.findall(r"^  (-\S+)", text, re.MULTILINE)
    return {option for column in columns for option in OPTION.findall(column.replace(",", " "))}


def commands():
    text = printed("multifdctl", "--help").split("Subcommands:")[1].split("Examples:")[0]
    return re.findall(r"^  (\w+)", text, re.MULTILINE)


class CliDocs(runner.TestCase):
    def completed(self, program, *words):
        """What bash offers for the last of WORDS."""
        script = self.path(program)
        with open(script, "w", encoding="utf-8") as file:
            file.write(printed(program, "--print-completion", "bash"))
        ask = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_$1"; ' \
              'printf "%s\\n" "${COMPREPLY[@]}"'
        said = subprocess.run(["bash", "-euc", ask, "bash", script, program, *words],
                              capture_output=True, text=True, check=True).stdout
        return said.split()

    def test_bash_offers_what_help_shows(self):
        self.assertEqual(set(self.completed("multifdd", "-")), described("multifdd"))
        self.assertEqual(set(self.completed("multifdctl", "-")), described("multifdctl"))
        self.assertEqual(self.completed("multifdctl", "-g", "x", ""), commands())
        own = described("multifdctl")
        for command in commands():
            self.assertEqual(set(self.completed("multifdctl", "-g", "x", command, "-")),
                             described("multifdctl", command) | own)

    def test_bash_offers_the_values_of_a_choice(self):
        self.assertEqual(self.completed("multifdd", "--log-level", "d"), ["debug"])
        self.assertEqual(self.completed("multifdctl", "save", "--zero-page-detection", ""),
                         ["none", "legacy", "multifd"])

    def test_manual_pages_zsh_and_fish_have_every_option(self):
        for program, page in PROGRAMS:
            options = described(program)
            if program == "multifdctl":
                options = options.union(*(described(program, command) for command in commands()))
            man = printed(program, "--print-man", os.path.join(TREE, page))
            listed = " ".join(line for line in man.splitlines() if line.startswith(".It Fl"))
            listed = {"-" + name.replace("\\-", "-") for name in re.findall(r"Fl (\S+)", listed)}
            self.assertEqual(listed, options, page)
            self.assertNotIn("@", re.sub(r"multifdd[\\\w-]*@", "", man), "an unfilled place in " + page)
            zsh = printed(program, "--print-completion", "zsh")
            self.assertEqual(set(re.findall(r"'\*(-[\w-]+)\[", zsh)), options, "zsh")
            fish = printed(program, "--print-completion", "fish")
            self.assertEqual({("-" if flag == "s" else "--") + name
                              for flag, name in re.findall(r" -([sl]) ([\w-]+)", fish)},
                             options, "fish")


if __name__ == "__main__":
    runner.main()
