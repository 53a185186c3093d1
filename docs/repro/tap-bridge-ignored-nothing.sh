#!/bin/sh
# `br=` names a bridge, and the tap is in none.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says
from host import add_bridge, own_network, put_into_bridge, qemu_on_tap
own_network()
add_bridge("bridge")
with qemu_on_tap("ifname=made,br=bridge") as started:
    if not started:
        raise SystemExit("QEMU does not start")
    # The kernel puts nothing into a bridge that is in one already.
    says(put_into_bridge("bridge", "made"), "the tap is in no bridge yet")
EOF
