"""Two peers hear each other, and nothing of that is on its way any more when a test begins."""

import time
from types import SimpleNamespace

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.peer_frames import hear_each_other
from qemunet_tests.observe.carried_frames import passes

LATE_SECONDS = 0.5


class LateWire:
    """What is put into it comes out at the other end half a second later, as where neither QEMU gets a CPU."""

    def __init__(self) -> None:
        self.far: LateWire = self
        self._under_way: list[tuple[float, bytes]] = []

    def put(self, frame: bytes) -> None:
        self.far._under_way.append((time.monotonic() + LATE_SECONDS, frame))

    def take(self, within_seconds: float) -> bytes | None:
        if not Deadline(within_seconds, "a frame").sees(self._is_there, interval_seconds=0.005):
            return None
        return self._under_way.pop(0)[1]

    def _is_there(self) -> bool:
        return bool(self._under_way) and self._under_way[0][0] <= time.monotonic()


def test_what_was_sent_until_they_heard_each_other_is_no_frame_of_the_tests() -> None:
    near, far = (SimpleNamespace(mac=f"52:54:00:70:65:0{end}", wire=LateWire(), qemu=None) for end in "ab")
    near.wire.far, far.wire.far = far.wire, near.wire
    assert hear_each_other(near, far)
    assert (passes(near, far), passes(far, near)) == (True, True)
