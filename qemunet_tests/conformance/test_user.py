"""What the documentation promises of user networking, `-netdev user`, beyond what every mode does."""

import pytest

from qemunet_tests.errors import HarnessError
from qemunet_tests.network.lab_firewall import rejecting, ruleset
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.capture import ARP, ICMPV6, UDP, GuestCapture
from qemunet_tests.observe.dns import ask_from, ask_in, names_in_words, refusals, used_by_qemu
from qemunet_tests.observe.host_names import known_otherwise
from qemunet_tests.observe.lease import ENOUGH_QUESTIONS, lease_of
from qemunet_tests.observe.nic import address_given, addresses
from qemunet_tests.observe.process import privileges
from qemunet_tests.observe.raw_ip import PROTOCOLS, RawListener, left_the_guest, send_from_guest, send_from_station
from qemunet_tests.observe.reach import echoes
from qemunet_tests.observe.tcp import refusal

INTERFACES = "ls /sys/class/net"


@pytest.mark.claim("user/default-network")
@pytest.mark.lengthy
def test_a_guest_has_a_network_without_any_option(literal_guest, target, claim):
    """The post's first command line as it stands, typed where `vdisk.img` lies."""
    shell = literal_guest("-enable-kvm", "-nographic", "-hda", "./vdisk.img")
    assert "eth0" in claim.sees(shell.run(INTERFACES, 20).text), "QEMU gave the guest no NIC"
    assert claim.sees(address_given(shell, "eth0", ENOUGH_QUESTIONS)) == claim.expected
    assert echoes(shell, "TCP", target.way_out), "no answer by TCP from outside"


@pytest.mark.claim("user/no-privilege")
def test_qemu_needs_no_privilege(guest, target, claim):
    assert claim.sees(privileges(guest)).ordinary, "QEMU has privileges, so nothing is known about one without"
    assert lease_of(guest)
    assert echoes(guest, "TCP", target.way_out), "no answer by TCP from outside"


@pytest.mark.claim("user/gateway-is-host-loopback")
def test_the_gateway_is_the_hosts_loopback(leased_guest, network, target, claim):
    with target.host.open_socket() as on_the_lan:
        on_the_lan.bind((target.address, 0))
        on_the_lan.listen()
        port = on_the_lan.getsockname()[1]
        beside = refusal(leased_guest, Endpoint(network.gateway, port))
        direct = refusal(leased_guest, Endpoint(target.address, port))
    service = Endpoint(network.gateway, target.loopback_echo.port)
    behind = {protocol: echoes(leased_guest, protocol, service) for protocol in ("TCP", "UDP")}
    reached = " and ".join(protocol for protocol, answered in behind.items() if answered)
    there = f"reached by {reached}" if reached else "not reached"
    claim.sees(f"127.0.0.1: {there}; LAN address only: {beside or 'reached'}")
    for protocol, answered in behind.items():
        assert answered, f"what listens on {target.loopback_echo} is not reached at {network.gateway} by {protocol}"
    assert direct == "", f"what listens on the host's address alone is not reached there: {direct}"
    assert beside == "Connection refused"


@pytest.mark.claim("user/lease-time")
def test_a_lease_lasts_a_day(guest, claim):
    assert claim.sees(f"{lease_of(guest).seconds} s") == claim.expected


@pytest.mark.claim("user/dns-resolves")
def test_the_resolver_gives_the_hosts_answer(leased_guest, network, target, claim):
    def answers(protocols, ask, *of):
        return {by: {name: ask(*of, name, protocol=by) for name in target.names} for by in protocols}

    hosts = answers(("UDP", "TCP"), ask_from, target.host, used_by_qemu())
    # Not every resolver serves TCP.
    if not all(hosts["TCP"].values()):
        del hosts["TCP"]
    claim.expects(names_in_words(hosts))
    assert all(hosts["UDP"].values()), "the resolver gives the host itself no answer"
    guests = answers(hosts, ask_in, leased_guest, network.resolver)
    claim.sees(names_in_words(guests))
    assert guests == hosts, f"the guest is told otherwise than the host: {names_in_words(guests)}"
    assert not refusals(target.host, used_by_qemu(), target.names, target.expected_names), "that is no useful answer"
    # Programs of the host ask others, too.
    others = (known_otherwise(target.host, used_by_qemu(), name, guests["UDP"][name]) for name in target.expected_names)
    otherwise = [str(each) for each in others if each]
    assert not otherwise, "; ".join(otherwise)


@pytest.mark.claim("user/host-firewall-applies")
def test_a_firewall_of_the_host_holds_for_the_guest(leased_guest, lab, target, claim):
    service = target.outside_echo
    with rejecting(lab.host, service.address, service.port):
        with_rule = refusal(leased_guest, service)
        assert str(service.port) in ruleset(lab.host), "something on the host has taken the firewall's rules away"
    without_rule = refusal(leased_guest, service)
    claim.sees(f"with the rule: {with_rule or 'connected'}; without: {without_rule or 'connected'}")
    assert (with_rule, without_rule) == ("Connection refused", "")


@pytest.mark.claim("user/other-protocols-dropped")
def test_no_other_protocol_leaves_qemu(leased_guest, target, claim):
    address = target.neighbour_echo.address
    wire = GuestCapture(leased_guest)
    with RawListener(target.neighbour) as listener:
        send_from_guest(leased_guest, address, b"qemunet1")
        # libslirp takes frames as they come: when this answer is here, it has dealt with all before.
        assert echoes(leased_guest, "UDP", target.neighbour_echo), "not even UDP arrives"
        send_from_station(target.host, address, b"qemunet2")
        assert listener.hears_all(b"qemunet2"), "they do not arrive from the host either"
        arrived = listener.heard(b"qemunet1")
    assert left_the_guest(leased_guest, b"qemunet1"), "the guest sent none"
    came = [each for each in wire.packets() if each.source_mac != leased_guest.macs[0]]
    # What routers and neighbours say of themselves by IPv6 answers nothing that was sent by IPv4.
    answers = [each for each in came if each.kind not in (ARP, UDP, ICMPV6)]
    told_so = ", and the guest is told" if answers else ""
    claim.sees(f"{', '.join(arrived) or 'none'} of {', '.join(PROTOCOLS)} arrived{told_so}")
    assert arrived == []
    assert answers == [], "they are not dropped without a word"


@pytest.mark.claim("user/netdev-without-device")
@pytest.mark.lengthy
def test_a_netdev_without_device_leaves_no_nic(diskless_guest, claim):
    shell = diskless_guest("-enable-kvm", "-nographic", "-netdev", "user,id=net0")
    assert claim.sees(shell.run(INTERFACES, 20).text) == "lo", "QEMU gave the guest a NIC"


@pytest.mark.claim("user/device-without-netdev")
@pytest.mark.lengthy
def test_a_device_without_netdev_leaves_a_nic_too_many(diskless_guest, target, claim):
    shell = diskless_guest("-enable-kvm", "-nographic", "-device", "e1000")
    found = addresses(shell)
    if not found:
        # Whatever became of the network, the device is there: its driver is late, on a machine with too much to do.
        raise HarnessError("the guest shows no NIC at all, though QEMU was given one")
    claim.sees(", ".join(f"{nic}: {address or 'nothing'}" for nic, address in found.items()))
    if list(found.values()) != [""]:
        assert sorted(found.values()) == ["", "10.0.2.15/24"], "neither one NIC without network, nor one more with"
        assert echoes(shell, "TCP", target.way_out), "no answer by TCP from outside"
        claim.deviates(name="default-network-added")
