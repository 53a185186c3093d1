"""Network backends and NICs as values: how a guest's network is spelled on QEMU's command line.

Names and spelling are those of `qemu-system-x86_64 -netdev help` and `-device help`. The netdevs of a mode, with their
options, are in modes/ under the mode's word.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu.qemu_facts import Qemu

DEFAULT_NIC_MODEL = "virtio-net-pci"


@dataclass(frozen=True)
class Netdev(abc.ABC):
    """One backend, a frozen value. `kind` is what it is called after `-netdev`."""

    kind: ClassVar[str]
    #: Whether others are on the guest's network: then its MAC address must be its own, and a lease is given back.
    shares_network: ClassVar[bool] = True

    #: Who makes a guest's packets this host's own, as the subject of a sentence; empty where they do not become so.
    passed_on_by: ClassVar[str] = ""
    #: Of what another one may be tried, where that goes wrong: the option of `qemunet run`, and what it is called.
    another: ClassVar[tuple[str, str]] = ("--qemu PATH", "QEMU")

    #: The bridge that it puts its tap into, where it does.
    bridge: ClassVar[str | None] = None
    #: Open files of ours that QEMU has under the same numbers.
    descriptors: ClassVar[tuple[int, ...]] = ()

    #: Whether somebody else takes frames out of the guest's memory: then that must be shared, and no template's copy.
    shares_memory: ClassVar[bool] = False

    @abc.abstractmethod
    def spell(self, identifier: str) -> str:
        """What follows `-netdev`, with `identifier` for its id."""

    def beside(self, identifier: str) -> tuple[str, ...]:  # noqa: ARG002
        """Further backends that belong to it, each as it follows `-netdev`; they come first."""
        return ()

    def needs(self, identifier: str) -> tuple[str, ...]:  # noqa: ARG002
        """Words for what it is made with that is no backend: a character device."""
        return ()

    def missing(self, qemu: Qemu) -> Obstacle | None:  # noqa: ARG002
        """Why this QEMU cannot be asked for it. Whatever it refuses by itself is for the test to judge."""
        return None

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:  # noqa: ARG002
        """What QEMU has to be given for it, named as setpriv(1) does.

        `helper_serves` tells whether the bridge helper can do for QEMU's user what he may not do himself.
        """
        return ()


@dataclass(frozen=True)
class SpelledNetdev(Netdev):
    """A backend by its kind and options, spelled as QEMU spells them, of which nothing else is asked."""

    kind: str  # type: ignore[misc]  # a field here, because any may be named
    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = field(default=(), kw_only=True)  # type: ignore[misc]  # options name their numbers

    def spell(self, identifier: str) -> str:
        return ",".join([self.kind, f"id={identifier}", *self.options])


def netdev_words(netdev: Netdev, identifier: str) -> list[str]:
    """The command-line words for a backend with all that belongs to it."""
    backends = (*netdev.beside(identifier), netdev.spell(identifier))
    return [*netdev.needs(identifier), *(word for each in backends for word in ("-netdev", each))]


@dataclass(frozen=True)
class Nic:
    """A backend, the device model in front of it, and the MAC address on it.

    Without `mac` the bench chooses one, because QEMU's own default is the same in every guest.
    """

    netdev: Netdev
    model: str = DEFAULT_NIC_MODEL
    mac: str | None = None

    def spell(self, identifier: str, mac: str) -> list[str]:
        """The command-line words for this NIC. The option ROM is left out: nothing boots from the network."""
        return [
            *netdev_words(self.netdev, identifier),
            "-device", f"{self.model},netdev={identifier},mac={mac},romfile=",
        ]  # fmt: skip
