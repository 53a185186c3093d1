"""passt mode: user networking by a program of its own, to which QEMU talks over a socket.

Sources: passt(1); `-netdev stream` since QEMU 7.2.
"""

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import credentials, system
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.modes import stream
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

GUEST, GATEWAY = "10.0.3.15", "10.0.3.2"
START_SECONDS = 5.0


@dataclass(frozen=True)
class PasstNetdev(Netdev):
    """`-netdev stream` to the Unix socket at which passt listens."""

    path: str

    kind = "stream"
    shares_network = False

    def spell(self, identifier: str) -> str:
        return f"stream,id={identifier},server=off,addr.type=unix,addr.path={self.path}"


def _not_installed() -> Obstacle | None:
    if shutil.which("passt", path=search_path(SYSTEM_PATH)):
        return None
    return Obstacle("passt is not installed", install_command("passt", system.read(), credentials.read().sudo))


def _missing(qemu: Qemu) -> Obstacle | None:
    return _not_installed() or stream.missing(qemu)


def _started(lab: "Lab", identity: "Identity") -> Wiring:
    """passt at the lab's host. Raises Unavailable where there is none, HarnessError where it does not start."""
    from qemunet_tests.isolation.namespaces import scratch
    from qemunet_tests.isolation.processes import stop
    from qemunet_tests.network import lab_addresses

    if obstacle := _not_installed():
        raise obstacle.unavailable()
    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"passt-{number}" for number in range(1000) if f"passt-{number}" not in taken)
    # What passt writes to standard error is read by us: that file lies where nobody else can put another.
    (folder / "own").mkdir(parents=True)
    identity.owns(folder / "own")
    path, said = folder / "own" / "socket", folder / "stderr"
    words = [
        *identity.prefix(), "passt", "--foreground", "--socket", str(path), "--address", GUEST, "--netmask", "24",
        "--gateway", GATEWAY, "--mtu", "1500", "--ipv4-only", "--interface", lab_addresses.BRIDGE,
    ]  # fmt: skip
    with said.open("wb") as stderr:
        process = lab.host.start(words, stderr=stderr)

    def listens() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"passt ended: {said.read_text(errors='replace').strip()}")
        return path.exists()

    try:
        Deadline(START_SECONDS, "passt to offer its socket").wait_until(listens)
    except HarnessError:
        stop(process)
        raise
    return Wiring(PasstNetdev(str(path)), (process,))


MODE = Mode(
    "passt",
    # passt maps its gateway to the host itself, as slirp does; to everybody else the server is at the host's address.
    ways={"passt": Way("-netdev stream to passt", "stream", _started, server=GATEWAY, answers=False)},
    rank=3,
    missing=_missing,
)
