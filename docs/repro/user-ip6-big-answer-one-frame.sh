#!/bin/sh
# A datagram of 3000 bytes comes to the guest as one packet of IPv6, twice as long as the MTU.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network
own_network()
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as host, Network(asked=6) as network:
    host.bind(("::1", 0))
    host.settimeout(2)
    network.send_udp(host.getsockname()[1], b"question", "fec0::2")
    host.sendto(bytes(3000), host.recvfrom(99)[1])
    got = network.packet(17) or network.packet(44)
    says(len(got[1]) > 1460, f"it comes in a packet of {40 + len(got[1])} bytes")
EOF
