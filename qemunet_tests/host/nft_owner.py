"""Who made a table of the packet filter, and how it is told to let something pass: what others type there is lost.

Each knows its tables by their own names and those of their chains. Sources: firewall-cmd(1), ufw(8), Docker's "Packet
filtering and firewalls", libvirt's "Firewall and network filtering", wg-quick(8), fail2ban-client(1).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class OwnedChain(Protocol):
    """What is asked of a chain here."""

    @property
    def family(self) -> str: ...
    @property
    def table(self) -> str: ...


@dataclass(frozen=True)
class RulesetOwner:
    """`table` and `chains` are patterns of names that are this one's alone; `words` how it is told, for good."""

    name: str
    table: str
    chains: str
    words: str


MANAGERS = (
    RulesetOwner("firewalld", "firewalld", "FWDI?_.*|IN_public.*",
            "firewall-cmd --permanent --add-port or --add-rich-rule, or --permanent --policy for what is forwarded"),
    RulesetOwner("ufw", "ufw.*", "ufw6?-.*", "ufw allow in|out, or ufw route allow for what is forwarded"),
    RulesetOwner("Docker", "docker.*", "DOCKER.*", "a rule in its chain DOCKER-USER, which it leaves alone"),
    RulesetOwner("Podman", "netavark", "NETAVARK.*", "podman network update, or a table of your own"),
    RulesetOwner("libvirt", "libvirt_network", "LIBVIRT_.*|FI-.*|FO-.*", "virsh net-edit, or a hook of libvirtd's"),
    RulesetOwner("Kubernetes", "kube-.*", "KUBE-.*", "a NetworkPolicy, or kube-proxy's settings"),
    RulesetOwner("wg-quick", "wg-quick-.*", "(?!)", "AllowedIPs, or PostUp, in its file under /etc/wireguard"),
    RulesetOwner("fail2ban", "f2b-.*", "f2b-.*", "fail2ban-client set JAIL unbanip ADDRESS"),
)  # fmt: skip


def manager_of(table: str, chains: Iterable[str]) -> RulesetOwner | None:
    """Whose table that is, by its name and those of its chains; None where nobody is known to have made it."""
    names = tuple(chains)
    for each in MANAGERS:
        if re.fullmatch(each.table, table) or any(re.fullmatch(each.chains, name) for name in names):
            return each
    return None


def kept(remedy: str, chain: OwnedChain, names: Iterable[str]) -> str:
    """A command that changes a table, and who would undo it. `names` are those of all chains of that table."""
    owner = manager_of(chain.table, names)
    if owner is None:
        return remedy
    table = f"table {chain.family} {chain.table}"
    return f"{remedy}; {owner.name} owns {table}, and its next reload undoes that: for good, {owner.words}"
