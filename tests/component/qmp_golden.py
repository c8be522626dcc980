#!/usr/bin/env python3
"""The recorded conversations with a real QEMU, played to multifdd by the replayer beside them."""

import concurrent.futures
import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile

from mfdtest import env, runner

HERE = os.path.dirname(os.path.abspath(__file__))

#: Not asked of an implementation: what a sane server does better. See the folder's README.
SKIPPED_TAGS = "quirk"

#: Limits of the conversations are for an idle machine.
SCALE = "2"


class GoldenConversations(runner.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = env.shared("golden", "qmp")
        program = env.qemu() if env.subject() == "qemu" else env.daemon()
        self.environment = dict(os.environ, MFD_PROGRAM=program)
        with open(os.path.join(HERE, "qmp_differences.json"), encoding="utf-8") as file:
            self.differences = {entry["conversation"]: entry
                                for entry in json.load(file)["differences"]}

    def replay(self, conversation):
        """"passed", "skipped" with the reason, or "failed" with the mismatch."""
        # The replayer's sockets lie in its scratch folder, and their paths must be short.
        with tempfile.TemporaryDirectory(prefix="mfd-", dir="/var/tmp") as scratch:
            done = subprocess.run(
                [sys.executable, os.path.join(self.folder, "replay.py"), "--scale", SCALE,
                 "--launch", "exec " + shlex.quote(os.path.join(HERE, "launch.sh")),
                 "--scratch", scratch, "--skip-tags", SKIPPED_TAGS, conversation]
                + (["--reference"] if env.subject() == "qemu" else []),
                env=self.environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if done.returncode != 0:
            return "failed", said
        skipped = [line for line in said.splitlines() if line.startswith("SKIP")]
        return ("skipped", skipped[0]) if skipped else ("passed", "")

    def replay_with_differences(self, name):
        """The conversation as recorded, or changed as its entry in the list of differences says."""
        original = os.path.join(self.folder, name)
        entry = self.differences.get(name)
        if entry is None:
            return self.replay(original)
        changed = self.path(name)
        with open(original, encoding="utf-8") as source, \
                open(changed, "w", encoding="utf-8") as out:
            for number, line in enumerate(source, 1):
                for text, pattern in entry.get("texts", {}).items():
                    line = line.replace(json.dumps(text), json.dumps(pattern))
                step = entry.get("steps", {}).get(str(number), line)
                if step is not None:
                    out.write(step if step is line else json.dumps(step) + "\n")
        outcome, said = self.replay(changed)
        if outcome == "passed" and self.replay(original)[0] == "passed":
            return "failed", "passes as recorded: its entry in qmp_differences.json is not needed"
        return outcome, said

    def test_every_recorded_conversation_matches_but_for_the_listed_differences(self):
        names = sorted(os.path.basename(path)
                       for path in glob.glob(os.path.join(self.folder, "*.jsonl")))
        self.assertGreater(len(names), 0)
        unknown = set(self.differences) - set(names)
        self.assertFalse(unknown, "differences of conversations that do not exist")
        records = runner.Records("conversation", "outcome", "difference")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, (outcome, said) in zip(names, pool.map(self.replay_with_differences, names)):
                reason = self.differences.get(name, {}).get("reason", "")
                with records.record(name, outcome, reason or said.strip().replace("\n", " ")[:300]):
                    self.assertNotEqual(outcome, "failed", said)
                    if outcome == "skipped" and env.required():
                        self.assertIn("tag is left out", said, "cannot run here")
        records.check(self)

    def test_every_listed_difference_has_a_reason(self):
        for name, entry in self.differences.items():
            self.assertTrue(entry["reason"].strip(), name)
            self.assertTrue(entry.get("steps") or entry.get("texts"), name)


if __name__ == "__main__":
    runner.main()
