#!/bin/sh
# A guest takes a connection away by a reset. The host sees its orderly end.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import ACK, GATEWAY, RST, SYN, Network, says
with socket.create_server(("127.0.0.1", 0)) as server, Network() as network:
    port = server.getsockname()[1]
    network.send_tcp(SYN, GATEWAY, port)
    _, number, _ = network.segment()
    network.send_tcp(ACK, GATEWAY, port, 2, number + 1)
    network.send_tcp(RST | ACK, GATEWAY, port, 2, number + 1)
    with server.accept()[0] as connection:
        connection.settimeout(2)
        try:
            seen = f"reads {connection.recv(99)}, the end"
        except ConnectionResetError:
            seen = "sees a reset"
    says(seen != "sees a reset", f"the host {seen}")
EOF
