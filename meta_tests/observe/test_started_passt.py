"""A QEMU whose passt has ended: what is an answer about it, and what tells nothing."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.conformance import test_passt_netdev as tried
from qemunet_tests.errors import HarnessError

ABORTED = "qemu-system-x86_64: net/net.c:2175: net_fill_rstate: Assertion `size == 0' failed."


class Claim(SimpleNamespace):
    """What a test tells its claim."""

    expected = "192.168.1.2, again 192.168.1.2"
    observed, deviated = "", False

    def sees(self, observed: str) -> None:
        self.observed = observed

    def deviates(self) -> None:
        self.deviated = True


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Claim]:
    """Tries the claim with a QEMU that gives these answers in turn, then ends so, if it does, and says that."""

    def judge(answers: list[str | None], ended: str | None = None, said: str = "") -> Claim:
        left = list(answers)

        def offered(_: object) -> SimpleNamespace:
            if not left or (answer := left.pop(0)) is None:
                raise HarnessError("silence about DHCP tells nothing")
            return SimpleNamespace(address=answer)

        pids = iter((7, 9))
        for name, instead in (("offered", offered), ("named_pid", lambda _: next(pids)), ("kill", lambda _: None)):
            monkeypatch.setattr(tried, name, instead)
        monkeypatch.setattr(tried, "another_pid", lambda *_: 9)
        qemu = SimpleNamespace(how_it_ended=lambda: None if left else ended, said=said)
        claim: Any = Claim()
        tried.test_passt_is_started_again(lambda: SimpleNamespace(qemu=qemu), claim)
        return claim

    return judge


def test_another_passt_that_answers_late(judge: Callable[..., Claim]) -> None:
    claim = judge(["192.168.1.2", None, None, "192.168.1.2"])
    assert (claim.observed, claim.deviated) == (claim.expected, False)


def test_a_qemu_whose_other_thread_reads_what_passt_sends(judge: Callable[..., Claim]) -> None:
    claim = judge(["192.168.1.2", None], "killed by SIGABRT", ABORTED)
    assert (claim.observed, claim.deviated) == ("192.168.1.2, and QEMU aborts", True)


@pytest.mark.parametrize(
    ("ended", "said"), [("killed by SIGKILL", ""), ("killed by SIGABRT", "out of memory"), ("exit status 1", ABORTED)]
)
def test_a_qemu_that_ends_otherwise_tells_nothing(judge: Callable[..., Claim], ended: str, said: str) -> None:
    with pytest.raises(HarnessError):
        judge(["192.168.1.2", None], ended, said)
