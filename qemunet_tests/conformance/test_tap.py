"""What is promised of `-netdev tap`: peers, the kernel at a tap's other side, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import ALONE, assert_refused
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.host import credentials
from qemunet_tests.modes.tap import HelperTapNetdev, NewTapNetdev, OpenTapNetdev, TapNetdev
from qemunet_tests.network.host_target import addresses
from qemunet_tests.observe.bridge import bridge_of
from qemunet_tests.observe.carried_frames import STRANGER, exchanged
from qemunet_tests.observe.network_ends import network_ends
from qemunet_tests.observe.tap_settings import goes
from qemunet_tests.qemu.command_line import NetdevRefused
from qemunet_tests.qemu.netdev import SpelledNetdev

#: As QEMU 7.2 and as QEMU 11.1 says it.
OPENED = (
    "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= are invalid with fd=",
    "ifname=, script=, downscript=, vnet_hdr= are invalid with fd=/fds=/helper=",
)
#: Of a tap that is named, or made, and for which no script is called.
NO_SCRIPTS = ("script=", "downscript=")
CANNOT_OPEN = "could not configure /dev/net/tun ({}): {}"
#: As QEMU 7.2 and as QEMU 11.1 says it.
NO_TUN = tuple(f"ould not open {name}: No such file or directory" for name in ("/dev/net/tun", "'/dev/net/tun'"))
ENDINGS = {"quit": lambda qemu: qemu.quit(), "killed": lambda qemu: qemu.kill()}
IFF_UP = 1


def spelled(tap, *options):
    """What follows the id of a backend on a tap."""
    return ",".join((f"ifname={tap}", *NO_SCRIPTS, *options))


def made(name):
    """A backend that makes a tap of that name."""
    return NewTapNetdev((f"ifname={name}", *NO_SCRIPTS))


def helpers_taps(station):
    """Those that the bridge helper made: it has the kernel count."""
    names = (link.get("ifname") for link in station.netlink.get_links())
    return [name for name in names if name.startswith("tap")]


@pytest.mark.claim("tap/fd-exclusive")
def test_what_is_open_is_not_opened(bench, claim):
    messages = {"fd=0,ifname=ready77": OPENED, "fd=0,vnet_hdr=off": OPENED}
    assert_refused(bench, claim, "tap", messages)


@pytest.mark.claim("tap/ifname")
def test_the_tap_has_the_name_that_was_given(start_with, taps, claim):
    free = [name for name in map("tap{}".format, range(1000)) if taps.host.index(name) is None]
    claim.expects(", ".join(["named77", *free[:2]]))
    qemu = start_with(made("named77"), NewTapNetdev(), NewTapNetdev())
    names = {each.name: each.settings.get("ifname", "none") for each in network_ends(qemu.monitor)}
    claim.sees(", ".join(names[each] for each in sorted(names)))
    assert claim.observed == claim.expected, f"taps are called {claim.observed}"
    assert all(taps.host.index(name) for name in names.values()), f"of {claim.observed} there are not all"


@pytest.mark.claim("tap/ifname-long")
def test_a_name_that_the_kernel_does_not_know_is_refused(start_with, taps, claim):
    longest = "fifteen-letters"
    start_with(made(longest)).quit()
    try:
        qemu = start_with(made(f"{longest}x"))
    except NetdevRefused:
        claim.sees("15 bytes: made; 16 bytes: refused")
        return
    is_cut = taps.host.index(longest) is not None and qemu.monitor.ask("info network").count(longest)
    claim.sees(f"15 bytes: made; 16 bytes: {'cut' if is_cut else 'something else'}")
    assert is_cut, f"QEMU starts, and there is no tap {longest}"
    claim.deviates(name="cut")


@pytest.mark.claim("tap/persistent")
def test_an_ordinary_user_opens_his_own_tap(attach_peer, make_tap, kernel_at, claim):
    tap = make_tap()
    peer = attach_peer(TapNetdev(tap))
    held = credentials.read(pid=peer.qemu.process.pid)
    who = "an ordinary user" if held.ordinary else str(held)
    claim.sees(f"{who}; {exchanged(peer, kernel_at(tap))}")
    assert claim.observed == claim.expected, f"at a tap that was made for its user: {claim.observed}"


@pytest.mark.claim("tap/persistent-stays")
def test_a_tap_that_was_made_beforehand_stays(start_with, taps, make_tap, claim):
    seen = {}
    for how, end in ENDINGS.items():
        tap = make_tap()
        index = taps.host.index(tap)
        taps.host.netlink.addr("add", index=index, address="192.0.2.7", prefixlen=24)
        end(start_with(TapNetdev(tap)))
        stays = taps.host.index(tap) == index
        seen[how] = " ".join(map(str, addresses(taps.host, tap))) or "without address" if stays else "gone"
        if stays:
            taps.host.netlink.link("del", index=index)
    claim.sees("; ".join(f"{how}: {what}" for how, what in seen.items()))
    assert claim.observed == claim.expected, f"of a tap that was there before QEMU: {claim.observed}"


@pytest.mark.claim("tap/foreign")
def test_the_tap_of_somebody_else_is_refused(bench, somebody_elses_tap, claim):
    refused = CANNOT_OPEN.format(somebody_elses_tap, "Operation not permitted")
    assert_refused(bench, claim, "tap", {spelled(somebody_elses_tap): refused})


@pytest.mark.claim("tap/foreign")
def test_a_tap_in_use_is_refused(bench, start_with, make_tap, claim):
    tap = make_tap()
    start_with(TapNetdev(tap))
    assert_refused(bench, claim, "tap", {spelled(tap): CANNOT_OPEN.format(tap, "Device or resource busy")})


@pytest.mark.claim("tap/ephemeral-gone")
def test_a_tap_that_qemu_made_goes_with_it(start_with, taps, claim):
    seen = {}
    for how, end in ENDINGS.items():
        qemu = start_with(made("made77"))
        assert taps.host.index("made77") is not None, "QEMU makes no tap"
        end(qemu)
        seen[how] = "gone" if goes(taps.host, "made77") else "there"
    claim.sees("; ".join(f"{how}: {what}" for how, what in seen.items()))
    assert claim.observed == claim.expected, f"a tap that QEMU made: {claim.observed}"


@pytest.mark.claim("tap/no-privilege")
@pytest.mark.usefixtures("taps")
def test_who_may_not_make_a_tap_is_told_so(bench, claim):
    refused = CANNOT_OPEN.format("made77", "Operation not permitted")
    assert_refused(bench, claim, "tap", {spelled("made77"): refused})


@pytest.mark.claim("tap/no-tun")
def test_without_the_device_there_is_no_tap(bench, make_tap, without_tun, claim):
    options = spelled(make_tap())
    # It is back before anybody looks for the cause of anything.
    with without_tun():
        tried = bench.attempt("-netdev", f"tap,id={ALONE},{options}")
    claim.sees(f"{int(not tried.started)} of 1 refused")
    assert tried.status == 1, f"QEMU starts with tap,{options}"
    said = str(tried.complaints)
    assert said.endswith(NO_TUN), said


@pytest.mark.claim("tap/fd")
def test_a_tap_that_is_open_is_taken(attach_peer, make_tap, open_tap, kernel_at, claim):
    tap = make_tap()
    claim.sees(exchanged(attach_peer(OpenTapNetdev((open_tap(tap),))), kernel_at(tap)))
    assert claim.observed == claim.expected, f"by an open tap frames pass {claim.observed}"


@pytest.mark.claim("tap/down-without-script")
def test_nobody_brings_up_a_tap_without_a_script(attach_peer, taps, kernel_at, claim):
    peer = attach_peer(made("made77"))
    before = "up" if taps.host.link("made77")["flags"] & IFF_UP else "down"
    taps.host.bring_up("made77")
    claim.sees(f"{before}; brought up: {exchanged(peer, kernel_at('made77'))}")
    assert claim.observed == claim.expected, f"a tap that QEMU made is {claim.observed}"


@pytest.mark.claim("tap/hotplug")
def test_an_open_tap_is_plugged_in_and_out(attach_peer, make_tap, open_tap, kernel_at, claim):
    tap = make_tap()
    peer, end = attach_peer(SpelledNetdev("hubport", ("hubid=9",))), kernel_at(tap)
    monitor = peer.qemu.monitor
    monitor.give(open_tap(tap), "lent")
    monitor.execute("netdev_add", type="tap", id="hot", fd="lent")
    monitor.execute("netdev_add", type="hubport", id="port", hubid=9, netdev="hot")
    before = exchanged(peer, end)
    monitor.execute("netdev_del", id="port")
    monitor.execute("netdev_del", id="hot")
    left = [each.name for each in network_ends(monitor) if each.name == "hot"]
    claim.sees(f"{before}; then {' '.join(left) or 'none'}")
    assert claim.observed == claim.expected, f"by a tap that is added and taken away frames pass {claim.observed}"


@pytest.mark.claim("tap/helper")
def test_a_helper_makes_the_tap(bench, start_with, taps, claim):
    claim.expects(f"in {taps.bridge}, by the helper")
    qemu = start_with(HelperTapNetdev(bench.qemu.helper_path, taps.bridge))
    (tap,) = helpers_taps(taps.host)
    said = qemu.monitor.ask("info network")
    claim.sees(f"in {bridge_of(taps.host, tap) or 'no bridge'}, {'by the helper' if 'helper=' in said else said}")
    assert claim.observed == claim.expected, f"the tap is {claim.observed}"


@pytest.mark.claim("tap/bridge-ignored")
def test_a_bridge_is_named(start_with, taps, make_tap, claim):
    claim.expects(f"in {taps.bridge}")
    tap = make_tap()
    start_with(TapNetdev(tap, (f"br={taps.bridge}",)))
    claim.sees(f"in {bridge_of(taps.host, tap) or 'no bridge'}")
    if claim.observed == "in no bridge":
        claim.deviates(name="nothing")
    else:
        assert claim.observed == claim.expected, f"the tap is {claim.observed}"


@pytest.mark.claim("tap/jumbo")
def test_large_frames_pass_where_the_mtu_lets_them(attach_peer, taps, make_tap, kernel_at, claim):
    tap = make_tap()
    taps.host.netlink.link("set", index=taps.host.index(tap), mtu=9000)
    claim.sees(f"9014 bytes {exchanged(attach_peer(TapNetdev(tap)), kernel_at(tap), 9014)}")
    assert claim.observed == claim.expected, f"with an MTU of 9000 there pass {claim.observed}"


#: How often a first frame is put into a tap until one comes out of it.
ATTEMPTS = 3


@pytest.mark.claim("tap/short-frames")
def test_short_frames_are_filled_up(attach_peer, make_tap, kernel_at, claim):
    tap = make_tap()
    peer, end, sizes = attach_peer(TapNetdev(tap)), kernel_at(tap), (15, 42, 59)
    came, again = {}, iter(range(1, ATTEMPTS))
    for size in sizes:
        frame = frame_of(STRANGER, peer.mac, size)
        end.put(frame)
        got = peer.wire.take(5.0)
        # The kernel may not have noticed yet that QEMU holds the tap, and drops the frame.
        while not got and next(again, None):
            end.put(frame)
            got = peer.wire.take(5.0)
        came[size] = got == frame.ljust(60, b"\0")
    claim.sees(f"{', '.join(str(size) for size in sizes if came[size]) or 'no'} bytes become 60")
    assert claim.observed == claim.expected, f"of frames of 15, 42 and 59 bytes {claim.observed}"
