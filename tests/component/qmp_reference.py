#!/usr/bin/env python3
"""daemon/QMP.md is what the declarations of the commands say."""

import os
import subprocess

from mfdtest import env, runner

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "daemon", "QMP.md")


class ReferencePage(runner.TestCase):
    def test_the_page_in_the_tree_is_the_one_the_daemon_prints(self):
        printed = subprocess.run([env.daemon(), "--print-qmp-reference"], capture_output=True,
                                 text=True, check=True).stdout
        with open(PAGE, encoding="utf-8") as file:
            self.assertEqual(file.read(), printed,
                             "write it again: multifdd --print-qmp-reference > daemon/QMP.md")


if __name__ == "__main__":
    runner.main()
