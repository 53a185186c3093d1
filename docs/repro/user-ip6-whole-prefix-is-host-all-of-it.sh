#!/bin/sh
# An address of fec0::/64 that nobody has, fec0::77, leads to the host's ::1.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network
own_network()
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as host, Network(asked=6) as network:
    host.bind(("::1", 0))
    host.settimeout(1)
    network.send_udp(host.getsockname()[1], b"to nobody", "fec0::77")
    try:
        got = host.recv(99)
    except TimeoutError:
        got = None
    says(got is not None, f"::1 gets {got}")
EOF
