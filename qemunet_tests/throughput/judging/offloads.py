"""What guest and tap agreed to spare each other, in words.

Sources: virtio 1.2, 5.1.3 (feature bits of network devices; sysfs shows them as a row of digits, bit 0 first);
linux/if_tun.h.
"""

VIRTIO_BITS = {
    0: "CSUM", 1: "GUEST_CSUM", 7: "GUEST_TSO4", 8: "GUEST_TSO6", 9: "GUEST_ECN", 10: "GUEST_UFO",
    11: "HOST_TSO4", 12: "HOST_TSO6", 13: "HOST_ECN", 14: "HOST_UFO", 15: "MRG_RXBUF", 22: "MQ",
}  # fmt: skip
IFF_VNET_HDR = 0x4000


def virtio(digits: str | None) -> frozenset[str]:
    """Names of the features that a guest's virtio device has; others go by their number."""
    return frozenset(VIRTIO_BITS.get(bit, f"bit {bit}") for bit, digit in enumerate(digits or "") if digit == "1")


def has_vnet_hdr(tun_flags: str) -> bool:
    """Whether packets pass the tap uncut and unsummed."""
    return bool(int(tun_flags, 16) & IFF_VNET_HDR)


def changed(before: str | None, after: str | None) -> tuple[str, str]:
    """What each of two devices has that the other has not."""
    left, right = virtio(before), virtio(after)
    return _with(left - right), _with(right - left)


def _with(names: frozenset[str]) -> str:
    return f"virtio with {' '.join(sorted(names))}" if names else "virtio without"


def spelled(tun_flags: str | None) -> str:
    if not tun_flags:
        return "no tap"
    return f"tap {'with' if has_vnet_hdr(tun_flags) else 'without'} vnet_hdr ({tun_flags})"
