"""What there is to look at when a test has failed and nothing has been cleaned up yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from qemunet_tests import modes
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import bridges
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.network.host_target import HostTarget
from qemunet_tests.network.netplan import NetplanHost
from qemunet_tests.network.target import LabTarget, Target
from qemunet_tests.observe.lease import Lease, lease_now


@dataclass(frozen=True)
class Failure:
    """`mode` is the broken claim's mode or subject, and `topics` what its table calls `diagnosis`.

    `netplan_host` is there for the tests that have one.
    """

    mode: str
    bench: Bench
    target: Target
    error: BaseException
    netplan_host: NetplanHost | None = None
    topics: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, mode: str, fixtures: Mapping[str, object], error: BaseException, topics: tuple[str, ...] = ()
    ) -> "Failure | None":
        """The failure of a test that had these fixtures; None where it got no bench and so nothing can be looked at."""
        bench, target = fixtures.get("bench"), fixtures.get("target")
        if not isinstance(bench, Bench) or not isinstance(target, LabTarget | HostTarget):
            return None
        configured = fixtures.get("netplan_host")
        netplan_host = configured if isinstance(configured, NetplanHost) else None
        return cls(mode, bench, target, error, netplan_host, topics)

    @property
    def guest(self) -> Guest | None:
        """The test's own guest: others come later. One without a NIC has nothing that could be looked at."""
        return next((guest for guest in self.bench.guests if guest.nics), None)

    def bridge(self, name: str | None = None) -> HostBridge | None:
        """The host's bridge that guests join, or another of its bridges; None where there is none."""
        with self.target.host.entered():
            return bridges.find(name or self.target.bridge)

    @property
    def on_lan(self) -> bool:
        """Whether guests of this mode are on a LAN with others, seen there under addresses of their own.

        A claim about a subject, a NIC for instance, is of no mode: there the test's own guest tells.
        """
        if self.mode in modes.every() or self.guest is None:
            return modes.shares_network(self.mode)
        return any(nic.netdev.shares_network for nic in self.guest.nics)

    @property
    def lan_lease(self) -> Lease | None:
        """What the test's guest has been leased by now, where it is on a LAN with others."""
        return lease_now(self.guest) if self.guest and self.on_lan else None
