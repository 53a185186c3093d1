#!/bin/sh
# The Unix socket of a forward stays when QEMU has quit.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import os, sys
from frames import says, starts
status, said = starts("-netdev", f"user,id=u,hostfwd=unix:{sys.argv[1]}/way.in-:22")
left = os.listdir(sys.argv[1])
says(status == 0 and bool(left), said if status else f"left are {left}")
EOF
