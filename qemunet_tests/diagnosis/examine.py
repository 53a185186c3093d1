"""Which suspicions are followed for which claim, and in which order."""

from collections.abc import Callable, Mapping

from qemunet_tests.claims import Claim
from qemunet_tests.diagnosis import guest_side, host_side, lan_side, launch
from qemunet_tests.diagnosis.cause import Cause
from qemunet_tests.diagnosis.scene import Scene

#: Looks at one thing and returns a cause only where it has proof.
Suspicion = Callable[[Scene], Cause | None]

#: From the guest outwards, as a frame travels: the first thing that is wrong stops everything behind it.
PATH: tuple[Suspicion, ...] = (
    launch.port_taken,
    launch.bridge_not_allowed,
    launch.helper_missing,
    launch.refused,
    guest_side.unplugged,
    host_side.bridge_down,
    host_side.no_uplink,
    host_side.uplink_dead,
    host_side.tap_elsewhere,
    host_side.mac_not_unique,
    lan_side.no_dhcp_server,
)

#: What else a claim may suffer from, by the `diagnosis` its TOML table names.
SPECIAL: dict[str, tuple[Suspicion, ...]] = {
    "acl": (launch.helper_missing, launch.bridge_not_allowed, launch.unlisted_allowed),
    "helper": (launch.helper_missing,),
    "lease": PATH,
    "bridge-path": (*PATH, host_side.small_mtu, guest_side.ignores_ping),
    "ping": (*PATH, host_side.ping_gate_open),
    "port-forward": PATH,
    "reach": (*PATH, lan_side.outside_unreachable),
    "resolver": (*PATH, lan_side.resolver_silent),
    "not-reachable": (*PATH, launch.forwards),
}


def cause_of(claim: Claim, fixtures: Mapping[str, object], failure: BaseException) -> Cause | None:
    """The first cause that can be proven; None where none can. `fixtures` are those of the test, still alive."""
    scene = Scene.of(claim.mode, fixtures, failure)
    if scene is None:
        return None
    suspicions = SPECIAL.get(claim.diagnosis or "", PATH)
    return next((cause for suspicion in suspicions if (cause := suspicion(scene))), None)
