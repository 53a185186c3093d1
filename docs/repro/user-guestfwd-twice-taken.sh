#!/bin/sh
# The second of two guest forwards for one address and port is taken without a word.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "user,id=u,guestfwd=tcp:10.0.2.9:80-cmd:cat,guestfwd=tcp:10.0.2.9:80-cmd:tac")
says(status == 0, said.strip() if status else "QEMU starts")
EOF
