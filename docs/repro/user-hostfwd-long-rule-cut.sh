#!/bin/sh
# A rule of 1024 bytes, to port 077 (63), is cut after 1023, and leads to port 07.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
rule = "tcp:127.0.0.1:2222-10.0.2.15:".ljust(1022, "0") + "77"
status, said = starts("-netdev", f"user,id=u,hostfwd={rule}", typed="info usernet")
listed = next((line for line in said.splitlines() if "HOST_FORWARD" in line), "")
says(listed.split()[5:6] == ["7"], listed or "QEMU does not take it")
EOF
