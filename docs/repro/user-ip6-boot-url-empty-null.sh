#!/bin/sh
# Without bootfile= DHCPv6 offers a boot file all the same.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network(asked=6) as network:
    _, options = network.dhcp6(59)
    says(59 in options, f"the boot file (option 59) is {options.get(59)}")
EOF
