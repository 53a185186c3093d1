"""Two peers hear each other, and nothing of that is on its way any more when a test begins."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.fixtures import ends
from qemunet_tests.guest import peer_frames
from qemunet_tests.guest.peer import Peer
from qemunet_tests.guest.peer_frames import hear_each_other
from qemunet_tests.modes.stream import FIRST_PORT, StreamPair
from qemunet_tests.network import Lab
from qemunet_tests.observe.carried_frames import passes
from qemunet_tests.observe.frame_sockets import listening

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


@pytest.mark.parametrize("said", ["", "initializing", "connecting", "listening"])
def test_nothing_is_sent_before_there_is_a_connection(said: str) -> None:
    """A QEMU that does not listen yet takes its link for up, and dies of a frame."""
    pair = [SimpleNamespace(mac=f"52:54:00:70:65:0{end}", wire=LateWire()) for end in "ab"]
    pair[0].wire.far, pair[1].wire.far = pair[1].wire, pair[0].wire
    asked: list[str] = []

    def ask(line: str) -> str:
        asked.append(line)
        early = len(asked) < 10
        assert not (early and (pair[0].wire._under_way or pair[1].wire._under_way)), "a frame before a connection"
        where = said if early else "tcp:127.0.0.1:7200"
        return f"hub 0\n \\ wire: index=0,type=dgram,udp=a:b\n \\ hub-net0: net0: index=0,type=stream,{where}\n"

    for end in pair:
        end.qemu = SimpleNamespace(monitor=SimpleNamespace(ask=ask))
    assert hear_each_other(*pair)
    assert len(asked) > 10


def test_a_qemu_that_cannot_listen_does_not_die_of_it(attach_peer: Callable[..., Peer], lab: Lab) -> None:
    taken = lab.host.free_port("tcp", FIRST_PORT)
    with listening(lab.host, taken):
        far = attach_peer(StreamPair(taken, listens=True))
        near = attach_peer(StreamPair(taken, listens=False))
        assert not hear_each_other(far, near)
    assert far.qemu
    assert far.qemu.fate_in_words().startswith("it runs")


@pytest.mark.parametrize(("early", "surely"), [(0, True), (15, True), (15, False)])
def test_ends_that_called_too_early_are_attached_again(
    monkeypatch: pytest.MonkeyPatch, early: int, surely: bool
) -> None:
    """With two wires every fifth attempt is one of those: four in a row are nothing that ends a test."""
    attached: list[list[Any]] = []

    def attach() -> list[Any]:
        attached.append([SimpleNamespace(qemu=None, close=lambda: None) for _ in range(2)])
        return attached[-1]

    monkeypatch.setattr(peer_frames, "hear_each_other", lambda *_: len(attached) > early)
    assert ends._heard(attach, surely) is attached[early]


@pytest.mark.parametrize("surely", [True, False])
def test_ends_that_never_hear_each_other_are_given_up(monkeypatch: pytest.MonkeyPatch, surely: bool) -> None:
    monkeypatch.setattr(peer_frames, "hear_each_other", lambda *_: False)
    monkeypatch.setattr(ends, "SURELY_SECONDS", 0.2)
    monkeypatch.setattr(ends, "DOUBT_SECONDS", 0.2)
    said = SimpleNamespace(monitor=SimpleNamespace(ask=lambda _: "net0: type=stream,connection error\n"))
    pair: list[Any] = [SimpleNamespace(qemu=said, close=lambda: None)] * 2
    if surely:
        with pytest.raises(HarnessError, match=r"no frame passes .*; QEMU says of them: net0: .* error$"):
            ends._heard(lambda: pair, surely)
    else:
        assert ends._heard(lambda: pair, surely) is pair
