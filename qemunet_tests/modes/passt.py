"""passt mode: user networking by a program of its own, to which QEMU talks over a socket.

Sources: passt(1); `-netdev stream` since QEMU 7.2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import credentials, system
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.modes import stream
from qemunet_tests.modes.mode import InnerNetwork, Mode, Way, Wiring
from qemunet_tests.qemu import passt
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.processes import Process
    from qemunet_tests.isolation.station import Station
    from qemunet_tests.network import Lab
    from qemunet_tests.network.target import Target

GUEST, GATEWAY = "10.0.3.15", "10.0.3.2"
#: A guest with the host's own address, as passt gives it unless told otherwise, is not told from its host.
OWN_NETWORK = ("--address", GUEST, "--netmask", "24", "--gateway", GATEWAY)
START_SECONDS = 5.0


@dataclass(frozen=True)
class PasstNetdev(Netdev):
    """`-netdev stream` to the Unix socket at which passt listens."""

    path: str

    kind = "stream"
    shares_network = False
    passed_on_by = "passt"
    another = ("--passt FILE", "passt")

    def spell(self, identifier: str) -> str:
        return f"stream,id={identifier},server=off,addr.type=unix,addr.path={self.path}"


@dataclass(frozen=True)
class RunningPasst:
    """One that waits for a QEMU at its socket."""

    process: "Process"
    socket: Path
    _said: Path

    @property
    def netdev(self) -> PasstNetdev:
        return PasstNetdev(str(self.socket))

    @property
    def said(self) -> str:
        """What it has written on standard error so far."""
        return self._said.read_text(errors="replace").strip()


class PasstEnded(HarnessError):
    """passt ended instead of waiting for a QEMU: with which status, and what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"passt ended: {said}")
        self.status, self.said = status, said


def _not_installed() -> Obstacle | None:
    if passt.chosen() or passt.installed_path():
        return None
    return Obstacle("passt is not installed", install_command("passt", system.read(), credentials.read().sudo))


def missing_beside(qemu: Qemu) -> Obstacle | None:
    """What a QEMU lacks that is to start passt itself."""
    if "passt" not in qemu.netdevs:
        return Obstacle(f"{qemu.path} has no -netdev passt", "upgrade QEMU to 10.1 or later")
    return _not_installed()


def _missing(qemu: Qemu) -> Obstacle | None:
    return _not_installed() or stream.missing(qemu)


def start(
    station: "Station", identity: "Identity", *options: str, instead_of: "RunningPasst | None" = None
) -> "RunningPasst":
    """A passt of this user's at a station, at a socket of its own, or at that of another, which has ended.

    Raises PasstEnded where it ends, TimedOut where it offers no socket.
    """
    from qemunet_tests.isolation.namespaces import scratch
    from qemunet_tests.isolation.processes import stop

    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"passt-{number}" for number in range(1000) if f"passt-{number}" not in taken)
    # What passt writes to standard error is read by us: that file lies where nobody else can put another.
    (folder / "own").mkdir(parents=True)
    identity.owns(folder / "own")
    ready, said = folder / "own" / "pid", folder / "stderr"
    socket = instead_of.socket if instead_of else folder / "own" / "socket"
    words = [*identity.prefix(), _program(), "--foreground", "--socket", str(socket), "--pid", str(ready), *options]
    with said.open("wb") as stderr:
        # One of 2026 looks itself up in /proc.
        process = station.start(words, stderr=stderr, own_proc=True)
    passt.note_start()
    started = RunningPasst(process, socket, said)

    def listens() -> bool:
        if process.poll() is not None:
            raise PasstEnded(process.returncode, started.said)
        # Its socket is there before it has shut itself into namespaces, which may fail; that file is written behind.
        return ready.exists() and ready.stat().st_size > 0

    try:
        Deadline(START_SECONDS, "passt to offer its socket").wait_until(listens)
        _require_chosen(process.pid)
    except HarnessError:
        stop(process)
        raise
    return started


def _started(lab: "Lab", identity: "Identity") -> Wiring:
    """passt at the lab's host. Raises HarnessError where it does not start."""
    from qemunet_tests.network import lab_addresses

    started = start(
        lab.host, identity, *OWN_NETWORK, "--mtu", "1500", "--ipv4-only", "--interface", lab_addresses.BRIDGE
    )
    return Wiring(started.netdev, (started.process,))


def _network(target: "Target") -> InnerNetwork:
    """Its guest is told the resolver that the host has."""
    return InnerNetwork(pool=f"{GUEST}/24", server=GATEWAY, gateway=GATEWAY, resolver=target.lan.resolver)


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
    network=_network,
)
