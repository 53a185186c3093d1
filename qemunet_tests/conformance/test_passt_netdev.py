"""What is promised of `-netdev passt`, with which QEMU starts passt itself: its options, how that begins and ends."""

import signal

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import ALONE, assert_refused
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.dhcp_client import offered, search_list
from qemunet_tests.observe.forwarding import words_through
from qemunet_tests.observe.host_process import listening_at
from qemunet_tests.observe.network_services import answering
from qemunet_tests.observe.started_passt import (
    aborted_over_its_frames,
    another_pid,
    is_gone,
    kill,
    named_pid,
    process_of,
    program_of,
    says,
)

#: All that a network has for a guest whose host may not ping.
ALL = {"ARP", "DHCP", "DHCPv6", "NDP", "RA", "TCP", "UDP"}
BY_IPV4, BY_IPV6 = {"ARP", "DHCP", "TCP", "UDP"}, {"DHCPv6", "NDP", "RA"}
SEARCH_LIST = 119
#: What is given of forwards, and which ports of the host are called then, with the guest's. An address stands in front
#: of all that follows, for QEMU makes one list of all that it is given.
FORWARDS = {
    ("2301", "2303-2305:2403-2405", "2310-2312,,~2311"): {2301: 2301, 2304: 2404},
    ("192.168.1.2/2307",): {2307: 2307},
}
#: Where nobody of the LAN is, and the host is not.
NOBODYS = "192.168.1.77"


def offered_in_time(peer, within_seconds=20.0):
    """The address that a guest is offered. Raises NoOffer, and HarnessError where QEMU ends or nobody answers."""
    deadline = Deadline(within_seconds, "an offer")
    while True:
        try:
            return offered(peer).address
        except HarnessError:
            if deadline.passed or peer.qemu.how_it_ended():
                raise


@pytest.mark.claim("passt/netdev-help")
def test_passt_is_listed_where_it_is_known(bench, claim):
    listed = "passt" in bench.printed("-netdev", "help").text.split()
    tried = bench.attempt("-netdev", f"passt,id={ALONE},path=/nonexistent")
    known = "/nonexistent" in tried.complaints.refusal.rpartition(": ")[2]
    claim.sees("as it is" if listed == known else f"{'listed' if listed else 'not listed'}, {tried.complaints.refusal}")
    assert claim.observed == claim.expected, f"of passt QEMU says: {claim.observed}"


@pytest.mark.claim("passt/starts-passt")
def test_qemu_starts_passt(attach_netdev_passt, claim):
    pid = process_of(attach_netdev_passt())
    claim.sees(f"connected to {'nobody' if pid is None else program_of(pid).name.partition('.')[0]}")
    assert claim.observed == claim.expected, f"by `info network` the backend is {claim.observed}"


@pytest.mark.claim("passt/path")
def test_the_program_is_named(attach_netdev_passt, own_passt, claim):
    pid = process_of(attach_netdev_passt(f"path={own_passt}"))
    claim.sees("the one that was named" if pid and program_of(pid) == own_passt else f"process {pid}")
    assert claim.observed == claim.expected, f"QEMU has started {claim.observed}"


@pytest.mark.claim("passt/path-missing")
def test_a_program_that_is_not_there(bench, claim):
    assert_refused(bench, claim, "passt", {"path=/nonexistent": "(No such file or directory)"})


@pytest.mark.claim("passt/start-fails")
def test_what_passt_refuses_is_shown(bench, claim):
    tried = bench.attempt("-netdev", f"passt,id={ALONE},param=--no-such-option", noted=False)
    told = [words for words in ("unrecognized option '--no-such-option'", "Passt exited with code 1")
            if words in tried.message]  # fmt: skip
    claim.sees("QEMU starts" if tried.started else f"status {tried.status}, {'; '.join(told)}")
    assert claim.observed == claim.expected, f"where passt will not start, {claim.observed}"


@pytest.mark.claim("passt/dies")
def test_passt_is_started_again(attach_netdev_passt, claim):
    peer = attach_netdev_passt()
    address, before = offered(peer).address, named_pid(peer)
    kill(peer)
    again = another_pid(peer, before)
    try:
        claim.sees(f"{address}, {f'again {offered_in_time(peer)}' if again else 'never again'}")
    except HarnessError:
        if not aborted_over_its_frames(peer):
            raise
        claim.sees(f"{address}, and QEMU aborts")
        claim.deviates()
        return
    assert claim.observed == claim.expected, f"when passt is killed, a guest has {claim.observed}"


