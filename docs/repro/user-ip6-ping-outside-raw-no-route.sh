#!/bin/sh
# By a raw socket a ping of an address that the host has a route to is answered: no route.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import ROUTER6, Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network(asked=6) as network:
    network.ping("2001:db8::9")
    assert network.taken()
    errors = [source for source, content in iter(lambda: network.packet(58, 0.1), None) if content[:2] == b"\1\0"]
    says(ROUTER6 in errors, f"the host {'sends nothing, and the guest gets an error' if errors else 'sends the ping'}")
EOF
