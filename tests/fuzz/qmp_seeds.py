#!/usr/bin/env python3
"""What the clients of the recorded conversations sent, as inputs of fuzz_framer and fuzz_connection:
qmp_seeds.py CONVERSATIONS FOLDER, where folders of those names are made."""

import json
import pathlib
import sys


def sent(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        step = json.loads(line)
        if "send" in step:
            yield json.dumps(step["send"]).encode()
        elif "send-hex" in step:
            yield bytes.fromhex(step["send-hex"])


def main():
    conversations, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for target in ("framer", "connection"):
        (folder / target).mkdir(parents=True, exist_ok=True)
    negotiation = b'{"execute": "qmp_capabilities"}`r\n'
    for path in sorted(conversations.glob("*.jsonl")):
        lines = [line for line in sent(path) if b"`" not in line]
        if not lines:
            continue
        # The first byte says in which pieces the rest comes.
        (folder / "framer" / path.stem).write_bytes(b"a" + b"\n".join(lines) + b"\n")
        (folder / "connection" / path.stem).write_bytes(negotiation + b"`r\n".join(lines) + b"`r\n")


if __name__ == "__main__":
    main()
