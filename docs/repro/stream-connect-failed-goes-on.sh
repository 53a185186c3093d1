#!/bin/sh
# QEMU does not start where it is to call and nobody listens.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket

from frames import says, starts

with socket.socket() as silent:
    silent.bind(("127.0.0.1", 0))
    where = f"addr.type=inet,addr.host=127.0.0.1,addr.port={silent.getsockname()[1]}"
    status, said = starts("-netdev", f"stream,id=s,server=off,{where}")
says(status == 0, f"QEMU ends with {status} when it is told to")
EOF
