#!/bin/sh
# A datagram to the gateway, which is the host's loopback, is answered from another address.
cd "$(dirname "$0")" && exec python3 - <<'END'
import socket
from frames import says
from passt import ADDRESS, GATEWAY, Passt
with Passt() as passt, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as service:
    service.bind(("::1", 7008))
    service.settimeout(5)
    passt.send_udp6(ADDRESS, GATEWAY, 40000, 7008, b"?")
    asked, caller = service.recvfrom(100)
    service.sendto(b"!", caller)
    source, port, _ = passt.receive_udp6()
    says(source != "2001:db8::7", f"asked at 2001:db8::7, answered from {source} port {port}")
END
