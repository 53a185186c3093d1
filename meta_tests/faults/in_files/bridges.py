"""Hosts on which the bridge or what is plugged into it is at fault."""

from meta_tests.samples.healthy_host import FILES, NET, Fault, routes

FAULTS = {
    "no bridge": Fault(
        "bridge",
        "not",
        "there is no bridge",
        "ip link add br0 type bridge",
        ("bridge",),
        files={path: None for path in FILES if path.startswith(f"{NET}/br0")},
    ),
    "no bridge, netplan": Fault(
        "bridge",
        "not",
        "there is no bridge",
        "sudo netplan try",
        ("bridge",),
        files={
            **{path: None for path in FILES if path.startswith(f"{NET}/br0")},
            "/etc/netplan/01.yaml": "network:\n  ethernets:\n    enp0s25: {}\n",
            "/proc/net/route": routes("enp0s25 00000000 FD01A8C0 00000000", "enp0s25 0001A8C0 00000000 00FFFFFF"),
        },
    ),
    "bridge down": Fault(
        "bridge-up",
        "not",
        "br0 is down",
        "sudo ip link set br0 up",
        ("bridge",),
        files={f"{NET}/br0/flags": "0x1002\n"},
    ),
    "no uplink": Fault(
        "bridge-uplink",
        "caution",
        "br0 has no interface of the host in it",
        "master br0",
        files={
            f"{NET}/br0/brif/enp0s25/state": None,
            f"{NET}/br0/brif/tap0/state": "3\n",
            f"{NET}/tap0/tun_flags": "0x1002\n",
        },
    ),
    "cable out": Fault(
        "bridge-uplink",
        "caution",
        "enp0s25 in br0 has no link",
        "cable",
        files={f"{NET}/enp0s25/carrier": "0\n"},
    ),
    "uplink down": Fault(
        "bridge-uplink",
        "caution",
        "enp0s25 in br0 has no link",
        "ip link set enp0s25 up",
        files={f"{NET}/enp0s25/flags": "0x1102\n"},
    ),
    "wireless uplink": Fault(
        "bridge-wireless",
        "caution",
        "enp0s25 in br0 is wireless",
        "wired",
        files={f"{NET}/enp0s25/phy80211/index": "0\n"},
    ),
    "VLAN on wireless": Fault(
        "bridge-wireless",
        "caution",
        "enp0s25 in br0 is wireless",
        "wired",
        files={f"{NET}/enp0s25/lower_wlan0/flags": "", f"{NET}/wlan0/wireless/status": ""},
    ),
    "spanning tree": Fault(
        "bridge-stp",
        "caution",
        "a new guest is cut off for 30 s",
        "stp_state 0",
        files={f"{NET}/br0/bridge/stp_state": "1\n"},
    ),
    "small MTU": Fault(
        "bridge-mtu",
        "caution",
        "br0 carries packets of 1400 bytes",
        "host_mtu=1400",
        files={f"{NET}/br0/mtu": "1400\n", f"{NET}/enp0s25/mtu": "1400\n"},
    ),
    "narrow uplink": Fault(
        "bridge-mtu",
        "caution",
        "enp0s25 in br0 carries 1400 bytes, the bridge 1500",
        "mtu 1400",
        files={f"{NET}/enp0s25/mtu": "1400\n"},
    ),
    "address on the card": Fault(
        "bridge-address",
        "caution",
        "enp0s25 still has the address",
        "move them to br0",
        files={"/proc/net/route": "Iface\tDestination\nenp0s25\t00000000\n"},
    ),
    "virtual switch": Fault(
        "virtual-switch",
        "caution",
        "virtual (vmware)",
        "promiscuous",
        files={"/sys/class/dmi/id/sys_vendor": "VMware, Inc.\n"},
    ),
    "cloud": Fault(
        "virtual-switch",
        "caution",
        "virtual (aws)",
        "user mode",
        files={
            "/sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
            "/sys/class/dmi/id/product_name": "m5.large\n",
        },
    ),
}
