#!/bin/sh
# -netdev help lists passt where QEMU was built without it.
cd "$(dirname "$0")" && exec python3 - <<'END'
from frames import says, starts
listed = "passt" in starts("-netdev", "help")[1].split()
_, said = starts("-netdev", "passt,id=n,path=/nonexistent")
known = "/nonexistent" in said.rpartition(": ")[2]
says(listed and not known, f"passt is {'' if listed else 'not '}listed, and {'known' if known else 'not known'}")
END
