"""Words about a QEMU that passes on what it should have answered, and silence where it need not be to blame."""

from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.diagnosis.lost_frame import qemu_itself, search, where_lost
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.observe.capture import UDP

OWN, HOSTS = "10.0.2.3", "192.168.1.254"
EXCHANGE: Any = SimpleNamespace(question="DNS question for www.example", answer="DNS answer")
FAILURE: Any = SimpleNamespace()


def path(*targets: str, answered: tuple[int, int] = (0, 0)) -> FramePath:
    """A question that the guest has asked three times, and that left at br0 for these."""
    return FramePath(EXCHANGE, ("the guest's NIC", "br0"), (3, 3), answered, (), (), 60, targets=targets)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A guest of user mode whose question left the host for QEMU's own address; the host itself is answered."""
    found = SimpleNamespace(path=path(OWN), resolver=HOSTS, host_is_answered=True)
    lease = SimpleNamespace(resolvers=(OWN,))
    monkeypatch.setattr(qemu_itself, "_guest_of", lambda _: SimpleNamespace())
    monkeypatch.setattr(qemu_itself, "lease_now", lambda _: lease)
    monkeypatch.setattr(qemu_itself, "used_by_qemu", lambda: found.resolver)
    monkeypatch.setattr(qemu_itself, "_host_is_answered", lambda *_: found.host_is_answered)
    monkeypatch.setattr(search, "incomplete_path", lambda _: found.path)
    return found


def test_a_question_that_left_for_qemus_own_address_is_told_of(world: SimpleNamespace) -> None:
    found = qemu_itself.asks_its_own_resolver(FAILURE)
    assert found is not None
    assert "sent the DNS question for www.example out at br0 to 10.0.2.3, the address that QEMU itself" in found.reason
    assert "not to 192.168.1.254, which answers the host's own questions" in found.reason


@pytest.mark.parametrize(("standing", "told"), [(False, True), (True, False)])
def test_what_stands_on_the_host_may_have_kept_an_answer(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, standing: bool, told: bool
) -> None:
    """A rule that lets so many pass in a minute lets the host's own question pass, later."""
    world.path = path(HOSTS, answered=(0, 3))
    assert world.path.gap == ("br0", "the guest's NIC", True)
    netdev = SimpleNamespace(passed_on_by="QEMU's user network", another=("--qemu", "QEMU"))
    failure: Any = SimpleNamespace(guest=SimpleNamespace(nics=[SimpleNamespace(netdev=netdev)]))
    monkeypatch.setattr(where_lost, "something_stands_there", lambda _: standing)
    assert bool(qemu_itself.gives_nothing_back(failure)) is told
    assert qemu_itself.passes_nothing_on(failure) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"path": path(HOSTS)}, id="to-the-hosts-resolver"),
        pytest.param({"path": path(OWN, HOSTS)}, id="to-both"),
        pytest.param({"path": path()}, id="nobody-listened"),
        pytest.param({"path": path(OWN, answered=(0, 1))}, id="answered"),
        pytest.param({"path": None}, id="all-complete"),
        pytest.param({"resolver": OWN}, id="the-host-has-a-resolver-there"),
        pytest.param({"host_is_answered": False}, id="a-host-that-rewrites-its-own-questions-as-well"),
    ],
)
def test_nothing_is_said_of_qemu(world: SimpleNamespace, other: dict[str, Any]) -> None:
    vars(world).update(other)
    assert qemu_itself.asks_its_own_resolver(FAILURE) is None


def test_packets_tell_whom_they_are_for() -> None:
    """By what is heard on the wire, not by what was meant to be asked."""
    from qemunet_tests.diagnosis.lost_frame import frame_path
    from qemunet_tests.observe.capture import Packet

    question = Packet("02:00:00:00:00:01", "02:00:00:00:00:02", UDP, HOSTS, OWN, 40000, 53, b"", 60)
    place: Any = SimpleNamespace(place="br0", packets=lambda: [question], tags=set())
    captures: Any = SimpleNamespace(guest=place, links={"br0": place}, unheard=[])
    exchange: Any = SimpleNamespace(inward=False, asks=lambda _: True, answers=lambda _: False)
    heard = frame_path._heard(exchange, captures, ["br0"], [])
    assert (heard.sources, heard.targets) == ((HOSTS,), (OWN,))
