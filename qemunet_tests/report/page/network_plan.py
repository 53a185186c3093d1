"""What is in a drawing of the network under test, and where: the lab's stations, or what a real host told of itself.

Lengths are the units of the drawing's own coordinates. Bridged mode is on the left, user mode on the right.
"""

from dataclasses import dataclass

from qemunet_tests.network import lab_addresses
from qemunet_tests.report.shapes import HostNetwork, Results

LEFT, RIGHT = 94, 266
NODE_WIDTH = 148
LAN_Y, UPLINK_Y, BRIDGE_Y, BACKEND_Y, GUEST_Y = 134, 186, 240, 294, 390
_OUTSIDE_Y, _MACHINES_Y = 30, 92
#: Of what fits into a box, in letters.
LONGEST_NAME = 22
#: The two ends of a line.
LineEnds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """A thing with its two lines of text; `x` and `y` are its middle."""

    x: float
    y: float
    name: str
    about: str = ""


@dataclass(frozen=True)
class NetworkPlan:
    """`links` are the boxes of the host's interfaces, by their names; `tap` is where those of guests stand."""

    boxes: list[Box]
    lines: list[LineEnds]
    links: dict[str, Box]
    tap: Box | None


TAP = Box(LEFT, BACKEND_Y, "tap", "made by the helper")
USER_NETWORK = Box(RIGHT, BACKEND_Y, "QEMU, libslirp", "10.0.2.2, DNS 10.0.2.3")
GUEST_ON_LAN = Box(LEFT, GUEST_Y, "guest", "bridged mode")
GUEST_IN_QEMU = Box(RIGHT, GUEST_Y, "guest", "user mode, 10.0.2.15")
_LAB = HostNetwork(
    router=lab_addresses.ROUTER,
    bridge=lab_addresses.BRIDGE,
    uplink=lab_addresses.UPLINK,
    link=lab_addresses.BRIDGE,
    address=lab_addresses.HOST,
    neighbour=lab_addresses.NEIGHBOUR,
    outside=lab_addresses.OUTSIDE,
)


def plan_of(results: Results) -> NetworkPlan | None:
    """None where a run on a real host did not come so far, or its results are of before it was told."""
    if results.target == "lab":
        return _planned(_LAB)
    return _planned(results.network) if results.network else None


def _planned(told: HostNetwork) -> NetworkPlan:
    bridged = _bridged(told) if told.bridge else NetworkPlan([], [], {}, None)
    out_of_qemu = _out_of_qemu(told)
    machines = [
        Box(RIGHT, _OUTSIDE_Y, "outside", _short(told.outside or "beyond the router")),
        Box(RIGHT, _MACHINES_Y, "router", _short(told.router or "not known")),
        *([Box(LEFT, _MACHINES_Y, "neighbour", _short(told.neighbour))] if told.neighbour else []),
    ]
    lines: list[LineEnds] = [(RIGHT, _OUTSIDE_Y, RIGHT, LAN_Y)]
    lines += [(LEFT, _MACHINES_Y, LEFT, LAN_Y)] if told.neighbour else []
    return NetworkPlan(
        [*machines, *bridged.boxes, *out_of_qemu.boxes],
        [*lines, *bridged.lines, *out_of_qemu.lines],
        {**out_of_qemu.links, **bridged.links},
        bridged.tap,
    )


def _bridged(told: HostNetwork) -> NetworkPlan:
    bridge = Box(LEFT, BRIDGE_Y, _short(told.bridge or ""), _short(f"bridge, {told.address or 'no address'}"))
    links = {told.bridge or "": bridge}
    if told.uplink:
        links[told.uplink] = Box(LEFT, UPLINK_Y, _short(told.uplink), "uplink")
    top = LAN_Y if told.uplink else BRIDGE_Y
    return NetworkPlan([*links.values(), TAP, GUEST_ON_LAN], [(LEFT, top, LEFT, GUEST_Y)], links, TAP)


def _out_of_qemu(told: HostNetwork) -> NetworkPlan:
    """QEMU's own packets leave by the host's default route, which the bridge may be or not."""
    boxes = [USER_NETWORK, GUEST_IN_QEMU]
    if told.link is None or told.link == told.bridge:
        lines: list[LineEnds] = [(RIGHT, BRIDGE_Y, RIGHT, GUEST_Y)]
        return NetworkPlan(boxes, lines + ([(LEFT, BRIDGE_Y, RIGHT, BRIDGE_Y)] if told.link else []), {}, None)
    address = told.address if told.bridge is None else None
    link = Box(RIGHT, BRIDGE_Y, _short(told.link), _short(address or "default route"))
    return NetworkPlan([link, *boxes], [(RIGHT, LAN_Y, RIGHT, GUEST_Y)], {told.link: link}, None)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
