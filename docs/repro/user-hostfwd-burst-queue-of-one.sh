#!/bin/sh
# Callers who come at once are connected before QEMU has accepted any, where there is room for them. There is for two.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import select, signal, socket
from frames import Network, says
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with Network(f"hostfwd=tcp:127.0.0.1:{port}-:7") as network:
    network.qemu.send_signal(signal.SIGSTOP)
    callers = [socket.socket() for _ in range(50)]
    for caller in callers:
        caller.setblocking(False)
        caller.connect_ex(("127.0.0.1", port))
    connected = len(select.select([], callers, [], 0)[1])
says(connected < 50, f"{connected} of 50 callers are connected")
EOF
