"""What the doctor reads of a host's routes, resolver, ports and cards."""

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from meta_tests.samples.healthy_host import FILES, NET, found, host, routes
from meta_tests.samples.host_files import tree
from qemunet_tests.host import bridges, ports, resolver_query
from qemunet_tests.host import routes as ways
from qemunet_tests.host.socket_table import Protocol


def test_routes_and_who_filters_strictly(tmp_path: Path) -> None:
    conf = "/proc/sys/net/ipv4/conf"
    table = routes(
        "eth0 00000000 FE01A8C0 00000000", "eth0 0001A8C0 00000000 00FFFFFF", "eth1 0000000A 00000000 000000FF"
    )
    refused = "*\t0003000A\t00000000\t0203\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    files = {"/proc/net/route": table + refused, f"{conf}/all/rp_filter": "1", f"{conf}/eth1/rp_filter": "2"}
    read = ways.read(tree(tmp_path, files))
    assert [str(route.network) for route in read.all] == ["0.0.0.0/0", "192.168.1.0/24", "10.0.0.0/8"]
    assert read.defaults[0].gateway == IPv4Address("192.168.1.254")
    assert read.all[1].gateway is None
    assert read.strict == ("eth0",)
    clash = read.clashing(IPv4Network("10.0.2.0/24"))
    assert clash is not None
    assert clash.interface == "eth1"
    assert read.clashing(IPv4Network("172.16.0.0/24")) is None
    assert read.leased_address is None


def test_of_two_routes_that_clash_the_narrower_is_named(tmp_path: Path) -> None:
    table = routes(
        "tun0 0000000A 00000000 000000FF", "eth1 8002000A 00000000 80FFFFFF", "tun1 0000000A 00000000 0000FFFF"
    )
    clash = ways.read(tree(tmp_path, {"/proc/net/route": table})).clashing(IPv4Network("10.0.2.0/24"))
    assert clash is not None
    assert str(clash.network) == "10.0.2.128/25"


def test_halves_of_the_whole_world_are_nobodys_network(tmp_path: Path) -> None:
    """By which OpenVPN covers a default route and leaves it where it is."""
    halves = routes("tun0 00000000 01080A0A 00000080", "tun0 00000080 01080A0A 00000080")
    assert ways.read(tree(tmp_path, {"/proc/net/route": halves})).clashing(IPv4Network("10.0.2.0/24")) is None


def test_no_routes_at_all(tmp_path: Path) -> None:
    assert ways.read(tmp_path).all == ()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def answering(server: socket.socket, *answers: Callable[[bytes], bytes]) -> list[bytes]:
    """Answer the next question in these ways, one datagram each; the questions are in the list that is returned."""
    heard: list[bytes] = []

    def serve() -> None:
        question, asker = server.recvfrom(512)
        heard.append(question)
        for answer in answers:
            server.sendto(answer(question), asker)

    threading.Thread(target=serve, daemon=True).start()
    return heard


def test_a_resolver_that_answers(server: socket.socket) -> None:
    refused = struct.pack("!5H", 0x8005, 1, 0, 0, 0)
    heard = answering(server, lambda _: b"\0\0of somebody else", lambda question: question[:2] + refused)
    assert resolver_query.ask("127.0.0.1", server.getsockname()[1], 10).outcome == "answers"
    # Not to be passed on: recursion is not desired, and the name is the machine's own.
    (question,) = heard
    assert struct.unpack("!H", question[2:4]) == (0,)
    assert question[12:] == b"\x09localhost\0\0\1\0\1"


def test_a_resolver_that_does_not(server: socket.socket) -> None:
    silent = resolver_query.ask("127.0.0.1", server.getsockname()[1], 0.1)
    assert (silent.outcome, silent.detail) == ("silent", "within 0.1 s")
    server.recv(512)
    heard = answering(server, lambda _: b"\0\0of somebody else")
    assert resolver_query.ask("127.0.0.1", server.getsockname()[1], 0.5).outcome == "silent"
    assert heard
    number = server.getsockname()[1]
    server.close()
    assert resolver_query.ask("127.0.0.1", number, 10).outcome == "closed"


def test_no_resolver_to_ask() -> None:
    assert resolver_query.ask(None) == resolver_query.NOT_ASKED


@pytest.mark.parametrize(("protocol", "state"), [("tcp", "0A"), ("udp", "07")])
def test_the_user_of_a_socket_whose_process_is_hidden(tmp_path: Path, protocol: Protocol, state: str) -> None:
    header = "sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n"
    line = f"0: 0100007F:08AE 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 3999999 0 4242\n"
    connected = line.replace(f" {state} ", " 01 ").replace("08AE", "08AF")
    root = tree(tmp_path, {f"/proc/net/{protocol}6": header + line + connected})
    assert ports.owner(2222, root, protocol) == ports.PortOwner(None, None, "user 3999999")
    assert ports.owner(2223, root, protocol) is None
    assert ports.owner(2222, root, "udp" if protocol == "tcp" else "tcp") is None


def test_a_udp_port_of_our_own(server: socket.socket) -> None:
    found_port = ports.read(server.getsockname()[1], protocol="udp")
    obstacle = found_port.obstacle()
    assert obstacle is not None
    assert f"UDP port {found_port.number} is taken by " in obstacle.reason
    assert found_port.owner is not None
    assert found_port.owner.command is not None
    assert found_port.owner.command in Path(sys.executable).resolve().name + " pytest"


def test_the_card_below_a_vlan(tmp_path: Path) -> None:
    files = {f"{NET}/br0.7/lower_ens1/flags": "", f"{NET}/ens1/mtu": "9000", f"{NET}/br0.7/mtu": "1500"}
    root = tree(tmp_path, files)
    (root / "sys/class/net/ens1/device").mkdir()
    (root / "sys/class/net/ens1/device/driver").symlink_to("../../../bus/vmbus/drivers/hv_netvsc")
    card = bridges.card("br0.7", root)
    assert card is not None
    assert (card.driver, card.bond_mode, card.mtu) == ("hv_netvsc", None, 1500)
    assert bridges.card("br1", root) is None


def test_before_there_is_a_bridge_the_card_it_would_need_is_judged(tmp_path: Path) -> None:
    files: dict[str, str | None] = {path: None for path in FILES if path.startswith(f"{NET}/br0")}
    files["/proc/net/route"] = routes("wlan0 00000000 FD01A8C0 00000000", "wlan0 0001A8C0 00000000 00FFFFFF")
    files[f"{NET}/wlan0/phy80211/index"] = "0\n"
    outcome = found(host(tmp_path, files))
    assert outcome["bridge-wireless"].finding.reason.startswith("wlan0, which a bridge would need, is wireless")
    assert "bridge-firewall" not in outcome


def test_a_bridge_without_vlans_drops_nothing_for_want_of_one(tmp_path: Path) -> None:
    settings = {f"{NET}/br0/bridge/vlan_filtering": "0\n", f"{NET}/br0/bridge/default_pvid": "0\n"}
    assert "bridge-vlan" not in found(host(tmp_path, {**settings}))


def test_one_way_out_may_be_filtered_strictly(tmp_path: Path) -> None:
    outcome = found(host(tmp_path, {"/proc/sys/net/ipv4/conf/br0/rp_filter": "1\n"}))["reverse-path"]
    assert outcome.finding.state == "ok"
    assert "rp_filter is strict" in outcome.finding.reason
