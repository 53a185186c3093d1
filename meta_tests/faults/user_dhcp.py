"""Faults of the built-in DHCP server: fields of its frames and of its clients', and options QEMU is started with."""

import itertools
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim, altered
from meta_tests.faults.wrapper import replace_user_option, set_user_option
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    from scapy.packet import Packet

ANSWERS = {"BOOTP.op": 2}
DISCOVERS, OFFERS, REQUESTS, NAKS, RELEASES = ({"DHCP.message-type": number} for number in (1, 2, 3, 6, 7))
#: Claims of the topic that few of its faults touch.
EXACT = ("user/dhcp-server-is-gateway", "user/dhcp-options-exact")
OTHERS = (*EXACT, "user/dhcp-answers-broadcast", "user/dhcp-same-mac-same-address", "user/dhcp-first-is-start")


@fault("user/dhcp-server-is-gateway", cause=r"from 10\.0\.2\.2, option 54: 10\.0\.2\.2, siaddr: 10\.0\.2\.99",
       sentinels=("user/dhcp-options-exact", "user/hostname", "user/dhcp-wish"), core=True)  # fmt: skip
def next_server_named_otherwise(wire: FrameShim) -> None:
    """The answers of DHCP name another next server."""
    wire.alter(FROM_QEMU, ANSWERS, {"BOOTP.siaddr": "10.0.2.99"})


@fault("user/dhcp-server-is-gateway", cause=r"from 10\.0\.2\.99, option 54: 10\.0\.2\.2",
       sentinels=("user/dhcp-options-exact", "user/dhcp-wish", "user/dhcp-nak"))  # fmt: skip
def answers_from_elsewhere_of_dhcp(wire: FrameShim) -> None:
    """The answers of DHCP come from another address than they name."""
    wire.alter(FROM_QEMU, ANSWERS, {"IP.src": "10.0.2.99"})


@fault("user/dhcp-options-exact", cause="other options: .*26: 05dc",
       sentinels=("user/dhcp-server-is-gateway", "user/dhcp-wish", "user/hostname"))  # fmt: skip
def mtu_offered_too(wire: FrameShim) -> None:
    """Offers come with an MTU, which nobody promised."""
    wire.alter(FROM_QEMU, OFFERS, {"DHCP.interface-mtu": 1500})


@fault("user/dhcp-answers-broadcast", cause=r"elsewhere: .*renewal: 10\.0\.2\.15 at ff", sentinels=EXACT)
def renewals_answered_by_unicast(wire: FrameShim) -> None:
    """Who renews a lease is answered at the address that it has."""
    wire.alter(FROM_QEMU, {"DHCP.message-type": 5}, {"IP.dst": "10.0.2.15"})


@fault("user/dhcp-answer-size", cause="another size: offer: 2[0-9][0-9] bytes", sentinels=OTHERS)
def answers_not_padded(wire: FrameShim) -> None:
    """Answers end behind their last option."""
    wire.alter(FROM_QEMU, ANSWERS, {"DHCP.options": lambda options: [each for each in options if each != "pad"]})


@fault("user/dhcp-first-is-start", cause=r"get 10\.0\.2\.15 10\.0\.2\.16", sentinels=EXACT)
def start_left_out(lab: Lab) -> None:
    """A management tool knows no `dhcpstart=`."""
    set_user_option(lab, "dhcpstart", None)


@fault("user/dhcp-sixteen-leases", cause=r"get 10\.0\.2\.15 .* 10\.0\.2\.29 -$", sentinels=OTHERS)
def last_address_never_offered(wire: FrameShim) -> None:
    """Offers of 10.0.2.30 are lost."""
    wire.drop(FROM_QEMU, {**OFFERS, "BOOTP.yiaddr": "10.0.2.30"})


@fault("user/dhcp-seventeenth", cause=r"client is told: 10\.0\.2\.31, 53: offer", sentinels=OTHERS)
def seventeenth_client_served(wire: FrameShim) -> None:
    """A second server on the wire has an address for who came too late."""

    def offer(asked: "Packet") -> "Packet":
        options = [("message-type", 2), ("server_id", "10.0.2.99"), "end"]
        fields = {"BOOTP.op": 2, "BOOTP.yiaddr": "10.0.2.31", "IP.src": "10.0.2.99", "UDP.sport": 67, "UDP.dport": 68}
        return altered(asked, {**fields, "DHCP.options": options})

    wire.invent(TO_QEMU, {**DISCOVERS, "BOOTP.chaddr": lambda mac: mac[5] == 15}, offer, to=FROM_QEMU)


@fault(
    "user/dhcp-same-mac-same-address",
    cause=r"10\.0\.2\.15, then nak 10\.0\.2\.16, then nak 10\.0\.2\.17, then nak",
    sentinels=EXACT,
)
def clients_taken_for_others(wire: FrameShim) -> None:
    """Every DISCOVER comes with another hardware address."""
    numbers = itertools.count()

    def another(mac: bytes) -> bytes:
        return bytes([2, 0, 0, 0, 0, next(numbers)]) + mac[6:]

    wire.alter(TO_QEMU, DISCOVERS, {"BOOTP.chaddr": another})


@fault("user/dhcp-wish", cause=r"10\.0\.2\.20: 10\.0\.2\.15; 10\.0\.2\.30: 10\.0\.2\.16", sentinels=OTHERS)
def wishes_left_out(wire: FrameShim) -> None:
    """DISCOVERs ask for no address."""
    wire.alter(TO_QEMU, DISCOVERS, {"DHCP.requested_addr": None})


