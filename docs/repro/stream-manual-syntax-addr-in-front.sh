#!/bin/sh
# The manual writes to= beside the address of a stream backend, and QEMU wants addr.to=.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import says, starts
status, said = starts("-netdev", "stream,id=s,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=0,to=7299")
says(status != 0, said.strip() if status else "QEMU starts")
EOF
