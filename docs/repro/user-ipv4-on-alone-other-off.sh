#!/bin/sh
# ipv4=on, which is on anyway, switches IPv6 off.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
advertised = []
for options in ((), ("ipv4=on",)):
    with Network(*options) as network:
        advertised.append(network.advertisement() is not None)
        print(*options, "a router advertises itself" if advertised[-1] else "no router")
says(advertised == [True, False], "with ipv4=on there is no IPv6" if advertised[0] > advertised[1] else "it stays as it is")
EOF
