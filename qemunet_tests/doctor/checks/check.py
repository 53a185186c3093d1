"""What a check is, and how the checks' findings become a verdict for a mode."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from qemunet_tests import modes
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host.obstacle import Obstacle

State = Literal["ok", "caution", "not"]

USER = "user"
BRIDGE = "bridge"
LAB = "lab"
#: What is told unless modes are named: the two that most people want on this host, and what `qemunet run` needs.
USUAL = (USER, BRIDGE, LAB)
#: All that can be asked about.
MODES = (*dict.fromkeys((*modes.every(), LAB)),)


@dataclass(frozen=True)
class CheckResult:
    """`reason` says what was found and what it means; `remedy` is a command wherever one exists."""

    state: State
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """A question about the host.

    `modes` are those it matters to; those of them in `needed_by` are impossible where the answer is `not`.
    `look` returns None where the question does not arise.
    """

    id: str
    modes: tuple[str, ...]
    needed_by: tuple[str, ...]
    look: Callable[[HostFacts], CheckResult | None]


@dataclass(frozen=True)
class Capability:
    """A check with its finding."""

    check: Check
    finding: CheckResult

    @property
    def blocks(self) -> tuple[str, ...]:
        """The modes that are impossible because of it."""
        return self.check.needed_by if self.finding.state == "not" else ()

    def describe(self) -> dict[str, object]:
        """One entry of `doctor --json`."""
        return {
            "id": self.check.id,
            "state": self.finding.state,
            "modes": list(self.check.modes),
            "reason": self.finding.reason,
            "remedy": self.finding.remedy,
        }


@dataclass(frozen=True)
class ModeVerdict:
    """Whether a mode is possible, and why not or what to keep in mind. None: nothing to say."""

    possible: bool
    reason: str | None

    def describe(self) -> dict[str, object]:
        """One entry of `modes` in `doctor --json`."""
        return {"possible": self.possible, "reason": self.reason}


def ok(reason: str) -> CheckResult:
    return CheckResult("ok", reason)


def caution(obstacle: Obstacle, meaning: str = "") -> CheckResult:
    return CheckResult("caution", _joined(obstacle.reason, meaning), obstacle.remedy)


def impossible(obstacle: Obstacle, meaning: str = "") -> CheckResult:
    return CheckResult("not", _joined(obstacle.reason, meaning), obstacle.remedy)


def as_typed_here(facts: HostFacts, found: Obstacle) -> Obstacle:
    """The same, with a remedy that root need not say `sudo` in."""
    return Obstacle(found.reason, (found.remedy or "").replace("sudo ", facts.sudo))


def _joined(reason: str, meaning: str) -> str:
    return f"{reason}: {meaning}" if meaning else reason


def judge(check: Check, facts: HostFacts) -> Capability | None:
    """The check's outcome on this host, or None where it does not apply."""
    finding = check.look(facts)
    return None if finding is None else Capability(check, finding)


def verdicts(capabilities: Iterable[Capability], asked: Iterable[str] = MODES) -> dict[str, ModeVerdict]:
    """What is possible, by mode."""
    found = list(capabilities)
    return {mode: _verdict([one for one in found if mode in one.check.modes], mode) for mode in asked}


def _verdict(capabilities: list[Capability], mode: str) -> ModeVerdict:
    blocking = [one.finding.reason for one in capabilities if mode in one.blocks]
    if blocking:
        return ModeVerdict(False, "; ".join(blocking))
    doubtful = [one.check.id for one in capabilities if one.finding.state != "ok"]
    return ModeVerdict(True, f"mind {', '.join(doubtful)}" if doubtful else None)
