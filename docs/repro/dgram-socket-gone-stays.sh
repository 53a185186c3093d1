#!/bin/sh
# When QEMU has ended, the socket that it made is gone.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import tempfile

from frames import says, starts

with tempfile.TemporaryDirectory() as folder:
    ends = f"local.type=unix,local.path={folder}/own,remote.type=unix,remote.path={folder}/other"
    status, said = starts("-netdev", f"dgram,id=d,{ends}")
    there = os.path.exists(f"{folder}/own")
says(status == 0 and there, f"QEMU ends with {status}, its socket is {'there' if there else 'gone'}")
EOF
