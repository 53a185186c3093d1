#!/bin/sh
# Where the host's loopback is down, a guest forward to a command opens and ends without a byte.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import ACK, FIN, SYN, Network, says
from host import own_network
own_network(loopback=False)
with Network("guestfwd=tcp:10.0.2.100:7-cmd:cat") as network:
    network.send_tcp(SYN, "10.0.2.100", 7)
    _, number, _ = network.segment()
    network.send_tcp(ACK, "10.0.2.100", 7, 2, number + 1, b"qemu")
    segments = list(iter(lambda: network.segment(0.5), None))
    heard = b"".join(content for _, _, content in segments)
    ended = any(flags & FIN for flags, _, _ in segments)
    says(not heard, f"cat says {heard}, then {'end' if ended else 'nothing'}")
EOF
