#!/bin/sh
# A guest that asks by TFTP for a FIFO stops QEMU, until somebody opens the FIFO for writing.
cd "$(dirname "$0")" && folder=$(mktemp -d) && mkfifo "$folder/fifo" && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import os, sys
from frames import Network, says
with Network(f"tftp={sys.argv[1]}") as network:
    network.send_udp(69, b"\0\1fifo\0octet\0")
    stands = not network.taken(2)
    if stands:
        os.close(os.open(f"{sys.argv[1]}/fifo", os.O_WRONLY | os.O_NONBLOCK))
        goes_on = network.receive(5) is not None
    says(stands, f"QEMU {'stands still' if stands else 'answers ARP'}"
         f"{', and goes on when somebody opens the FIFO' if stands and goes_on else ''}")
EOF
