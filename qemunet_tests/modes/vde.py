"""VDE mode: `-netdev vde`, a port of a switch that an ordinary user runs.

Sources: QEMU's manual page, `-netdev vde`; vde_switch(1).
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import credentials, system
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.processes import Process
    from qemunet_tests.isolation.station import Station
    from qemunet_tests.network import Lab

PROGRAM, PLUG = "vde_switch", "vde_plug2tap"
START_SECONDS = 5.0
#: Addresses of the guests at two of its ports: nobody leases any.
NEAR, FAR = "10.0.8.1", "10.0.8.2"


@dataclass(frozen=True)
class VdeNetdev(Netdev):
    """A port of the switch in the folder `switch`."""

    switch: str
    options: tuple[str, ...] = ()

    kind = "vde"

    def spell(self, identifier: str) -> str:
        return ",".join([f"vde,id={identifier},sock={self.switch}", *self.options])


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU that was built without libvdeplug, or no switch."""
    if "vde" not in qemu.netdevs:
        return Obstacle(f"{qemu.path} has no -netdev vde", "install a QEMU that was built with libvdeplug")
    return missing_program(PROGRAM)


def missing_program(program: str) -> Obstacle | None:
    """One of vde2's that is not installed."""
    if shutil.which(program, path=search_path(SYSTEM_PATH)):
        return None
    remedy = install_command("vde", system.read(), credentials.read().sudo)
    return Obstacle(f"there is no {program}", remedy)


def start_switch(station: "Station", identity: "Identity", *options: str) -> tuple["Process", Path]:
    """A switch of this user's with the folder that it is called by. Raises HarnessError where it does not start.

    It ends with its standard input.
    """
    from qemunet_tests.isolation.namespaces import scratch

    taken = {path.name for path in scratch().iterdir()}
    outer = scratch() / next(f"vde-{number}" for number in range(1000) if f"vde-{number}" not in taken)
    # What it writes is read by us: that file lies where nobody else can put another.
    (outer / "own").mkdir(parents=True)
    identity.owns(outer / "own")
    folder, said = outer / "own" / "switch", outer / "stderr"
    words: Sequence[str] = [*identity.prefix(), PROGRAM, "--sock", str(folder), *options]
    with said.open("wb") as stderr:
        process = station.start(words, stdin=subprocess.PIPE, stderr=stderr)

    def listens() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"{PROGRAM} ended: {said.read_text(errors='replace').strip()}")
        return (folder / "ctl").exists()

    Deadline(START_SECONDS, f"{PROGRAM} to offer its socket").wait_until(listens)
    return process, folder


def start_plug(station: "Station", identity: "Identity", folder: Path, tap: str) -> "Process":
    """What carries frames between the switch in that folder and a tap of this user's, until it is stopped."""
    return station.start([*identity.prefix(), PLUG, "--sock", str(folder), tap], stdin=subprocess.DEVNULL)


def _between_guests(lab: "Lab", identity: "Identity") -> Wiring:
    process, folder = start_switch(lab.host, identity)
    netdev = VdeNetdev(str(folder))
    return Wiring(netdev, (process,), far=netdev, addresses=(NEAR, FAR))


MODE = Mode(
    "vde",
    ways={
        "vde": Way(
            "-netdev vde: two guests at a vde_switch", "vde", _between_guests, between_guests=True, missing=missing
        )
    },
    rank=8,
)
