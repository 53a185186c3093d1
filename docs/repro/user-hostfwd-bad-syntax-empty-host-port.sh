#!/bin/sh
# A forward without a host port is taken.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "user,id=u,hostfwd=tcp::-:22")
says(status == 0, "QEMU starts" if status == 0 else said)
EOF
