"""What a DHCP server gave a guest, or offers it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.address_resolution import BROADCAST
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network.target import Target
from qemunet_tests.observe.dhcp import dhcp_messages
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

#: A first DISCOVER may be lost while a link comes up: this is how long a client is given under KVM.
LEASE_SECONDS = 4.0
#: Who asked so often was not too slow to ask, and who was refused so often is not leased anything.
ENOUGH_QUESTIONS, ENOUGH_REFUSALS = 8, 3
#: So often in a patience it is looked whether a guest asks in vain.
LOOKS = 8
OFFER_TRANSACTION = 0x71656D75


@dataclass(frozen=True)
class Lease:
    """The guest's own view of its lease, from its DHCP client. Absent options are empty."""

    address: str
    prefix: int
    gateway: str
    resolvers: tuple[str, ...]
    server: str
    seconds: int
    domain: str

    @property
    def resolver(self) -> str:
        """All resolvers, in their order."""
        return " ".join(self.resolvers)

    @property
    def interface(self) -> str:
        """Address and prefix as the documentation writes them, `10.0.2.15/24`."""
        return f"{self.address}/{self.prefix}"


class NoLease(AssertionError):
    """What a test needs to say anything about its guest's network. Like its own assertions this says `broken`."""

    def __init__(self) -> None:
        super().__init__("the guest got no lease")


class LeasedHostsAddress(AssertionError):
    """Who asks the guest there asks the host, and the host itself: nothing that is seen then is the guest's doing."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the guest was leased {address}, which is this host's own address")


def lease_of(guest: Guest, nic: int = 0, within_seconds: float = LEASE_SECONDS) -> "Lease":
    """The guest's lease on its NIC number `nic`, waited for. Raises NoLease. `within_seconds` is KVM time."""
    got = lease(guest, nic, within_seconds)
    if got is None:
        raise NoLease
    return got


def lease(guest: Guest, nic: int = 0, within_seconds: float = LEASE_SECONDS) -> Lease | None:
    """Wait for the guest's lease on its NIC number `nic`; None when none came. `within_seconds` is KVM time.

    Who asks for more than the usual time expects a late one, and gets all of it.
    """
    looks = LOOKS if 0 < within_seconds <= LEASE_SECONDS else 1
    for patience_seconds in turns(within_seconds, again=False):
        for _ in range(looks):
            if (said := guest.await_lease(nic, patience_seconds / looks)) is not None:
                return _parse(said)
            if within_seconds and _asked_in_vain(guest, nic):
                return None
    return None


def lease_now(guest: Guest) -> Lease | None:
    """The guest's lease, where it has one by now."""
    return lease(guest, within_seconds=0.0)


def leased_address(guest: Guest, within_seconds: float) -> str | None:
    """The address alone, of a guest whose frames nobody captures; None when none came. `within_seconds` is KVM time."""
    said = guest.await_lease(0, within_seconds)
    return _parse(said).address if said else None


def _asked_in_vain(guest: Guest, nic: int) -> bool:
    """Whether the guest has asked again and again and was offered nothing, or not given it: more time is no help."""
    seen = dhcp_messages(guest, nic)
    if "offer" not in seen and seen.count("discover") >= ENOUGH_QUESTIONS:
        return True
    in_vain = seen.count("request") >= ENOUGH_QUESTIONS or seen.count("nak") >= ENOUGH_REFUSALS
    return in_vain and "ack" not in seen


def known_to_server(target: Target, mac: str, within_seconds: float = 2.0) -> str | None:
    """The address that the LAN's server has written down for a MAC; None where it has none.

    It may answer first and write after.
    """
    found: list[str] = []

    def written() -> bool:
        found[:] = [each.address for each in target.leases_known_to_server() if each.mac == mac]
        return bool(found)

    Deadline(within_seconds, "the server to write its lease down").sees(written, interval_seconds=0.05)
    return found[0] if found else None


def offer(peer: "Peer", within_seconds: float = 2.0) -> Lease | None:
    """The DHCPOFFER that a DISCOVER brings; None when nobody offers anything."""
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    discover = (
        Ether(src=peer.mac, dst=BROADCAST)
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(peer.mac.replace(":", "")), xid=OFFER_TRANSACTION, flags=0x8000)
        / DHCP(options=[("message-type", "discover"), ("param_req_list", [1, 3, 6, 15, 51, 54]), "end"])
    )
    answer = peer.ask(discover, lambda frame: DHCP in frame and frame[BOOTP].xid == OFFER_TRANSACTION, within_seconds)
    if answer is None:
        return None
    options = {option[0]: option[1:] for option in answer[DHCP].options if isinstance(option, tuple)}
    return Lease(
        address=answer[BOOTP].yiaddr,
        prefix=sum(bin(int(octet)).count("1") for octet in options["subnet_mask"][0].split(".")),
        gateway=options.get("router", ("",))[0],
        resolvers=options.get("name_server", ()),
        server=options.get("server_id", ("",))[0],
        seconds=options.get("lease_time", (0,))[0],
        domain="",
    )


def _parse(text: str) -> Lease:
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Lease(
        address=said.get("ip", ""),
        prefix=int(said.get("mask") or 32),
        gateway=said.get("router", "").split(" ")[0],
        resolvers=tuple(said.get("dns", "").split()),
        server=said.get("serverid", ""),
        seconds=int(said.get("lease") or 0),
        domain=said.get("domain", ""),
    )
