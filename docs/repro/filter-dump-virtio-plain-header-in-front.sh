#!/bin/sh
# The firmware of a virtio NIC at a tap looks for a network to boot from: where in a dump its address stands.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import subprocess
import tempfile
import time
from pathlib import Path

from frames import MAC, QEMU, says
from host import own_network

own_network()
with tempfile.TemporaryDirectory() as folder:
    dump = Path(folder, "dump.pcap")
    words = ["-M", "pc", "-nodefaults", "-display", "none", "-boot", "n", "-netdev", "tap,id=t,script=,downscript="]
    words += ["-device", f"virtio-net-pci,netdev=t,mac={MAC.hex(':')}", "-object", f"filter-dump,id=f,netdev=t,file={dump}"]
    with subprocess.Popen([QEMU, *words], stderr=subprocess.DEVNULL) as qemu:
        place, until = -1, time.monotonic() + 50
        while place < 0 and qemu.poll() is None and time.monotonic() < until:
            # Behind the header of the file and that of its first frame.
            place = dump.read_bytes()[40:].find(MAC) if dump.exists() else -1
            time.sleep(0.1)
        qemu.kill()
says(place > 6, f"the NIC's address is {place} bytes behind the beginning of a frame")
EOF
