#!/bin/sh
# A datagram in two fragments does not arrive by IPv6; one in a single packet does.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket, struct
from frames import GUEST6, CHECKSUM_AT, Network, says, summed
from host import own_network
own_network()
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as host, Network(asked=6) as network:
    host.bind(("::1", 0))
    host.settimeout(2)
    port, addresses = host.getsockname()[1], b"".join(socket.inet_pton(socket.AF_INET6, at) for at in (GUEST6, "fec0::2"))
    datagram = struct.pack(">HHHH", 20000, port, 8 + 16, 0) + b"0123456789abcdef"
    datagram = summed(17, datagram, addresses + struct.pack(">II", len(datagram), 17))
    network.send_ip6(44, struct.pack(">BBHI", 17, 0, 1, 7) + datagram[:16], "fec0::2")
    network.send_ip6(44, struct.pack(">BBHI", 17, 0, 16, 7) + datagram[16:], "fec0::2")
    network.send_udp(port, b"one packet", "fec0::2")
    got = host.recv(99)
    says(got == b"one packet", f"first arrives {got}")
EOF
