"""What a fault is: one function that breaks something, and what must come of it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
class Fault:
    """`breaks` are claims that must be broken, for a reason in which `cause`, a regular expression, is found.

    `plant` takes `lab`, or `netplan_host`, or `guest` and `bench`: the lab or the second host before anything has
    used it, or every guest after its first command. It raises Unavailable where it cannot be planted.
    `core` faults are planted in every run of the project's own tests, the others by `tox -e faults`.
    """

    name: str
    says: str
    plant: Callable[..., None]
    breaks: tuple[str, ...]
    cause: str
    sentinels: tuple[str, ...]
    core: bool

    @property
    def wants(self) -> str:
        """`lab`, `netplan_host` or `guest`."""
        return next(iter(inspect.signature(self.plant).parameters))


FAULTS: dict[str, Fault] = {}

#: Claims that no fault breaks, and why.
UNBREAKABLE: dict[str, str] = {}


def fault(*breaks: str, cause: str, sentinels: tuple[str, ...], core: bool = False) -> Callable[[Any], Any]:
    """Make a fault of a function; its docstring says what is broken."""

    def register(plant: Callable[..., None]) -> Callable[..., None]:
        name = plant.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, (plant.__doc__ or "").strip(), plant, breaks, cause, sentinels, core)
        return plant

    return register
