"""What a fault is: something broken on purpose, and what must be said of it."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemunet_tests.doctor.host_facts import HostFacts

#: Claims that hold whatever is wrong with a bridge, its LAN or its resolver, and the other way round.
USER_SENTINELS = (
    "user/address",
    "user/icmp-gateway",
    "user/gateway",
    "user/dns-offered",
    "user/not-reachable-unforwarded",
)
BRIDGE_SENTINELS = ("bridge/helper-found", "bridge/acl-allow", "bridge/acl-not-listed", "bridge/lease-address",
                    "bridge/backend-is-tap-in-bridge")  # fmt: skip
#: Claims that hold as long as the helper hands out a tap.
HELPER_SENTINELS = ("bridge/helper-found", "bridge/acl-allow", "bridge/backend-is-tap-in-bridge", *USER_SENTINELS)


@dataclass(frozen=True)
class InLab:
    """A function that breaks a lab; what it did goes with the lab.

    `plant` takes `lab`, or `netplan_host`, or `guest` and `bench`, or `wire`: the lab or the second host before
    anything has used it, or every guest after its first command, or what is between QEMU and every peer (frames.py),
    or with `peer` every peer itself, whose QEMU's monitor may be replaced (monitor.py).
    It raises Unavailable where it cannot be planted.
    `core` faults are planted in every run of the project's own tests, the others by `tox -e faults`.
    """

    plant: Callable[..., None]
    core: bool = False

    @property
    def wants(self) -> str:
        """`lab`, `netplan_host`, `guest`, `wire` or `peer`."""
        return next(iter(inspect.signature(self.plant).parameters))


@dataclass(frozen=True)
class OnHost:
    """`typed` at a machine made of namespaces, `at_lan` at its LAN, before the claims are tried.

    What mends the fault is the remedy that is named, word for word, or where that is no command, `mended` and
    `mended_at_lan`. `dhcp_options` are the LAN's DHCP server's further ones, `lan_program` is Python that runs on the
    LAN, `become` are options of the setpriv that the run is under: all until the fault is mended. `words` are the
    run's, `mended_words` those of the run after that. `as_root`: the run is root's. With `by_doctor` it is the doctor
    who judges, `state` is what he says, `not` or `caution`, and `entails` names other capabilities of which he then
    says something else as well.
    """

    typed: str = ""
    at_lan: str = ""
    stops_dhcp: bool = False
    mended: str | None = None
    mended_at_lan: str = ""
    as_root: bool = False
    words: tuple[str, ...] = ()
    dhcp_options: str = ""
    lan_program: str = ""
    become: tuple[str, ...] = ()
    mended_words: tuple[str, ...] | None = None
    by_doctor: bool = False
    state: str = ""
    entails: tuple[str, ...] = ()

    @property
    def judge(self) -> str:
        """Who judges the host."""
        run_by = "root" if self.as_root else "a user"
        return f"doctor, {run_by}" if self.by_doctor else run_by


@dataclass(frozen=True)
class InFiles:
    """Other files on the host that is made of them, None for one that is gone, and a `change` of what was tried there.

    The doctor then says `not` or `caution` of a capability, and that the modes in `impossible` are.
    """

    state: str
    impossible: tuple[str, ...] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)
    change: "Callable[[HostFacts], HostFacts]" = lambda facts: facts


@dataclass(frozen=True)
class InRecording:
    """A function that from now on spoils what this process records; it is over with the process.

    `plant` takes a value, which `value` finds, given a recording in which nothing is wrong; `words` are those of
    `qemunet record` that show it.
    """

    plant: Callable[[str], None]
    words: tuple[str, ...] = ()
    value: Callable[[Path], str] = lambda _: ""


@dataclass(frozen=True)
class Fault:
    """`breaks` are claims, or capabilities that the doctor tells of, or arms of a recording, which must then be broken.

    `cause` and `remedy` are regular expressions for what must be said of them; `sentinels` are claims that must hold
    all the same. `kind` is one of `kinds.KINDS`; a host's fault without one is of a kind that the code under test
    knows nothing about.
    """

    name: str
    breaks: tuple[str, ...]
    cause: str
    planting: InLab | OnHost | InFiles | InRecording
    remedy: str = ""
    sentinels: tuple[str, ...] = ()
    kind: str = ""
    says: str = ""

    def is_named_in(self, said: Mapping[str, Any]) -> bool:
        """Whether the right cause and the right remedy are given."""
        expected = ((self.cause, said["reason"]), (self.remedy, said["remedy"]))
        return all(re.search(words, given or "", re.DOTALL) for words, given in expected)


def fault(
    *breaks: str, cause: str, sentinels: tuple[str, ...], core: bool = False, kind: str = ""
) -> Callable[[Callable[..., None]], Fault]:
    """Make a fault of the lab of a function that plants it; its docstring says what is broken."""

    def made(plant: Callable[..., None]) -> Fault:
        name, says = plant.__name__.replace("_", "-"), inspect.getdoc(plant) or ""
        return Fault(name, breaks, cause, InLab(plant, core), "", sentinels, kind, says)

    return made
