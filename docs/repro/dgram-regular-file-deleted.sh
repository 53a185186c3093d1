#!/bin/sh
# A file that is no socket is left alone where a dgram backend is to have its own.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import tempfile

from frames import says, starts

with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/file", "w") as file:
        file.write("somebody's")
    ends = f"local.type=unix,local.path={folder}/file,remote.type=unix,remote.path={folder}/other"
    status, said = starts("-netdev", f"dgram,id=d,{ends}")
    there = os.path.isfile(f"{folder}/file")
says(status == 0 and not there, f"QEMU ends with {status}, the file is {'there' if there else 'gone'}")
EOF