@fault(
    "user/dhcp-pool-avoids-own", cause=r"with dhcpstart=10\.0\.2\.254 the pool begins at 10\.0\.2\.50", sentinels=EXACT
)
def start_misread(lab: Lab) -> None:
    """A management tool lets every pool begin at 10.0.2.50."""
    replace_user_option(lab, "dhcpstart", "10.0.2.50")


@fault(
    "user/dhcp-pool-avoids-own",
    cause=r"others than known: .*10\.0\.2\.3 - 10\.0\.2\.5$",
    sentinels=OTHERS,
)
def one_address_never_offered(wire: FrameShim) -> None:
    """Offers of 10.0.2.4 are lost, and of no other address."""
    wire.drop(FROM_QEMU, {**OFFERS, "BOOTP.yiaddr": "10.0.2.4"})


@fault(
    "user/dhcp-nak",
    "user/dhcp-other-server",
    "user/dhcp-answer-size",
    cause="told: nothing$|answered: ack$|bytes, none$",
    sentinels=OTHERS,
)
def naks_lost(wire: FrameShim) -> None:
    """No refusal gets through."""
    wire.drop(FROM_QEMU, NAKS)


@fault("user/dhcp-nak", cause="is told: 53: nak; 56: no$", sentinels=OTHERS)
def another_reason_given(wire: FrameShim) -> None:
    """Refusals give another reason."""
    wire.alter(FROM_QEMU, NAKS, {"DHCP.error_message": b"no"})


@fault("user/dhcp-unknown-client-request", "user/bootp", "user/dhcp-same-mac-same-address",
       cause="answered: None|which names none: no answer",
       sentinels=(*EXACT, "user/dhcp-answers-broadcast", "user/dhcp-first-is-start"))  # fmt: skip
def requests_without_address_lost(wire: FrameShim) -> None:
    """Who has no address and asks for none is not heard, except by a DISCOVER."""
    without = {"BOOTP.op": 1, "BOOTP.ciaddr": "0.0.0.0"}

    def plain(frame: "Packet") -> bool:
        said = frame.getlayer("DHCP")
        kinds = dict(each for each in said.options if isinstance(each, tuple) and len(each) == 2) if said else {}
        asks = "BOOTP" in frame and all(
            frame["BOOTP"].getfieldval(name[6:]) == value for name, value in without.items()
        )
        return asks and kinds.get("message-type", 3) == 3 and "requested_addr" not in kinds

    wire.drop(TO_QEMU, plain)


@fault("user/dhcp-others-ignored", cause=r"10\.0\.2\.16; offer; 10\.0\.2\.17", sentinels=OTHERS)
def releases_taken_for_discovers(wire: FrameShim) -> None:
    """Who gives a lease back is offered it again."""
    wire.alter(TO_QEMU, RELEASES, {"DHCP.message-type": 1})


@fault("user/hostname", cause="option 12: none", sentinels=OTHERS)
def hostname_left_out(lab: Lab) -> None:
    """A management tool knows no `hostname=`."""
    set_user_option(lab, "hostname", None)


@fault("user/hostname-long", cause="40 characters arrive 10", sentinels=OTHERS)
def names_cut_sooner(wire: FrameShim) -> None:
    """Names are cut to ten characters on their way."""
    wire.alter(FROM_QEMU, {"DHCP.hostname": bool}, {"DHCP.hostname": lambda name: name[:10]})


@fault("user/domainname", cause="option 15: none|QEMU starts", sentinels=(*OTHERS, "user/hostname"))
def domainname_left_out(lab: Lab) -> None:
    """A management tool knows no `domainname=`."""
    set_user_option(lab, "domainname", None)


@fault("user/dnssearch", "user/dnssearch-nested", cause="list is lab.example.org", sentinels=(*OTHERS, "user/hostname"))
def one_search_domain(lab: Lab) -> None:
    """A management tool knows one `dnssearch=`."""
    replace_user_option(lab, "dnssearch", "lab.example.org")


@fault("user/dnssearch-bad", cause="no warning; .*119: ", sentinels=(*OTHERS, "user/hostname"))
def search_domain_made_good(lab: Lab) -> None:
    """A management tool has a search domain of its own."""
    replace_user_option(lab, "dnssearch", "example.org")


@fault("user/bootfile", "user/bootfile-too-long", "user/http-boot", cause="none; 0 char|QEMU starts|: none; : none",
       sentinels=(*OTHERS, "user/hostname"))  # fmt: skip
def bootfile_left_out(lab: Lab) -> None:
    """A management tool knows no `bootfile=`."""
    set_user_option(lab, "bootfile", None)


@fault("user/tftp-server-name", cause="option 66: none, siaddr: 10.0.2.2", sentinels=(*OTHERS, "user/hostname"))
def tftp_server_left_out(lab: Lab) -> None:
    """A management tool knows no `tftp-server-name=`."""
    set_user_option(lab, "tftp-server-name", None)


@fault("user/http-boot", cause="http://10.0.2.2/boot.efi: none;", sentinels=(*OTHERS, "user/bootfile"))
def vendor_class_left_out(wire: FrameShim) -> None:
    """Offers have no vendor class."""
    wire.alter(FROM_QEMU, {"DHCP.vendor_class_id": bool}, {"DHCP.vendor_class_id": None})
