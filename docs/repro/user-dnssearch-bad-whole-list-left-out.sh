#!/bin/sh
# One search domain that cannot be encoded takes the others with it.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network(f"dnssearch={'x' * 64}.example", "dnssearch=example.org") as network:
    options = network.dhcp()[2]
    says(119 not in options, f"the search list (option 119) is {options.get(119, 'left out')}")
EOF
