#!/bin/sh
# The remote end of a dgram backend may be left out, says the manual.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "dgram,id=d,local.type=inet,local.host=127.0.0.1,local.port=0")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
