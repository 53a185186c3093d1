#!/bin/sh
# A forward from a Unix socket cannot be taken away.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import says, starts
path = f"{sys.argv[1]}/way.in"
status, said = starts("-netdev", f"user,id=u,hostfwd=unix:{path}-:22", typed=f"hostfwd_remove unix:{path}")
print(said)
says("invalid format" in said, "hostfwd_remove calls it an invalid format" if "invalid" in said else "it is removed")
EOF
