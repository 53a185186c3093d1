"""Observers say no when it is no: each is shown what is there, and what is not."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from meta_tests.patience import limit
from meta_tests.user_accounts import accounts
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.asking import Completed
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.bridge import bridge_of
from qemunet_tests.observe.capture import whole_capture
from qemunet_tests.observe.dhcp import dhcp_messages, message_type
from qemunet_tests.observe.dns import addresses_of, host_answers
from qemunet_tests.observe.icmp import ping
from qemunet_tests.observe.lease import _parse, lease
from qemunet_tests.observe.nic import address_given, address_on, carrier, driver, interfaces
from qemunet_tests.observe.process import backends, listening_sockets, tap_of
from qemunet_tests.observe.reach import echoes, put_up
from qemunet_tests.observe.station_end import accepted, received, serving
from qemunet_tests.observe.tcp import bulk
from qemunet_tests.qemu.netdev import Nic

ECHO = Endpoint(lab_addresses.NEIGHBOUR, lab_addresses.ECHO_PORT)
HOST = Endpoint("10.0.2.2", lab_addresses.LOOPBACK_PORT)
NOBODY = Endpoint(lab_addresses.NEIGHBOUR, lab_addresses.ECHO_PORT + 1)


@pytest.fixture(scope="module")
def guest(bench: Bench) -> Iterator[Guest]:
    """A guest with both modes: eth0 is user mode with a forward, eth1 is on the bridge."""
    guest = bench.boot(Nic(UserNetdev(hostfwd=("tcp:127.0.0.1:2222-:22",))), Nic(BridgeNetdev()))
    assert lease(guest, 0)
    assert lease(guest, 1)
    yield guest
    bench.discard(guest)


def test_a_lease_and_none(guest: Guest) -> None:
    got = lease(guest, 0)
    assert got is not None
    assert (got.interface, got.gateway, got.resolvers) == ("10.0.2.15/24", "10.0.2.2", ("10.0.2.3",))
    assert lease(guest, 7, within_seconds=0.05) is None


def test_a_lease_without_options() -> None:
    bare = _parse("interface=eth0\nip=192.168.1.7\n")
    assert (bare.interface, bare.gateway, bare.resolvers, bare.seconds) == ("192.168.1.7/32", "", (), 0)
    several = _parse("ip=10.0.0.9\nmask=8\nrouter=10.0.0.1 10.0.0.2\ndns=10.0.0.3 10.0.0.4\ndomain=a=b\n")
    assert (several.gateway, several.resolvers) == ("10.0.0.1", ("10.0.0.3", "10.0.0.4"))
    assert several.domain == "a=b"


def test_backends_and_what_is_behind_them(guest: Guest, shared_guest: Guest, lab: Lab) -> None:
    assert [(backend.identifier, backend.kind) for backend in backends(guest)] == [("net0", "user"), ("net1", "tap")]
    assert backends(shared_guest) == []
    tap = tap_of(guest)
    assert tap
    assert bridge_of(lab.host, tap) == "br0"
    assert tap_of(shared_guest) is None
    assert bridge_of(lab.host, "lo") is None
    assert bridge_of(lab.host, "no-such-link") is None


@pytest.mark.parametrize("signal", ["KILL", pytest.param("STOP", marks=pytest.mark.slow)])
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_guests_service_that_is_silent_in_the_guest_is_no_witness(guest: Guest, protocol: str, signal: str) -> None:
    service = put_up(guest, 7009, protocol)
    service.must_answer()
    guest.check(f"killall -{signal} socat")
    with pytest.raises(HarnessError, match=f"given at {protocol} 7009 is silent in the guest"):
        service.must_answer()
    guest.run("killall -KILL socat")


def test_who_listens(guest: Guest, shared_guest: Guest, lab: Lab) -> None:
    assert listening_sockets(guest, lab.host) == ["tcp 127.0.0.1:2222"]
    assert listening_sockets(shared_guest, lab.host) == []


def test_links(guest: Guest, shared_guest: Guest) -> None:
    assert interfaces(guest) == ["eth0", "eth1"]
    assert interfaces(shared_guest) == []
    assert [driver(guest, name) for name in ("eth0", "eth1", "eth7")] == ["virtio_net", "virtio_net", ""]
    assert address_on(guest, "eth0") == "10.0.2.15/24"
    assert address_on(guest, "eth7", wait_seconds=0) == ""


def test_a_cable_that_is_pulled(bench: Bench) -> None:
    guest = bench.boot(Nic(UserNetdev()), network=False)
    try:
        guest.check("ip link set eth0 up")
        assert carrier(guest)
        guest.unplug()
        assert not carrier(guest)
    finally:
        bench.discard(guest)


def test_ping(guest: Guest, lab: Lab) -> None:
    assert ping(guest, lab_addresses.NEIGHBOUR).received == 3
    assert ping(guest, "192.168.1.77", wait_seconds=1).received == 0
    assert ping(lab.neighbour, lab_addresses.OUTSIDE).received == 3
    assert ping(lab.switch, lab_addresses.OUTSIDE).received == 0
    with pytest.raises(HarnessError, match="ping did not run"):
        ping(lab.neighbour, "no such address")


class ShellOfAUser:
    """An ordinary user's, in a network where nobody may ping, who finds no program but those in a folder."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs

    def run(self, command: str, within_seconds: float = 10.0) -> Completed:
        user = accounts()[-1].values[0]
        apart = [*user.prefix, "unshare", "--user", "--map-current-user", "--net"]
        words = [*apart, "sh", "-c", f"PATH={self._programs}; {command}"]
        done = subprocess.run(words, capture_output=True, check=False, timeout=limit(within_seconds))
        return Completed(done.returncode, done.stdout, done.stderr)


