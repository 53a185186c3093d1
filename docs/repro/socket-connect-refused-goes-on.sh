#!/bin/sh
# QEMU does not start where it is to call and nobody listens.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket

from frames import says, starts

with socket.socket() as silent:
    silent.bind(("127.0.0.1", 0))
    status, said = starts("-netdev", f"socket,id=s,connect=127.0.0.1:{silent.getsockname()[1]}")
says(status == 0, f"QEMU ends with {status} when it is told to")
EOF
