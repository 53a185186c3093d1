#!/bin/sh
# A QEMU that is killed leaves the folder of its smb server. Wants smbd.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import os, sys
from frames import Network, says
network = Network(f"smb={sys.argv[1]}")
network.qemu.kill()
network.qemu.wait()
left = [name for name in os.listdir(network.folder.name) if name.startswith("qemu-smb")]
says(bool(left), f"left are {left}")
EOF
