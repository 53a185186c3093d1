"""Faults of what backends exchange with programs of ours: frames that are spoilt, a monitor that tells nothing."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.wrapper import reworded
from qemunet_tests.guest.peer_frames import ETHERTYPE
from qemunet_tests.network import Lab
from qemunet_tests.qemu.qmp import Monitor

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from meta_tests.faults.frames import Way
    from qemunet_tests.guest.peer import Peer

STREAM = ("stream/framing", "stream/ipv6", "stream/unix", "stream/abstract", "stream/partial", "stream/oversize",
          "stream/one-peer", "stream/reconnect-never", "stream/to-range", "stream/zero-frame", "stream/fd")  # fmt: skip
SOCKET = ("socket/udp", "socket/framing", "socket/lost-peer", "socket/oversize", "socket/fd", "socket/link-waits")
DATAGRAMS = ("dgram/one-frame-one-datagram", "dgram/unix", "dgram/no-peer", "dgram/stale-socket", "dgram/socket-gone",
             "dgram/fd")  # fmt: skip
SWITCHED = (
    "hubport/floods",
    "hubport/stop",
    "vde/learns",
    "vde/hub",
    "socket/interoperates",
    "socket/multicast",
    "dgram/multicast",
    "dgram/multicast-echo",
    "socket/multicast-echo",
    "stream/unix-server-client",
    "l2tpv3/ip",
)
TUNNELS = ("l2tpv3/header", "l2tpv3/session", "l2tpv3/session-default", "l2tpv3/cookie-32", "l2tpv3/cookie-64",
           "l2tpv3/counter", "l2tpv3/pincounter", "l2tpv3/offset", "l2tpv3/ipv6", "l2tpv3/short-packets",
           "l2tpv3/closed-port-survives")  # fmt: skip

REWORDED = (
    reworded("stream/regular-file", "/file", "/elsewhere", "QEMU starts, the file stays", "stream/address-needed"),
    reworded("stream/reconnect-names", ",reconnect=1", "", "of what calls again reconnect .*taken",
             "stream/address-needed"),
    reworded("dgram/regular-file", "/file,", "/elsewhere,", "QEMU starts, the file stays", "dgram/local-missing"),
    reworded("stream/nic-form", "stream,server=on", "strean,server=on", "does not accept value",
             "stream/address-needed"),
    reworded("stream/numeric", ",addr.numeric=on", "", r"there is 127\.0\.0\.1 and localhost taken",
             "stream/address-needed"),
    reworded("stream/numeric-call", "addr.host=127.0.0.1", "addr.host=127.0.0.9", "there is localhost taken",
             "stream/address-needed"),
    reworded("stream/keep-alive", ",addr.keep-alive=on", "", "not probed without, not probed with",
             "stream/address-needed"),
    reworded("stream/mptcp", ",addr.mptcp=on", "", "TCP without, TCP with", "stream/address-needed"),
    reworded("vde/port", ",port=7", ",port=8", "at the switch QEMU has port 8, 0750", "vde/named"),
    reworded("vde/mode", ",mode=0707", ",mode=0700", "at the switch QEMU has port 9, 0700", "vde/named"),
    reworded("dgram/manual-example", "00:12:34:56", "00:12:34:57", "the two guests have 52:54:00:12:34:57",
             "dgram/local-missing"),
    reworded("hubport/no-multiqueue", "tap,queues=2", "user", "QEMU starts with -net tap", "hubport/missing"),
    reworded("dgram/local-host-multicast", ",local.host=127.0.0.1", ",local.host=192.168.1.2",
             r"127\.0\.0\.1: heard on the LAN", "dgram/multicast"),
    reworded("socket/multicast-localaddr", ",localaddr=127.0.0.1", "", r"127\.0\.0\.1: heard on the LAN",
             "socket/named"),
    reworded("filter/dump-vhost", ("-object", "filter-dump,id=f,netdev=lan,file=x"), (), "QEMU starts with -chardev",
             "filter/dump-bad-file"),
)  # fmt: skip


def _spoil(wire: FrameShim, *ways: "Way") -> None:
    for way in ways or (FROM_QEMU, TO_QEMU):
        wire.alter(way, {"Ether.type": ETHERTYPE}, {"Raw.load": lambda load: load[:-1] + bytes([load[-1] ^ 0xFF])})


@fault(*STREAM, cause="neither way|in pieces of no bytes", sentinels=("stream/named", "stream/events"))
def frames_of_streams_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, both ways, by stream."""
    _spoil(wire)


@fault("stream/throughput-guest", cause="there is offered none", sentinels=("stream/named",))
def offers_lost_between_two_qemus(wire: FrameShim) -> None:
    """No offer of a DHCP server comes through."""
    wire.drop(FROM_QEMU, {"BOOTP.op": 2})


