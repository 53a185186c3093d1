"""How each way of connecting a guest is made in the lab."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import credentials, system
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import Process, stop
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.lab_links import set_master
from qemunet_tests.qemu.netdev import Backend, BridgeNetdev, StreamNetdev, StreamPair, TapNetdev, UserNetdev
from qemunet_tests.throughput.variants import Arm

#: What QEMU's monitor calls the backend of each way.
KINDS = {
    "user": "user", "bridge": "tap", "tap": "tap", "tap-plain": "tap", "tap-vhost": "tap", "passt": "stream",
    "stream": "stream", "bridge-guests": "tap",
}  # fmt: skip
PASST_GUEST, PASST_GATEWAY = "10.0.3.15", "10.0.3.2"
#: passt maps its gateway to the host itself, as slirp does; to everybody else the server is at the host's address.
SERVER = {"passt": PASST_GATEWAY}
TAP_OPTIONS: dict[str, tuple[str, ...]] = {"tap": (), "tap-plain": ("vnet_hdr=off",), "tap-vhost": ("vhost=on",)}
VHOST = Path("/dev/vhost-net")
PASST_SECONDS = 5.0
#: Ports of the host's loopback at which QEMU waits for another, upwards from here.
CABLE_PORT = 7200
#: Addresses at a cable's two ends, where nobody leases any.
NEAR, FAR = "10.0.4.1", "10.0.4.2"


@dataclass(frozen=True)
class Wiring:
    """A backend, the processes beside QEMU that it needs, and the backend of the second guest where there is one."""

    netdev: Backend
    helpers: Sequence[Process] = ()
    far: Backend | None = None


def wire(arm: Arm, lab: Lab, identity: Identity) -> Wiring:
    """Make what the arm's guest will be connected to. Raises Unavailable, HarnessError."""
    match arm.way:
        case "user":
            return Wiring(UserNetdev())
        case "bridge":
            return Wiring(BridgeNetdev())
        case "tap" | "tap-plain" | "tap-vhost":
            if arm.way == "tap-vhost" and not VHOST.exists():
                raise Unavailable("there is no /dev/vhost-net, so vhost cannot be measured", "modprobe vhost_net")
            return Wiring(TapNetdev(_tap(lab, identity), TAP_OPTIONS[arm.way]))
        case "passt":
            return _passt(lab, identity)
        case "stream":
            port = next(port for port in range(CABLE_PORT, 1 << 16) if not lab.host.listens("tcp", port))
            return Wiring(StreamPair(port, listens=False), far=StreamPair(port, listens=True))
        case "bridge-guests":
            return Wiring(BridgeNetdev(), far=BridgeNetdev())
    raise HarnessError(f"nobody knows how to make the arm {arm.way}")


def _tap(lab: Lab, identity: Identity) -> str:
    """A tap in the bridge that this user may open."""
    taken = {link.get("ifname") for link in lab.host.netlink.get_links()}
    name = next(f"ready{number}" for number in range(1000) if f"ready{number}" not in taken)
    with lab.host.entered():
        lab.host.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=identity.uid)
    set_master(lab.host, name, lab_addresses.BRIDGE)
    lab.host.bring_up(name)
    return name


def _passt(lab: Lab, identity: Identity) -> Wiring:
    if not shutil.which("passt", path=search_path(SYSTEM_PATH)):
        raise Unavailable("passt is not installed", install_command("passt", system.read(), credentials.read().sudo))
    taken = {path.name for path in scratch().iterdir()}
    folder = scratch() / next(f"passt-{number}" for number in range(1000) if f"passt-{number}" not in taken)
    # What passt writes to standard error is read by us: that file lies where nobody else can put another.
    (folder / "own").mkdir(parents=True)
    identity.owns(folder / "own")
    path, said = folder / "own" / "socket", folder / "stderr"
    words = [
        *identity.prefix(), "passt", "--foreground", "--socket", str(path), "--address", PASST_GUEST, "--netmask", "24",
        "--gateway", PASST_GATEWAY, "--mtu", "1500", "--ipv4-only", "--interface", lab_addresses.BRIDGE,
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
    return Wiring(StreamNetdev(str(path)), (process,))
