"""Hosts whose packets a VPN takes that is not connected, beside innocent rules."""

from meta_tests.faults.on_hosts.troubles import BESIDE, BEYOND, LETS_VIRBR0, OUTSIDE, PASSED_ON, TRANSLATED
from meta_tests.faults.on_hosts.typed import on_a_host, python

#: A VPN whose server is gone: its program takes what is sent, and nothing comes back.
TAKES_ALL = """
import fcntl, os, struct
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))
while True:
    os.read(tunnel, 2000)
"""
TUNNEL = f"""(exec setsid {python(TAKES_ALL).replace("<<", ">/dev/null 2>&1 <<", 1)}
) &
until test -e /sys/class/net/tun0; do sleep 0.05; done
ip addr add 10.8.0.6/24 dev tun0; ip link set tun0 up
"""
#: As OpenVPN covers a default route.
FOR_ALL = f"{TUNNEL}ip route add 0.0.0.0/1 via 10.8.0.1; ip route add 128.0.0.0/1 via 10.8.0.1"
NOT_REACHED = (
    r"does not reach 198\.51\.100\.1 \(timed out\): it leaves by the tunnel tun0, by the route 128\.0\.0\.0/1 via "
    r"10\.8\.0\.1 dev tun0, and whether its other end is there"
)
PAST = "past it, for 198.51.100.1 alone: sudo ip route add 198.51.100.1 via 192.168.77.1 dev br0$"
BY_HAND = "ip route add 198.51.100.1 via 192.168.77.1 dev br0"
BEYOND_BY_TCP = ("user/reach-outside-tcp",)
WITHOUT = {"at_lan": OUTSIDE, "words": ("--peer", "198.51.100.1:7007")}

FAULTS = (
    on_a_host("vpns-server-is-gone", BEYOND_BY_TCP, NOT_REACHED, PAST, typed=BESIDE + FOR_ALL, mended=BY_HAND,
              **WITHOUT),
    # As a program leaves it that was told to keep its interface, and has died.
    on_a_host("tunnel-without-a-program", BEYOND_BY_TCP, r"does not reach 198\.51\.100\.1 .*: it leaves by the tunnel "
              "Meta, by the route .* and no program takes what is sent there", "^start the VPN .*: sudo ip link del M",
              typed=f"{BESIDE}ip tuntap add dev Meta mode tun; ip addr add 198.18.0.1/30 dev Meta; ip link set Meta up;"
              "ip route add 198.51.100.0/24 dev Meta", mended="ip link del Meta", **WITHOUT),
    on_a_host("guests-of-nat-in-a-vpn-whose-server-is-gone", BEYOND, NOT_REACHED, PAST, mended=BY_HAND,
              typed=LETS_VIRBR0 + TRANSLATED + FOR_ALL, **PASSED_ON),
)  # fmt: skip
