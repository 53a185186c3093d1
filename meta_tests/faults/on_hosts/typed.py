"""What a fault of a host is, and what its plants are made of."""

import sys
from dataclasses import dataclass

HELPER = "/usr/lib/qemu/qemu-bridge-helper"
QEMU = "/usr/bin/qemu-system-x86_64"
LEASE = ("bridge/lease-address",)
PEER = ("--peer", "192.168.77.1:7007")
#: What every fixed MAC address of a guest begins with, for nft.
GUESTS_MAC = "& ff:ff:ff:00:00:00 == 02:71:6e:00:00:00"


@dataclass(frozen=True)
class HostFault:
    """`typed` is done at the machine, `at_lan` at the LAN, before the claims of `breaks` are tried.

    `catalogue` is its number in the catalogue of host faults; one without is of a kind that the code under test knows
    nothing about. `cause` and `remedy` are regular expressions for what the report must say. What mends the fault is
    the remedy itself, word for word, or where that is no command, `mended` and `mended_at_lan`.

    `dhcp_options` are the LAN's DHCP server's further ones, `lan_program` is Python that runs on the LAN, `become`
    are options of the setpriv that the run is under: all until the fault is mended. `mended_words` are then for the run
    instead of `words`. `as_root`: the run is root's. `judge` is `run`, or `doctor`, whose capabilities `breaks` names;
    `entails` names others of which it then says something else as well.
    """

    name: str
    breaks: tuple[str, ...]
    cause: str
    typed: str = ""
    at_lan: str = ""
    stops_dhcp: bool = False
    remedy: str = "."
    mended: str | None = None
    mended_at_lan: str = ""
    as_root: bool = False
    words: tuple[str, ...] = ()
    catalogue: str = ""
    dhcp_options: str = ""
    lan_program: str = ""
    become: tuple[str, ...] = ()
    mended_words: tuple[str, ...] | None = None
    judge: str = "run"
    entails: tuple[str, ...] = ()
    sentinel: str = "user/address"

    @property
    def by(self) -> str:
        """Who judges the host."""
        run_by = "root" if self.as_root else "a user"
        return f"doctor, {run_by}" if self.judge == "doctor" else run_by


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
