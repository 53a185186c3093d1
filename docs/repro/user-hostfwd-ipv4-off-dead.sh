#!/bin/sh
# With ipv4=off a forward is accepted and callers are connected, but nothing ever reaches the guest.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import own_network
own_network()
with Network("ipv4=off", "hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22", asked=6) as network:
    with socket.create_connection(("127.0.0.1", 2222), 2):
        assert network.taken()
        network.send_arp(2, "10.0.2.2")
        segment = network.segment(3)
    says(segment is None, f"a caller is connected, and the guest {'gets no SYN' if segment is None else 'is called'}")
EOF
