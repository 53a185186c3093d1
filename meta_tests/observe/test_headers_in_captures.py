"""QEMU before 8.0 writes the virtio header of whoever sends in front of a frame: where the frame begins is found."""

from qemunet_tests.observe.capture import headers_before


def test_what_stands_in_front_of_ones_own_frames() -> None:
    """As it was on a busy machine: what came in before the NIC's driver was there has the shorter header."""
    own, other = bytes.fromhex("525400720001"), bytes.fromhex("6e8ffc4dad11")
    came_early, others = bytes(10) + own + other + b"\x08\x06", bytes(12) + b"\xff" * 6 + other + b"\x86\xdd"
    sent, plain = bytes(12) + b"\xff" * 6 + own + b"\x08\x06", b"\xff" * 6 + own + b"\x08\x06"
    assert headers_before("52:54:00:72:00:01", [came_early, others]) == set()
    assert headers_before("52:54:00:72:00:01", [came_early, others, sent]) == {12}
    assert headers_before("52:54:00:72:00:01", [sent, plain]) == {0, 12}
