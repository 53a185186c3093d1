#!/bin/sh
# A guest says in the SYN of its call that a segment may have 500 bytes. Those that come have as many as an Ethernet's.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import ACK, GATEWAY, SYN, Network, says
with socket.create_server(("127.0.0.1", 0)) as host, Network() as network:
    port = host.getsockname()[1]
    network.send_tcp(SYN, GATEWAY, port, options=b"\2\4" + (500).to_bytes(2, "big"))
    _, number, _ = network.segment()
    network.send_tcp(ACK, GATEWAY, port, 2, number + 1)
    connection, _ = host.accept()
    connection.sendall(bytes(5000))
    size = len(network.segment()[2])
    connection.close()
says(size > 500, f"a segment of {size} bytes")
EOF
