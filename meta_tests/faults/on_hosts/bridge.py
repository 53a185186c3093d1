"""Hosts broken by hand: what an administrator, a program or an update did, and what must be said of it."""

import sys

from meta_tests.faults.on_hosts.doctor import DOCTORS_FAULTS
from meta_tests.faults.on_hosts.lan import LAN_FAULTS
from meta_tests.faults.on_hosts.typed import HELPER, LEASE, PEER, HostFault, filtering, netdev
from meta_tests.faults.on_hosts.unheard import UNHEARD_FAULTS
from meta_tests.faults.on_hosts.user import USER_FAULTS

LISTENER = (
    "import os, signal, socket; open('/dev/shm/listener', 'w').write(str(os.getpid())); "
    "s = socket.create_server(('', 2222)); signal.pause()"
)

BRIDGE_FAULTS = (
    HostFault("no-dhcp-server", LEASE, r"no DHCP server answers on the LAN behind br0: .* leave the host at up0",
              stops_dhcp=True, remedy="start the LAN's DHCP server", mended="", catalogue="F30"),
    HostFault("no-dhcp-server-seen-by-root", LEASE, r"no DHCP server answers on the LAN behind br0",
              stops_dhcp=True, remedy="start the LAN's DHCP server", mended="", as_root=True, catalogue="F30"),
    HostFault("no-uplink", LEASE, "the bridge br0 has no uplink", typed="ip link set up0 nomaster",
              remedy="ip link set INTERFACE master br0", mended="ip link set up0 master br0", catalogue="F30"),
    HostFault("uplink-down", LEASE, "the uplink up0 of br0 is down", typed="ip link set up0 down", catalogue="F30"),
    HostFault("uplink-without-carrier", LEASE, "the uplink up0 of br0 has no carrier", at_lan="ip link set lan0 down",
              mended="", mended_at_lan="ip link set lan0 up", catalogue="F30"),
    HostFault("firewall-drops-requests", LEASE, "table bridge wall, chain guard: udp dport 67 drop",
              typed=filtering("bridge", "forward", "udp dport 67 drop"), as_root=True, catalogue="F12"),
    HostFault("firewall-drops-replies", LEASE, "table bridge wall, chain guard: udp sport 67 drop",
              typed=filtering("bridge", "forward", "udp sport 67 drop"), as_root=True, catalogue="F12"),
    HostFault("firewall-drops-tcp", ("bridge/reach-lan",), "table bridge wall, chain guard: tcp dport 7007 drop",
              typed=filtering("bridge", "forward", "tcp dport 7007 drop"), as_root=True, words=PEER, catalogue="F12"),
    HostFault("firewall-seen-by-a-user", LEASE, "seen at tap0 and not at up0: .* only root may see",
              typed=filtering("bridge", "forward", "udp dport 67 drop"), remedy="sudo qemunet run",
              mended="nft delete table bridge wall", catalogue="F12"),
    HostFault("docker-forward-drop", LEASE, "table ip filter, chain FORWARD: .*policy drop",
              typed="nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'\n"
              "echo 1 > /sys/class/net/br0/bridge/nf_call_iptables", as_root=True, catalogue="F07"),
    # Nobody's list has these.
    HostFault("netdev-egress", LEASE, r"request was seen at tap0 and not at up0, .*br0 itself got it.*table netdev odd",
              typed=netdev("egress", "up0", "udp dport 67 drop"), as_root=True),
    HostFault("netdev-ingress", LEASE, "offer was seen at up0 and not at tap0: .*table netdev odd",
              typed=netdev("ingress", "up0", "udp sport 67 drop"), as_root=True),
    HostFault("netdev-arp", ("bridge/reach-lan",), "ARP reply was seen at up0 and not at tap0: .*table netdev odd",
              typed=netdev("ingress", "up0", "meta protocol arp drop"), as_root=True, words=PEER),
    HostFault("netdev-icmp", ("bridge/full-size-packets",), "echo request .* seen at tap0 and not at up0.*netdev odd",
              typed=netdev("egress", "up0", "meta length > 1000 drop"), as_root=True),
    HostFault("traffic-control", LEASE, "request was seen at tap0 and not at up0, .*the queue pfifo on up0",
              typed="tc qdisc add dev up0 root pfifo limit 0", as_root=True),
    HostFault("switch-admits-one-mac", LEASE, "admits no other MAC address than up0's own",
              at_lan="nft \"table netdev switch { chain port { type filter hook ingress device lan0 priority 0; "
              "ether saddr & ff:ff:ff:00:00:00 == 02:71:6e:00:00:00 drop; }; }\" ", remedy="promiscuous", mended="",
              mended_at_lan="nft delete table netdev switch", as_root=True, catalogue="F21"),
    HostFault("bridge-down", LEASE, "the bridge br0 is down", typed="ip link set br0 down", catalogue="F32"),
    HostFault("bridge-not-listed", ("bridge/acl-allow", *LEASE), "allows no bridge called br0",
              typed="echo allow virbr0 > /etc/qemu/bridge.conf", catalogue="F05"),
    HostFault("bridge-denied", ("bridge/acl-allow",), "denies every bridge",
              typed="echo deny all >> /etc/qemu/bridge.conf",
              mended="sed -i /deny/d /etc/qemu/bridge.conf", catalogue="F05"),
    HostFault("list-missing", ("bridge/acl-allow", *LEASE), "bridge.conf .*(does not exist|No such file)",
              typed="rm /etc/qemu/bridge.conf", catalogue="F06"),
    HostFault("list-closed", ("bridge/acl-allow",), "bridge.conf .*(may not|Permission denied|cannot be read)",
              typed="chmod 600 /etc/qemu/bridge.conf", catalogue="F06"),
    HostFault("list-spoilt", ("bridge/acl-allow",), "line 1", typed="echo allow=br0 > /etc/qemu/bridge.conf",
              mended="echo allow br0 > /etc/qemu/bridge.conf", catalogue="F06"),
    HostFault("helper-not-setuid", ("bridge/setuid-works", *LEASE), "neither setuid root nor has it CAP_NET_ADMIN",
              typed=f"chmod 755 {HELPER}", mended=f"chmod 4755 {HELPER}", catalogue="F04"),
    HostFault("helper-of-somebody", LEASE, "setuid, but to user 1", typed=f"chown 1 {HELPER}; chmod 4755 {HELPER}",
              catalogue="F04"),
    HostFault("helper-on-nosuid", LEASE, "mounted nosuid", typed=f"mount -o remount,bind,nosuid {HELPER}",
              mended=f"mount -o remount,bind,suid {HELPER}", catalogue="F04"),
    HostFault("helper-missing", ("bridge/helper-found", *LEASE), "does not exist",
              typed="mount -t tmpfs none /usr/lib/qemu", mended="umount /usr/lib/qemu", catalogue="F28"),
    HostFault("helper-closed", LEASE, "cannot be executed|may not be executed", typed=f"chmod 4750 {HELPER}",
              mended=f"chmod 4755 {HELPER}", catalogue="F28"),
    HostFault("tun-missing", LEASE, "no /dev/net/tun", typed="mount -t tmpfs none /dev/net", mended="umount /dev/net",
              catalogue="F08"),
    HostFault("spanning-tree", LEASE, "br0 runs spanning tree",
              typed="ip link set br0 type bridge stp_state 1 forward_delay 1500",
              mended="ip link set br0 type bridge stp_state 0", catalogue="F23"),
    HostFault("narrow-uplink", ("bridge/full-size-packets",), "up0 passes 1400 bytes",
              typed="ip link set up0 mtu 1400; ip link set br0 mtu 1400", mended="ip link set up0 mtu 1500",
              catalogue="F14"),
    # RFC 5227
    HostFault("address-taken", ("bridge/address-unique",), "somebody else on the LAN has",
              at_lan="for n in $(seq 50 99); do ip addr add 192.168.77.$n/32 dev lo; done", mended="", remedy="",
              mended_at_lan="for n in $(seq 50 99); do ip addr del 192.168.77.$n/32 dev lo; done"),
    HostFault("resolver-dead", ("user/dns-resolves",), r"the resolver 192\.168\.77\.77, .* does not answer",
              typed="sed -i '1i nameserver 192.168.77.77' /etc/resolv.conf", mended="sed -i 1d /etc/resolv.conf",
              catalogue="F10"),
    HostFault("resolver-of-ipv6-only", ("user/dns-resolves",), "names no IPv4 nameserver",
              typed="echo nameserver ::1 > /etc/resolv.conf", mended="echo nameserver 192.168.77.1 > /etc/resolv.conf",
              catalogue="F51"),
    HostFault("host-firewall-keeps-dns-in", ("user/dns-resolves",), "table inet wall, chain guard: udp dport 53 drop",
              typed=filtering("inet", "output", "udp dport 53 drop"), as_root=True, catalogue="F12"),
    HostFault("host-firewall-keeps-tcp-in", ("user/reach-lan-tcp",), "table inet wall, chain guard: tcp dport 7007",
              typed=filtering("inet", "output", "tcp dport 7007 drop"), as_root=True, words=PEER, catalogue="F12"),
    HostFault("port-taken", ("user/hostfwd-ssh-2222",), "port 2222 is taken",
              typed=f"(exec setsid {sys.executable} -c \"{LISTENER}\" >/dev/null 2>&1 </dev/null &); sleep 1",
              mended="kill $(cat /dev/shm/listener)", catalogue="F03"),
)  # fmt: skip

HOST_FAULTS = (*BRIDGE_FAULTS, *LAN_FAULTS, *USER_FAULTS, *DOCTORS_FAULTS, *UNHEARD_FAULTS)
