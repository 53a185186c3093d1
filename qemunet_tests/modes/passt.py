"""passt mode: user networking by a program of its own, to which QEMU talks over a socket.

Sources: passt(1); `-netdev stream` since QEMU 7.2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import credentials, passt, system
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
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
    if passt.chosen() or passt.installed_path():
        return None
    return Obstacle("passt is not installed", install_command("passt", system.read(), credentials.read().sudo))


def _missing(qemu: Qemu) -> Obstacle | None:
    return _not_installed() or stream.missing(qemu)


def _started(lab: "Lab", identity: "Identity") -> Wiring:
    """passt at the lab's host. Raises HarnessError where it does not start."""
    from qemunet_tests.isolation.namespaces import scratch
    from qemunet_tests.isolation.processes import stop
    from qemunet_tests.network import lab_addresses

    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"passt-{number}" for number in range(1000) if f"passt-{number}" not in taken)
    # What passt writes to standard error is read by us: that file lies where nobody else can put another.
    (folder / "own").mkdir(parents=True)
    identity.owns(folder / "own")
    path, said = folder / "own" / "socket", folder / "stderr"
    words = [
        *identity.prefix(), _program(), "--foreground", "--socket", str(path), "--address", GUEST, "--netmask", "24",
        "--gateway", GATEWAY, "--mtu", "1500", "--ipv4-only", "--interface", lab_addresses.BRIDGE,
    ]  # fmt: skip
    with said.open("wb") as stderr:
        process = lab.host.start(words, stderr=stderr)
    passt.note_start()

    def listens() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"passt ended: {said.read_text(errors='replace').strip()}")
        return path.exists()

    try:
        Deadline(START_SECONDS, "passt to offer its socket").wait_until(listens)
        _require_chosen(process.pid)
    except HarnessError:
        stop(process)
        raise
    return Wiring(PasstNetdev(str(path)), (process,))


def _program() -> str:
    from qemunet_tests.isolation.placed_file import placed

    own = passt.chosen()
    # A copy has no passt.avx2 beside it, which passt would become, and which nobody chose.
    return str(placed(own, "passt")) if own else "passt"


def _require_chosen(pid: int) -> None:
    """Raises HarnessError where another passt runs than the one that was chosen."""
    if (own := passt.chosen()) and not Path(f"/proc/{pid}/exe").samefile(_program()):
        raise HarnessError(f"{Path(f'/proc/{pid}/exe').readlink()} runs, and not {own}, which was to be tried")


MODE = Mode(
    "passt",
    # passt maps its gateway to the host itself, as slirp does; to everybody else the server is at the host's address.
    ways={"passt": Way("-netdev stream to passt", "stream", _started, server=GATEWAY, answers=False, missing=_missing)},
    rank=3,
)
