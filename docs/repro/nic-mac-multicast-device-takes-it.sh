#!/bin/sh
# A NIC cannot have a multicast MAC address, says QEMU where -nic gives it one.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
options = {"-nic": ("-nic", "user,mac=01:00:5e:00:00:01"), "-device": ("-device", "e1000,mac=01:00:5e:00:00:01")}
refused = {name: starts(*words, machine="pc")[0] != 0 for name, words in options.items()}
says(refused == {"-nic": True, "-device": False}, f"-nic refuses it: {refused['-nic']}, -device: {refused['-device']}")
EOF
