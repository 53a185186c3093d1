#!/bin/sh
# The host learns that nobody has an address. The guest gets an end (FIN) instead of an error.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import FIN, SYN, Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network() as network:
    network.send_tcp(SYN, "192.0.2.9", 7)
    lan.unreachable(lan.packet(6))
    flags, _, _ = network.segment()
    says(flags & FIN and not flags & SYN, f"the answer to the guest's SYN has the flags {flags:#x}")
EOF
