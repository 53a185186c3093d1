#!/bin/sh
# A member of a multicast group does not hear what it sent itself.
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
    words += ["-netdev", "hubport,id=a,hubid=0,netdev=d", "-netdev", "dgram,id=x,remote.type=inet,remote.host=239.192.0.7,remote.port=7391", "-netdev", "hubport,id=b,hubid=0,netdev=x"]
    still = ["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"]
    qemu = subprocess.Popen([QEMU, *still, *words], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(f"{folder}/near"):
            if qemu.poll() is not None:
                raise SystemExit(f"QEMU ends with {qemu.returncode}")
        own.settimeout(5)
        own.sendto(FRAME, f"{folder}/near")
        try:
            echoed = own.recv(2000) == FRAME
        except TimeoutError:
            echoed = False
    finally:
        qemu.kill()
        qemu.wait()
says(echoed, f"the sender hears itself {int(echoed)} times")
EOF
