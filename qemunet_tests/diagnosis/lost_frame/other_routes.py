"""Routes that stand behind the one that is taken, by their metric, and lead to a router that is there."""

from qemunet_tests.diagnosis.lost_frame import routes
from qemunet_tests.host import next_hops, route_lookup
from qemunet_tests.host.asking import listed
from qemunet_tests.host.policy_rules import MAIN, RoutedPacket, family
from qemunet_tests.isolation.station import Station


def with_another(station: Station, packet: RoutedPacket) -> str | None:
    """The command that takes the route of a packet away, so that the next one is taken; None where that helps nobody.

    A VPN's may be meant to be the only one: what is taken away is one by a router who is not there.
    """
    ask = station.ask
    rule, taken = route_lookup.deciding(ask, packet) or (None, None)
    if rule is None or taken is None or not taken.get("gateway"):
        return None
    shown = listed(ask, "ip", "-j", family(packet.address), "route", "show", "table", str(rule.table))
    others = [each for each in shown if each["dst"] == taken["dst"] and each != taken and each.get("gateway")]
    following = min(others, key=lambda each: each.get("metric", 0), default=None)
    if following is None or not routes.is_there(station, following["gateway"], following["dev"]):
        return None
    table = "" if rule.table == MAIN else f" table {rule.table}"
    ip = "ip -6" if ":" in packet.address else "ip"
    return f"sudo {ip} route del {next_hops.spelled(taken)}{table}"
