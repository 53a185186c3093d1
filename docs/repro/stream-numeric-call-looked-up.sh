#!/bin/sh
# A stream backend that calls with `addr.numeric=on` looks no name up.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
import subprocess

from frames import QEMU, says

with socket.create_server(("127.0.0.1", 0)) as server:
    server.settimeout(3)
    where = f"addr.type=inet,addr.host=localhost,addr.port={server.getsockname()[1]},addr.numeric=on"
    words = [QEMU, "-M", "none", "-S", "-display", "none", "-monitor", "none", "-netdev", f"stream,id=s,server=off,{where}"]
    qemu = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        server.accept()[0].close()
        called = True
    except TimeoutError:
        called = False
    qemu.kill()
    qemu.wait()
says(called, "localhost is called" if called else "nobody calls at localhost")
EOF
