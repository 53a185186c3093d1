"""Arms: the configurations that are measured side by side.

An arm is a way to connect a guest and a NIC model. Names are words that `--arms` takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qemunet_tests import modes
from qemunet_tests.errors import UsageError
from qemunet_tests.modes import Way

DEFAULT_WAYS = ("bridge", "user")
DEFAULT_NICS = ("virtio-net-pci", "e1000")
#: The same configuration again, under another name: what differs between the two is noise.
AGAIN = "-again"
#: The same with the QEMU that `--baseline` names.
BASELINE = "-baseline"
#: Short names that the command line takes.
NIC_WORDS = {"virtio-net": "virtio-net-pci", "virtio": "virtio-net-pci"}


@dataclass(frozen=True)
class Arm:
    """One configuration. `name` tells it from others; `way` says how the guest is connected."""

    way: str
    nic: str
    suffix: str = ""

    @property
    def name(self) -> str:
        return self.way + self.suffix

    @property
    def configuration(self) -> Way:
        """What its mode knows of this way."""
        return modes.ways()[self.way]

    @property
    def between_guests(self) -> bool:
        """Whether the far end is a second guest and not the host."""
        return self.configuration.between_guests

    @property
    def key(self) -> str:
        return f"{self.name}/{self.nic}"

    @property
    def is_again(self) -> bool:
        return self.suffix == AGAIN

    @property
    def is_baseline(self) -> bool:
        return self.suffix == BASELINE


@dataclass(frozen=True)
class Pair:
    """Two arms whose ratio is wanted: `upper` over `lower`."""

    upper: Arm
    lower: Arm

    @property
    def is_twin(self) -> bool:
        """Whether the two are the same configuration."""
        return self.upper.is_again


@dataclass(frozen=True)
class Plan:
    """What a recording measures. In `pairs` every two arms are compared that will be; all of one NIC are adjacent."""

    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]

    @property
    def nics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arm.nic for arm in self.arms))


def make_plan(ways: Sequence[str], nics: Sequence[str], baseline: bool = False) -> Plan:
    """Every way with every NIC; the last way twice with the first NIC, as the A/A arm. Raises UsageError."""
    ways, nics = _known_ways(ways), models(nics)
    arms, pairs = [], []
    for nic in nics:
        of_nic = [Arm(way, nic) for way in ways]
        pairs += _compared(of_nic)
        if baseline:
            before = [replace(arm, suffix=BASELINE) for arm in of_nic]
            pairs += [Pair(arm, other) for arm, other in zip(of_nic, before, strict=True)]
            of_nic += before
        arms += of_nic
    last = Arm(ways[-1], nics[0])
    arms.append(replace(last, suffix=AGAIN))
    pairs.append(Pair(arms[-1], last))
    return Plan(tuple(arms), tuple(pairs))


def _compared(arms: Sequence[Arm]) -> list[Pair]:
    """Each with the last of those that have the same far end, and one that is alone with the last of all."""
    pairs = []
    for arm in arms:
        like = [each for each in arms if each.between_guests == arm.between_guests]
        other = like[-1] if len(like) > 1 else arms[-1]
        if arm != other:
            pairs.append(Pair(arm, other))
    return pairs


def _known_ways(ways: Sequence[str]) -> list[str]:
    known = modes.ways()
    for way in ways:
        if way not in known:
            raise UsageError(f"--arms: there is no arm {way!r}; there are {', '.join(known)}")
    # The usual pair as it stands, the slower last: a ratio then says how much faster the others are.
    order = [*(way for way in known if way != DEFAULT_WAYS[-1]), DEFAULT_WAYS[-1]]
    return sorted(dict.fromkeys(ways), key=order.index)


def models(nics: Sequence[str]) -> list[str]:
    """QEMU's names for NICs, each once."""
    return list(dict.fromkeys(NIC_WORDS.get(nic, nic) for nic in nics))
