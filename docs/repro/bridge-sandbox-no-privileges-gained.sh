#!/bin/sh
# Under -sandbox on, elevateprivileges=allow included, what QEMU starts in the bridge helper's place has no_new_privs set.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import re
from frames import says, starts
def flag(*words):
    said = starts(*words, "-netdev", "bridge,id=b,helper=cat /proc/self/status >&2 #")[1]
    return "".join(re.findall(r"NoNewPrivs:\s*(\d)", said)) or said
free, boxed = flag(), [flag("-sandbox", f"on{more}") for more in ("", ",elevateprivileges=allow")]
says(free == "0" and set(boxed) == {"1"}, f"NoNewPrivs is {free} without a sandbox, {' and '.join(boxed)} in two that allow it")
EOF
