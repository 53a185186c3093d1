#!/bin/sh
# Where the first resolver of the host is dead, the second one is not asked.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network, resolv_conf
own_network()
resolv_conf("127.0.0.1", "127.0.0.2")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second, Network() as network:
    second.bind(("127.0.0.2", 53))
    second.settimeout(1)
    network.send_udp(53, b"question", "10.0.2.3")
    source, error = network.packet(1)
    print(f"the guest gets ICMP {error[0]}/{error[1]} from {source}")
    try:
        got = second.recv(99)
    except TimeoutError:
        got = None
    says(got is None, f"the second resolver gets {got}")
EOF
