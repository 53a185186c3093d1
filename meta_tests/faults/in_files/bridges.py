"""Hosts on which the bridge or what is plugged into it is at fault."""

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import FILES, NET, routes

FAULTS = (
    of_files("no bridge", "bridge", "not", "there is no bridge", "ip link add br0 type bridge", ("bridge",),
             files={path: None for path in FILES if path.startswith(f"{NET}/br0")}),
    of_files("no bridge, netplan", "bridge", "not", "there is no bridge", "sudo netplan try", ("bridge",),
             files={**{path: None for path in FILES if path.startswith(f"{NET}/br0")},
             "/etc/netplan/01.yaml": "network:\n  ethernets:\n    enp0s25: {}\n",
             "/proc/net/route": routes("enp0s25 00000000 FD01A8C0 00000000", "enp0s25 0001A8C0 00000000 00FFFFFF")}),
    of_files("bridge down", "bridge-up", "not", "br0 is down", "sudo ip link set br0 up", ("bridge",),
             files={f"{NET}/br0/flags": "0x1002\n"}),
    of_files("no uplink", "bridge-uplink", "caution", "br0 has no interface of the host in it", "master br0",
             files={f"{NET}/br0/brif/enp0s25/state": None, f"{NET}/br0/brif/tap0/state": "3\n",
             f"{NET}/tap0/tun_flags": "0x1002\n"}),
    of_files("cable out", "bridge-uplink", "caution", "enp0s25 in br0 has no link", "cable",
             files={f"{NET}/enp0s25/carrier": "0\n"}),
    of_files("uplink down", "bridge-uplink", "caution", "enp0s25 in br0 has no link", "ip link set enp0s25 up",
             files={f"{NET}/enp0s25/flags": "0x1102\n"}),
    of_files("wireless uplink", "bridge-wireless", "caution", "enp0s25 in br0 is wireless", "wired",
             files={f"{NET}/enp0s25/phy80211/index": "0\n"}, catalogue="F20"),
    of_files("VLAN on wireless", "bridge-wireless", "caution", "enp0s25 in br0 is wireless", "wired",
             files={f"{NET}/enp0s25/lower_wlan0/flags": "", f"{NET}/wlan0/wireless/status": ""}, catalogue="F20"),
    of_files("spanning tree", "bridge-stp", "caution", "a new guest is cut off for 30 s", "stp_state 0",
             files={f"{NET}/br0/bridge/stp_state": "1\n"}),
    of_files("small MTU", "bridge-mtu", "caution", "br0 carries packets of 1400 bytes", "host_mtu=1400",
             files={f"{NET}/br0/mtu": "1400\n", f"{NET}/enp0s25/mtu": "1400\n"}),
    of_files("narrow uplink", "bridge-mtu", "caution", "enp0s25 in br0 carries 1400 bytes, the bridge 1500",
             "mtu 1400", files={f"{NET}/enp0s25/mtu": "1400\n"}),
    of_files("address on the card", "bridge-address", "caution", "enp0s25 still has the address", "move them to br0",
             files={"/proc/net/route": "Iface\tDestination\nenp0s25\t00000000\n"}),
    of_files("virtual switch", "virtual-switch", "caution", "virtual (vmware)", "promiscuous",
             files={"/sys/class/dmi/id/sys_vendor": "VMware, Inc.\n"}, catalogue="F21"),
    of_files("cloud", "virtual-switch", "caution", "virtual (aws)", "user mode",
             files={"/sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "/sys/class/dmi/id/product_name": "m5.large\n"},
             catalogue="F22"),
)  # fmt: skip
