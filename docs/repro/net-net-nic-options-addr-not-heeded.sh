#!/bin/sh
# -net nic,addr= says in which PCI slot the NIC is.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-net", "nic,model=e1000,addr=9", "-net", "user", typed="info qtree", machine="pc")
there = "addr = 09.0" in said
says(status == 0 and not there, f"the NIC is {'there' if there else 'elsewhere'}" if status == 0 else said)
EOF
