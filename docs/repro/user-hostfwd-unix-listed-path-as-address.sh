#!/bin/sh
# info usernet shows the first bytes of a forward's path as a port and an address.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import says, starts
status, said = starts("-netdev", f"user,id=u,hostfwd=unix:{sys.argv[1]}/way.in-:22", typed="info usernet")
print(said)
says(status == 0 and "way.in" not in said, "the path is not shown" if status == 0 else "QEMU does not start")
EOF
