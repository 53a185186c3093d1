"""The doctor's remedy for a missing bridge: nobody who works on the host from elsewhere is cut off by it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from meta_tests.samples.healthy_host import found, host, routes
from meta_tests.samples.host_machine import HOST, LAN, HostMachine
from meta_tests.user_accounts import CHECKOUT, ORDINARY_PATH
from qemunet_tests.host.uplink import THIS, Uplink

MAC = "02:00:00:00:00:09"
#: Typed at the LAN: a connection to the host that stays open, and what goes through it before and after.
CALLER = f"""
import socket, sys
caller = socket.create_connection(("{HOST}", 7070), timeout=20)
for line in sys.stdin:
    caller.sendall(line.encode())
    print(caller.recv(100).decode().strip(), flush=True)
"""
CALLED = """
import socket
server = socket.create_server(("0.0.0.0", 7070))
print("ready", flush=True)
called, _ = server.accept()
while piece := called.recv(100):
    called.sendall(piece)
"""
NO_BRIDGE: dict[str, str | None] = {
    "/proc/net/route": routes("eth0 00000000 0101A8C0 00000000"),
    "/sys/class/net/eth0/address": f"{MAC}\n",
    "/sys/class/net/eth0/ifindex": "2\n",
    "/sys/class/net/eth0/flags": "0x1003\n",
}
MANAGERS = {
    "netplan": (
        {"/etc/netplan/50-cloud-init.yaml": "network:\n  ethernets:\n    eth0: {dhcp4: true}\n"},
        [
            "in /etc/netplan/50-cloud-init.yaml move what eth0 has",
            f"bridges: br0: with interfaces: [eth0], macaddress: {MAC}",
            "sudo netplan try, which goes back by itself",
        ],
    ),
    "netplan that leaves it to NetworkManager": (
        {
            "/etc/netplan/01-network-manager-all.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n",
            "/proc/812/comm": "NetworkManager\n",
            "/run/NetworkManager/devices/2": "[device]\nmanaged=true\n",
        },
        [
            f"sudo nmcli connection add type bridge con-name br0 ifname br0 bridge.stp no bridge.mac-address {MAC} "
            "ipv4.method manual ipv4.addresses 192.168.1.7/24 ipv4.gateway 192.168.1.1 && ",
            "sudo nmcli connection up br0-port",
        ],
    ),
    "networkd": (
        {
            "/proc/813/comm": "systemd-network\n",
            "/run/systemd/netif/links/2": "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10.network\n",
        },
        ["with the [Network] section of /etc/systemd/network/10.network", "sudo networkctl reload"],
    ),
    "ifupdown": (
        {"/etc/network/interfaces": "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n"},
        ["in /etc/network/interfaces call the stanza of eth0 br0", "until the next boot: sudo sh -c 'ip link add br0 "],
    ),
    "NetworkManager that lets it be": (
        {"/proc/812/comm": "NetworkManager\n", "/run/NetworkManager/devices/2": "[device]\nmanaged=false\n"},
        [
            f"sudo sh -c 'ip link add br0 address {MAC} type bridge stp_state 0 && ip link set br0 up && ip addr add "
            "192.168.1.7/24 dev br0 && ip link set eth0 master br0 && ip addr del 192.168.1.7/24 dev eth0 && ip route "
            "replace default via 192.168.1.1 dev br0'"
        ],
    ),
}


@pytest.mark.parametrize(("files", "words"), MANAGERS.values(), ids=MANAGERS)
def test_whoever_sees_to_the_interface_is_asked(tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    facts = host(tmp_path, {**NO_BRIDGE, **files})
    assert isinstance(facts.uplink, Uplink)
    has = replace(
        facts.uplink, addresses=("192.168.1.7/24",), routes=(("-4", "default", "via", "192.168.1.1", "dev", THIS),)
    )
    remedy = found(replace(facts, bridges=(), uplink=has))["bridge"].finding.remedy
    assert remedy is not None
    for each in words:
        assert each in remedy, remedy


def test_a_lease_is_asked_for_again_with_the_same_mac(tmp_path: Path) -> None:
    manager = {"/proc/812/comm": "NetworkManager\n"}
    facts = host(tmp_path, {**NO_BRIDGE, **manager})
    assert facts.uplink is not None
    leased = replace(facts.uplink, addresses=("192.168.1.7/24",), leased=True)
    remedy = found(replace(facts, bridges=(), uplink=leased))["bridge"].finding.remedy or ""
    assert (f"bridge.mac-address {MAC}" in remedy, "ipv4." in remedy) == (True, False)


@pytest.fixture
def machine() -> Iterator[HostMachine]:
    made = HostMachine()
    made.type(f"""
        ip link del br0; ip addr add {HOST}/24 dev up0; ip addr add fd00::2/64 dev up0 nodad
        ip route add default via {LAN} metric 100; ip route add 198.51.100.0/24 via {LAN}
    """)
    made.type_at_lan("ip addr add fd00::1/64 dev lan0 nodad; ip route add 192.0.2.0/24 dev lan0")
    yield made
    made.close()


def remedy_of(machine: HostMachine, check: str) -> str:
    return str(machine.doctor()[check]["remedy"]).replace("sudo ", "")


def reached_after(machine: HostMachine, commands: str) -> None:
    """The connection that was there before carries on, and new ones come about, by IPv6 as well."""
    called = subprocess.Popen(machine.inside([sys.executable, "-c", CALLED]), stdout=subprocess.PIPE)
    assert called.stdout is not None
    assert called.stdout.readline() == b"ready\n"
    caller = subprocess.Popen(
        machine.inside([sys.executable, "-c", CALLER], at_lan=True),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert caller.stdin is not None
    assert caller.stdout is not None
    try:
        for word in ("before", "after"):
            caller.stdin.write(f"{word}\n")
            assert caller.stdout.readline() == f"{word}\n"
            if word == "before":
                machine.type(commands)
        machine.type_at_lan(f"ping -c 1 -W 20 {HOST} && ping -c 1 -W 20 fd00::2")
        machine.type(f"ping -c 1 -W 20 {LAN}")
    finally:
        for each in (caller, called):
            machine.stop(each)
            each.communicate()


def test_the_remedy_word_for_word_keeps_the_connection(machine: HostMachine) -> None:
    reached_after(machine, remedy_of(machine, "bridge"))
    now = machine.doctor()
    assert {now[each]["state"] for each in ("bridge", "bridge-up", "bridge-uplink")} == {"ok"}, now
    assert "bridge-address" not in now
    routes = machine.type("ip route; ip -6 route show default")
    assert f"default via {LAN} dev br0 metric 100" in routes
    assert f"198.51.100.0/24 via {LAN} dev br0" in routes
    assert "up0" not in routes
    verdicts = machine.run("--bridge", "br0", "bridge/lease-address")
    assert verdicts["bridge/lease-address"]["verdict"] == "holds", machine.said


#: A second way out, and what the first one's table has that a rule leads to.
SECOND_WAY = f"""
    ip link add up1 type veth peer name up2; ip link set up1 up; ip link set up2 up
    ip addr add 10.9.0.2/24 dev up1; ip addr add fd01::2/64 dev up1 nodad; ip route del default
    ip route add default metric 100 nexthop via {LAN} dev up0 weight 2 nexthop via 10.9.0.1 dev up1
    ip -6 route add default metric 50 nexthop via fd00::1 dev up0 nexthop via fd01::1 dev up1
    ip route add 203.0.113.0/24 via {LAN} dev up0 src {HOST} mtu 1400 table 77
