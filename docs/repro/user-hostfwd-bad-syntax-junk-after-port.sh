#!/bin/sh
# What follows the digits of a port is ignored.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "user,id=u,hostfwd=tcp::2222x-:22")
says(status == 0, "QEMU starts" if status == 0 else said)
EOF
