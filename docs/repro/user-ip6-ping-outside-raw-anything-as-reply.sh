#!/bin/sh
# By a raw socket a neighbour's error comes to the guest as the answer of an address that nobody has.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
from host import Lan, own_network
own_network()
lan = Lan()
with Network(asked=6) as network:
    network.ping("2001:db8::9")
    assert network.taken()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"is anybody there?", ("::1", 9))  # nobody is: the host tells itself so, by ICMPv6
    answers = [(source, content[0]) for source, content in iter(lambda: network.packet(58, 0.5), None) if content[0] < 130]
    says(("2001:db8::9", 129) in answers, f"the guest's ping is answered by {answers}, where 129 is an echo reply")
EOF
