"""How each way of connecting a guest is made in the lab."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.errors import HarnessError, Unavailable
from qemunet_tests.harness.host import credentials, machine
from qemunet_tests.harness.host.packages import install_command
from qemunet_tests.harness.identity import Identity
from qemunet_tests.harness.lab import Lab, plan
from qemunet_tests.harness.lab.cabling import enslave
from qemunet_tests.harness.namespaces import scratch
from qemunet_tests.harness.netdev import Backend, Bridge, Stream, Tap, User
from qemunet_tests.harness.processes import SYSTEM_PATH, Process, stop
from qemunet_tests.throughput.arms import Arm

#: What QEMU's monitor calls the backend of each way.
KINDS = {
    "user": "user", "bridge": "tap", "tap": "tap", "tap-plain": "tap", "tap-vhost": "tap", "passt": "stream",
}  # fmt: skip
PASST_GUEST, PASST_GATEWAY = "10.0.3.15", "10.0.3.2"
#: passt maps its gateway to the host itself, as slirp does; to everybody else the server is at the host's address.
SERVER = {"passt": PASST_GATEWAY}
VHOST = Path("/dev/vhost-net")
PASST_SECONDS = 5.0


@dataclass(frozen=True)
class Wiring:
    """A backend, and the processes beside QEMU that it needs."""

    netdev: Backend
    helpers: Sequence[Process] = ()


def wire(arm: Arm, lab: Lab, identity: Identity) -> Wiring:
    """Make what the arm's guest will be connected to. Raises Unavailable, HarnessError."""
    match arm.way:
        case "user":
            return Wiring(User())
        case "bridge":
            return Wiring(Bridge())
        case "tap":
            return Wiring(Tap(_tap(lab, identity)))
        case "tap-plain":
            return Wiring(Tap(_tap(lab, identity), ("vnet_hdr=off",)))
        case "tap-vhost":
            if not VHOST.exists():
                raise Unavailable("there is no /dev/vhost-net, so vhost cannot be measured", "modprobe vhost_net")
            return Wiring(Tap(_tap(lab, identity), ("vhost=on",)))
        case "passt":
            return _passt(lab, identity)
    raise HarnessError(f"nobody knows how to make the arm {arm.way}")


def _tap(lab: Lab, identity: Identity) -> str:
    """A tap in the bridge that this user may open."""
    taken = {link.get("ifname") for link in lab.host.netlink.get_links()}
    name = next(f"ready{number}" for number in range(1000) if f"ready{number}" not in taken)
    with lab.host.entered():
        lab.host.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=identity.uid)
    enslave(lab.host, name, plan.BRIDGE)
    lab.host.bring_up(name)
    return name


def _passt(lab: Lab, identity: Identity) -> Wiring:
    if not any(shutil.which("passt", path=path) for path in (None, SYSTEM_PATH)):
        raise Unavailable("passt is not installed", install_command("passt", machine.read(), credentials.read().sudo))
    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"passt-{number}" for number in range(1000) if f"passt-{number}" not in taken)
    folder.mkdir()
    identity.owns(folder)
    path, said = folder / "socket", folder / "stderr"
    words = [
        *identity.prefix(), "passt", "--foreground", "--socket", str(path), "--address", PASST_GUEST, "--netmask", "24",
        "--gateway", PASST_GATEWAY, "--mtu", "1500", "--ipv4-only", "--interface", plan.BRIDGE,
    ]  # fmt: skip
    with said.open("wb") as stderr:
        process = lab.host.start(words, stderr=stderr)

    def listens() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"passt ended: {said.read_text(errors='replace').strip()}")
        return path.exists()

    try:
        Deadline(PASST_SECONDS, "passt to offer its socket").wait_until(listens)
    except HarnessError:
        stop(process)
        raise
    return Wiring(Stream(str(path)), (process,))
