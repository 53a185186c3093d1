"""iperf3: its versions, its words, and what its JSON says.

Sources: iperf3(1); the projects' release notes and issue 1768 about 3.16 and later.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import credentials, system
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation.station import Station

PORT = 5201
INTERVAL_SECONDS = 0.25
VERSION = re.compile(r"iperf3? (\d+)\.(\d+)")
#: Threads came with 3.16: crashes at the end of a test, and other rates for the same path, until 3.18.
BAD_VERSIONS = ((3, 16), (3, 17))


@dataclass(frozen=True)
class Flow:
    """One finished transfer, by both ends. Rates are goodput at the receiver after the first `skipped_seconds`."""

    mbit_per_second: float
    sent_bytes: int
    received_bytes: int
    retransmits: int | None
    intervals: tuple[tuple[float, float, int], ...]
    congestion: str | None

    @property
    def stalls(self) -> int:
        """Intervals in which nothing arrived."""
        return sum(1 for _, _, moved in self.intervals if moved == 0)


def require(station: Station) -> str:
    """The version of the host's iperf3. Raises Unavailable where it is missing or known to crash."""
    if not shutil.which("iperf3", path=search_path(SYSTEM_PATH)):
        raise Unavailable("iperf3, which measures throughput, is not installed", _install())
    said = station.run("iperf3 --version").text
    return usable(said, "this host's")


def usable(said: str, whose: str) -> str:
    """The version in what `iperf3 --version` said. Raises Unavailable for one that is known to be bad."""
    match = VERSION.search(said)
    if not match:
        raise Unavailable(f"{whose} iperf3 does not say its version", _install())
    if (int(match[1]), int(match[2])) in BAD_VERSIONS:
        raise Unavailable(
            f"{whose} iperf3 is {match[1]}.{match[2]}, a version that crashes and reports wrong rates (3.16 and 3.17)",
            "install iperf3 3.12 to 3.15, or 3.18 and later",
        )
    return f"{match[1]}.{match[2]}"


def _install() -> str:
    return install_command("iperf3", system.read(), credentials.read().sudo)


def server_words() -> list[str]:
    return ["iperf3", "-s", "-4", "-1", "-J", "-i", str(INTERVAL_SECONDS), "-p", str(PORT)]


def client_words(address: str, direction: str, seconds: int) -> list[str]:
    words = ["iperf3", "-c", address, "-p", str(PORT), "-t", str(seconds), "-i", str(INTERVAL_SECONDS), "-J"]
    return [*words, "-R"] if direction == "h2g" else words


def parse(text: str, whose: str) -> dict[str, Any]:
    """Raises HarnessError with iperf3's own words where it failed."""
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError:
        raise HarnessError(f"the {whose}'s iperf3 left no whole JSON: {text.strip()[-120:]!r}") from None
    if error := said.get("error"):
        raise HarnessError(f"the {whose}'s iperf3: {error}")
    return said


def flow(client: dict[str, Any], server: dict[str, Any], direction: str, skip_seconds: float) -> Flow:
    """What both ends say together. Raises HarnessError where the transfer was too short to tell."""
    receiver, sender = (server, client) if direction == "g2h" else (client, server)
    seen = intervals(receiver)
    return Flow(
        mbit_per_second=mbit_per_second(seen, skip_seconds),
        sent_bytes=int(client["end"]["sum_sent"]["bytes"]),
        received_bytes=int(client["end"]["sum_received"]["bytes"]),
        retransmits=sender["end"]["sum_sent"].get("retransmits"),
        intervals=seen,
        congestion=sender["end"].get("sender_tcp_congestion"),
    )


def objection(flow: Flow, skip_seconds: float) -> str | None:
    """Why a transfer is no measurement of a rate, None where it is."""
    return None if flow.mbit_per_second > 0 else f"it stalled: nothing arrived after the first {skip_seconds} s"


def intervals(said: dict[str, Any]) -> tuple[tuple[float, float, int], ...]:
    """Start and end in seconds of this end's own clock, and bytes, of everything it reported."""
    return tuple(_interval(each["sum"]) for each in said["intervals"] if "sum" in each)


def seconds(said: dict[str, Any]) -> float:
    """How long the transfer took by this end's own clock."""
    seen = intervals(said)
    return seen[-1][1] if seen else 0.0


def mbit_per_second(seen: Sequence[tuple[float, float, int]], skip_seconds: float) -> float:
    """The rate after the first `skip_seconds`. Raises HarnessError where nothing is left."""
    steady = [(end - start, moved) for start, end, moved in seen if start >= skip_seconds - 0.05]
    seconds = sum(length for length, _ in steady)
    if seconds <= 0:
        raise HarnessError(f"the transfer lasted less than the {skip_seconds} s that are left out")
    return sum(moved for _, moved in steady) * 8 / seconds / 1e6


def _interval(said: dict[str, Any]) -> tuple[float, float, int]:
    return round(said["start"], 4), round(said["end"], 4), int(said["bytes"])


def quoted(words: Sequence[str], file: str) -> str:
    """A guest's command that keeps the JSON away from the serial line until the transfer is over."""
    return f"{' '.join(words)} >{file} 2>&1; cat {file}"
