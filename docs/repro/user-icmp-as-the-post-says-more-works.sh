#!/bin/sh
# Ping does not work in user networking, it is said. The gateway answers.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network() as network:
    network.ping()
    answer = network.packet(1)
    says(answer is not None, f"10.0.2.2 {'answers' if answer else 'is silent'}")
EOF
