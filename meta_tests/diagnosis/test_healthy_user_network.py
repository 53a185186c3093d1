"""Of a user network that does as it should nothing is said: a real guest, whose QEMU and host are in order."""

from collections.abc import Callable, Iterator

import pytest

from meta_tests.faults.user import filter_packets
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import qemu_itself, search
from qemunet_tests.guest.bench import Bench
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab
from qemunet_tests.network.target import Target
from qemunet_tests.observe.lease import lease
from qemunet_tests.qemu.netdev import Nic

TOPICS = ("hops", "last-hop", "ping-open", "resolver", "reach")
CHECKS = [
    qemu_itself.gives_no_lease,
    qemu_itself.tells_otherwise,
    qemu_itself.addresses_otherwise,
    qemu_itself.answers_no_ping,
    qemu_itself.passes_nothing_on,
    qemu_itself.gives_nothing_back,
    qemu_itself.asks_its_own_resolver,
    qemu_itself.tells_of_other_hops,
]


@pytest.fixture(scope="module")
def failure(bench: Bench, target: Target) -> Iterator[Failure]:
    guest = bench.boot(Nic(UserNetdev()))
    assert lease(guest)
    yield Failure("user", bench, target, AssertionError("nothing"), topics=TOPICS)
    bench.discard(guest)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_is_not_blamed(failure: Failure, check: Callable[[Failure], Obstacle | None]) -> None:
    assert check(failure) is None


def test_what_a_filter_of_the_host_keeps_from_it_is_not_its_fault(failure: Failure, lab: Lab) -> None:
    """The link shows an error that QEMU is never told."""
    filter_packets(lab.host, "chain in { type filter hook input priority 0; icmp type destination-unreachable drop; };")
    try:
        assert qemu_itself.tells_of_other_hops(failure) is None
    finally:
        lab.host.run("nft delete table inet fault")


def test_all_that_may_blame_it_are_tried() -> None:
    public = {
        name for name, each in vars(qemu_itself).items() if getattr(each, "__module__", "") == qemu_itself.__name__
    }
    assert {name for name in public if not name.startswith("_")} == {each.__name__ for each in CHECKS}


def test_what_a_claim_asks_is_all_answered(failure: Failure) -> None:
    assert search.incomplete_path(failure) is None
