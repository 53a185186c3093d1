#!/bin/sh
# A resolver outside of the guest's network (dns=) is asked, and the answer comes from another address.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network, resolv_conf
own_network()
resolv_conf("127.0.0.1")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver, Network("dns=192.0.2.53") as network:
    resolver.bind(("127.0.0.1", 53))
    resolver.settimeout(2)
    network.send_udp(53, b"question", "192.0.2.53")
    resolver.sendto(b"answer", resolver.recvfrom(99)[1])
    source, datagram = network.packet(17)
    says(source != "192.0.2.53", f"{datagram[8:]} comes from {source}")
EOF
