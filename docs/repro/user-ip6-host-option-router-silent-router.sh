#!/bin/sh
# With ipv6-host= the router advertises itself from fe80::2, where it is no neighbour.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import ROUTER6, Network, says
answered = []
for options in ((), ("ipv6-host=fec0::9",)):
    with Network(*options) as network:
        router = network.advertisement() and ROUTER6
        network.send_neighbour(135, router)
        assert network.taken()
        answered.append(any(packet[1][0] == 136 for packet in iter(lambda: network.packet(58, 0.1), None)))
        print(*options, f"{router} {'is a neighbour' if answered[-1] else 'is silent'}")
says(answered == [True, False], f"{ROUTER6} is {'a neighbour' if answered[1] else 'none'} with ipv6-host=")
EOF
