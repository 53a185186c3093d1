#!/bin/sh
# The path of a forward from a Unix socket ends at its first hyphen.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import says, starts
status, said = starts("-netdev", f"user,id=u,hostfwd=unix:{sys.argv[1]}/way-in-:22")
says("Bad guest address" in said, said.strip() or "QEMU starts")
EOF
