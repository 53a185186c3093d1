"""Hosts whose default route has several next hops, one of which is dead: what is handed to that one is lost.

Which flows those are is the kernel's hash to choose, with a key of each boot's own: so the hops are written in the
order by which the claim's flow is handed to the dead one. Where the hash looks at ports, a claim breaks at
times: what is said of that is shown by meta_tests/diagnosis/test_dead_hop.py.
"""

from meta_tests.faults.on_hosts.troubles import BESIDE, BEYOND, LETS_VIRBR0, PASSED_ON, TRANSLATED
from meta_tests.faults.on_hosts.typed import on_a_host
from meta_tests.faults.on_hosts.user import OUTSIDE, TCP_OUTSIDE

#: Of a LAN with two routers.
LIVE, DEAD = "nexthop via 192.168.77.1 dev br0", "nexthop via 192.168.77.9 dev br0"
#: Most by far is handed there, whatever the hash has of a kernel that looks a connection's way up twice.
UNPLUGGED = "nexthop via 192.168.88.1 dev eth1 weight 200"
#: Its lease is known beforehand.
ONE_GUEST = TRANSLATED.replace("192.168.122.2,192.168.122.9", "192.168.122.2,192.168.122.2")
AT_LAN = "ip addr add 203.0.113.9/32 dev lo"


def handed_to(dead: str, flow: str) -> str:
    """Commands that make the default route, with the dead hop where the hash looks for `flow`, as ip(8) is asked."""
    return (
        f"ip route replace default {LIVE} {dead}; "
        f"ip route get {flow} | grep -q '{dead.removeprefix('nexthop ')}' || ip route replace default {dead} {LIVE}\n"
    )


#: A second card, whose cable is out. A connection's way is looked up again with the source that it got by the first.
SECOND_CARD = f"""ip link add eth1 type veth peer name eth1p; ip link set eth1 up
ip addr add 192.168.88.2/24 dev eth1
for order in "{LIVE} {UNPLUGGED}" "{UNPLUGGED} {LIVE}"; do
  ip route replace default $order
  source=$(ip route get 203.0.113.9 | sed -n 's/.* src \\([0-9.]*\\).*/\\1/p')
  ! ip route get 203.0.113.9 from $source | grep -q eth1 || break
done
"""
FAULTS = (
    on_a_host("one-router-of-two-is-off", TCP_OUTSIDE, r"user 65534, whom QEMU belongs to, sends to 203\.0\.113\.9 is "
              r"handed to 192\.168\.77\.9, which answers no ARP at br0; by the route default with 2 next hops \(via",
              r"^sudo ip route replace default via 192\.168\.77\.1 dev br0; for good see whether 192\.168\.77\.9",
              typed=BESIDE + handed_to(DEAD, "203.0.113.9 from 192.168.77.2"), at_lan=AT_LAN, words=OUTSIDE),
    on_a_host("one-uplink-of-two-is-out", TCP_OUTSIDE, r"sends to 203\.0\.113\.9 is handed to 192\.168\.88\.1, and "
              "eth1 has no carrier; by the route default with 2 next hops", r"^sudo ip route replace default via "
              r"192\.168\.77\.1 dev br0; for good see why eth1 has no carrier", typed=BESIDE + SECOND_CARD,
              at_lan=AT_LAN, words=OUTSIDE),
    on_a_host("passed-on-to-the-router-that-is-off", BEYOND, "this host hands what comes in at virbr0 for "
              r"198\.51\.100\.1 to 192\.168\.77\.9, which answers no ARP at br0; by the route default with 2 next",
              r"^sudo ip route replace default via 192\.168\.77\.1 dev br0; for good see whether 192\.168\.77\.9",
              typed=LETS_VIRBR0 + ONE_GUEST + handed_to(DEAD, "198.51.100.1 from 192.168.122.2 iif virbr0"),
              **PASSED_ON),
)  # fmt: skip
