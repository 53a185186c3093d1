"""Which package brings what on this distribution, and the command that installs it."""

from qemunet_tests.host.system import HostSystem

#: By family: how to install, then package names where they are not what we call it. Only Debian's were tried.
INSTALL = {
    "debian": "apt-get install -y",
    "rhel": "dnf install -y",
    "fedora": "dnf install -y",
    "arch": "pacman -S --needed",
    "suse": "zypper install -y",
    "alpine": "apk add",
}
PACKAGES = {
    "qemu": {
        "debian": "qemu-system-x86",
        "rhel": "qemu-kvm",
        "fedora": "qemu-system-x86-core",
        "arch": "qemu-base",
        "suse": "qemu-x86",
        "alpine": "qemu-system-x86_64",
    },
    "bridge-helper": {
        "debian": "qemu-system-common",
        "rhel": "qemu-kvm-common",
        "fedora": "qemu-common",
        "arch": "qemu-common",
        "suse": "qemu-tools",
        "alpine": "qemu-bridge-helper",
    },
    "roms": {
        "debian": "ipxe-qemu",
        "rhel": "ipxe-roms-qemu",
        "fedora": "ipxe-roms-qemu",
        "suse": "qemu-ipxe",
    },
    "dnsmasq": {"debian": "dnsmasq-base"},
    "iperf3": {},
    "netplan": {"debian": "netplan.io"},
    "nftables": {},
    "passt": {},
    "samba": {},
    "systemd-networkd": {"debian": "systemd", "arch": "systemd"},
    "vde": {"debian": "vde2", "fedora": "vde2", "arch": "vde2", "suse": "vde2", "alpine": "vde2", "rhel": "vde2"},
    "setpriv": {"debian": "util-linux", "alpine": "setpriv"},
}
_ALIASES = {"ubuntu": "debian", "centos": "rhel", "opensuse": "suse", "sles": "suse"}


def install_command(need: str, machine: HostSystem, sudo: str = "sudo ") -> str:
    """The command that brings `need` (a key of PACKAGES), or a sentence where the distribution is unknown."""
    for name in machine.families:
        family = _ALIASES.get(name, name)
        if family in INSTALL:
            return f"{sudo}{INSTALL[family]} {PACKAGES[need].get(family, need)}"
    if "nixos" in machine.families:
        return f"add {need} to environment.systemPackages"
    return f"install {need} with the package manager of this system"