"""
MOVED = [
    ("ip route show default", ["via 192.168.77.1 dev br0 weight 2", "via 10.9.0.1 dev up1 weight 1", "metric 100"]),
    ("ip -6 route show default", ["via fd00::1 dev br0 weight 1", "via fd01::1 dev up1 weight 1", "metric 50"]),
    ("ip route show table 77", ["203.0.113.0/24 via 192.168.77.1 dev br0 src 192.168.77.2 mtu 1400"]),
]


def test_all_routes_move_with_the_addresses(machine: HostMachine) -> None:
    machine.type(SECOND_WAY)
    reached_after(machine, remedy_of(machine, "bridge"))
    for asked, parts in MOVED:
        told = " ".join(machine.type(asked).split())
        assert [part for part in parts if part not in told] == [], told
        assert "up0" not in told


def test_a_bridge_without_an_uplink_gets_it_as_carefully(machine: HostMachine) -> None:
    machine.type("ip link add br0 type bridge stp_state 0; ip link set br0 up")
    reached_after(machine, remedy_of(machine, "bridge-uplink"))
    assert machine.doctor()["bridge-uplink"]["state"] == "ok"


def test_no_bridge_and_no_tunnel_is_put_into_a_bridge(machine: HostMachine) -> None:
    """The kernel refuses both, and the addresses would be at two places by then."""
    machine.type("ip link add vmbr0 type bridge stp_state 0; ip link set vmbr0 up; ip link set up0 master vmbr0"
                 f"; ip addr del {HOST}/24 dev up0; ip addr add {HOST}/24 dev vmbr0; ip route add default via {LAN}"
                 "; ip link add br0 type bridge stp_state 0; ip link set br0 up")  # fmt: skip
    by_hand = "ip link set INTERFACE master br0, with a wired one that has no address"
    use = "use vmbr0, which this host goes out by: -netdev bridge,br=vmbr0"
    assert remedy_of(machine, "bridge-uplink") == f"{use}; or {by_hand}"
    machine.type("ip tuntap add dev tun0 mode tun; ip addr add 10.8.0.2/24 dev tun0; ip link set tun0 up"
                 "; ip route replace default dev tun0")  # fmt: skip
    assert remedy_of(machine, "bridge-uplink") == by_hand


def test_an_interface_put_into_a_bridge_by_itself_cuts_everybody_off(machine: HostMachine) -> None:
    careless = "ip link add br0 type bridge stp_state 0; ip link set br0 up; ip link set up0 master br0"
    with pytest.raises(AssertionError):
        reached_after(machine, careless)


@pytest.mark.parametrize("columns", [60, 100])
def test_at_a_terminal_lines_end_where_it_does_and_commands_can_be_copied(machine: HostMachine, columns: int) -> None:
    words = machine.inside(["env", f"PATH={ORDINARY_PATH}", sys.executable, "-m", "qemunet_tests", "doctor"])
    typed = pexpect.spawn(
        words[0], words[1:], dimensions=(24, columns), timeout=60, encoding="utf-8", cwd=str(CHECKOUT),
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    typed.expect(pexpect.EOF)
    typed.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", typed.before).splitlines()
    # Only a word that is longer than the line goes beyond it.
    assert [line for line in lines if len(line) > columns and " " in line.strip()] == []
    text = "\n".join(lines)
    command = re.search(r"remedy: (sh -c 'ip link add br0 .*?')$", text, re.DOTALL | re.MULTILINE)
    assert command is not None, text
    reached_after(machine, command[1])


def test_in_a_pipe_lines_stay_whole(machine: HostMachine) -> None:
    said = machine.qemunet("doctor").stdout.splitlines()
    assert [line for line in said if "; remedy: " in line and "ip link add br0" in line and len(line) > 200]
