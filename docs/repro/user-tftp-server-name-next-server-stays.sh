#!/bin/sh
# tftp-server-name= is not the next server, where firmware looks.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("tftp-server-name=192.0.2.66") as network:
    _, server, options = network.dhcp()
    says(server != "192.0.2.66", f"option 66 is {options[66]}, the next server is {server}")
EOF
