"""Options of an address that a stream backend listens at or calls, seen at our end and in the kernel: no guest."""

import contextlib

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.observe.callers import is_probed, listening_by_mptcp, protocol_of_next
from qemunet_tests.observe.frame_sockets import accepted, calls_again, listening
from qemunet_tests.qemu.netdev import SpelledNetdev

#: Of a QEMU that has started: to listen or to call.
JOINING_SECONDS = 10.0
NAMES = ("127.0.0.1", "localhost")


def end_at(side, port, *options, address="127.0.0.1"):
    """A backend that listens at a port, or calls there."""
    where = ("addr.type=inet", f"addr.host={address}", f"addr.port={port}")
    return SpelledNetdev("stream", (f"server={side}", *where, *options))


def listened_at(start_with, host):
    """At which addresses QEMU listens of which it is told that they are some."""
    ports = {name: host.free_port("tcp", 7200) for name in reversed(NAMES)}
    for name, port in ports.items():
        start_with(end_at("on", port, "addr.numeric=on", address=name))
    # Who was started before has had as much time.
    Deadline(JOINING_SECONDS, "QEMU to listen").sees(lambda: host.listens("tcp", ports[NAMES[0]]))
    return [name for name in NAMES if host.listens("tcp", ports[name])]


def is_called(start_with, host, address):
    """Whether QEMU calls at an address of which it is told that it is one."""
    port = host.free_port("tcp", 7200)
    with listening(host, port) as server:
        start_with(end_at("off", port, "addr.numeric=on", address=address))
        return calls_again(server, JOINING_SECONDS) == "it calls again"


def in_words(taken):
    """Which addresses were taken."""
    return f"{' and '.join(taken) or 'none'} taken"


@pytest.mark.claim("stream/numeric")
def test_who_listens_looks_up_no_name(start_with, target, claim):
    claim.sees(in_words(listened_at(start_with, target.host)))
    assert claim.observed == claim.expected, f"of what is said to be an address there is {claim.observed}"


@pytest.mark.claim("stream/numeric-call")
def test_who_calls_looks_up_no_name(start_with, target, claim):
    claim.sees(in_words([name for name in NAMES if is_called(start_with, target.host, name)]))
    if claim.observed != claim.expected:
        assert claim.observed == in_words(NAMES), f"of what is said to be an address there is {claim.observed}"
        claim.deviates(name="looked-up")


@pytest.mark.claim("stream/keep-alive")
def test_who_calls_probes_the_connection(start_with, target, claim):
    host, ports = target.host, [target.host.free_port("tcp", 7200) for _ in range(2)]
    with contextlib.ExitStack() as calls:
        for port, options in zip(ports, ((), ("addr.keep-alive=on",)), strict=True):
            server = calls.enter_context(listening(host, port))
            start_with(end_at("off", port, *options))
            calls.enter_context(accepted(server))
        # Who called before has had as much time.
        Deadline(JOINING_SECONDS, "a probe's timer").sees(lambda: is_probed(host, ports[1]))
        said = ["probed" if is_probed(host, port) else "not probed" for port in ports]
    claim.sees("{} without, {} with".format(*said))
    assert claim.observed == claim.expected, f"a connection is {claim.observed}"


@pytest.mark.claim("stream/mptcp")
def test_who_calls_does_so_by_mptcp(start_with, target, claim):
    said = []
    for options in ((), ("addr.mptcp=on",)):
        port = target.host.free_port("tcp", 7200)
        with listening_by_mptcp(target.host, port) as server:
            start_with(end_at("off", port, *options))
            said.append(protocol_of_next(server))
    claim.sees("{} without, {} with".format(*said))
    assert claim.observed == claim.expected, f"QEMU calls by {claim.observed}"
