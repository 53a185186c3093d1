#!/bin/sh
# With restrict=on the guest is "not able to contact the host", but gateway and resolver answer its ping.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import struct
from frames import Network, checksum, says
with Network("restrict=on") as network:
    for address in ("10.0.2.2", "10.0.2.3"):
        request = struct.pack(">BBHHH", 8, 0, 0, 7, 1)
        network.send_ip(1, struct.pack(">BBHHH", 8, 0, checksum(request), 7, 1), address)
    assert network.taken()
    answered = [source for source, content in iter(lambda: network.packet(1, 0.1), None) if content[0] == 0]
    says(bool(answered), f"ping is answered by {' and '.join(answered) or 'nobody'}")
EOF
