#!/bin/sh
# With restrict=on the guest is "not able to contact the host", but gets its files by TFTP.
cd "$(dirname "$0")" && folder=$(mktemp -d) && echo content > "$folder/file" && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import Network, says
with Network("restrict=on", f"tftp={sys.argv[1]}") as network:
    network.send_udp(69, b"\0\1file\0octet\0")
    assert network.taken()
    answer = network.udp_answer(0.1)
    says(answer == (69, b"\0\3\0\1content\n"), f"the answer is {answer}")
EOF
