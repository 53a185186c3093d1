"""What the documentation promises of user networking, `-netdev user`."""

import pytest

from qemunet_tests.harness import ssh
from qemunet_tests.observe.backend import listening_sockets
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.links import address_on, driver
from qemunet_tests.observe.reach import echoes, ping
from qemunet_tests.observe.resolver import addresses_of

NO_LEASE = "the guest got no lease"
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


@pytest.mark.claim("user/default-network")
def test_a_guest_has_a_network_without_any_option(literal_guest, target, claim):
    """The post's first command line as it stands, typed where `vdisk.img` lies."""
    shell = literal_guest("-enable-kvm", "-nographic", "-hda", "./vdisk.img")
    assert claim.sees(address_on(shell, "eth0")) == claim.expected
    assert echoes(shell, "TCP", target.outside_echo), "no answer by TCP from outside"


@pytest.mark.claim("user/address")
def test_the_guest_gets_the_documented_address(user_guest, claim):
    got = lease(user_guest)
    assert got, NO_LEASE
    assert claim.sees(got.interface) == claim.expected


@pytest.mark.claim("user/gateway")
def test_the_lease_names_the_gateway(user_guest, claim):
    got = lease(user_guest)
    assert got, NO_LEASE
    assert claim.sees(got.gateway) == claim.expected


@pytest.mark.claim("user/dns-offered")
def test_the_lease_names_the_resolver(user_guest, claim):
    got = lease(user_guest)
    assert got, NO_LEASE
    assert claim.sees(" ".join(got.resolvers)) == claim.expected


@pytest.mark.claim("user/dns-resolves")
def test_the_resolver_gives_the_hosts_answer(user_guest, target, claim):
    claim.expects(f"{target.known_name} is {' '.join(target.known_addresses)}")
    assert lease(user_guest), NO_LEASE
    answer = addresses_of(user_guest, target.known_name, "10.0.2.3")
    claim.sees(f"{target.known_name} is {' '.join(answer) or 'not answered'}")
    assert set(answer) == set(target.known_addresses)


@pytest.mark.claim("user/reach-outside-tcp")
def test_tcp_reaches_outside(user_guest, target, claim):
    assert lease(user_guest), NO_LEASE
    answered = echoes(user_guest, "TCP", target.outside_echo)
    claim.sees(f"{target.outside_echo} {'answers' if answered else 'does not answer'} by TCP")
    assert answered


@pytest.mark.claim("user/reach-outside-udp")
def test_udp_reaches_outside(user_guest, target, claim):
    assert lease(user_guest), NO_LEASE
    answered = echoes(user_guest, "UDP", target.outside_echo)
    claim.sees(f"{target.outside_echo} {'answers' if answered else 'does not answer'} by UDP")
    assert answered


@pytest.mark.claim("user/icmp-gateway")
def test_the_gateway_answers_ping(user_guest, claim):
    assert lease(user_guest), NO_LEASE
    assert claim.sees(ping(user_guest, "10.0.2.2")).received == 3, "the gateway does not answer"


@pytest.mark.claim("user/icmp-outside-closed")
def test_no_ping_passes_where_the_gate_is_closed(user_guest, target, claim):
    assert lease(user_guest), NO_LEASE
    # Silence proves nothing if the address is dead: the same address answers TCP, and it answers the host's ping.
    assert echoes(user_guest, "TCP", target.outside_echo), "nobody is there to be pinged"
    assert ping(target.host, target.outside_echo.address).received == 3, "it answers nobody's ping"
    assert claim.sees(ping(user_guest, target.outside_echo.address)).received == 0


@pytest.mark.claim("user/not-reachable-unforwarded")
def test_nothing_listens_for_a_guest_without_forwards(user_guest, target, claim):
    assert lease(user_guest), NO_LEASE
    listening = listening_sockets(user_guest, target.host)
    claim.sees(", ".join(listening) or "QEMU listens nowhere")
    assert listening == []


@pytest.mark.claim("user/hostfwd-ssh-2222")
def test_ssh_through_the_documented_forward(forwarding_guest, target, ssh_key, claim):
    assert lease(forwarding_guest), NO_LEASE
    ssh_key.admit_to(forwarding_guest)
    seconds = forwarding_guest.pace.seconds(6)
    answer = ssh.ask(ssh_key, target.host, "127.0.0.1", 2222, BOOT_ID, seconds)
    logged_in = answer.text == forwarding_guest.check(BOOT_ID)
    claim.sees("a session in the guest" if logged_in else answer.complaint or "a session elsewhere")
    assert logged_in, answer.complaint


@pytest.mark.claim("user/netdev-without-device")
def test_a_netdev_without_device_leaves_no_nic(literal_guest, claim):
    shell = literal_guest("-enable-kvm", "-nographic", "-hda", "./vdisk.img", "-netdev", "user,id=net0")
    interfaces = shell.run("ls /sys/class/net", 20).text.split()
    claim.sees(" ".join(interfaces))
    assert interfaces == ["lo"]


@pytest.mark.claim("user/e1000")
def test_the_documented_nic_works(e1000_guest, claim):
    got = lease(e1000_guest)
    assert got, NO_LEASE
    assert claim.sees(f"{driver(e1000_guest)} {got.interface}") == claim.expected
