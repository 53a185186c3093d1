"""Faults of the tap that the bridge helper makes, and of what QEMU and its helper are allowed."""

from meta_tests.faults.fault import fault
from meta_tests.faults.wrapper import alter_qemu, reworded
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.modes.tap import make_tap
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.lab_links import add_bridge

#: Claims that hold whatever becomes of the taps in br0, and such that hold as long as the helper makes them.
TAP_SENTINELS = ("bridge/helper-found", "bridge/no-bridge")
LIST_SENTINELS = ("bridge/helper-found", "bridge/acl-not-listed", "bridge/acl-all")

default_br1 = reworded(
    "bridge/default-br0", ("bridge,id=net0",), ("bridge,id=net0,br=br1",),
    "br=br1: bridge helper failed .access denied by acl file",
    *LIST_SENTINELS,
)  # fmt: skip
mtu_of_another = reworded(
    "bridge/mtu-copied",
    "br=br-of-1400bytes",
    "br=br0",
    "there is in a bridge of 1400 bytes a tap of 1500",
    *LIST_SENTINELS,
)
privileges_gained = reworded(
    "bridge/no-new-privileges", "setpriv --no-new-privs", "env", "under no_new_privs: QEMU starts", *LIST_SENTINELS
)
sandbox_without_programs = reworded(
    "bridge/sandbox", "on,elevateprivileges=allow", "on,spawn=deny", "in a sandbox: ", *LIST_SENTINELS
)
container_without_net_admin = reworded(
    "bridge/chroot-container",
    "-all,+net_admin",
    "-all",
    "with both: failed to create tun device",
    "bridge/helper-found",
    "bridge/acl-not-listed",
)


def _taps_in_its_place(lab: Lab, *options: str) -> None:
    """A wrapper in QEMU's place makes taps for br0 itself, which stay, and has QEMU open those."""

    def alter(words: list[str]) -> list[str]:
        return [_tap(lab, word, options) if word.startswith("bridge,id=net0,br=br0") else word for word in words]

    alter_qemu(lab, alter)


def _tap(lab: Lab, word: str, options: tuple[str, ...]) -> str:
    name = make_tap(lab.host, unprivileged(), lab_addresses.BRIDGE)
    return ",".join([f"tap,{word.split(',')[1]},ifname={name}", *options])


@fault("bridge/tap-gone", "bridge/tap-mac", cause="there is no tap after anything|of the two MAC addresses",
       sentinels=TAP_SENTINELS)  # fmt: skip
def taps_that_stay(lab: Lab) -> None:
    """A wrapper in QEMU's place makes taps beforehand, which stay, with any MAC address."""
    _taps_in_its_place(lab, "script=", "downscript=")


@fault("bridge/no-scripts", "bridge/helper-option", cause="called for bridge|the program is told it is not called",
       sentinels=TAP_SENTINELS)  # fmt: skip
def taps_with_a_script(lab: Lab) -> None:
    """A wrapper in QEMU's place makes taps beforehand, for which a script is called, and no helper."""
    _taps_in_its_place(lab, "downscript=")


@fault("bridge/vnet-header", cause="the helper makes a tap whose frames have no header", sentinels=TAP_SENTINELS)
def taps_without_a_header(lab: Lab) -> None:
    """A wrapper in QEMU's place makes taps beforehand, whose frames are as they go over a wire."""
    _taps_in_its_place(lab, "script=no", "downscript=no", "vnet_hdr=off")


@fault("bridge/no-bridge", cause="of what is no bridge: QEMU starts", sentinels=LIST_SENTINELS)
def absent_bridge_made(lab: Lab) -> None:
    """Somebody made the bridge that does not exist."""
    add_bridge(lab.host, "br-absent")
