"""iperf3 of two versions: whether they understand each other is found out by a transfer, and by nothing else."""

import contextlib
from collections.abc import Iterator

import pytest

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.throughput import iperf
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.sockets import Account
from qemunet_tests.throughput.transfer import TransferPlan
from qemunet_tests.throughput.variants import Arm
from qemunet_tests.throughput.versions import require_understanding

BOTH = ("g2h", "h2g")
#: Makes the guest's iperf3 call another port than it is told: the echo service's, whose answers are no iperf3's.
ELSEWHERE = """mv /bin/iperf3 /bin/iperf3.real && cat >/bin/iperf3 <<'END' && chmod 755 /bin/iperf3
#!/bin/sh
exec /bin/iperf3.real $(echo "$@" | sed 's/-p {port}/-p {other}/')
END"""


@pytest.fixture
def subject(bench: Bench, lab: Lab) -> Iterator[ResidentGuest]:
    guest = bench.boot(Nic(UserNetdev()))
    measured = ResidentGuest(Arm("user", "virtio-net-pci"), guest, lab.host)
    measured.look()
    yield measured
    bench.discard(guest)


@pytest.fixture
def way(lab: Lab) -> Iterator[TransferPlan]:
    with contextlib.closing(Account(lab.host)) as account:
        yield TransferPlan(lab.host, account, Placement("free"), 1)


def calls(subject: ResidentGuest, port: int) -> None:
    subject.guest.check(ELSEWHERE.format(port=iperf.PORT, other=port))


def test_two_that_talk_are_good_enough(way: TransferPlan, subject: ResidentGuest) -> None:
    """Whatever their numbers are: these two are told to be of different versions."""
    require_understanding(way, subject, BOTH, "3.22", "3.12")


def test_two_that_do_not_are_unavailable_with_the_reason(way: TransferPlan, subject: ResidentGuest) -> None:
    calls(subject, 7007)
    with pytest.raises(
        Unavailable, match=r"iperf3 3\.22 on this host and 3\.12 in the guest do not understand"
    ) as said:
        require_understanding(way, subject, BOTH, "3.22", "3.12")
    assert "qemunet image build" in said.value.remedy
    # Of one version nothing is tried in advance.
    require_understanding(way, subject, BOTH, "3.12", "3.12")


def test_two_that_cannot_meet_say_nothing_of_versions(way: TransferPlan, subject: ResidentGuest) -> None:
    calls(subject, 9)
    with pytest.raises(HarnessError, match="unable to connect"):
        require_understanding(way, subject, BOTH, "3.22", "3.12")
