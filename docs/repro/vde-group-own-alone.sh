#!/bin/sh
# `group=` gives the socket by which QEMU and a switch talk to a group. Takes vde_switch, and root or a user of two groups.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import os
import pathlib
import subprocess
import tempfile

from frames import QEMU, says

others = [group for group in os.getgroups() if group != os.getegid()] or [1]
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name, "switch")
    with subprocess.Popen(["vde_switch", "--sock", folder], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as switch:
        while not (folder / "ctl").exists():
            if switch.poll() is not None:
                raise SystemExit("vde_switch does not start")
        words = [QEMU, "-M", "none", "-S", "-display", "none", "-monitor", "stdio"]
        words += ["-netdev", f"vde,id=v,sock={folder},group={others[0]}"]
        qemu = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        qemu.stdout.read(4)  # The monitor's greeting: the backend is there.
        groups = {each.stat().st_gid for each in folder.iterdir() if each.name != "ctl"}
        qemu.communicate(b"quit\n")
        switch.communicate()
says(groups == {os.getegid()}, f"asked for group {others[0]}, its group is {', '.join(map(str, groups))}")
EOF
