#!/bin/sh
# A tap is to have a name of 16 characters, and gets one of 15.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import says
from host import own_network, qemu_on_tap
own_network()
with qemu_on_tap("ifname=fifteen-lettersx") as started:
    names = [name for _, name in socket.if_nameindex()]
    says(started and "fifteen-letters" in names, f"QEMU {'starts' if started else 'does not start'}: {names}")
EOF