@fault("stream/reconnect", cause="neither way", sentinels=("stream/named",))
def frames_after_a_reconnect_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, where a connection is made again."""
    _spoil(wire)


@fault(*SOCKET, cause="neither way", sentinels=("socket/named",))
def frames_of_sockets_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, both ways, by socket."""
    _spoil(wire)


@fault(*DATAGRAMS, cause="neither way", sentinels=("dgram/named",))
def frames_in_datagrams_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, both ways, by dgram."""
    _spoil(wire)


@fault(*SWITCHED, cause="0 of 2|then 0 of 1|neither way|does not hear", sentinels=("vde/named", "hubport/named"))
def switched_frames_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, between two peers."""
    _spoil(wire, FROM_QEMU)


@fault(*TUNNELS, cause="neither way", sentinels=("l2tpv3/named",))
def frames_in_tunnels_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, both ways, in tunnels."""
    _spoil(wire)


@fault("l2tpv3/jumbo", cause="9014 bytes neither way", sentinels=("l2tpv3/named",))
def jumbo_frames_spoilt(wire: FrameShim) -> None:
    """The last byte of every frame is another one, where frames are large."""
    _spoil(wire)


@fault("stream/events", cause="the monitor tells of nothing", sentinels=("stream/named", "stream/framing"))
def no_events(peer: "Peer") -> None:
    """A monitor tells of nothing by itself."""
    if peer.qemu is not None:
        peer.qemu.monitor.events = list


@fault("stream/info-peer", cause=r"names nobody, tcp:127\.0\.0\.1:1, nobody",
       sentinels=("stream/framing", "stream/events"))  # fmt: skip
def another_caller_named(peer: "Peer") -> None:
    """A monitor names another port than the caller's."""
    answer_lines(peer, "info network", lambda line, ask: re.sub(r"(tcp:127\.0\.0\.1):\d+", r"\1:1", ask(line)))


@fault("stream/info", cause="the monitor says nothing, then nothing", sentinels=("stream/named", "stream/events"))
def listening_not_told(peer: "Peer") -> None:
    """A monitor does not say that a backend listens."""
    answer_lines(peer, "info network", lambda line, ask: ask(line).replace("listening", ""))


@fault("hubport/netdev", cause="at the other port of the hub nobody answers", sentinels=("hubport/floods",))
def gateway_silent_behind_a_hub(wire: FrameShim) -> None:
    """Nobody answers ARP."""
    wire.drop(FROM_QEMU, {"ARP.op": 2})


@fault("hubport/nic-on-hub", cause=r"has 10\.0\.2\.99", sentinels=("hubport/floods",))
def another_address_leased_at_a_hub(wire: FrameShim) -> None:
    """A server leases another address."""
    wire.alter(FROM_QEMU, {"BOOTP.op": 2}, {"BOOTP.yiaddr": "10.0.2.99"})


@fault("hubport/net-is-hub-0", cause="a backend of -net is at no hub", sentinels=("hubport/floods",))
def hubs_not_listed(peer: "Peer") -> None:
    """A monitor lists no hubs."""
    answer_lines(peer, "info network", lambda _line, _ask: "")


@fault("vde/switch-dies", cause="when its switch ends QEMU ends", sentinels=("vde/learns",))
def qemu_ends_with_its_switch(peer: "Peer") -> None:
    """QEMU has ended, whenever it is asked."""
    if peer.qemu is not None:
        peer.qemu.how_it_ended = lambda: "exit status 1"


@fault("vde/group", cause=r"the group of QEMU's socket is 1 without", sentinels=("vde/named",))
def sockets_given_away(peer: "Peer") -> None:
    """Somebody gives what is in the folder of a switch to a group of his own."""
    if peer.qemu is None:
        return
    folder = next(word for word in peer.qemu.words if word.startswith("vde,")).partition("sock=")[2].partition(",")[0]
    for socket in Path(folder).iterdir():
        os.chown(socket, -1, 1)


@fault("vde/tap", cause="from the LAN nobody answers", sentinels=("vde/learns",))
def questions_lost_on_a_lan(wire: FrameShim) -> None:
    """Nobody's question who has an address comes through."""
    wire.drop(TO_QEMU, {"ARP.op": 1})


@fault("hubport/no-offload", cause="at a hub csum, guest_csum", sentinels=("hubport/floods",))
def hubs_left_out(lab: Lab) -> None:
    """A management tool that knows no hubs puts NICs at the host's bridge."""
    ask = Monitor.ask
    Monitor.ask = lambda self, line: ask(self, re.sub(r"hubport,id=net0,hubid=\d+", "bridge,id=net0,br=br0", line))
