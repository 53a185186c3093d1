"""What `doctor --deep` says for a bug report besides the boot itself: both accelerators' boots, and the LAN's IPv6."""

from collections.abc import Iterator
from typing import Any

from qemunet_tests.doctor.checks.check import BRIDGE, MODES, USER, Capability, Check, CheckResult
from qemunet_tests.host import next_hops
from qemunet_tests.host.asking import Ask, ask_here, listed
from qemunet_tests.qemu.kvm_probe import Boot, Trial

#: What an address of a LAN is, by ip(8): one that is of this link alone leads nowhere.
_OF_THE_LAN = "global"


def kvm_trial(trial: Trial) -> Capability:
    """How far a small Linux got under KVM and how far, beside it, in software, and when."""
    reason = f"under KVM a small Linux {_how_far(trial.kvm)}; beside it in software it {_how_far(trial.software)}"
    state = CheckResult("ok" if trial.kvm.reached_userspace else "caution", reason)
    return Capability(Check("kvm-trial", MODES, (), lambda _: state), state)


def _how_far(boot: Boot) -> str:
    if boot.reached_userspace:
        return f"reached userspace in {boot.seconds:.1f} s"
    ending = f"QEMU ended with status {boot.status}" if boot.status is not None else "given up"
    said = f": {boot.complaint.splitlines()[-1]}" if boot.complaint else ""
    return f"got to stage '{boot.stage}', {ending} after {boot.seconds:.1f} s{said}"


def ipv6_of_the_lan(card: str | None, ask: Ask = ask_here) -> Capability:
    """What `card`, that of the default route, has by IPv6: what a guest of a bridge there would find."""
    finding = CheckResult("ok", _ipv6(card, ask) if card else "no default route leads to a LAN")
    return Capability(Check("lan-ipv6", (USER, BRIDGE), (), lambda _: finding), finding)


def _ipv6(card: str, ask: Ask) -> str:
    addresses = list(_addresses(listed(ask, "ip", "-6", "-j", "addr", "show", "dev", card)))
    # Told of an interface, ip(8) leaves out routes with several next hops.
    ways = listed(ask, "ip", "-6", "-j", "route", "show", "default")
    if not addresses:
        return f"{card} has no address of IPv6 but its own of the link: its LAN seems to offer none"
    hops = [(way, hop) for way in ways for hop in next_hops.of_route(way) if hop.link == card and hop.gateway]
    routers = [f"{hop.gateway} ({_from(way)})" for way, hop in hops]
    out = f"routers: {', '.join(routers)}" if routers else "no router, so nothing beyond the LAN is reached"
    return f"{card} has {', '.join(addresses)}; {out}"


def _addresses(links: list[dict[str, Any]]) -> Iterator[str]:
    for link in links:
        for address in link.get("addr_info", []):
            if address.get("scope") == _OF_THE_LAN:
                yield f"{address['local']}/{address['prefixlen']} ({'advertised' if address.get('dynamic') else 'set'})"


def _from(way: dict[str, Any]) -> str:
    return "advertised" if way.get("protocol") == "ra" else "set"
