#!/bin/sh
# -net nic,name= names the NIC, say the manual and -help.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-net", "nic,name=lan", "-net", "user")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
