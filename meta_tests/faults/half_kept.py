"""Promises that are kept for one protocol, one caller, one question, one end of the wire, and not for another."""

import ctypes
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from meta_tests.faults.fault import BRIDGE_SENTINELS, HELPER_SENTINELS, USER_SENTINELS, fault
from meta_tests.faults.user import filter_packets
from meta_tests.faults.wrapper import alter_netdev, as_bridged
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.network import Lab, lab_addresses, private_etc
from qemunet_tests.network.echo import CHUNK_BYTES
from qemunet_tests.observe.process import tap_of

#: asm/unistd.h and linux/if_tun.h.
PIDFD_GETFD, TUNSETPERSIST = 438, 0x400454CB

_kept: list[int] = []


@fault("user/gateway-is-host-loopback", cause=r"is not reached at 10\.0\.2\.2 by UDP",
       sentinels=(*BRIDGE_SENTINELS, "user/reach-lan-udp"))  # fmt: skip
def loopback_without_datagrams(lab: Lab) -> None:
    """What listens on the host's loopback is reached by TCP and not by UDP."""
    filter_packets(lab.host, _input(f'iifname "lo" udp dport {lab_addresses.LOOPBACK_PORT} drop'))


@fault("user/dns-resolves", cause="the guest is told otherwise than the host: .*by TCP www.example is not answered",
       sentinels=(*BRIDGE_SENTINELS, "user/reach-outside-tcp"))  # fmt: skip
def names_by_udp_alone(lab: Lab) -> None:
    """QEMU's user asks the resolver by UDP only, and whoever asks by TCP gets no answer."""
    uid = unprivileged().uid
    if uid == os.geteuid():
        raise Unavailable(
            "QEMU runs as the user who asks for the host, and the host would get no answer either", "root"
        )
    filter_packets(lab.host, f"chain out {{ type filter hook output priority 0; skuid {uid} tcp dport 53 drop; }};")


