#!/bin/sh
# Without /dev/vhost-net QEMU dies of `vhost=on`.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from pathlib import Path
from frames import says, starts
from host import hide_all_devices_but, own_network
own_network()
if Path("/dev/vhost-net").exists():
    hide_all_devices_but("null", "net/tun")
status, said = starts("-netdev", "tap,id=t,script=,downscript=,vhost=on")
says(status not in (0, 1), f"QEMU ends with {status}: {said.strip()}")
EOF