@pytest.mark.claim("passt/dies-for-good")
def test_qemu_lives_without_passt(attach_netdev_passt, own_passt, claim):
    peer = attach_netdev_passt(f"path={own_passt}")
    own_passt.unlink()
    kill(peer)
    said = says(peer, "Failed to execute")
    peer.qemu.monitor.execute("query-status")
    claim.sees(f"QEMU {'ends' if peer.qemu.how_it_ended() else 'lives'}, {'says why' if said else 'says nothing'}")
    assert claim.observed == claim.expected, f"where passt cannot be started again {claim.observed}"


@pytest.mark.claim("passt/ends-with-qemu")
@pytest.mark.parametrize("how", ["quit", "kill"])
def test_passt_ends_with_qemu(attach_netdev_passt, claim, how):
    peer = attach_netdev_passt()
    pid = process_of(peer)
    assert pid, "QEMU has started no passt"
    getattr(peer.qemu, how)()
    claim.sees("passt ends" if is_gone(pid) else f"passt goes on after {how}")
    assert claim.observed == claim.expected, f"when QEMU ends by {how}, {claim.observed}"


@pytest.mark.claim("passt/vhost-user-private-memory")
def test_vhost_user_needs_shared_memory(bench, claim):
    tried = bench.attempt("-M", "q35", "-S", "-netdev", f"passt,id={ALONE},vhost-user=on", "-device",
                          f"virtio-net-pci,netdev={ALONE},romfile=", noted=False)  # fmt: skip
    claim.sees("QEMU starts" if tried.started else f"refused{', by its memory' * ('memory' in tried.message)}")
    if tried.started:
        claim.deviates(name="starts")
    else:
        assert claim.observed == claim.expected, f"with memory of its own a guest is {claim.observed}"


@pytest.mark.claim("passt/vhost-user-model")
def test_vhost_user_takes_virtio_alone(bench, claim):
    why = "vhost-user requires frontend driver virtio-net-*"
    given = ("-M", "q35", "-S", "-nic", "passt,model=e1000,vhost-user=on")
    tried = bench.attempt(*given, noted=False)
    said = "with the reason" if why in tried.message else "without a reason"
    claim.sees("QEMU starts" if tried.started else f"status {tried.status}, {said}")
    if claim.observed != claim.expected:
        assert (tried.status, said) == (-signal.SIGABRT, "with the reason"), claim.observed
        claim.deviates(name="aborts")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        promise("passt/address-option", (f"address={NOBODYS}", "netmask=255.255.0.0", "gateway=192.168.1.1"), (1, 3)),
        promise("passt/mtu-option", ("mtu=1400",), (26,)),
        promise("passt/hostname-fqdn", ("fqdn=vm.example.org",), (81,)),
        promise("passt/param", ("param=--mtu", "param=1300", f"param=--dns={NOBODYS}"), (6, 26)),
    ],
)
def test_an_option_arrives_by_dhcp(attach_netdev_passt, options, numbers, claim):
    offer = offered(attach_netdev_passt(*options))
    claim.sees(", ".join([offer.address, *(f"{number}: {offer.option(number)}" for number in numbers)]))
    assert claim.observed == claim.expected, f"with {' '.join(options)} a guest is told {claim.observed}"


@pytest.mark.claim("passt/dns-option")
def test_resolvers_and_domains_are_given(attach_netdev_passt, claim):
    asked = {
        "given": ("dns=192.0.2.7", "search=a.example", "search=b.example"),
        "no dns": ("dhcp-dns=off", "search=a.example"),
        "no search": ("dhcp-search=off", "dns=192.0.2.7"),
    }
    offers = {name: offered(attach_netdev_passt(*options)) for name, options in asked.items()}
    said = {name: " ".join([offer.option(6), *search_list(bytes.fromhex(offer.option(SEARCH_LIST)))]).strip()
            for name, offer in offers.items()}  # fmt: skip
    claim.sees("; ".join(f"{name}: {words or 'none'}" for name, words in said.items()))
    assert claim.observed == claim.expected, f"a guest is told {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/off-switches")
