#!/bin/sh
# Without `vhostdev=` the device of a vhost-vdpa backend is /dev/vhost-vdpa-0, says the reference.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "vhost-vdpa,id=v")
says("neither vhostdev= nor vhostfd= was specified" in said, said.strip() if status else "QEMU starts")
EOF
