"""Network devices and their networks: two of them, one that comes and goes, a cable that is pulled, firmware."""

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.icmp import answered_once
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.network_boot import boot_program, machine_words, said_by
from qemunet_tests.observe.nic import carrier, interfaces
from qemunet_tests.qemu.netdev import Nic

GATEWAY, OTHER_NETWORK, OTHER_GATEWAY = "10.0.2.2", "10.9.8.0/24", "10.9.8.2"
#: A guest under TCG is told of a cable or a card within one.
SEEN_SECONDS = 5.0


def answered(guest, address=GATEWAY):
    """Whether the gateway answers the guest in time, which may have to ask for its hardware address anew."""
    return Deadline(SEEN_SECONDS, "an answer").sees(lambda: answered_once(guest, address), 0.2)


def comes_to_know(guest, up, interface="eth0"):
    """Whether the guest comes to know in time that its cable is in, or out."""
    return Deadline(SEEN_SECONDS, "the guest to see its cable").sees(lambda: carrier(guest, interface) is up, 0.2)


def state(guest):
    """Whether the guest sees its cable, and whether the gateway answers it."""
    cable, answer = carrier(guest), answered_once(guest, GATEWAY)
    return f"{'carrier' if cable else 'no carrier'}, {'an answer' if answer else 'no answer'}"


@pytest.mark.claim("user/two-nics-two-networks")
def test_two_cards_are_in_two_networks(bench, claim):
    guest = bench.boot(Nic(netdev()), Nic(netdev(options=(f"net={OTHER_NETWORK}",))))
    leases = [lease_of(guest, number).interface for number in (0, 1)]
    answering = [gateway for gateway in (GATEWAY, OTHER_GATEWAY) if answered(guest, gateway)]
    claim.sees(f"{' and '.join(leases)}; {' and '.join(answering) or 'no gateway'} answer")
    bench.discard(guest)
    assert claim.observed == claim.expected, f"a guest with two cards has {claim.observed}"


@pytest.mark.claim("user/set-link")
def test_a_cable_is_pulled_and_put_back(leased_guest, claim):
    before = state(leased_guest)
    leased_guest.unplug()
    comes_to_know(leased_guest, up=False)
    without = state(leased_guest)
    leased_guest.monitor.execute("set_link", name="net0", up=True)
    comes_to_know(leased_guest, up=True)
    answered(leased_guest)
    claim.sees(f"off: {without}; on: {state(leased_guest)}")
    assert before == "carrier, an answer", f"before anything was pulled: {before}"
    assert claim.observed == claim.expected, f"the cable by set_link: {claim.observed}"


@pytest.mark.claim("user/netdev-hotplug")
def test_a_card_comes_and_goes(leased_guest, claim):
    monitor = leased_guest.monitor
    monitor.execute("netdev_add", type="user", id="added", net=OTHER_NETWORK)
    # The driver of another model would have to be loaded first.
    monitor.execute("device_add", driver=leased_guest.nics[0].model, id="card", netdev="added")
    seen = Deadline(SEEN_SECONDS, "the guest to see the card")
    came = seen.sees(lambda: len(interfaces(leased_guest)) == 2, 0.2)
    leased_guest.run("ip addr add 10.9.8.15/24 dev eth1; ip link set eth1 up")
    works = came and comes_to_know(leased_guest, True, "eth1") and answered(leased_guest, OTHER_GATEWAY)
    monitor.execute("device_del", id="card")
    gone = came and Deadline(SEEN_SECONDS, "the card to go").sees(lambda: interfaces(leased_guest) == ["eth0"], 0.2)
    monitor.execute("netdev_del", id="added")
    claim.sees(
        f"{'a card' if came else 'no card'}, {'it works' if works else 'it is dead'}, {'gone' if gone else 'it stays'}"
    )
    assert claim.observed == claim.expected, f"by device_add and device_del: {claim.observed}"


@pytest.mark.claim("user/netdev-del-in-use")
def test_a_network_in_use_is_taken_away(leased_guest, claim):
    before = state(leased_guest)
    leased_guest.monitor.execute("netdev_del", id="net0")
    comes_to_know(leased_guest, up=False)
    claim.sees(state(leased_guest))
    assert before == "carrier, an answer", f"before it was taken away: {before}"
    assert claim.observed.endswith("no answer"), f"of a network that is gone: {claim.observed}"
    if claim.observed != claim.expected:
        claim.deviates()


@pytest.mark.claim("user/log-quiet")
def test_a_booting_guest_is_quiet(leased_guest, claim):
    assert answered_once(leased_guest, GATEWAY), "the gateway does not answer the guest"
    claim.sees(leased_guest.qemu.said or "nothing")
    assert claim.observed == claim.expected, f"on standard error QEMU says: {claim.observed}"


@pytest.mark.claim("user/network-boot")
def test_what_lies_in_the_folder_is_booted(attach_peer, served_folder, qemus_folder, claim):
    program, serial = served_folder / "hello.0", qemus_folder / "serial"
    program.write_bytes(boot_program("booted"))
    program.chmod(0o644)
    options = (f"tftp={served_folder}", "bootfile=hello.0")
    peer = attach_peer(netdev(options=options), *machine_words(serial))
    claim.sees(said_by(peer, serial, "booted") or "nothing")
    assert claim.observed == claim.expected, f"the boot program says: {claim.observed}"
