"""Faults beside and behind a host that guests on a bridge suffer from, and what its surroundings do to their helper."""

from meta_tests.faults.on_hosts.typed import (
    END_BACKGROUND,
    GUESTS_MAC,
    LEASE,
    PEER,
    filtering,
    in_background,
    on_a_host,
    python,
    with_every_tap,
)

#: ETHTOOL_STXCSUM 0: what is sent leaves with its checksum in it, as from another machine.
CHECKSUMS_IN_SOFTWARE = """
import array, fcntl, socket, struct
off = array.array("B", struct.pack("II", 0x17, 0))
fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP", b"lan0", off.buffer_info()[0]))
"""
LISTEN = """
import select, socket, subprocess
every = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
every.bind(("lan0", 3))
"""
#: A machine that has a guest's MAC address, and answers whatever it says.
MIMIC = f"""{LISTEN}
while frame := every.recv(2000):
    if frame[6:9] == bytes.fromhex("02716e") and frame[12:14] != bytes.fromhex("88b5"):
        every.send(bytes([255] * 6) + frame[6:12] + bytes.fromhex("88b5") + bytes(46))
"""
#: A switch that shuts a port down where a second MAC address comes in, once it is sure.
PORT_SECURITY = f"""{LISTEN}
seen = 0
while frame := every.recv(2000):
    seen += frame[6:9] == bytes.fromhex("02716e")
    if seen == 3:
        subprocess.run(["ip", "link", "set", "lan0", "down"])
"""
#: Somebody who speaks in VLAN 7 all the time.
TRUNK = f"""{LISTEN}
while not select.select([], [], [], 0.1)[0]:
    every.send(bytes([255] * 6) + bytes.fromhex("020000000001 8100 0007 88b5") + bytes(46))
"""
DHCP_ON_THE_HOST = (
    "exec dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --interface=br0 --bind-interfaces "
    "--port=0 --no-ping --leasefile-ro --dhcp-authoritative --dhcp-range=192.168.77.50,192.168.77.99,1h"
)
ANNOUNCER = """
import os
os.execvp("dnsmasq", "dnsmasq --conf-file=/dev/null --no-daemon --port=0 --user= --group= --pid-file= --interface=lan0 "
          "--bind-interfaces --enable-ra --dhcp-range=fd00:77::,ra-only --leasefile-ro --ra-param=lan0,4,60".split())
"""
#: A router that answers for everybody, as with "local proxy ARP"; Linux answers no probe of RFC 5227 for others.
PROXY = """
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806))
wire.bind(("lan0", 0x806))
own = wire.getsockname()[4]
while True:
    frame, (*_, kind, _, _) = wire.recvfrom(2000)
    asked = frame[38:42]
    if kind != socket.PACKET_OUTGOING and frame[20:22] == bytes([0, 1]) and asked[3] > 2:
        wire.send(frame[6:12] + own + frame[12:21] + bytes([2]) + own + asked + frame[22:32])
"""

