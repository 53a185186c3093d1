#!/bin/sh
# Nothing in the manual says that a socket backend knows no IPv6.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "socket,id=s,listen=[::1]:0")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