def test_who_may_not_ping_or_has_no_ping_is_told(open_folder: Path) -> None:
    with pytest.raises(Unavailable) as lacking:
        ping(ShellOfAUser(open_folder), "127.0.0.1", count=1)
    assert "not found" in lacking.value.reason
    assert "iputils-ping" in lacking.value.remedy
    # A copy has no capability, as everybody's ping in Debian 13.
    shutil.copy(shutil.which("ping", path=search_path(SYSTEM_PATH)) or "ping", open_folder)
    with pytest.raises(Unavailable, match="may not ping here") as forbidden:
        ping(ShellOfAUser(open_folder), "127.0.0.1", count=1)
    assert forbidden.value.remedy == 'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_echoes(guest: Guest, lab: Lab, protocol: str) -> None:
    assert echoes(guest, protocol, ECHO)
    assert not echoes(guest, protocol, NOBODY, wait_seconds=1)


def test_somebody_who_answers_something_else_is_no_echo(guest: Guest, lab: Lab) -> None:
    with lab.neighbour.open_socket(socket.SOCK_DGRAM) as liar:
        liar.bind((lab_addresses.NEIGHBOUR, NOBODY.port))
        liar.setblocking(False)
        assert not echoes(guest, "UDP", NOBODY, wait_seconds=1)


def test_bulk(guest: Guest) -> None:
    there_and_back = bulk(guest, ECHO, 64 * 1024)
    assert (there_and_back.sent, there_and_back.returned, there_and_back.intact) == (65536, 65536, True)
    lost = bulk(guest, NOBODY, 64 * 1024, wait_seconds=1)
    assert (lost.returned, lost.intact) == (0, False)
    assert re.fullmatch(r"0 of 65536 bytes came back in \d+ s: \d+ kbit/s left the guest's NIC and \d+ kbit/s came in",
                        str(lost))  # fmt: skip


