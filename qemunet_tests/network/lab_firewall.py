"""A packet filter at a station, by nft(8)."""

import contextlib
import shutil
from collections.abc import Iterator

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import credentials, system
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation.station import Station

TABLE = "inet qemunet"


@contextlib.contextmanager
def rejecting(station: Station, address: str, port: int) -> Iterator[None]:
    """For a while the station rejects its own TCP connections to an address and port.

    Raises Unavailable where there is no nft, HarnessError with its words where it fails.
    """
    rule = f"ip daddr {address} tcp dport {port} reject with tcp reset"
    _nft(station, f"table {TABLE} {{ chain output {{ type filter hook output priority 0; {rule}; }}; }}")
    try:
        yield
    finally:
        # A table that something else has removed meanwhile is no reason to fail.
        _nft(station, f"add table {TABLE}; delete table {TABLE}")


def ruleset(station: Station) -> str:
    """All rules in force."""
    return station.run("nft list ruleset").text


def _nft(station: Station, rules: str) -> None:
    if not shutil.which("nft", path=search_path(SYSTEM_PATH)):
        remedy = install_command("nftables", system.read(), credentials.read().sudo)
        raise Unavailable("nft, which makes the firewall rule, is not installed", remedy)
    done = station.run(f"nft '{rules}'")
    if not done.succeeded:
        raise HarnessError(f"nft: {done.complaint}")
