#!/bin/sh
# Whoever puts frames in by the indev of a filter-redirector hangs up, and another comes.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import socket
import subprocess
import tempfile
import time

from frames import QEMU, says

with tempfile.TemporaryDirectory() as folder:
    far = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.bind(f"{folder}/far")
    words = ["-netdev", f"dgram,id=d,local.type=unix,local.path={folder}/near,remote.type=unix,remote.path={folder}/far"]
    words += ["-netdev", "hubport,id=a,hubid=0,netdev=d"]
    words += ["-chardev", f"socket,id=in,path={folder}/in,server=on,wait=off"]
    words += ["-object", "filter-redirector,id=f,netdev=d,indev=in,queue=rx"]
    still = ["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"]
    qemu = subprocess.Popen([QEMU, *still, *words], stderr=subprocess.DEVNULL)
    came = []
    try:
        while not os.path.exists(f"{folder}/in"):
            if qemu.poll() is not None:
                raise SystemExit(f"QEMU ends with {qemu.returncode}")
        for wait_seconds in (30, 3):
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.connect(f"{folder}/in")
            frame = bytes(12) + b"\x88\xb5" + bytes(46)
            end.sendall(len(frame).to_bytes(4, "big") + frame)
            far.settimeout(wait_seconds)
            try:
                came.append(far.recv(2000) == frame)
            except TimeoutError:
                came.append(False)
            end.close()
            time.sleep(0.5)
    finally:
        qemu.kill()
        qemu.wait()
    says(came == [True, False], "what the first put in came, what the second put in " + ("came" if came[1] else "did not"))
EOF
