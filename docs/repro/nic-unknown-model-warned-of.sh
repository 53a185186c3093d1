#!/bin/sh
# A model of a NIC that does not exist is no reason to refuse the command line.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-nic", "user,model=nonsense", machine="pc")
says(status == 0, "QEMU starts" if status == 0 else said)
EOF
