#!/bin/sh
# QEMU does not start where the port at which it is to listen is taken.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket

from frames import says, starts

with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    where = f"addr.type=inet,addr.host=127.0.0.1,addr.port={taken.getsockname()[1]}"
    status, said = starts("-netdev", f"stream,id=s,server=on,{where}")
says(status == 0, f"QEMU ends with {status} when it is told to")
EOF
