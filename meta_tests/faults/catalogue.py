"""Where each entry of the catalogue of host faults is tried: on hosts of namespaces, in the lab, from recordings."""

from collections.abc import Mapping, Sequence

from meta_tests.faults.on_hosts.bridge import HOST_FAULTS

#: The numbers of its entries.
ENTRIES = tuple(f"F{number:02}" for number in range(1, 85) if number not in (29, 34, 36, 37, 39, 52, 55, 57, 71, 83))
#: Faults of the lab, docs/faults.md.
IN_THE_LAB = {
    "F09": ("one-mac-twice",),
    "F13": ("no-sshd",),
    "F19": ("forwards-for-everybody",),
    "F56": ("guest-with-static-address", "forward-misdirected"),
    "F60": ("restricted",),
    "F73": ("tap-taken-out",),
    "F78": ("interface-named-otherwise",),
}
#: What takes hardware, or another machine's settings: recorded files, shown to the doctor's checks.
RECORDED = {
    "F01": ("KVM not permitted", "in the group since login"),
    "F02": ("KVM module not loaded", "KVM not nested", "KVM off in firmware", "KVM off in WSL"),
    "F11": ("KVM hangs",),
    "F16": ("KVM busy",),
    "F17": ("KVM in CI",),
    "F18": ("KVM in a container with a strange group", "KVM of an unmapped group"),
    "F20": ("wireless uplink", "VLAN on wireless"),
    "F21": ("virtual switch",),
    "F22": ("cloud", "one address from a hoster"),
    "F40": ("NetworkManager", "networkd"),
    "F43": ("a bond that rewrites",),
    "F44": ("no VLAN for new ports",),
    "F50": ("too many connections",),
    "F59": ("no SMB server",),
    "F61": ("no passt", "a QEMU too old for passt"),
    "F62": ("passt without a route",),
    "F63": ("passt where the gateway resolves names",),
    "F65": ("SELinux confines this shell", "AppArmor confines this shell"),
    "F66": ("passt started by root",),
    "F67": ("AppArmor", "user namespaces off"),
    "F69": ("no vhost-net",),
    "F77": ("QEMU from a snap",),
}
NOT_TRIED = {
    "F25": "it harms the host's own link, about which nothing is claimed",
    "F42": "nothing is claimed about IPv6",
    "F45": "no guest of ours has a macvtap",
    "F46": "nothing is claimed about the host's IPv6",
    "F49": "no DHCP server of ours runs in the host's network",
    "F53": "nothing is claimed about IPv6",
    "F58": "throughput is judged from recordings: docs/throughput.md",
    "F64": "no guest of ours is behind passt",
    "F68": "no guest of ours has a stream backend",
    "F70": "taps come from the bridge helper",
    "F72": "taps come from the bridge helper",
    "F74": "guests are started without network scripts",
    "F76": "it takes a host with SELinux",
    "F79": "guests have a kernel of our choice",
    "F80": "guests have an image of our choice",
    "F81": "guests have an image of our choice",
    "F82": "deadlines grow with the accelerator's slowdown",
    "F84": "it is about what guests do with a network that works",
}


def on_hosts() -> dict[str, tuple[str, ...]]:
    """The faults planted on hosts of namespaces, by number."""
    numbers = {fault.catalogue for fault in HOST_FAULTS} - {""}
    return {number: tuple(fault.name for fault in HOST_FAULTS if fault.catalogue == number) for number in numbers}


def covered() -> set[str]:
    return {*on_hosts(), *IN_THE_LAB, *RECORDED}


def coverage() -> str:
    """As Markdown: what of the catalogue is tried where, and what is not."""
    ways: Sequence[Mapping[str, Sequence[str]]] = (on_hosts(), IN_THE_LAB, RECORDED)
    in_the_lab, recorded = set(IN_THE_LAB) - set(on_hosts()), set(RECORDED) - set(on_hosts()) - set(IN_THE_LAB)
    rows = [
        f"| {number} | {' | '.join(', '.join(way.get(number, ())) for way in ways)} | {NOT_TRIED.get(number, '')} |"
        for number in ENTRIES
    ]
    return "\n".join([
        "## What of the catalogue is tried",
        "",
        f"{len(covered())} of {len(ENTRIES)} entries: {len(on_hosts())} are planted on hosts of namespaces, "
        f"{len(in_the_lab)} more in the lab, and {len(recorded)} more, which take other hardware or settings, are "
        "shown to the doctor as recorded files.",
        "",
        "| no. | hosts of namespaces | lab (docs/faults.md) | recorded files, judged by the doctor | why not |",
        "|---|---|---|---|---|",
        *rows,
    ])  # fmt: skip
