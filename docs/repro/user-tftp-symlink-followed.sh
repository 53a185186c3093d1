#!/bin/sh
# A guest reads whatever a symbolic link in the folder of tftp= leads to, outside of it too.
cd "$(dirname "$0")" && folder=$(mktemp -d) && mkdir "$folder/served" && echo outside > "$folder/outside" &&
ln -s "$folder/outside" "$folder/served/link" && python3 - "$folder/served" <<'EOF' ; rm -r "$folder"
import sys
from frames import Network, says
with Network(f"tftp={sys.argv[1]}") as network:
    network.send_udp(69, b"\0\1link\0octet\0")
    port, answer = network.udp_answer()
    says(answer == b"\0\3\0\1outside\n", f"the answer is {answer}")
EOF
