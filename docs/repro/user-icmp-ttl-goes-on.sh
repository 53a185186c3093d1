#!/bin/sh
# A ping with one hop to live ends at the gateway, as at every router. This one goes on.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network() as network:
    network.ping("192.0.2.9", ttl=1)
    assert network.taken()
    sent = lan.packet(1, 0.5)
    says(sent is not None, f"the host sends it on with {sent[8]} hops to live" if sent else "it goes nowhere")
EOF
