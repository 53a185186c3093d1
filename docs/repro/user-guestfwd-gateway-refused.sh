#!/bin/sh
# A guest forward to a port of the gateway is refused.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "user,id=u,guestfwd=tcp:10.0.2.2:80-cmd:cat")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
