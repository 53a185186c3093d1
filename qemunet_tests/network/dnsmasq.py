"""Real DHCP and DNS service at a station."""

from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation.processes import Process, stop
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.services import answers_dns, why_not


@dataclass(frozen=True)
class ServerLease:
    """A lease as the server wrote it down."""

    expires: int
    mac: str
    address: str
    hostname: str


class Dnsmasq:
    """One dnsmasq, in the foreground because it may not change groups in a user namespace with one id.

    `port` is the UDP port that shows it to be serving; `words` say what it serves. At `dns_port` it answers questions.
    """

    dns_port: int | None = None

    def __init__(self, station: Station, folder: Path, role: str, port: int, words: list[str]) -> None:
        self.station = station
        self.log = folder / f"{role}-{station.name}.log"
        self._port = port
        self._words = [
            "dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--user=", "--group=", "--pid-file=",
            "--bind-interfaces", f"--log-facility={self.log}", *words,
        ]  # fmt: skip
        self._process: Process | None = None
        self.start()

    def start(self) -> None:
        """Start, and return when it answers. Raises HarnessError with its own message."""
        stderr = self.log.with_suffix(".err")
        with stderr.open("wb") as complaints:
            self._process = self.station.start(self._words, stderr=complaints)
        ready = Deadline(10, f"dnsmasq at {self.station.name} to serve port {self._port}")
        ready.wait_until(lambda: self._serves() or self._ended(stderr))

    def _serves(self) -> bool:
        return self.station.listens("udp", self._port)

    def _ended(self, stderr: Path) -> bool:
        if self._process and self._process.poll() is not None:
            raise HarnessError(f"dnsmasq at {self.station.name} ended: {stderr.read_text().strip()}")
        return False

    def stop(self) -> None:
        """End it on purpose: `failing` is silent about it from now on."""
        if self._process:
            stop(self._process)
            self._process = None

    def failing(self) -> str | None:
        """Why it does not serve although it should; None where it does."""
        if self._process is None:
            return None
        if why := why_not(self._process):
            return why
        silent = self.dns_port is not None and not answers_dns(self.station, self.dns_port)
        return "answers nothing" if silent else None


class DnsServer(Dnsmasq):
    """A DNS server that knows the lab's names and no others."""

    dns_port = 53

    def __init__(self, station: Station, folder: Path) -> None:
        names = [f"--host-record={name},{address}" for name, address in lab_addresses.NAMES.items()]
        words = ["--no-hosts", "--no-resolv", "--log-queries", "--local=/home/", "--local=/example/", *names]
        super().__init__(station, folder, "dns", 53, words)


class StubResolver(Dnsmasq):
    """A resolver on the host's loopback, where systemd-resolved has its own. Of one name it has a long text to tell."""

    address = "127.0.0.53"
    name, told = "stub.example", "told.example"

    def __init__(self, station: Station, folder: Path) -> None:
        text = [letter * 250 for letter in "abcdefghijklmnop"]
        words = [
            "--no-hosts", "--no-resolv", "--log-queries", "--local=/example/", f"--listen-address={self.address}",
            # By UDP as much as whoever asks says that he can take.
            "--edns-packet-max=4096", f"--host-record={self.name},192.0.2.53",
            f"--txt-record={self.told},{','.join(text)}",
        ]  # fmt: skip
        # What an earlier one wrote says nothing of this one.
        (folder / f"stub-{station.name}.log").unlink(missing_ok=True)
        super().__init__(station, folder, "stub", 53, words)

    def _serves(self) -> bool:
        # Another one has the same port at other addresses. It says so once it listens.
        return self.log.exists() and "started, version" in self.log.read_text()


class DhcpServer(Dnsmasq):
    """The LAN's DHCP server. It answers DNS at a port that nobody uses, by which it is seen not to hang."""

    dns_port = lab_addresses.DHCP_SERVERS_DNS_PORT

    def __init__(self, station: Station, folder: Path) -> None:
        self._leases = folder / "leases"
        words = [
            f"--port={self.dns_port}", "--no-hosts", "--no-resolv", "--interface=lan0",
            "--dhcp-authoritative", "--no-ping", "--log-dhcp",
            f"--dhcp-range={lab_addresses.FIRST_LEASE},{lab_addresses.LAST_LEASE},{lab_addresses.LEASE_SECONDS}",
            f"--dhcp-option=option:router,{lab_addresses.ROUTER}",
            f"--dhcp-option=option:dns-server,{lab_addresses.ROUTER}",
            f"--domain={lab_addresses.DOMAIN}", f"--dhcp-leasefile={self._leases}",
        ]  # fmt: skip
        super().__init__(station, folder, "dhcp", 67, words)

    @property
    def leases(self) -> list[ServerLease]:
        """The leases the server knows of."""
        rows = self._leases.read_text().splitlines() if self._leases.exists() else []
        parts = [row.split() for row in rows]
        return [ServerLease(int(p[0]), p[1], p[2], p[3]) for p in parts if len(p) >= 4]