FAULTS = (
    on_a_host("proxy-arp", ("bridge/address-unique",), r"answers ARP for 192\.168\.77\.\d+, which the guest was "
              r"leased, and for .* and 198\.51\.100\.77 as well: .*\(proxy ARP\)", "switch proxy ARP off", mended="",
              lan_program=PROXY),
    on_a_host("dhcp-pool-exhausted", LEASE, r"the DHCP server 192\.168\.77\.1 answers this host and offers .* nothing",
              dhcp_options="--dhcp-range=192.168.77.50,192.168.77.50,1h --dhcp-host=52:54:00:00:00:99,192.168.77.50",
              remedy="a wider range", mended="", as_root=True, kind="DHCP has no address left"),
    on_a_host("dhcp-pool-exhausted-seen-by-a-user", LEASE, "no DHCP server answers on the LAN behind br0",
              dhcp_options="--dhcp-range=192.168.77.50,192.168.77.50,1h --dhcp-host=52:54:00:00:00:99,192.168.77.50",
              remedy="if one runs, see in its log what it has against 02:71:6e", mended="",
              kind="DHCP has no address left"),
    on_a_host("dhcp-slow", LEASE, "answers only .* s after the guest's first request", remedy="faster",
              dhcp_options="--dhcp-reply-delay=25", mended="", kind="DHCP is slow"),
    on_a_host("dhcp-checksums-spoilt", LEASE, "to the guest's NIC with a wrong UDP checksum: the guest drops them",
              at_lan=python(CHECKSUMS_IN_SOFTWARE), remedy="ethtool -K",
              typed=filtering("bridge", "forward", "udp sport 67 udp checksum set 0xbeef"),
              mended="nft delete table bridge wall", kind="wrong checksums"),
    on_a_host("dhcp-server-behind-own-firewall", LEASE, "this host serves DHCP itself .*chain guard: udp dport 67 drop",
              stops_dhcp=True, typed=in_background(DHCP_ON_THE_HOST) + "\n" + filtering("inet", "input",
              "udp dport 67 drop"), as_root=True, kind="a firewall drops packets"),
    on_a_host("router-speaks-ipv6-alone", LEASE, r"announces fd00:77::/64: the LAN may speak IPv6 alone",
              stops_dhcp=True, at_lan="ip -6 addr add fd00:77::1/64 dev lan0", lan_program=ANNOUNCER,
              remedy="start the LAN's DHCP server", mended="", kind="nobody answers on the LAN"),
    on_a_host("manager-takes-taps", LEASE, "tap0 is in no bridge instead of br0: .* something on the host took it out",
              typed=with_every_tap("ip link set $t nomaster"), remedy="keep NetworkManager and the like off",
              mended=END_BACKGROUND, kind="a manager takes the tap"),
    on_a_host("switch-shuts-the-port", ("bridge/bulk-both-ways",), "the uplink up0 of br0 has no carrier",
              lan_program=PORT_SECURITY, words=PEER, remedy="cable", mended="", mended_at_lan="ip link set lan0 up",
              kind="the switch shuts the port"),
    on_a_host("trunk-port", LEASE, "frames come in at up0 with the tag of VLAN 7", lan_program=TRUNK, stops_dhcp=True,
              remedy="ip link add link up0 name up0.7 type vlan id 7", mended="", as_root=True,
              kind="VLANs do not match"),
    on_a_host("second-machine-with-the-mac", ("bridge/mac-unique",), "guest's MAC .* also come in at up0",
              lan_program=MIMIC, remedy="a MAC of its own", mended="", kind="one MAC address twice"),
    # The kernel lets a frame pass that is larger by a VLAN's tag, even where it has none.
    on_a_host("narrow-lan", ("bridge/full-size-packets",), r"beyond up0 packets of more than 140[0-4] bytes vanish",
              at_lan="ip link set lan0 mtu 1400 gso_max_segs 1", remedy="host_mtu=", mended="",
              mended_at_lan="ip link set lan0 mtu 1500", kind="a link passes small packets alone"),
    on_a_host("lan-too-narrow-for-dhcp", LEASE, "was handed to up0, .* its driver threw away",
              at_lan="ip link set lan0 mtu 200 gso_max_segs 1", remedy="what its other end carries", mended="",
              mended_at_lan="ip link set lan0 mtu 1500", as_root=True),
    on_a_host("switch-sends-one-mac", LEASE, "admits no other MAC address than up0's own",
              at_lan="nft 'table netdev switch { chain port { type filter hook egress device lan0 priority 0; "
              f"ether daddr {GUESTS_MAC} drop; }}; }}'", remedy="promiscuous", mended="",
              mended_at_lan="nft delete table netdev switch", as_root=True, kind="the switch admits one MAC address"),
    on_a_host("list-with-a-comment", ("bridge/acl-allow", *LEASE), "'br0 # the LAN': nothing may follow a name",
              typed="echo 'allow br0 # the LAN' > /etc/qemu/bridge.conf", kind="the list does not allow the bridge"),
    on_a_host("list-includes-a-missing-file", ("bridge/acl-allow", *LEASE), "allows no bridge called br0",
              typed="echo include /etc/qemu/users.conf > /etc/qemu/bridge.conf",
              kind="the list does not allow the bridge"),
    on_a_host("no-new-privileges", LEASE, "no_new_privs", become=("--no-new-privs",), mended="",
              kind="the helper has no privileges"),
    on_a_host("capability-bounded-away", LEASE, "took CAP_NET_ADMIN away for good",
              kind="the helper has no privileges", mended="",
              become=("--bounding-set=-net_admin",), remedy="--cap-add NET_ADMIN"),
    on_a_host("tun-closed", LEASE, r"may not open /dev/net/tun \(mode 0600", remedy="chmod 0666 /dev/net/tun",
              typed="mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200", kind="TUN is not permitted"),
    on_a_host("tun-without-driver", LEASE, "/dev/net/tun", remedy="modprobe tun|reboot",
              typed="mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 199", mended="umount /dev/net",
              kind="no TUN device"),
    on_a_host("address-on-the-port", ("bridge/icmp",), "up0 .*still has this host's address and routes",
              typed="ip addr flush dev br0; ip addr add 192.168.77.2/24 dev up0; ip addr add 192.168.77.3/32 dev br0",
              remedy="move address and routes from up0 to br0", kind="the address is on the port",
              mended="ip addr flush dev up0; ip addr flush dev br0; ip addr add 192.168.77.2/24 dev br0"),
)  # fmt: skip
