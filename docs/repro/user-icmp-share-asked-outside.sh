#!/bin/sh
# A ping of the share's server, 10.0.2.4, goes out to the host's network. Wants smbd.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import Network, says
from host import Lan, own_network
own_network()
lan = Lan("10.0.2.1")
with Network(f"smb={sys.argv[1]}") as network:
    network.ping("10.0.2.4")
    assert network.taken()
    sent = lan.packet(1, 0.5)
    says(sent is not None, "the host asks its own network for 10.0.2.4" if sent else "nothing leaves")
EOF
