"""What a DHCP server gave a guest."""

from dataclasses import dataclass

from qemunet_tests.harness.guest import Guest

#: A first DISCOVER may be lost while a link comes up: this is how long a client is given under KVM.
LEASE_SECONDS = 4.0


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
    def interface(self) -> str:
        """Address and prefix as the documentation writes them, `10.0.2.15/24`."""
        return f"{self.address}/{self.prefix}"


def lease(guest: Guest, nic: int = 0, within_seconds: float = LEASE_SECONDS) -> Lease | None:
    """Wait for the guest's lease on its NIC number `nic`; None when none came. `within_seconds` is KVM time."""
    said = guest.await_lease(nic, within_seconds)
    return None if said is None else _parse(said)


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
