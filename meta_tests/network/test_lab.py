"""The lab: the post's network, complete, reachable, closed, and invisible to the machine."""

import contextlib
import itertools
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import TimedOut
from qemunet_tests.guest.bench import Bench
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.processes import Spawner
from qemunet_tests.isolation.station import Station
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab, lab_addresses, private_etc
from qemunet_tests.network.echo import Caller
from qemunet_tests.network.lab_links import add_veth
from qemunet_tests.network.netplan import NetplanHost
from qemunet_tests.qemu.netdev import Nic

ADDRESSED = ("host", "router", "neighbour", "outside")
PAIRS = list(itertools.product(ADDRESSED, ADDRESSED))


def station(lab: Lab, name: str) -> Station:
    return next(station for station in lab.stations if station.name == name)


def address(lab: Lab, name: str) -> str:
    return lab.addresses[station(lab, name)]


def addresses(station: Station) -> dict[str, list[str]]:
    """The IPv4 addresses on every link."""
    rows = station.run("ip -4 -o addr show").text.splitlines()
    found: dict[str, list[str]] = {}
    for row in rows:
        _, link, _, with_prefix, *_ = row.split()
        found.setdefault(link, []).append(with_prefix)
    return found


def routes(station: Station) -> set[str]:
    return {" ".join(row.split()[:5]) for row in station.run("ip -4 route show").text.splitlines()}


@pytest.mark.parametrize(
    ("name", "links"),
    [
        ("host", {"lo": ["127.0.0.1/8"], "br0": ["192.168.1.2/24"]}),
        ("switch", {"lo": ["127.0.0.1/8"]}),
        ("neighbour", {"lo": ["127.0.0.1/8"], "eth0": ["192.168.1.10/24"]}),
        ("outside", {"lo": ["127.0.0.1/8"], "eth0": ["203.0.113.10/24"]}),
        (
            "router",
            {"lo": ["127.0.0.1/8"], "lan0": ["192.168.1.254/24"], "wan0": ["203.0.113.254/24"]},
        ),
    ],
)
def test_addresses(lab: Lab, name: str, links: dict[str, list[str]]) -> None:
    assert addresses(station(lab, name)) == links


def test_routes(lab: Lab) -> None:
    assert "default via 192.168.1.254 dev br0" in routes(lab.host)
    assert "default via 192.168.1.254 dev eth0" in routes(lab.neighbour)
    assert "default via 203.0.113.254 dev eth0" in routes(lab.outside)
    assert not [route for route in routes(lab.router) if route.startswith("default")]


def test_the_hosts_uplink_is_a_port_of_its_bridge(lab: Lab) -> None:
    uplink, bridge = lab.host.link("enp0s25"), lab.host.link("br0")
    assert uplink and bridge
    assert lab.host.netlink.get_links(uplink["index"])[0].get("master") == bridge["index"]
    assert Path("/sys/class/net/br0/bridge/stp_state").read_text() == "0\n"


