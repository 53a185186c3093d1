"""The bridges that the checks of bridged mode are about."""

from qemunet_tests.doctor.checks.check import CheckResult, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host import acl
from qemunet_tests.host.bridges import BridgePort, HostBridge

DEFAULT_BRIDGE = "br0"


def candidates(facts: HostFacts) -> list[HostBridge]:
    """The bridges a guest may join; where the list allows none, the documented one."""
    allowed = [bridge for bridge in facts.bridges if acl.decide(facts.acl, bridge.name).allowed]
    return allowed or [bridge for bridge in facts.bridges if bridge.name == DEFAULT_BRIDGE]


def with_candidates(facts: HostFacts, reason: str) -> CheckResult | None:
    """The good news, unless there is no bridge it could be about."""
    return ok(reason) if candidates(facts) else None


def uplinks(facts: HostFacts) -> list[tuple[str, BridgePort]]:
    """The cards that lead out of these bridges; where there is no bridge, the one that a bridge would need."""
    if facts.bridges:
        return [(f"{port.name} in {bridge.name}", port) for bridge in candidates(facts) for port in bridge.uplinks]
    way_out = facts.way_out
    return [(f"{way_out.name}, which a bridge would need,", way_out)] if way_out is not None else []
