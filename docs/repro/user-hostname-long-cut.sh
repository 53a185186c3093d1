#!/bin/sh
# A host name of 40 characters is cut, and nobody is told.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network(f"hostname={'abcdefghij' * 4}") as network:
    name = network.dhcp()[2][12]
    says(len(name) < 40, f"{len(name)} of 40 characters arrive")
EOF
