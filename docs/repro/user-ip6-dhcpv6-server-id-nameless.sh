#!/bin/sh
# An answer by DHCPv6 has no option 2, who the server is.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("bootfile=file", asked=6) as network:
    _, options = network.dhcp6(59)
    says(2 not in options, f"the answer has the options {', '.join(map(str, options))}")
EOF
