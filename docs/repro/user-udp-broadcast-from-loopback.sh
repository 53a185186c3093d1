#!/bin/sh
# A datagram to 255.255.255.255 reaches the host. Its answer comes to the guest from 127.0.0.1.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import GATEWAY, Network, says
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host, Network() as network:
    host.bind(("127.0.0.1", 0))
    host.settimeout(2)
    network.send_udp(host.getsockname()[1], b"question", "255.255.255.255")
    question, sender = host.recvfrom(99)
    host.sendto(b"answer", sender)
    source, datagram = network.packet(17)
    says(source != GATEWAY, f"{datagram[8:]} comes from {source}")
EOF
