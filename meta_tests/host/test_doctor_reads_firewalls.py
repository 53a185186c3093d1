"""What the doctor reads of a host's firewall, and of services that run its network."""

from dataclasses import replace
from pathlib import Path

import pytest

from meta_tests.faults.in_files.uplinks import EVERYWHERE, forward_drops
from meta_tests.samples.healthy_host import found, host
from meta_tests.samples.host_files import tree
from qemunet_tests.host import firewall, network_managers
from qemunet_tests.host.firewall import Dropping

#: As nft 1.0.6 prints a table that iptables made: what it cannot put into words it names.
BY_IPTABLES = """{"nftables": [{"metainfo": {"version": "1.0.6"}},
 {"table": {"family": "ip", "name": "filter", "handle": 1}},
 {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward",
            "prio": 0, "policy": "drop"}},
 {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 2, "type": "filter", "hook": "input",
            "prio": 0, "policy": "drop"}},
 {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 3, "expr": [
   {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "docker0"}},
   {"xt": {"type": "match", "name": "conntrack"}}, {"counter": {"packets": 0, "bytes": 0}}, {"accept": null}]}},
 {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 4, "expr": [
   {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"set": ["docker0", "virbr*"]}}},
   {"accept": null}]}},
 {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 6, "expr": [
   {"xt": {"type": "match", "name": "conntrack"}}, {"counter": {"packets": 0, "bytes": 0}}, {"accept": null}]}},
 {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 5, "expr": [{"drop": null}]}}]}"""


def test_a_policy_of_drop_and_whom_its_exceptions_are_for() -> None:
    (dropping,) = firewall.parse_nft(BY_IPTABLES)
    assert dropping.place == "chain FORWARD of table ip filter"
    assert not dropping.may_pass("br0")
    assert dropping.may_pass("virbr0")
    assert dropping.may_pass("docker0")


def test_what_an_older_nft_leaves_unsaid_may_be_for_anybody() -> None:
    (dropping,) = firewall.parse_nft(BY_IPTABLES.replace('{"type": "match", "name": "conntrack"}', "null"))
    assert dropping.may_pass("br0")
    (without,) = firewall.parse_nft(BY_IPTABLES.replace('"expr"', '"unknown"'))
    assert without.accepts == ()


def test_a_policy_of_accept_is_no_trouble() -> None:
    assert firewall.parse_nft(BY_IPTABLES.replace('"policy": "drop"', '"policy": "accept"')) == ()


@pytest.mark.parametrize("listing", ["", "nonsense", '{"nftables": []}', '{"other": 1}', "[]"])
def test_a_listing_that_tells_nothing(listing: str) -> None:
    assert firewall.parse_nft(listing) == ()


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ("-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT", True),
        ("-A FORWARD -i br+ -j ACCEPT", True),
        ("-A DOCKER -i docker0 -o docker0 -j ACCEPT", False),
        ("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", False),
        ("-A FORWARD -i br0 -j DROP", False),
    ],
)
def test_the_older_iptables(rule: str, passes: bool) -> None:
    (dropping,) = firewall.parse_iptables(f"-P INPUT ACCEPT\n-P FORWARD DROP\n{rule}\n")
    assert dropping.may_pass("br0") == passes
    assert firewall.parse_iptables(f"-P FORWARD ACCEPT\n{rule}\n") == ()


def test_an_exception_without_interface_may_be_for_anybody() -> None:
    assert Dropping("ip", "filter", "FORWARD", (frozenset(),)).may_pass("br0")
    assert not Dropping("ip", "filter", "FORWARD").may_pass("br0")


@pytest.mark.parametrize(("family", "state"), [("ip", "ok"), ("inet", "ok"), ("arp", "ok"), ("bridge", "not")])
def test_what_does_not_see_frames_of_the_bridge_does_not_matter(tmp_path: Path, family: str, state: str) -> None:
    assert found(forward_drops(family)(host(tmp_path, {})))["bridge-firewall"].finding.state == state


def test_what_is_dropped_of_ipv6_says_nothing_of_ipv4(tmp_path: Path) -> None:
    facts = forward_drops("ip6")(host(tmp_path, {**EVERYWHERE}))
    assert found(facts)["bridge-firewall"].finding.state == "ok"