@fault("user/hostfwd-udp", cause="the host's firewall drops what comes from there",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"))  # fmt: skip
def datagrams_of_the_lan_dropped(lab: Lab) -> None:
    """The host's firewall lets the LAN's connections in, and not its datagrams."""
    filter_packets(lab.host, _input('iifname "br0" udp dport 2222 drop'))


@fault("user/hostfwd-guest-given", cause="hostfwd=tcp::2222-:7007",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"))  # fmt: skip
def guests_address_left_out(lab: Lab) -> None:
    """A management tool leaves the guest's address out of forwards: they lead to the address that is leased."""
    alter_netdev(lab, lambda word: word.replace("tcp::2222-10.0.2.77:", "tcp::2222-:"))


@fault("user/hostfwd-several", cause="hostfwd=tcp::2223-:7007",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"))  # fmt: skip
def two_forwards_to_one_service(lab: Lab) -> None:
    """Somebody mistook the second port: both forwards lead to one service, and every port answers."""
    alter_netdev(lab, lambda word: word.replace("tcp::2223-:7008", "tcp::2223-:7007"))


@fault("user/hostfwd-loopback-only", cause="no answer",
       sentinels=(*USER_SENTINELS, "user/hostfwd-port-taken"))  # fmt: skip
def second_calls_dropped(lab: Lab) -> None:
    """Something lets the first connection to a port pass, and no second one for an hour."""
    rule = "tcp dport 2222 tcp flags & (syn | ack) == syn limit rate over 1/hour burst 1 packets drop"
    filter_packets(lab.host, _input(rule))


@fault("user/other-protocols-dropped", cause="-netdev bridge,", sentinels=BRIDGE_SENTINELS)
def told_what_is_dropped(lab: Lab) -> None:
    """Guests are on the bridge that were to have user networking, where a neighbour refuses what libslirp drops."""
    as_bridged(lab)
    guests = f"ip saddr != {lab_addresses.HOST}"
    filter_packets(lab.neighbour, _input(f"{guests} meta l4proto {{ 47, 132 }} reject; {guests} icmp type 13 drop"))


@fault("bridge/backend-is-tap-in-bridge", cause="is still there, and QEMU has ended",
       sentinels=("bridge/helper-found", "bridge/acl-allow", *USER_SENTINELS))  # fmt: skip
def tap_outlives_qemu(guest: Guest, bench: Bench) -> None:
    """The guest's tap was made to stay."""
    if not any(isinstance(nic.netdev, BridgeNetdev) for nic in guest.nics) or tap_of(guest) is None:
        return
    process = os.pidfd_open(guest.qemu.process.pid)
    for descriptor in Path(f"/proc/{guest.qemu.process.pid}/fdinfo").iterdir():
        if "iff:" in descriptor.read_text():
            tap = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(descriptor.name), 0)
            if tap < 0:
                raise HarnessError(f"QEMU's descriptor cannot be had: {os.strerror(ctypes.get_errno())}")
            fcntl.ioctl(tap, TUNSETPERSIST, 1)
            os.close(tap)
    os.close(process)


@fault("bridge/icmp", "bridge/full-size-packets", cause="0 of 3 echo requests answered, [1-9] replies are wrong",
       sentinels=HELPER_SENTINELS)  # fmt: skip
def replies_with_another_number(lab: Lab) -> None:
    """Something on the bridge rewrites the sequence numbers of echo replies to the guest."""
    rule = 'iifname "enp0s25" icmp type echo-reply icmp sequence set 7007'
    done = lab.host.run(f"nft 'table bridge fault {{ chain on {{ type filter hook forward priority 0; {rule}; }}; }}'")
    if not done.succeeded:
        raise HarnessError(f"the fault cannot be planted: {done.complaint}")


@fault("passt/reach-lan", "passt/reach-outside", cause=r"does not send back what the guest says by TCP$",
       sentinels=("passt/host-address",))  # fmt: skip
def short_streams_spoilt(lab: Lab) -> None:
    """Something changes the first byte of whatever is said by TCP."""
    _spoil_streams(lab, lambda said: bytes([said[0] ^ 1]) + said[1:])


@fault("user/bulk-both-ways", "bridge/bulk-both-ways", "passt/bulk-both-ways", cause="bytes came back, not the same",
       sentinels=("user/reach-lan-tcp", "bridge/reach-lan", "passt/reach-lan", *BRIDGE_SENTINELS))  # fmt: skip
def long_streams_spoilt(lab: Lab) -> None:
    """Something changes the last byte of whatever comes in larger pieces."""
    _spoil_streams(lab, lambda said: said[:-1] + bytes([said[-1] ^ (len(said) > 4096)]))


def _spoil_streams(lab: Lab, spoilt: Callable[[bytes], bytes]) -> None:
    echo = lab.echo

    def answer(connection: socket.socket) -> None:
        received = connection.recv(CHUNK_BYTES)
        if received:
            connection.sendall(spoilt(received))
        else:
            echo._selector.unregister(connection)
            connection.close()

    echo._answer_stream = answer


@fault("bridge/acl-not-listed", "bridge/acl-allow",
       cause="with the list # allow .*: QEMU starts|line 1 of .* begins with 'who'",
       sentinels=("bridge/helper-found", "bridge/acl-include", *USER_SENTINELS))  # fmt: skip
def comments_taken_for_rules(lab: Lab) -> None:
    """A management tool writes the helper's list anew, comments and all, as rules."""
    _rewriting(lambda text: text.replace("#", ""))


@fault("bridge/acl-not-listed", cause="with the list allow .*: QEMU starts",
       sentinels=("bridge/helper-found", "bridge/acl-allow", "bridge/acl-deny", *USER_SENTINELS))  # fmt: skip
def names_compared_by_their_beginnings(lab: Lab) -> None:
    """A management tool takes a bridge for a listed one whose name begins alike."""
    _rewriting(lambda text: text.replace("allow br\n", "allow br0\n"))


def _rewriting(change) -> None:
    replace = private_etc.replace
    private_etc.replace = lambda name, text: replace(name, change(text) if name == "qemu/bridge.conf" else text)


def _input(rules: str) -> str:
    return f"chain input {{ type filter hook input priority 0; {rules}; }};"
