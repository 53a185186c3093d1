#!/bin/sh
# A frame of length zero is dropped, and those behind it pass.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import socket
import subprocess
import tempfile

from frames import QEMU, says

FRAME = bytes.fromhex("ffffffffffff 525400123456 88b5") + bytes(46)
with tempfile.TemporaryDirectory() as folder:
    own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.bind(f"{folder}/far")
    words = ["-netdev", f"dgram,id=d,local.type=unix,local.path={folder}/near,remote.type=unix,remote.path={folder}/far"]
    words += ["-netdev", "hubport,id=a,hubid=0,netdev=d", "-netdev", f"stream,id=x,server=off,addr.type=unix,addr.path={folder}/stream", "-netdev", "hubport,id=b,hubid=0,netdev=x"]
    still = ["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"]
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{folder}/stream")
    server.listen()
    server.settimeout(20)
    qemu = subprocess.Popen([QEMU, *still, *words], stderr=subprocess.DEVNULL)
    came = []
    try:
        end, _ = server.accept()
        whole = len(FRAME).to_bytes(4, "big") + FRAME
        for sent, wait_seconds in ((whole, 20), (bytes(4) + whole, 20), (whole, 3)):
            end.sendall(sent)
            own.settimeout(wait_seconds)
            got = []
            try:
                while FRAME not in got:
                    got.append(own.recv(2000))
            except TimeoutError:
                pass
            came.append((b"" in got, FRAME in got))
    finally:
        qemu.kill()
        qemu.wait()
empty, late = came[1][0], came[2][1]
says(
    empty or not late,
    f"an empty frame is {'delivered' if empty else 'dropped'}, and a later one {'comes' if late else 'does not come'}",
)
EOF
