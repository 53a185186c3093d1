#!/bin/sh
# By a raw socket the guest gets an echo reply that has another content than it sent.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network() as network:
    network.ping("192.0.2.9", content=b"0123456789abcdef")
    lan.unreachable(lan.packet(1))
    source, answer = network.packet(1)
    says(answer[0] == 0 and answer[8:] != b"0123456789abcdef", f"ICMP {answer[0]}/{answer[1]} with {answer[8:]}")
EOF
