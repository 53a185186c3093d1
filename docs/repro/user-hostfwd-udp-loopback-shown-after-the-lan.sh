#!/bin/sh
# Once the LAN has used a UDP forward, what comes by the host's loopback is from 127.0.0.1.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network
own_network("192.0.2.1")
sources = []
with Network("hostfwd=udp::2222-:7") as network:
    for address in ("127.0.0.1", "192.0.2.1", "127.0.0.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.bind((address, 0))
            caller.sendto(b"question", (address, 2222))
            source, datagram = network.packet(17)
            network.send_udp(int.from_bytes(datagram[:2], "big"), b"answer", source, own_port=7)
            assert network.taken()
            sources.append(source)
says(sources[0] != sources[2], f"a caller on the host, one on the LAN and one on the host come from {', '.join(sources)}")
EOF