@pytest.mark.parametrize(
    ("size_bytes", "is_right"),
    [
        (17, lambda guest, service: echoes(guest, "TCP", service)),
        (4096, lambda guest, service: bulk(guest, service, 4096).intact),
    ],
    ids=["a word", "bulk"],
)
def test_a_guest_ends_when_all_is_back(
    guest: Guest, lab: Lab, size_bytes: int, is_right: Callable[[Guest, Endpoint], bool]
) -> None:
    """Some passts send again and again what comes in for a guest that has ended its side."""
    ended_before = []

    def answer_late(listening: socket.socket) -> None:
        with accepted(listening) as end:
            data = received(end, size_bytes)
            end.settimeout(1.0)
            try:
                ended_before.append(end.recv(1) == b"")
            except TimeoutError:
                ended_before.append(False)
            end.sendall(data)

    with serving(lab.neighbour, lab_addresses.NEIGHBOUR) as listening, ThreadPoolExecutor(1) as pool:
        pool.submit(answer_late, listening)
        right = is_right(guest, Endpoint(lab_addresses.NEIGHBOUR, listening.getsockname()[1]))
    assert (ended_before, right) == ([False], True)


def test_an_address_is_read_when_the_guest_has_taken_all_of_it(bench: Bench) -> None:
    """Its DHCP client has said the address, and says the mask a second later."""
    guest = bench.boot(Nic(UserNetdev()))
    assert lease(guest)
    guest.check(
        "cd /run/qemunet; mv lease.eth0 later; ifconfig eth0 10.0.2.15 netmask 255.0.0.0; "
        "setsid sh -c 'sleep 1; ifconfig eth0 netmask 255.255.255.0; mv later lease.eth0' >/dev/null 2>&1 &"
    )
    assert address_given(guest, "eth0", 1) == "10.0.2.15/24"
    bench.discard(guest)


def test_a_narrow_window_keeps_little_on_the_way(guest: Guest) -> None:
    """By the wire; and the guest receives as before afterwards."""
    told = "cat /proc/sys/net/ipv4/tcp_rmem"
    before, most_bytes = guest.check(told), []
    for window_bytes in (None, 8192):
        passed = len(whole_capture(guest))
        assert bulk(guest, HOST, 256 * 1024, window_bytes=window_bytes).intact
        most_bytes.append(most_on_the_way(whole_capture(guest)[passed:]))
    assert most_bytes[1] <= 8192 < most_bytes[0]
    assert guest.check(told) == before


def most_on_the_way(frames: list[bytes]) -> int:
    """The most bytes of the echo service's that the guest had not acknowledged yet."""
    acknowledged = most = 0
    for segment in (Ether(frame)[TCP] for frame in frames if TCP in Ether(frame)):
        if segment.dport == HOST.port:
            acknowledged = segment.ack
        elif acknowledged:
            most = max(most, segment.seq + len(segment.payload) - acknowledged)
    return most


def test_names(guest: Guest, lab: Lab) -> None:
    assert addresses_of(guest, "www.example") == (lab_addresses.OUTSIDE,)
    assert addresses_of(guest, lab_addresses.UNKNOWN_NAME) == ()
    assert addresses_of(guest, "www.example", "10.0.2.3") == (lab_addresses.OUTSIDE,)
    assert host_answers(lab.host, lab_addresses.ROUTER, lab_addresses.UNKNOWN_NAME)
    assert not host_answers(lab.host, "192.168.1.77", "www.example", wait_seconds=0.2)


def test_dhcp_on_the_wire(guest: Guest) -> None:
    for nic in (0, 1):
        assert dhcp_messages(guest, nic)[-4:] == ["discover", "offer", "request", "ack"]
    assert dhcp_messages(guest, 7) == []


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b"", None),
        (b"\x63\x82\x53\x63", None),
        (b"\x63\x82\x53\x63\x35", None),
        (b"header\x63\x82\x53\x63\x35\x01\x02\xff", "offer"),
        (b"\x63\x82\x53\x63\x00\x00\x0c\x02ab\x35\x01\x05\xff", "ack"),
        (b"\x63\x82\x53\x63\xff\x35\x01\x05", None),
        (b"\x63\x82\x53\x63\x0c\xf0ab", None),
        (b"\x63\x82\x53\x63\x35\x01\x63\xff", None),
    ],
)
def test_a_frame_is_dhcp_or_not(frame: bytes, kind: str | None) -> None:
    assert message_type(frame) == kind
