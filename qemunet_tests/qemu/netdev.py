"""Network backends and NICs as values: how each mode is spelled on QEMU's command line.

Names and spelling are those of `qemu-system-x86_64 -netdev help` and `-device help`.
"""

from dataclasses import dataclass, field

#: The NIC models the tiny guest has drivers for.
NIC_MODELS = ("virtio-net-pci", "e1000", "e1000e", "rtl8139", "vmxnet3")
DEFAULT_NIC_MODEL = "virtio-net-pci"


@dataclass(frozen=True)
class UserNetdev:
    """`-netdev user`: libslirp inside QEMU. `options` are further ones, spelled as QEMU spells them.

    It needs no capability; `capabilities`, named as setpriv(1) names them, are given where they make a difference.
    """

    hostfwd: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    kind = "user"

    def spell(self, identifier: str) -> str:
        words = [f"user,id={identifier}", *(f"hostfwd={rule}" for rule in self.hostfwd), *self.options]
        return ",".join(words)


@dataclass(frozen=True)
class BridgeNetdev:
    """`-netdev bridge`: a tap made and plugged in by qemu-bridge-helper.

    Where the helper's setuid bit has no effect, QEMU is given what the bit would give the helper, unless `unaided`.
    """

    name: str = "br0"
    options: tuple[str, ...] = ()
    unaided: bool = False

    kind = "bridge"

    def spell(self, identifier: str) -> str:
        return ",".join([f"bridge,id={identifier},br={self.name}", *self.options])


@dataclass(frozen=True)
class TapNetdev:
    """`-netdev tap` on a tap that exists already and that the user QEMU runs as may open."""

    name: str
    options: tuple[str, ...] = ()

    kind = "tap"

    def spell(self, identifier: str) -> str:
        # Empty means no script in every version; `no` does so today and is to become a file's name.
        return ",".join([f"tap,id={identifier},ifname={self.name},script=,downscript=", *self.options])


@dataclass(frozen=True)
class StreamNetdev:
    """`-netdev stream` to a Unix socket at which somebody else listens, for instance passt. Since QEMU 7.2."""

    path: str

    kind = "stream"

    def spell(self, identifier: str) -> str:
        return f"stream,id={identifier},server=off,addr.type=unix,addr.path={self.path}"


@dataclass(frozen=True)
class StreamPair:
    """`-netdev stream` between two QEMUs, by a TCP connection on the loopback: one listens, the other calls.

    Since QEMU 7.2. TCP because the kernel counts what such a connection carries.
    """

    port: int
    listens: bool

    kind = "stream"

    def spell(self, identifier: str) -> str:
        side = "on" if self.listens else "off"
        return f"stream,id={identifier},server={side},addr.type=inet,addr.host=127.0.0.1,addr.port={self.port}"


#: The modes.
Netdev = UserNetdev | BridgeNetdev
#: Whatever a NIC can be connected to.
Backend = Netdev | TapNetdev | StreamNetdev | StreamPair


@dataclass(frozen=True)
class Nic:
    """A backend, the device model in front of it, and the MAC address on it.

    Without `mac` the bench chooses one, because QEMU's own default is the same in every guest.
    """

    netdev: Backend = field(default_factory=UserNetdev)
    model: str = DEFAULT_NIC_MODEL
    mac: str | None = None

    def spell(self, identifier: str, mac: str) -> list[str]:
        """The command-line words for this NIC. The option ROM is left out: nothing boots from the network."""
        return [
            "-netdev", self.netdev.spell(identifier),
            "-device", f"{self.model},netdev={identifier},mac={mac},romfile=",
        ]  # fmt: skip
