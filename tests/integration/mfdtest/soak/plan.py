"""One save with all its settings, drawn at random."""

from dataclasses import dataclass

from ..migrate import Settings, file_uri

MIB = 1 << 20
AT_ONCE_MS = 2000000


@dataclass
class Plan:
    """TARGET: "new" (a path where nothing is), "over" (a file that is there), "fdset". All settings
    are told for every save, so that nothing of the one before is left."""

    live: bool
    target: str
    offset: int
    channels: int
    direct: bool
    parameters: dict
    auto_converge: bool = False

    def settings(self):
        return Settings(self.channels, self.direct, self.parameters)

    def apply(self, qmp):
        self.settings().apply(qmp)
        qmp.call("migrate-set-capabilities", {"capabilities": [
            {"capability": "auto-converge", "state": self.auto_converge}]})

    def uri(self, name):
        return file_uri(name, self.offset)

    @property
    def checksums(self):
        return self.parameters["x-checksum"]

    @property
    def appears_complete(self):
        return self.target == "new" and self.parameters["x-atomic"]

    def with_parameters(self, **changes):
        self.parameters.update({name.replace("_", "-"): value for name, value in changes.items()})
        return self

    def __str__(self):
        told = ", ".join("%s=%s" % pair for pair in sorted(self.parameters.items()))
        return "%s save to %s, offset 0x%x, %s, %s%s" % (
            "live" if self.live else "stopped", self.target, self.offset, self.settings(), told,
            ", auto-converge" if self.auto_converge else "")


def draw(choice, engines, live=None, target=None):
    return Plan(
        live=choice.random() < 0.3 if live is None else live,
        target=target or choice.choice(("new", "new", "over", "fdset")),
        offset=choice.choice((0, 0, 0, 0x1000, 0x10671, 3 * MIB)),
        channels=choice.choice((None, 1, 2, 2, 3, 8)),
        direct=choice.random() < 0.5,
        auto_converge=choice.random() < 0.2,
        parameters={
            "x-sync": choice.random() < 0.7,
            "x-atomic": choice.random() < 0.6,
            "x-preallocate": choice.random() < 0.2,
            "x-reuse-blocks": choice.random() < 0.4,
            "x-punch-hole": choice.random() < 0.7,
            "x-checksum": choice.random() < 0.7,
            "x-io-engine": choice.choice(engines),
            "downtime-limit": choice.choice((AT_ONCE_MS, 300, 50)),
        })
