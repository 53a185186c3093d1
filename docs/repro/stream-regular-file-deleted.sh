#!/bin/sh
# A file that is no socket is left alone where a stream backend is to have its own.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import tempfile

from frames import says, starts

with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/file", "w") as file:
        file.write("somebody's")
    status, said = starts("-netdev", f"stream,id=d,server=on,addr.type=unix,addr.path={folder}/file")
    there = os.path.isfile(f"{folder}/file")
says(status == 0 and not there, f"QEMU ends with {status}, the file is {'there' if there else 'gone'}")
EOF
