"""Faults of hosts, and the commands that they are made of."""

import sys
from typing import Any

from meta_tests.faults.fault import Fault, OnHost

HELPER = "/usr/lib/qemu/qemu-bridge-helper"
QEMU = "/usr/bin/qemu-system-x86_64"
LEASE = ("bridge/lease-address",)
PEER = ("--peer", "192.168.77.1:7007")
#: What every fixed MAC address of a guest begins with, for nft.
GUESTS_MAC = "& ff:ff:ff:00:00:00 == 02:71:6e:00:00:00"


def on_a_host(
    name: str,
    breaks: tuple[str, ...],
    cause: str,
    remedy: str = ".",
    kind: str = "",
    sentinel: str = "user/address",
    **planting: Any,
) -> Fault:
    """A fault of a host of namespaces; `planting` are the fields of `OnHost`."""
    return Fault(name, breaks, cause, OnHost(**planting), remedy, (sentinel,), kind)


def netdev(hook: str, link: str, rule: str) -> str:
    return f"nft 'table netdev odd {{ chain it {{ type filter hook {hook} device {link} priority 0; {rule}; }}; }}'"


def filtering(family: str, hook: str, rule: str) -> str:
    return f"nft 'table {family} wall {{ chain guard {{ type filter hook {hook} priority 0; {rule}; }}; }}'"


def in_background(command: str) -> str:
    """Go on with a shell command after the typing; the number of its process is in /mnt/background."""
    return f"(exec setsid sh -c 'echo $$ > /mnt/background; {command}' >/dev/null 2>&1 </dev/null &)"


def with_every_tap(command: str) -> str:
    """Do something with every tap that is plugged into the bridge, its name in $t, as managers of networks do."""
    taps = "for t in $(ls /sys/class/net/br0/brif | grep tap)"
    return in_background(f"while :; do {taps}; do {command}; done; sleep 0.02; done")


END_BACKGROUND = "kill -9 $(cat /mnt/background)"


def python(code: str) -> str:
    """A shell command that runs Python."""
    return f"{sys.executable} - <<'END'\n{code}\nEND"
