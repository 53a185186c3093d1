#!/bin/sh
# The two guests that the manual's example joins by UDP have each an address of its own. As printed, with other ports.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import re

from frames import says, starts

ends, macs = "dgram,id=net0,local.type=inet,local.host=localhost,local.port={},remote.type=inet,remote.host=localhost", set()
for own, other in ((17390, 17391), (17391, 17390)):
    words = ["-device", "virtio-net,netdev=net0,mac=52:54:00:12:34:56"]
    words += ["-netdev", f"{ends.format(own)},remote.port={other}"]
    status, said = starts(*words, typed="info network", machine="pc")
    macs |= set(re.findall(r"macaddr=(\S+)", said))
says(len(macs) == 1, f"the two have {' and '.join(sorted(macs))}")
EOF
