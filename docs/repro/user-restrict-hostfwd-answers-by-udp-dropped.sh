#!/bin/sh
# With restrict=on forwards go on working, says the manual; by UDP the guest's answers are dropped.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket, struct
from frames import Network, says
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
    host.bind(("127.0.0.1", 0))
    port = host.getsockname()[1]
    host.close()
for options in ((), ("restrict=on",)):
    with Network(f"hostfwd=udp:127.0.0.1:{port}-10.0.2.15:23", *options) as network:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
            host.settimeout(1)
            host.sendto(b"question", ("127.0.0.1", port))
            source, datagram = network.packet(17)
            theirs, _ = struct.unpack(">HH", datagram[:4])
            print(*options, f"the guest gets {datagram[8:]}", end=", ")
            network.send_udp(theirs, b"answer", source, own_port=23)
            assert network.taken()
            try:
                got = host.recv(99)
            except TimeoutError:
                got = None
            print(f"the host gets {got}")
says(got is None, "with restrict=on the answer does not come back" if got is None else "it comes back")
EOF
