"""`qemunet doctor --deep`: both boots with stage and time, and the LAN's IPv6; and all packages in one command."""

import json
from collections.abc import Sequence

import pytest

from meta_tests.installation.test_ways_to_get_it import debian_packages
from qemunet_tests.doctor import packet_facts
from qemunet_tests.doctor.deep_report import ipv6_of_the_lan, kvm_trial
from qemunet_tests.doctor.missing_packages import OF_A_RUN, in_one_command
from qemunet_tests.host import credentials
from qemunet_tests.host.asking import NOT_FOUND, Completed
from qemunet_tests.qemu.kvm_probe import USERSPACE, Boot, Trial

SLOW = Boot("tcg", USERSPACE, 6.3)


@pytest.mark.parametrize(
    ("boot", "state", "said"),
    [
        (Boot("kvm", USERSPACE, 0.9), "ok", "under KVM a small Linux reached userspace in 0.9 s; beside it"),
        (Boot("kvm", "firmware", 19.04), "caution", "got to stage 'firmware', given up after 19.0 s; beside it"),
        (Boot("kvm", "nothing", 0.1, 1, "KVM: no"), "caution", "QEMU ended with status 1 after 0.1 s: KVM: no"),
    ],
)  # fmt: skip
def test_both_boots_are_told(boot: Boot, state: str, said: str) -> None:
    found = kvm_trial(Trial(boot, SLOW)).finding
    assert found.state == state
    assert said in found.reason
    assert found.reason.endswith("in software it reached userspace in 6.3 s")


def answering(addresses: list[dict[str, object]], routes: list[dict[str, object]]) -> object:
    def ask(words: Sequence[str]) -> Completed:
        said = routes if "route" in words else [{"addr_info": addresses}]
        return Completed(0, json.dumps(said).encode(), b"")

    return ask


LINK = {"local": "fe80::1", "prefixlen": 64, "scope": "link"}
GLOBAL = {"local": "2001:db8::7", "prefixlen": 64, "scope": "global", "dynamic": True}
HAS = "eth0 has 2001:db8::7/64 (advertised)"


@pytest.mark.parametrize(
    ("addresses", "routes", "said"),
    [
        ([LINK], [], "eth0 has no address of IPv6 but its own of the link: its LAN seems to offer none"),
        ([LINK, GLOBAL], [], f"{HAS}; no router, so nothing beyond the LAN is reached"),
        ([GLOBAL], [{"gateway": "fe80::fe", "dev": "eth0", "protocol": "ra"}],
         f"{HAS}; routers: fe80::fe (advertised)"),
        ([GLOBAL], [{"gateway": "fe80::fe", "dev": "eth1"}], f"{HAS}; no router, so nothing beyond the LAN is reached"),
        ([GLOBAL], [{"protocol": "ra", "nexthops": [{"gateway": "fe80::fe", "dev": "eth0"},
                                                    {"gateway": "fe80::fd", "dev": "eth1"}]}],
         f"{HAS}; routers: fe80::fe (advertised)"),
    ],
)  # fmt: skip
def test_the_lans_ipv6_is_told(addresses: list[dict[str, object]], routes: list[dict[str, object]], said: str) -> None:
    assert ipv6_of_the_lan("eth0", answering(addresses, routes)).finding.reason == said


def test_no_package_of_a_run_is_forgotten() -> None:
    """What bindep.txt names is named by a check, in one command with those, or comes with one of them."""
    by_checks = {"qemu-system-x86", "qemu-system-common", "dnsmasq-base", "passt"}
    with_others = {"ipxe-qemu", "syslinux-common", "libarchive13", "libarchive13t64"}
    on_every_debian = {"udev", "systemd", "util-linux", "python3-venv"}
    assert debian_packages() - by_checks - with_others - on_every_debian == set(OF_A_RUN.values())


def test_without_ip_no_way_is_known_and_none_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "[Errno 2] No such file or directory: 'ip'"
    monkeypatch.setattr(packet_facts, "ask_here", lambda *_, **__: Completed(NOT_FOUND, b"", missing.encode()))
    ourselves = credentials.read()
    assert packet_facts.gather(ourselves, 65534, "192.0.2.53", ("192.0.2.1",), (), None).ways == {}


def test_packages_that_are_missing_come_in_one_command() -> None:
    remedies = [
        "sudo apt-get install -y samba",
        None,
        "sudo apt-get install -y nftables",
        "sudo apt-get install -y samba",
    ]
    assert in_one_command(remedies) == "sudo apt-get install -y samba nftables"
    assert in_one_command(["apt-get install -y samba"], ["mtools"]) == "apt-get install -y samba mtools"
    assert in_one_command(["apt-get install -y samba", "use another kernel"]) is None
