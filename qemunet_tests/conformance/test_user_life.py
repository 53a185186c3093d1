"""What user networking lives through: a stopped machine, a move to another process, a sandbox."""

import secrets

import pytest

from qemunet_tests.guest.peer_udp import PeerDatagram
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.dhcp_client import ask_dhcp, client_macs, leases
from qemunet_tests.observe.gateway_pings import answered_pings, ping_of
from qemunet_tests.observe.migration import migrated
from qemunet_tests.observe.peer_stream import exchange
from qemunet_tests.qemu.command_line import SANDBOX

#: As many as a socket of datagrams holds, while QEMU takes none: net.unix.max_dgram_qlen.
PINGS = 8


@pytest.mark.claim("user/stop-cont")
def test_nothing_is_lost_while_the_machine_is_stopped(user_peer, claim):
    numbers = list(range(1, PINGS + 1))
    assert answered_pings(user_peer, [PINGS + 1]) == [PINGS + 1], "the gateway does not answer ping"
    user_peer.qemu.monitor.execute("stop")
    for number in numbers:
        user_peer.send(ping_of(user_peer, number))
    # Its main loop goes round, which is where frames are looked at.
    while_stopped = [user_peer.qemu.monitor.execute("query-status")["running"] for _ in range(10)]
    early = user_peer.wire.take(0.1)
    user_peer.qemu.monitor.execute("cont")
    answered = answered_pings(user_peer, numbers, send=False)
    claim.sees(f"{'frames pass' if early else 'none'} while it is stopped, {len(answered)} of {PINGS} after that")
    assert not any(while_stopped) and not early, "frames pass while the machine is stopped"
    assert answered == numbers, f"of {PINGS} echo requests {claim.observed}"


@pytest.mark.claim("user/migrate")
def test_leases_go_with_the_machine(attach_peer, claim):
    first, second, third = client_macs(3)
    here = attach_peer(netdev())
    assert leases(here, [first, second]) == ["10.0.2.15", "10.0.2.16"], "the first leases are others"
    there = attach_peer(netdev(), "-incoming", "defer")
    migrated(here, there)
    got = leases(there, [second, third, first])
    claim.sees(", ".join(got))
    assert claim.observed == claim.expected, f"after migration the second, third and first client get {claim.observed}"


@pytest.mark.claim("user/sandbox")
def test_the_sandbox_takes_nothing_away(attach_stack, target, claim):
    stack, word, service = attach_stack(words=SANDBOX), secrets.token_bytes(16), target.loopback_echo
    offer = ask_dhcp(stack.peer, "discover")
    by_tcp = exchange(stack, "10.0.2.2", service.port, word, len(word))
    by_udp = stack.ask_datagram("10.0.2.2", service.port, word)
    passed = {
        "a lease": offer is not None and offer.address == "10.0.2.15",
        "TCP": by_tcp.received == word,
        "UDP": isinstance(by_udp, PeerDatagram) and by_udp.data == word,
    }
    claim.sees(", ".join(what for what, did in passed.items() if did) or "nothing")
    assert claim.observed == claim.expected, f"in the sandbox a guest has {claim.observed}"
