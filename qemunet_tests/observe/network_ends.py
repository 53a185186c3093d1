"""What QEMU's monitor says of its network: every backend and every NIC, and what is joined to what.

Source: `info network`, `info qtree` and `info pci` of QEMU's human monitor.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qemunet_tests.qemu.qmp import Monitor

_HUB = re.compile(r"hub (\d+)$")
#: What is joined to something stands behind it; on a hub there is the port's name in front.
_END = re.compile(r"(?P<behind> \\ )?(?:(?P<port>\S+): )?(?P<name>\S+): index=\d+,type=(?P<kind>[\w-]+),?(?P<said>.*)$")


@dataclass(frozen=True)
class NetworkEnd:
    """A NIC or a backend. `settings` are what is said of it.

    `hub` is the one that it is on, `peer` the one end that it is joined to.
    """

    name: str
    kind: str
    settings: Mapping[str, str]
    hub: int | None = None
    peer: str | None = None

    @property
    def is_nic(self) -> bool:
        return self.kind == "nic"

    @property
    def mac(self) -> str | None:
        """Of a NIC."""
        return self.settings.get("macaddr")

    @property
    def model(self) -> str:
        """Of a NIC; of a backend its kind."""
        return self.settings.get("model", self.kind)


def network_ends(monitor: Monitor) -> list[NetworkEnd]:
    """All of them, in the order in which QEMU lists them: hubs first."""
    found: list[NetworkEnd] = []
    hub: int | None = None
    for line in monitor.ask("info network").splitlines():
        if header := _HUB.match(line):
            hub = int(header[1])
        elif end := _END.match(line):
            hub = hub if end["behind"] else None
            joined = found[-1].name if end["behind"] and hub is None and found else None
            found.append(NetworkEnd(end["name"], end["kind"], _settings(end["said"]), hub, joined))
    return found


def ends_in_words(ends: list[NetworkEnd]) -> str:
    """For people: `e1000 with user`, `e1000 on hub 0, user on hub 0`, `nothing`."""
    alone = [each for each in ends if each.peer is None]
    behind = {each.peer: each for each in ends if each.peer}
    return ", ".join(_described(each, behind.get(each.name)) for each in alone) or "nothing"


def _described(end: NetworkEnd, other: NetworkEnd | None) -> str:
    if other:
        return f"{end.model} with {other.model}"
    return f"{end.model} alone" if end.hub is None else f"{end.model} on hub {end.hub}"


def _settings(said: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in said.split(","))
    return {name: value for name, equals, value in pairs if equals}


def device_properties(monitor: Monitor, model: str) -> dict[str, str]:
    """What the first device of a model is set to, by name, as `info qtree` says it; empty where there is none."""
    lines = iter(monitor.ask("info qtree").splitlines())
    for line in lines:
        if re.match(rf"\s*dev: {re.escape(model)}, id ", line):
            depth = len(line) - len(line.lstrip())
            return _below(lines, depth)
    return {}


def _below(lines: Iterator[str], depth: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        if len(line) - len(line.lstrip()) <= depth or line.lstrip().startswith("bus: "):
            break
        name, equals, value = line.strip().partition(" = ")
        if equals:
            found[name] = value.strip('"')
    return found


def pci_roms(monitor: Monitor) -> int:
    """How many NICs have a ROM that a firmware can run, as `info pci` says it: region 6 (PCI 3.0, 6.2.5.2)."""
    devices = re.split(r"^\s+Bus +\d+, device", monitor.ask("info pci"), flags=re.MULTILINE)
    return sum("Ethernet controller" in each and "BAR6:" in each for each in devices)
