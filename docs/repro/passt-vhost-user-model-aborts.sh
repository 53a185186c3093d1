#!/bin/sh
# A NIC that vhost-user cannot serve is refused by an abort.
cd "$(dirname "$0")" && exec python3 - <<'END'
from frames import says, starts
status, said = starts("-nic", "passt,model=e1000,vhost-user=on", machine="q35")
says(status == -6, f"status {status}: {said}")
END
