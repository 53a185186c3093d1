#!/bin/sh
# Of a network script that ends with 1 QEMU says that it failed with status 256.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
from host import own_network
own_network()
status, said = starts("-netdev", "tap,id=t,script=/bin/false,downscript=")
if status != 1 or "failed with status" not in said:
    raise SystemExit(f"QEMU ends with {status}: {said}")
says(said.strip().endswith("failed with status 256"), said.strip().rpartition(": ")[2])
EOF
