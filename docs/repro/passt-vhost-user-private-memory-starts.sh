#!/bin/sh
# A guest whose memory is not shared cannot be served by vhost-user, and QEMU starts it all the same.
cd "$(dirname "$0")" && exec python3 - <<'END'
from frames import says, starts
status, said = starts("-netdev", "passt,id=n,vhost-user=on", "-device", "virtio-net-pci,netdev=n,romfile=", machine="q35")
says(status == 0, "QEMU starts" if status == 0 else said)
END
