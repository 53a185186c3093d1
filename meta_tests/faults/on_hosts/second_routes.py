"""Hosts with a second way that is dead and comes first, by its metric or because its network is narrower."""

from meta_tests.faults.on_hosts.troubles import BESIDE, TCP_TO_THE_LAN
from meta_tests.faults.on_hosts.tunnelled import BEYOND_BY_TCP, WITHOUT
from meta_tests.faults.on_hosts.typed import PEER, on_a_host

#: A modem with its link and no router, and a second card of this host's in that network: it answers for itself there.
MODEM = """ip link add usb0 type veth peer name usb1; ip link set usb1 up; ip link set usb0 up
ip addr add 192.168.88.2/24 dev usb0; ip route del default
ip route add default via 192.168.77.1 metric 425; ip route add default via 192.168.88.1 dev usb0 metric 100
"""
FAULTS = (
    on_a_host("router-of-the-better-metric-is-off", BEYOND_BY_TCP, "nobody on usb0 answers ARP for 192.168.88.1",
              "^sudo ip route del default via 192.168.88.1 dev usb0; for good see whether", typed=BESIDE + MODEM,
              **WITHOUT),
    on_a_host("container-network-over-a-part-of-the-lan", TCP_TO_THE_LAN, "192.168.77.1 is looked for at the bridge x, "
              "where this host's own network 192.168.77.0/27 is, and nothing is plugged in there",
              "^sudo ip route add 192.168.77.1/32 dev br0; for good", words=PEER,
              typed=f"{BESIDE}ip link add x type bridge; ip addr add 192.168.77.30/27 dev x; ip link set x up"),
)  # fmt: skip
