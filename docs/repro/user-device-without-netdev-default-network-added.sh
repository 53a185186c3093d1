#!/bin/sh
# Who names a device and no network has a network all the same.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-device", "e1000", typed="info network", machine="pc")
print(said)
says("user" in said, "QEMU has added a user network" if "user" in said else "there is none")
EOF
