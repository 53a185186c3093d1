#!/bin/sh
# `-nic stream` and `-net stream` take an address as `-netdev stream` does.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts

words = "stream,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=0"
said = [starts(option, words) for option in ("-nic", "-net")]
refused = all(status and "Parameter 'type' is missing" in text for status, text in said)
says(refused, said[0][1].strip() if said[0][0] else "QEMU starts")
EOF
