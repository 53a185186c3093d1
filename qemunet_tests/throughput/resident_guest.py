"""The resident guest of an arm, ready to be measured, and the counters of its process."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qemunet_tests.errors import TimedOut
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe import process
from qemunet_tests.observe.lease import leased_address
from qemunet_tests.throughput import on_path, path_proof
from qemunet_tests.throughput.recording_shapes import MeasuredGuest, OnPath
from qemunet_tests.throughput.variants import Arm

#: One shell command that tells what of the guest's network bears on throughput.
ASK = (
    "cd /sys/class/net/eth0; "
    "echo mtu $(cat mtu); echo features $(cat device/features 2>/dev/null); "
    "echo driver $(basename $(readlink device/driver)); echo kernel $(uname -r); "
    "echo congestion $(cat /proc/sys/net/ipv4/tcp_congestion_control); "
    "echo iperf3 $(iperf3 --version | head -n 1)"
)
LEASE_SECONDS = 12.0
STATIC = "{down}; ip link set eth0 up; ip addr add {address}/24 dev eth0"
COUNT = "cd /sys/class/net/eth0/statistics; cat tx_bytes tx_packets rx_bytes rx_packets"


@dataclass
class ResidentGuest:
    """An arm's guest. `helpers` are processes that carry its traffic beside QEMU; `far` is the guest at the other
    end, for an arm between guests; `given` are their addresses where nobody leases any."""

    arm: Arm
    guest: Guest
    station: Station
    helpers: Sequence[Process] = ()
    far: Guest | None = None
    given: Sequence[str] = ()
    own_address: str = ""
    far_address: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def guests(self) -> list[Guest]:
        return [self.guest, *([self.far] if self.far else [])]

    @property
    def pids(self) -> list[int]:
        """Everything whose CPU time is the subject's: between guests that of both, who both carry the traffic."""
        return [*(guest.qemu.process.pid for guest in self.guests), *(helper.pid for helper in self.helpers)]

    def processor_threads(self) -> list[int]:
        """The threads that run the guests' processors, as QEMU's own PID namespace numbers them."""
        return [each["thread-id"] for guest in self.guests for each in guest.monitor.execute("query-cpus-fast")]

    @property
    def owners(self) -> list[int]:
        """The processes whose own host sockets carry the traffic, where sockets do."""
        return [helper.pid for helper in self.helpers] or [self.guest.qemu.process.pid]

    @property
    def address(self) -> str:
        """Where the guest finds the server."""
        return self.far_address or self.arm.configuration.server or lab_addresses.HOST

    @property
    def connection_port(self) -> int | None:
        """The port of the connection between the two QEMUs, where there is one."""
        return getattr(self.guest.nics[0].netdev, "port", None)

    def tap_payload(self) -> Mapping[str, int] | None:
        """Payload that passed this guest's tap so far, by direction; None where it has no tap."""
        name = process.tap_of(self.guest)
        if name is None:
            return None
        folder = Path("/sys/class/net", name, "statistics")
        counts = {file.name: int(file.read_text()) for file in folder.iterdir()}
        return {
            "g2h": path_proof.payload(counts["rx_bytes"], counts["rx_packets"]),
            "h2g": path_proof.payload(counts["tx_bytes"], counts["tx_packets"]),
        }

    def counts(self) -> path_proof.Counts:
        """Everything that counts this arm's traffic by itself, now."""
        return path_proof.Counts(self.tap_payload(), tuple(self._nics()) if self.far else ())

    def _nics(self) -> Iterator[path_proof.NicCount]:
        for guest in self.guests:
            yield path_proof.NicCount(*(int(line) for line in guest.check(COUNT).split()))

    def backend_kind(self) -> str:
        """What the monitor shows now, of every guest of this arm: one word where all are of one kind."""
        kinds = [", ".join(each.kind for each in process.backends(guest)) for guest in self.guests]
        return " and ".join(dict.fromkeys(kinds))

    def on_path(self) -> OnPath:
        """What lies in the path on the host now."""
        name = process.tap_of(self.guest)
        return on_path.of_tap(self.station, name) if name else OnPath()

    def describe(self) -> MeasuredGuest:
        """For every row: how QEMU was started, and what host and guest negotiated."""
        far = {"far_argv": self.far.qemu.words} if self.far else {}
        said = {"arm": self.arm.name, "nic": self.arm.nic, "argv": self.guest.qemu.words, **far, **self.facts}
        return MeasuredGuest.model_validate(said)

    def look(self) -> None:
        """Wait for addresses and ask for the facts. Raises HarnessError, and TimedOut without a lease."""
        addresses = [self._address_of(guest, given) for guest, given in itertools.zip_longest(self.guests, self.given)]
        self.own_address, self.far_address = addresses[0], addresses[1] if self.far else ""
        said = self.guest.check(ASK, 12)
        self.facts = {name: rest for name, _, rest in (line.partition(" ") for line in said.splitlines())}
        self.facts["network"] = " ".join(self.guest.monitor.ask("info network").split())
        if flags := self.on_path().tun_flags:
            self.facts["tun_flags"] = flags

    def _address_of(self, guest: Guest, given: str | None) -> str:
        if given:
            guest.check(STATIC.format(down=guest.tools.network_down.format(), address=given), 12)
            return given
        leased = leased_address(guest, LEASE_SECONDS)
        if leased is None:
            raise TimedOut(f"{guest.name} got no lease within {guest.pace.seconds(LEASE_SECONDS):.3g} s")
        return leased
