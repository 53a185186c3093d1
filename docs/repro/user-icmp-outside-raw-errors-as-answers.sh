#!/bin/sh
# By a raw socket a router's error comes to the guest as an echo reply (type 0), from an address where nobody is.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network() as network:
    network.ping("192.0.2.9", content=b"0123456789abcdef")
    lan.unreachable(lan.packet(1))
    source, answer = network.packet(1)
    says((source, answer[0]) == ("192.0.2.9", 0), f"ICMP {answer[0]}/{answer[1]} from {source}")
EOF
