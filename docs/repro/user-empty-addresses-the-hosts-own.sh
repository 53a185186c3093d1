#!/bin/sh
# 10.0.2.50 is nobody in the guest's network. A guest that sends there is connected to the host's own 10.0.2.50.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import ACK, SYN, Network, says
from host import own_network
own_network("10.0.2.50")
with socket.create_server(("10.0.2.50", 0)) as server, Network() as network:
    network.send_tcp(SYN, "10.0.2.50", server.getsockname()[1])
    answer = network.segment()
    says(answer is not None and answer[0] == SYN | ACK, "connected" if answer else "no answer")
EOF
