#!/bin/sh
# One packet of a guest's ends QEMU: a datagram's last piece, that comes before its first.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import contextlib, subprocess
from frames import Network, says
with Network() as network:
    with contextlib.suppress(ConnectionRefusedError):
        network.send_ip(17, b"x" * 1000, fragment=370)
        network.taken()
    with contextlib.suppress(subprocess.TimeoutExpired):
        network.qemu.wait(2)
    status = network.qemu.poll()
says(status is not None, "QEMU lives" if status is None else f"QEMU ends with status {status}, where -7 is SIGBUS")
EOF
