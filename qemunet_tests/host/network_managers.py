"""Services that run this host's network, and whether they would lay hands on the tap of a guest.

Sources: NetworkManager.conf(5), systemd.network(5). A tap that such a service takes over leaves its bridge, sometimes
minutes after the guest has started.
"""

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from qemunet_tests.host import process_table
from qemunet_tests.host.files import MACHINE, names_in, read_text

#: The name that the kernel gives the first tap that the bridge helper makes.
TAP = "tap0"
NETWORK_MANAGER = "NetworkManager"
NETWORKD = "systemd-networkd"
#: As /proc shows their names, cut at 15 characters.
_SERVICES = {"NetworkManager": NETWORK_MANAGER, "systemd-network": NETWORKD}
_MANAGER_FOLDERS = (
    "/usr/lib/NetworkManager/conf.d",
    "/run/NetworkManager/conf.d",
    "/etc/NetworkManager",
    "/etc/NetworkManager/conf.d",
)
#: The earlier hides files of the same name in the later.
_NETWORKD_FOLDERS = ("/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network",
                     "/usr/lib/systemd/network")  # fmt: skip
#: Keys of [Match]: what they are for a tap, and those that no new tap meets.
_TAP_IS = {"Name": TAP, "Type": "ether", "Kind": "tun"}
_NEVER_A_TAP = ("MACAddress", "PermanentMACAddress", "Path", "Driver", "WLANInterfaceType", "SSID", "BSSID")


@dataclass(frozen=True)
class Managers:
    """`running` are the services; `takes_taps` maps those of them that would take a guest's tap to why."""

    running: tuple[str, ...] = ()
    takes_taps: tuple[tuple[str, str], ...] = ()


def read(root: Path = MACHINE) -> Managers:
    """Which of them run, and what their files say of taps."""
    commands = {process_table.name(pid, root) for pid in process_table.pids(root)}
    running = tuple(name for command, name in _SERVICES.items() if command in commands)
    reasons = {
        NETWORK_MANAGER: _manager_takes_taps(root) if NETWORK_MANAGER in running else None,
        NETWORKD: _networkd_takes_taps(root) if NETWORKD in running else None,
    }
    return Managers(running, tuple((name, why) for name, why in reasons.items() if why is not None))


def _manager_takes_taps(root: Path) -> str | None:
    for folder in _MANAGER_FOLDERS:
        for name in names_in(root, folder):
            text = (read_text(root, f"{folder}/{name}") or "") if name.endswith(".conf") else ""
            lists = re.findall(r"^\s*(?:unmanaged-devices\+?|match-device)\s*=\s*(.*)$", text, re.MULTILINE)
            if any(_names_a_tap(spec) for each in lists for spec in re.split(r"[;,]", each)):
                return None
    return "no unmanaged-devices of its configuration names taps"


def _names_a_tap(spec: str) -> bool:
    spec = spec.strip()
    if spec.startswith("type:"):
        return spec == "type:tun"
    return fnmatchcase(TAP, spec.removeprefix("interface-name:").removeprefix("="))


def _networkd_takes_taps(root: Path) -> str | None:
    for path in _networkd_files(root):
        settings = _sections(read_text(root, path) or "")
        if _matches_a_tap(settings.get("Match", {})):
            kept_off = settings.get("Link", {}).get("Unmanaged", "no").lower() in ("yes", "true", "1", "on")
            plugged = "Bridge" in settings.get("Network", {})
            return None if kept_off or plugged else f"{path} is about every interface that is called like {TAP}"
    return None


def _networkd_files(root: Path) -> Iterator[str]:
    """In the order in which networkd looks for the first that matches."""
    places: dict[str, str] = {}
    for folder in _NETWORKD_FOLDERS:
        for name in names_in(root, folder):
            if name.endswith(".network"):
                places.setdefault(name, f"{folder}/{name}")
    return (places[name] for name in sorted(places))


def _matches_a_tap(match: dict[str, str]) -> bool:
    if any(key in match for key in _NEVER_A_TAP) or not set(match) & set(_TAP_IS):
        return False
    return all(_listed(match[key], value) for key, value in _TAP_IS.items() if key in match)


def _listed(patterns: str, value: str) -> bool:
    """Whether a list of shell patterns, which an exclamation mark turns round, is about a value."""
    found = any(fnmatchcase(value, pattern) for pattern in patterns.removeprefix("!").split())
    return found != patterns.startswith("!")


def _sections(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}
