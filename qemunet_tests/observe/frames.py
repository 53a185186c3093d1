"""What was on a guest's wire, read from the capture that QEMU writes at its backend."""

from pathlib import Path

from qemunet_tests.guest.guest import Guest

#: RFC 1533: every DHCP packet carries it, 236 bytes after its beginning.
DHCP_COOKIE = b"\x63\x82\x53\x63"
MESSAGE_TYPE = 53
TYPES = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}


def dhcp_messages(guest: Guest, nic: int = 0) -> list[str]:
    """The DHCP message types seen on the guest's wire, in order, as `discover`, `offer`, ...

    They are found by DHCP's cookie, because QEMU before 8.0 writes the virtio header in front of every frame.
    """
    return [kind for kind, _ in timed_dhcp_messages(guest, nic)]


def timed_dhcp_messages(guest: Guest, nic: int = 0) -> list[tuple[str, float]]:
    """The same, each with the time at which it passed, in seconds of the host's clock."""
    from scapy.utils import RawPcapReader

    capture = guest.folder / f"net{nic}.pcap"
    if not _has_packets(capture):
        return []
    with RawPcapReader(str(capture)) as reader:
        return [(kind, at.sec + at.usec / 1e6) for frame, at in reader if (kind := _message_type(frame))]


def seconds_to_offer(guest: Guest, nic: int = 0) -> float | None:
    """Seconds from the guest's first DISCOVER to the first OFFER; None when none has come."""
    seen = timed_dhcp_messages(guest, nic)
    asked = next((at for kind, at in seen if kind == "discover"), None)
    offered = next((at for kind, at in seen if kind == "offer"), None)
    return None if asked is None or offered is None else offered - asked


def _has_packets(capture: Path) -> bool:
    pcap_header_bytes = 24
    return capture.exists() and capture.stat().st_size > pcap_header_bytes


def _message_type(frame: bytes) -> str | None:
    at = frame.find(DHCP_COOKIE)
    if at < 0:
        return None
    options = frame[at + len(DHCP_COOKIE) :]
    while len(options) > 2 and options[0] != 255:
        if options[0] == MESSAGE_TYPE:
            return TYPES.get(options[2])
        options = options[1:] if options[0] == 0 else options[2 + options[1] :]
    return None
