"""What causes are read from: counters of the kernel, checksums and announcements on a guest's wire."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether

from qemunet_tests.diagnosis.lost_frame import kernel_causes, kernel_counters, search
from qemunet_tests.observe import dhcp, ipv6

#: Recorded where a table of connections was full, the columns without interest left out.
CONNTRACK = """\
entries  clashres found insert_failed drop early_drop
00000008  00000000 00000000 00000000 00000011 00000002
00000008  00000000 00000000 00000000 00000001 00000000
"""
NETSTAT = """\
TcpExt: SyncookiesSent ListenDrops IPReversePathFilter
TcpExt: 4 0 {}
IpExt: InNoRoutes InOctets
IpExt: 0 123456
"""


def test_every_processor_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "nf_conntrack").write_text(CONNTRACK)
    assert kernel_counters._of_processors(tmp_path / "nf_conntrack", kernel_counters.STATISTICS["nf_conntrack"]) == {
        "nf_conntrack.drop": 0x12,
        "nf_conntrack.early_drop": 2,
        "nf_conntrack.insert_failed": 0,
    }
    assert kernel_counters._of_processors(tmp_path / "missing", ("drop",)) == {}


def test_only_what_is_lost_and_has_risen_counts(tmp_path: Path) -> None:
    counted = []
    for times in (3, 5):
        (tmp_path / "netstat").write_text(NETSTAT.format(times))
        counted.append(kernel_counters._of_protocols(tmp_path / "netstat", kernel_counters.LOST))
    assert counted[0] == {"TcpExt.ListenDrops": 0, "TcpExt.IPReversePathFilter": 3, "IpExt.InNoRoutes": 0}
    assert [str(drop) for drop in kernel_counters.risen(*counted)] == ["TcpExt.IPReversePathFilter 2"]
    assert kernel_counters.risen(counted[1], counted[1]) == ()


@pytest.mark.parametrize("anyway", [False, True], ids=["by the question", "anyway"])
@pytest.mark.parametrize(
    ("counter", "cause"),
    [
        ("nf_conntrack.drop", "more connections than its table holds"),
        ("arp_cache.table_fulls", "table of neighbours is full"),
        ("TcpExt.IPReversePathFilter", "reverse path filter"),
        ("br0.rx_nohandler", None),
    ],
)
def test_a_counter_that_rises_is_a_cause(
    counter: str, cause: str | None, anyway: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it rises while nothing is asked as well; a table that is full is full for all."""
    exchange: Any = SimpleNamespace(question="TCP connection")
    path = SimpleNamespace(dropped=(kernel_counters.Drop(counter, 7),), exchange=exchange)
    now = itertools.count(step=anyway)
    monkeypatch.setattr(search, "incomplete_path", lambda failure: path)
    monkeypatch.setattr(kernel_causes, "counters", lambda station, links: {counter: next(now)})
    monkeypatch.setattr(kernel_causes, "SILENCE_SECONDS", 0.05)
    # In user mode all is the host's own.
    failure: Any = SimpleNamespace(bench=SimpleNamespace(station=None), on_lan=False)
    found = kernel_causes.dropped(failure)
    if anyway and counter not in kernel_causes.OF_FULL_TABLES:
        cause = None
    assert (found is None) == (cause is None)
    assert found is None or (cause is not None and cause in found.reason and f"{counter} 7" in found.reason)


def offer(checksum: int | None) -> bytes:
    message = BOOTP(op=2, chaddr=bytes(6), xid=1) / DHCP(options=[("message-type", "offer"), "end"])
    return bytes(Ether() / IP(src="192.0.2.1", dst="192.0.2.9") / UDP(sport=67, dport=68, chksum=checksum) / message)


@pytest.mark.parametrize("virtio_header", [b"", bytes(10), bytes(12)])
@pytest.mark.parametrize(("checksum", "state"), [(None, "right"), (0, "right"), (0xBEEF, "wrong")])
def test_a_checksum_is_judged(checksum: int | None, state: str, virtio_header: bytes) -> None:
    assert dhcp._checksum_of(virtio_header + offer(checksum)) == state


def test_an_unfinished_checksum_is_told_from_a_wrong_one() -> None:
    whole = offer(0xBEEF)
    length = int.from_bytes(whole[38:40])
    pseudo = whole[26:34] + (17).to_bytes(2) + length.to_bytes(2)
    assert dhcp._checksum_of(offer(dhcp._sum(pseudo))) == "unfinished"
    assert dhcp._checksum_of(whole[:30]) is None


def test_a_router_that_speaks_ipv6_is_heard() -> None:
    advert = (
        IPv6(src="fe80::1", dst="ff02::1", tc=0xC0)
        / ICMPv6ND_RA()
        / ICMPv6NDOptPrefixInfo(prefix="fd00:77::", prefixlen=64)
    )
    frame = bytes(Ether() / advert)
    assert ipv6._prefixes(bytes(12) + frame) == ["fd00:77::/64"]
    assert ipv6._prefixes(offer(None)) == []
    assert ipv6._prefixes(frame[:60]) == []