def test_what_only_root_may_read_is_no_alarm(tmp_path: Path) -> None:
    """Every host with a container engine is like that, and most are well."""
    unread = replace(host(tmp_path, {**EVERYWHERE}), firewall=firewall.Firewall("only root may read the firewall"))
    finding = found(unread)["bridge-firewall"].finding
    assert finding.state == "ok"
    assert "frames in br0 pass the IPv4 firewall (bridge-nf-call-iptables=1); whether it drops them" in finding.reason
    assert "only root may read the firewall, see: sudo qemunet doctor" in finding.reason


def test_an_exception_is_for_one_bridge_alone() -> None:
    (older,) = firewall.parse_iptables("-P FORWARD DROP")
    assert older.exception_for("br0", ["up0"], "") == "iptables-legacy -A FORWARD -i br0 -o br0 -j ACCEPT"


MANAGER = {"/proc/812/comm": "NetworkManager\n"}
NETWORKD = {"/proc/813/comm": "systemd-network\n"}


@pytest.mark.parametrize(
    ("conf", "takes"),
    [
        ("[keyfile]\nunmanaged-devices=interface-name:tap*;interface-name:vnet*\n", False),
        ("[keyfile]\nunmanaged-devices=mac:00:11:22:33:44:55,type:tun\n", False),
        ("[keyfile]\nunmanaged-devices+=interface-name:=tap0\n", False),
        ("[keyfile]\nunmanaged-devices=*\n", False),
        ("[device-tap]\nmatch-device=interface-name:tap*\nmanaged=0\n", False),
        ("[keyfile]\nunmanaged-devices=interface-name:docker0\n", True),
        ("[main]\nplugins=keyfile\n#unmanaged-devices=interface-name:tap*\n", True),
    ],
)
def test_network_manager(tmp_path: Path, conf: str, takes: bool) -> None:
    files = {**MANAGER, "/etc/NetworkManager/conf.d/10.conf": conf}
    read = network_managers.read(tree(tmp_path, files))
    assert read.running == ("NetworkManager",)
    assert bool(read.takes_taps) == takes


@pytest.mark.parametrize(
    ("match", "takes"),
    [
        ("Name=*", True),
        ("Name=en* tap*", True),
        ("Type=ether", True),
        ("Type=ether\nKind=!*", False),
        ("Kind=tun\nName=vt-*", False),
        ("Name=!tap* lo", False),
        ("Name=!lo", True),
        ("Name=en*", False),
        ("Type=wlan", False),
        ("Name=*\nDriver=virtio_net", False),
        ("PermanentMACAddress=00:11:22:33:44:55", False),
        ("", False),
    ],
)
def test_networkd(tmp_path: Path, match: str, takes: bool) -> None:
    files = {**NETWORKD, "/etc/systemd/network/50-it.network": f"[Match]\n{match}\n[Network]\nDHCP=yes\n"}
    assert bool(network_managers.read(tree(tmp_path, files)).takes_taps) == takes


@pytest.mark.parametrize(
    "earlier",
    [
        {"/etc/systemd/network/05-taps.network": "[Match]\nName=tap*\n[Link]\nUnmanaged=yes\n"},
        {"/run/systemd/network/05-taps.network": "[Match]\nName=tap*\n[Network]\nBridge=br0\n"},
        {"/etc/systemd/network/90-all.network": "[Match]\nName=nothing\n"},
    ],
    ids=["kept off", "plugged in", "hidden by a file of the same name"],
)
def test_networkd_takes_the_first_file_that_matches(tmp_path: Path, earlier: dict[str, str]) -> None:
    all_of_them = {"/usr/lib/systemd/network/90-all.network": "[Match]\nName=*\n[Network]\nDHCP=yes\n"}
    assert network_managers.read(tree(tmp_path, {**NETWORKD, **all_of_them})).takes_taps
    assert not network_managers.read(tree(tmp_path, earlier)).takes_taps


def test_files_without_the_service_mean_nothing(tmp_path: Path) -> None:
    files = {"/etc/systemd/network/50-it.network": "[Match]\nName=*\n"}
    assert network_managers.read(tree(tmp_path, files)) == network_managers.Managers()
