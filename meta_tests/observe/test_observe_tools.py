"""Observers say what they want done, and the image how its guest's tools are spelled."""

import re

import pytest
from pydantic import ValidationError

from qemunet_tests import images
from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.lost_frame import probes
from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.asking import Completed
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe import raw_ip
from qemunet_tests.observe.arp import answers_arp
from qemunet_tests.observe.capture import GuestCapture
from qemunet_tests.observe.dns import addresses_of, ask_in
from qemunet_tests.observe.icmp import hops, ping
from qemunet_tests.observe.lease import ENOUGH_QUESTIONS, lease_of
from qemunet_tests.observe.nic import address_given
from qemunet_tests.observe.reach import echoes, put_up, read_at
from qemunet_tests.observe.tcp import bulk, refusal
from qemunet_tests.qemu.guest_tools import GuestTools
from qemunet_tests.qemu.netdev import Nic

#: All programs that no other guest needs to have by these names, and where it need not write down what.
RENAMED = (
    "ping", "traceroute", "socat", "nc", "nslookup", "arping", "udhcpc", "qemunet-drivers", "qemunet-network",
    "qemunet-settle",
)  # fmt: skip
NOTES = "/run/qemunet/"
NAMED = re.compile(rf"(?<![\w./-])({'|'.join(RENAMED)})(?![\w.-])")
ECHO = Endpoint(lab_addresses.NEIGHBOUR, lab_addresses.ECHO_PORT)
NOBODY = Endpoint(lab_addresses.NEIGHBOUR, 7999)


def spelled_otherwise(tools: GuestTools) -> GuestTools:
    """Every program with another name, and what the guest writes down in another folder."""
    said = tools.model_dump()
    other = {name: NAMED.sub(r"other-\1", words).replace(NOTES, "/run/other/") for name, words in said.items()}
    assert [name for name, words in said.items() if other[name] == words] == []
    return GuestTools(**other)


@pytest.fixture
def other_guest(lab: Lab, bench: Bench) -> Guest:
    """A bridged guest in which none of them is found by the name that it has in ours."""
    guest = bench.boot(Nic(BridgeNetdev(lab_addresses.BRIDGE)))
    lease_of(guest)
    # busybox's own names are links to it, and it goes by the name that it is called by: a script calls it by that.
    for name in RENAMED:
        keep = f"mv /bin/{name} /bin/other-{name}"
        call = f"printf '#!/bin/sh\\nexec busybox {name} \"$@\"\\n' >/bin/other-{name} && chmod 755 /bin/other-{name}"
        guest.check(f"if [ -L /bin/{name} ]; then rm /bin/{name}; {call}; else {keep}; fi")
    guest.check("mkdir /run/other; cd /run/qemunet; mv lease.* udhcpc.*.log /run/other")
    return guest


@pytest.fixture
def told(other_guest: Guest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the guest is told to run, its tools spelled otherwise."""
    run, commands = other_guest.run, list[str]()
    with pytest.raises(Unavailable, match="can't execute 'ping'"):
        ping(other_guest, lab_addresses.NEIGHBOUR, count=1)

    def noting(command: str, within_seconds: float = 10.0) -> Completed:
        commands.append(command)
        return run(command, within_seconds)

    monkeypatch.setattr(other_guest, "run", noting)
    other_guest.tools = spelled_otherwise(other_guest.tools)
    return commands


def test_no_observer_knows_how_a_guest_spells_its_tools(other_guest: Guest, lab: Lab, told: list[str]) -> None:
    assert ping(other_guest, lab_addresses.NEIGHBOUR).whole
    assert hops(other_guest, lab_addresses.OUTSIDE) == (lab_addresses.ROUTER, lab_addresses.OUTSIDE)
    assert all(echoes(other_guest, protocol, ECHO) for protocol in ("TCP", "UDP"))
    assert (refusal(other_guest, ECHO), refusal(other_guest, NOBODY)) == ("", "Connection refused")
    assert bulk(other_guest, ECHO, 1 << 16).intact
    assert answers_arp(other_guest, lab_addresses.NEIGHBOUR)
    assert addresses_of(other_guest, "www.example") == (lab_addresses.OUTSIDE,)
    assert ask_in(other_guest, lab_addresses.ROUTER, "www.example", protocol="TCP") is not None
    own = address_given(other_guest, "eth0", ENOUGH_QUESTIONS).partition("/")[0]
    for protocol in ("TCP", "UDP"):
        service = put_up(other_guest, 7001, protocol)
        service.must_answer()
        assert read_at(service, lab.neighbour, own, 7001).right
    there, back = b"to there", b"and back"
    with raw_ip.RawListener(lab.neighbour) as neighbour, raw_ip.GuestListener(other_guest) as listener:
        raw_ip.send_from_guest(other_guest, lab_addresses.NEIGHBOUR, there)
        raw_ip.send_from_station(lab.neighbour, own, back)
        assert (neighbour.hears_all(there), listener.hears_all(back)) == (True, True)
    assert other_guest.run("ls /tmp/heard.* /tmp/hearing").stdout == b""
    assert [command for command in told if NAMED.search(command) or NOTES in command] == []


def test_no_search_for_a_lost_frame_knows_it_either(other_guest: Guest, lab: Lab, told: list[str]) -> None:
    asking = (
        probes.dhcp(other_guest), probes.arp(other_guest, lab_addresses.NEIGHBOUR), probes.tcp(other_guest, ECHO),
        probes.udp(other_guest, ECHO), probes.echo(other_guest, lab_addresses.NEIGHBOUR),
    )  # fmt: skip
    for exchange in asking:
        wire = GuestCapture(other_guest)
        exchange.provoke()
        if exchange.beside:
            Deadline(90, "the guest to have asked").wait_until(lambda: not probes.asks_still(other_guest))
        packets = wire.packets()
        assert any(map(exchange.asks, packets)), exchange.question
        assert any(map(exchange.answers, packets)), exchange.answer
    assert [command for command in told if NAMED.search(command) or NOTES in command] == []


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("ping -c {count} {address}", "does not take {interval_seconds}"),
        ("ping -c {count} -i {interval_seconds} -W {wait_seconds} -s {size_bytes} {address} {ttl}", "{ttl} in"),
        ("ping -c {count:d} -i {interval_seconds} -W {wait_seconds} -s {size_bytes} {address}", "formats a value"),
        (
            "ping -c {count.__class__} -i {interval_seconds} -W {wait_seconds} -s {size_bytes} {address}",
            "not take {count}",
        ),
        ("ping\n{count}", "pattern"),
        ("ping {", "encountered"),
    ],
)
def test_words_that_take_other_values_are_refused(words: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(wrong)):
        GuestTools(**images.profile().tools.model_dump() | {"ping": words})


def test_an_image_says_all_of_its_tools() -> None:
    said = images.profile().tools.model_dump()
    for name in said:
        with pytest.raises(ValidationError, match=name):
            GuestTools(**{each: words for each, words in said.items() if each != name})
