"""What the documentation says of ping and traceroute in user mode, and what libslirp does."""

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.observe.icmp import comes_back, hops, ping, predicted_egress, require_errors_told
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.process import sockets_open
from qemunet_tests.observe.reach import echoes

GATEWAY = "10.0.2.2"
#: Documentation addresses, RFC 5737: nobody has one, and the lab's router says so.
NOBODY = "198.51.100.1"


@pytest.mark.claim("user/icmp-gateway")
def test_the_gateway_answers_ping(leased_guest, claim):
    assert claim.sees(ping(leased_guest, GATEWAY)).whole, "the gateway does not answer"


@pytest.mark.claim("user/icmp-outside-closed")
def test_no_ping_passes_where_the_gate_is_closed(leased_guest, target, claim):
    # Silence proves nothing if the address is dead: the same address answers TCP, and it answers the host's ping.
    assert echoes(leased_guest, "TCP", target.far_echo), "nobody is there to be pinged"
    assert ping(target.host, target.far_echo.address).whole, "it answers nobody's ping"
    assert claim.sees(ping(leased_guest, target.far_echo.address)).silent


@pytest.mark.claim("user/icmp-outside-open")
@pytest.mark.parametrize("pinging_guest", ["gate-open"], indirect=True)
def test_ping_passes_where_the_gate_is_open(pinging_guest, target, claim):
    assert lease_of(pinging_guest)
    qemu, outside = pinging_guest.qemu, target.far_echo.address
    before = sockets_open(qemu)
    seen = claim.sees(ping(pinging_guest, outside))
    assert seen.whole
    # A socket that stays for every answer is told from some that wait for answers that were lost.
    answered = seen.received + ping(pinging_guest, outside).received
    closed = Deadline(5, "sockets to be closed").sees(lambda: sockets_open(qemu) < before + answered)
    assert closed, f"each of {answered} pings that were answered leaves QEMU a socket"


@pytest.mark.claim("user/icmp-outside-raw")
@pytest.mark.parametrize("pinging_guest", ["raw-sockets"], indirect=True)
def test_ping_by_raw_sockets_takes_the_dead_for_living(pinging_guest, host_of_raw_sockets, target, claim):
    assert lease_of(pinging_guest)
    seen = ping(pinging_guest, target.far_echo.address)
    ghost = comes_back(pinging_guest, NOBODY)
    claim.sees(f"{seen}; {NOBODY}, which nobody has, {'seems to answer' if ghost else 'does not answer'}")
    assert seen.whole
    if ghost:
        claim.deviates(name="errors-as-answers")
    else:
        require_errors_told(host_of_raw_sockets, NOBODY)


@pytest.mark.claim("user/icmp-predicted")
def test_ping_does_what_the_hosts_settings_foretell(pinging_guest, bench, target, claim):
    way = predicted_egress(pinging_guest, bench.station, bench.qemu.slirp)
    claim.expects(f"{'echo replies' if way.pings else 'no echo reply'}: {way.name}")
    assert lease_of(pinging_guest)
    seen = ping(pinging_guest, target.far_echo.address)
    claim.sees(f"{seen}: {way.name}")
    assert seen.whole if way.pings else seen.silent


@pytest.mark.claim("user/icmp-as-the-post-says")
def test_ping_and_traceroute_work_where_the_post_says_they_do_not(leased_guest, bench, target, claim):
    # Where nothing works at all, the post's sentence is true and says nothing.
    assert echoes(leased_guest, "TCP", target.far_echo), "not even TCP works"
    way, outside = predicted_egress(leased_guest, bench.station, bench.qemu.slirp), target.far_echo.address
    works = {
        "ping to the gateway": ping(leased_guest, GATEWAY).whole,
        "ping outside": ping(leased_guest, outside).whole,
        "traceroute": hops(leased_guest, outside)[-1:] == (outside,),
    }
    claim.sees(", ".join(f"{what} {'works' if does else 'does not'}" for what, does in works.items()))
    if any(works.values()):
        assert works == {"ping to the gateway": True, "ping outside": way.pings, "traceroute": True}
        claim.deviates(name="more-works")


@pytest.mark.claim("user/traceroute")
@pytest.mark.parametrize("probe", ["udp", "icmp", "tcp"])
def test_what_traceroute_shows(leased_guest, bench, target, claim, probe):
    outside = target.far_echo.address
    way = predicted_egress(leased_guest, bench.station, bench.qemu.slirp)
    # Only what libslirp sends as UDP keeps its time to live; that includes a ping it may not send as one.
    measured = probe == "udp" or (probe == "icmp" and not way.pings)
    claim.expects(" ".join((GATEWAY, *target.hops) if measured else (outside,)))
    assert claim.sees(" ".join(hops(leased_guest, outside, probe))) == claim.expected