@pytest.mark.parametrize(
    ("switch", "ends"),
    [("tcp", {"TCP"}), ("udp", {"UDP"}), ("dhcp", {"DHCP"}), ("ndp", {"NDP", "RA"}), ("dhcpv6", {"DHCPv6"}),
     ("ra", {"RA"}), ("ipv4", BY_IPV4), ("ipv6", BY_IPV6)],
)  # fmt: skip
def test_a_switch_ends_this_and_nothing_else(attach_netdev_passt, stack_of, target, claim, switch, ends):
    left = answering(stack_of(attach_netdev_passt(f"{switch}=off")), target.neighbour_echo, ALL - ends)
    claim.sees("all else answers, and that does not" if left == ALL - ends else f"{', '.join(sorted(left))} answer")
    assert claim.observed == claim.expected, f"with {switch}=off {claim.observed}"


@pytest.mark.parametrize("protocol", [promise("passt/tcp-ports", "tcp"), promise("passt/udp-ports", "udp")])
def test_ports_are_forwarded(attach_netdev_passt, stack_of, target, protocol, claim):
    places, through = [], []
    for asked, calls in FORWARDS.items():
        before = listening_at(target.host)
        stack = stack_of(attach_netdev_passt(*(f"{protocol}-ports={words}" for words in asked)))
        places += sorted(listening_at(target.host, before), key=lambda place: int(place.rpartition(":")[2]))
        stack.settle()
        for port, guest_port in calls.items():
            service = (lab_addresses.HOST, port)
            through += [words_through(stack, target.neighbour, service, guest_port, protocol.upper(), at_once=False)]
    claim.sees(f"{' '.join(places)}: {', '.join(dict.fromkeys(map(str, through)))}".replace(f"{protocol} ", ""))
    assert claim.observed == claim.expected, f"by {protocol}-ports= words pass, at {claim.observed}"


@pytest.mark.claim("passt/freebind")
def test_ports_of_an_address_that_the_host_has_not(bench, attach_netdev_passt, target, claim):
    before, forward = listening_at(target.host), f"tcp-ports={NOBODYS}/2320"
    without = bench.attempt("-netdev", f"passt,id={ALONE},{forward}", noted=False)
    attach_netdev_passt(forward, "freebind=on")
    claim.sees(f"without: {'starts' if without.started else 'refused'}; "
               f"with it: {' '.join(listening_at(target.host, before)) or 'nothing'}")  # fmt: skip
    assert claim.observed == claim.expected, f"freebind=on: {claim.observed}"


@pytest.mark.claim("passt/outbound")
def test_the_source_address_is_chosen(attach_netdev_passt, stack_of, second_address, target, claim):
    callers = []
    for options in ((), (f"outbound={second_address}",)):
        connection = stack_of(attach_netdev_passt(*options)).connect(lab_addresses.NEIGHBOUR, lab_addresses.ECHO_PORT)
        connection.send(b"?")
        came = connection.opened and connection.read(1)
        callers.append(target.lab.echo.callers[-1].address if came else "nobody")
    claim.sees(" then ".join(callers))
    assert claim.observed == claim.expected, f"the neighbour is called by {claim.observed}"


@pytest.mark.claim("passt/quiet")
def test_passt_is_quiet_unless_asked(attach_netdev_passt, claim):
    said = {options: attach_netdev_passt(*options).qemu.said for options in ((), ("quiet=off",))}
    told = ("tells its settings" if "Template interface: " in each else "is quiet" for each in said.values())
    claim.sees(", then ".join(told))
    assert claim.observed == claim.expected, f"without and with quiet=off passt {claim.observed}"


@pytest.mark.claim("passt/net-form")
@pytest.mark.parametrize("words", [("-net", "nic", "-net", "passt"), ("-nic", "passt,model=virtio-net-pci")])
def test_other_forms_of_the_option(halted, claim, words):
    said = halted("-M", "q35", *words).monitor.ask("info network")
    claim.sees("passt is started" if "connected to pid" in said else said.strip())
    assert claim.observed == claim.expected, f"with {' '.join(words)}: {claim.observed}"
