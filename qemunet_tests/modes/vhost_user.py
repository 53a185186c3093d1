"""vhost-user mode: `-netdev vhost-user`, a program that takes frames out of the guest's memory and puts them there.

Sources: QEMU's manual page, `-netdev vhost-user`; "Vhost-user Protocol" in QEMU's interoperability manual.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import devices
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.modes.tap import make_tap
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

PROGRAM = "qemunet_tests.network.vhost_user_backend"
#: Python starts, and imports the lab.
START_SECONDS = 20.0


@dataclass(frozen=True)
class VhostUserNetdev(Netdev):
    """A backend behind the Unix socket `path`, at which QEMU calls, or with `listens` waits to be called."""

    path: str
    listens: bool = False
    options: tuple[str, ...] = ()

    kind = "vhost-user"
    shares_memory = True

    def spell(self, identifier: str) -> str:
        return ",".join([f"vhost-user,id={identifier},chardev={identifier}-socket", *self.options])

    def needs(self, identifier: str) -> tuple[str, ...]:
        side = ",server=on" if self.listens else ""
        return ("-chardev", f"socket,id={identifier}-socket,path={self.path}{side}")


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU that was built without it."""
    if "vhost-user" in qemu.netdevs:
        return None
    return Obstacle(f"{qemu.path} has no -netdev vhost-user", "install a QEMU for Linux that has it")


def _missing_in_the_bridge(qemu: Qemu) -> Obstacle | None:
    return missing(qemu) or devices.obstacle_here(devices.TUN)


def _in_the_bridge(lab: "Lab", identity: "Identity") -> Wiring:
    """A backend of ours with a tap in the lab's bridge. Raises HarnessError where it does not start."""
    from qemunet_tests.isolation import own_python
    from qemunet_tests.isolation.namespaces import scratch
    from qemunet_tests.isolation.processes import stop

    tap = make_tap(lab.host, identity, lab.bridge)
    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"vhost-user-{number}" for number in range(1000) if f"vhost-user-{number}" not in taken)
    folder.mkdir(mode=0o755)
    path, said = folder / "socket", folder / "stderr"
    with said.open("wb") as stderr:
        process = lab.host.start(own_python.words(PROGRAM, str(path), tap), stderr=stderr)

    def listens() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"the backend ended: {said.read_text(errors='replace').strip()}")
        return path.exists() and path.stat().st_mode & 0o006 == 0o006

    try:
        Deadline(START_SECONDS, "the vhost-user backend to offer its socket").wait_until(listens)
    except HarnessError:
        stop(process)
        raise
    return Wiring(VhostUserNetdev(str(path)), (process,))


MODE = Mode(
    "vhost-user",
    ways={
        "vhost-user": Way(
            "-netdev vhost-user: a program of ours with a tap in br0",
            "vhost-user",
            _in_the_bridge,
            missing=_missing_in_the_bridge,
        )
    },
    rank=10,
    shares_network=True,
)
