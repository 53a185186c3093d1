#!/bin/sh
# A forward from an IPv6 address of the host is refused.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "user,id=u,hostfwd=tcp:[::1]:2222-:22")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
