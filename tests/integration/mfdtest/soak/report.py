"""Counts of a run, and its tables."""

import collections
import json

from .. import runner


#: Enough for the report of a sanitizer.
_LOG_SHOWN = 30000


class Counts:
    def __init__(self):
        self.outcomes = collections.Counter()

    def add(self, operation, outcome):
        self.outcomes[operation, outcome] += 1

    def total(self):
        return sum(self.outcomes.values())

    def table(self):
        rows = sorted((operation, outcome, count)
                      for (operation, outcome), count in self.outcomes.items())
        return runner.table([("operation", "outcome", "times")] + rows)

    def as_json(self):
        return [{"operation": operation, "outcome": outcome, "times": times}
                for (operation, outcome), times in sorted(self.outcomes.items())]


def say(text):
    print(text, flush=True)


def write_json(path, content):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


def footprint_table(series):
    return runner.table(series.table())


def last_words(soak, error):
    """What is needed to look into a failure."""
    say("---- operation: " + soak.operation)
    for line in soak.doing:
        say("     " + line)
    log = soak.daemon.log()
    say("---- %s: %s\n---- the daemon's log:\n%s" % (type(error).__name__, error,
                                                    log[-_LOG_SHOWN:]))
