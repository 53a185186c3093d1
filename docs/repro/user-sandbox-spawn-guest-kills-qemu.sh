#!/bin/sh
# In a sandbox in which nothing may be started, a connection of the guest's to a command of guestfwd= kills QEMU.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import contextlib, subprocess
from frames import ACK, SYN, Network, says
with Network("guestfwd=tcp:10.0.2.100:7-cmd:cat", further=("-sandbox", "on,spawn=deny")) as network:
    network.send_tcp(SYN, "10.0.2.100", 7)
    _, number, _ = network.segment()
    with contextlib.suppress(ConnectionRefusedError):
        network.send_tcp(ACK, "10.0.2.100", 7, 2, number + 1, b"qemu")
    with contextlib.suppress(subprocess.TimeoutExpired):
        network.qemu.wait(2)
    status = network.qemu.poll()
says(status is not None, "QEMU lives" if status is None else f"QEMU ends with status {status}, where -31 is SIGSYS")
EOF
