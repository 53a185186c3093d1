#!/bin/sh
# A boot file name of 128 characters ends QEMU by a signal.
cd "$(dirname "$0")" && python3 - <<'EOF'
import subprocess
from frames import QEMU, says
name = "b" * 128
ended = subprocess.run([QEMU, "-M", "none", "-display", "none", "-monitor", "none", "-S", "-netdev",
                        f"user,id=u,bootfile={name}"], capture_output=True, timeout=20)
says(ended.returncode == -11, f"QEMU ends with status {ended.returncode}")
EOF
