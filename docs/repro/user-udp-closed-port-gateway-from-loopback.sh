#!/bin/sh
# A closed UDP port of the host's is reported by ICMP. The error comes from 127.0.0.1, not from 10.0.2.2.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import GATEWAY, Network, says
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
with Network() as network:
    network.send_udp(port, b"is anybody there?")
    source, error = network.packet(1)
    says(source != GATEWAY, f"ICMP {error[0]}/{error[1]} from {source}")
EOF