def test_no_card_has_an_address_that_a_tap_could_have(lab: Lab) -> None:
    """A bridge takes the lowest address of its ports, and those of taps begin with fe."""
    cards = [lab.host.link("enp0s25"), lab.neighbour.link("eth0"), lab.router.link("lan0"), lab.switch.link("to-host")]
    assert [dict(card["attrs"])["IFLA_ADDRESS"][:3] for card in cards if card] == ["02:"] * len(cards)


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_tcp_from_every_station_to_every_other(lab: Lab, near: str, far: str) -> None:
    word = secrets.token_bytes(100_000)
    with station(lab, near).connect(address(lab, far), lab_addresses.ECHO_PORT) as connection:
        sender = connection.getsockname()
        connection.sendall(word)
        connection.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: connection.recv(65536), b"")) == word
    assert Caller(far, "tcp", *sender) in lab.echo.callers


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_udp_from_every_station_to_every_other(lab: Lab, near: str, far: str) -> None:
    word = secrets.token_bytes(100)
    with station(lab, near).open_socket(socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect((address(lab, far), lab_addresses.ECHO_PORT))
        asking.send(word)
        assert asking.recv(200) == word
        assert Caller(far, "udp", *asking.getsockname()) in lab.echo.callers


def test_nobody_answers_where_nobody_is(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.neighbour.connect(lab_addresses.OUTSIDE, lab_addresses.ECHO_PORT + 1)
    with pytest.raises(OSError, match=r"timed out|No route to host"):
        lab.outside.connect("192.168.1.77", lab_addresses.ECHO_PORT, within_seconds=0.3)


def test_a_caller_that_breaks_off_does_not_end_the_service(lab: Lab) -> None:
    for _ in range(20):
        with lab.neighbour.open_socket() as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.connect((lab_addresses.HOST, lab_addresses.ECHO_PORT))
    with lab.neighbour.connect(lab_addresses.HOST, lab_addresses.ECHO_PORT) as polite:
        polite.sendall(b"still there?")
        assert polite.recv(100) == b"still there?"


# What programs in the lab see of the machine


def test_etc_is_the_labs_own(lab: Lab) -> None:
    etc, machine = Path("/etc"), SCRATCH / "machine-etc"
    assert (etc / "resolv.conf").read_text() == "nameserver 192.168.1.254\nsearch home\n"
    assert "192.168.1.2 host.home" in (etc / "hosts").read_text()
    assert (etc / "qemu/bridge.conf").read_text() == "# the bridges that guests may join\n\nallow br0\n"
    for name in ("resolv.conf", "hosts", "qemu/bridge.conf"):
        theirs = machine / name
        assert not theirs.exists() or (theirs.stat().st_dev, theirs.stat().st_ino) != (
            (etc / name).stat().st_dev,
            (etc / name).stat().st_ino,
        )
        assert not theirs.exists() or lab_addresses.DOMAIN not in theirs.read_text().split()
    assert (etc / "passwd").read_text() == (machine / "passwd").read_text()


def test_programs_resolve_by_the_labs_server(lab: Lab) -> None:
    assert lab.host.run("getent hosts www.example").text.split()[0] == lab_addresses.OUTSIDE
    assert lab.host.run(f"getent hosts {lab_addresses.UNKNOWN_NAME}").status == 2
    # The way QEMU's libslirp and Python go.
    assert socket.gethostbyname("router.home") == lab_addresses.ROUTER


def test_sys_shows_the_lab(lab: Lab) -> None:
    shown = {entry.name for entry in Path("/sys/class/net").iterdir()}
    assert shown == {link.get("ifname") for link in lab.host.netlink.get_links()}
    assert {"lo", "br0", "enp0s25"} <= shown


def test_a_command_that_exceeds_its_time(lab: Lab) -> None:
    with pytest.raises(TimedOut, match="sleep 1000"):
        lab.neighbour.run("sleep 1000", within_seconds=0.2)


# That it is closed


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A network that is no station of the lab."""
    network = namespaces.new_network()
    yield network
    os.close(network)


def test_a_lab_does_not_leak(lab: Lab, bench: Bench) -> None:
    guest = bench.boot(Nic(UserNetdev()), Nic(BridgeNetdev()), network=False)
    try:
        assert lab.leaks() == []
    finally:
        bench.discard(guest)


def test_a_cable_that_leads_elsewhere_is_a_leak(lab: Lab, elsewhere: int) -> None:
    lab.router.netlink.link("add", ifname="way-out", kind="veth", peer={"ifname": "x", "net_ns_fd": elsewhere})
    try:
        assert lab.leaks() == ["router: the other end of way-out is outside the lab"]
    finally:
        lab.router.netlink.link("del", index=lab.router.index("way-out"))
    assert lab.leaks() == []


def test_a_cable_whose_end_is_moved_away_is_a_leak(lab: Lab, elsewhere: int) -> None:
    add_veth(lab.switch, "near", lab.outside, "far")
    try:
        assert lab.leaks() == []
        lab.outside.netlink.link("set", index=lab.outside.index("far"), net_ns_fd=elsewhere)
        assert lab.leaks() == ["switch: the other end of near is outside the lab"]
    finally:
        lab.switch.netlink.link("del", index=lab.switch.index("near"))


def add_odd_link(station: Station) -> str:
    """Make a link that leads nowhere, of whatever kind this kernel knows."""
    for kind in ("dummy", "ifb", "vcan"):
        with contextlib.suppress(NetlinkError):
            station.netlink.link("add", ifname="odd", kind=kind)
            return kind
    pytest.skip("this kernel knows no link of another kind")


def test_a_link_of_another_kind_is_a_leak_once_it_is_up(lab: Lab) -> None:
    kind = add_odd_link(lab.host)
    try:
        assert lab.leaks() == []
        lab.host.bring_up("odd")
        assert lab.leaks() == [f"host: odd is of kind {kind}"]
    finally:
        lab.host.netlink.link("del", index=lab.host.index("odd"))


def test_a_device_of_the_machine_is_a_leak() -> None:
    from qemunet_tests.network.lab_network import _leak

    assert _leak({"ifname": "eth0", "ifi_type": 1, "flags": 0}, ()) == "eth0 is a device of the machine"
    assert _leak({"ifname": "lo", "ifi_type": 772, "flags": 1}, ()) is None


def ancestor_on_the_machine() -> int:
    """An ancestor of this process that has not left the machine's network."""
    pid = os.getppid()
    while namespaces.network_namespace(pid) != namespaces.machine_network():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can return to the machine's network")
def test_a_process_in_the_machines_network_is_a_leak(lab: Lab) -> None:
    """One that was started, and one that was not."""
    words = ["nsenter", f"--net=/proc/{ancestor_on_the_machine()}/ns/net", "sh", "-c", "sleep 1000 & wait"]
    escaped = lab.host.start(words)
    try:
        assert Deadline(3, "the escape").sees(lambda: len(lab.leaks()) == 2)
        assert f"process {escaped.pid} (sh) is in the machine's own network namespace" in lab.leaks()
    finally:
        os.killpg(escaped.pid, signal.SIGKILL)
        escaped.wait()
    assert Deadline(3, "its children to end").sees(lambda: not lab.leaks())


@pytest.mark.parametrize("netdev", [UserNetdev(), BridgeNetdev()], ids=["user", "bridge"])
def test_no_qemu_is_in_the_machines_own_network(bench: Bench, lab: Lab, netdev: UserNetdev | BridgeNetdev) -> None:
    guest = bench.boot(Nic(netdev), network=False)
    try:
        network = namespaces.network_namespace(guest.qemu.process.pid)
        assert network == f"net:[{os.fstat(lab.host.network).st_ino}]"
        assert network != namespaces.machine_network()
    finally:
        bench.discard(guest)


@pytest.fixture
def without_machine_id(lab: Lab) -> Iterator[None]:
    """/etc/machine-id is empty, as in a container's image."""
    file = Path("/etc/machine-id")
    kept = file.readlink() if file.is_symlink() else None
    private_etc.replace("machine-id", "")
    yield
    file.unlink()
    if kept:
        file.symlink_to(kept)


@pytest.mark.usefixtures("without_machine_id")
def test_netplan_makes_its_bridge_in_a_container(spawner: Spawner) -> None:
    with contextlib.closing(NetplanHost(spawner)) as host:
        assert host.apply(), host.log.read_text()
