"""Faults of taps: a wrapper that words them otherwise, a host that does things to them, and frames that are lost."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.wrapper import alter_qemu, reworded, with_option
from qemunet_tests.guest.peer_frames import ETHERTYPE
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.isolation.processes import Process
from qemunet_tests.network import Lab
from qemunet_tests.network.host_target import addresses
from qemunet_tests.network.lab_links import add_bridge, set_master
from qemunet_tests.observe.carried_frames import STRANGER

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: What has words of its own, and what is about scripts alone.
OTHERS = ("tap/fd-exclusive", "tap/sndbuf")
OF_SCRIPTS = ("tap/script-up", "tap/downscript")

#: Taps that a test has made, or that QEMU is to make.
NAMED = re.compile(r"tap,.*,ifname=(ready\d+|made77)\b")

REWORDED = (
    reworded("tap/ifname", ",ifname=named77", "", "taps are called tap0, tap1, tap2", *OTHERS),
    reworded("tap/ifname-long", "fifteen-lettersx", "another", "there is no tap fifteen-letters", *OTHERS),
    reworded("tap/sndbuf", ",sndbuf=20000", "", "the limit of a tap is 2147483647; without it 2147483647",
             "tap/fd-exclusive", "tap/queues-refused"),
    reworded("tap/queues", "queues=2", "queues=3", "the tap has 3, the NIC has 3", *OTHERS),
    reworded("tap/vhost-absent", ",vhost=on", "", "without /dev/vhost-net QEMU starts", *OTHERS),
    reworded("tap/vhost", ",vhost=on", "", "with vhost=on there is no thread", *OTHERS),
    reworded("tap/poll-us", ",vhost=on", "", "with vhost=on,poll-us=50 there is no thread", *OTHERS),
)  # fmt: skip


def _with_taps(lab: Lab, name: str, value: str | None, only: str = "") -> None:
    """Every tap that has a name, and that text, has an option with this value, or with None never has it."""

    def change(word: str) -> str:
        return with_option(word, name, value) if NAMED.match(word) and only in word else word

    alter_qemu(lab, lambda words: [change(word) for word in words])


def _before_each(lab: Lab, act: Callable[[str], None]) -> None:
    """Whenever a QEMU is about to start at a tap that a test has named, this is done with the name."""
    start = lab.host.start

    def started(words: Sequence[str], **options: Any) -> Process:
        for word in words:
            named = NAMED.match(word)
            if named and (named[1].startswith("made") or lab.host.index(named[1]) is not None):
                act(named[1])
        return start(words, **options)

    lab.host.start = started


@fault("tap/script-up", "tap/script-fails", "tap/script-default", "tap/script-no", "tap/script-empty",
       cause="is not called|without it 0 call",
       sentinels=("tap/downscript", *OTHERS))  # fmt: skip
def scripts_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place has no script called at the beginning."""
    _with_taps(lab, "script", "")


@fault("tap/script-no", "tap/script-empty", cause="without it 1 call, with it 1", sentinels=(*OF_SCRIPTS, *OTHERS))
def default_scripts_called(lab: Lab) -> None:
    """A wrapper in QEMU's place does not know that there may be no script, and leaves the word out."""

    def change(word: str) -> str:
        none = NAMED.match(word) and re.search(r",script=(no)?(,|$)", word) and re.search(r",downscript=(no)?$", word)
        return with_option(word, "script", None) if none else word

    alter_qemu(lab, lambda words: [change(word) for word in words])


@fault("tap/downscript", "tap/downscript-killed", cause="quit: not called", sentinels=("tap/script-up", *OTHERS))
def last_scripts_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place has no script called at the end."""
    _with_taps(lab, "downscript", "")


@fault("tap/persistent", "tap/no-privilege", cause="with net_admin|QEMU starts with tap",
       sentinels=("tap/fd", *OTHERS))  # fmt: skip
def capability_given(lab: Lab) -> None:
    """Somebody has given QEMU a capability with which taps are made."""
    keep = {f"--{which}-caps=-all": f"--{which}-caps=-all,+net_admin" for which in ("inh", "ambient")}
    alter_qemu(lab, lambda words: [keep.get(word, word) for word in words])


@fault("tap/persistent-stays", cause="quit: without address; killed: without address", sentinels=OTHERS)
def addresses_taken_off(lab: Lab) -> None:
    """A network manager takes the addresses off a tap that somebody opens."""

    def take(name: str) -> None:
        index = lab.host.index(name)
        for address in addresses(lab.host, name):
            lab.host.netlink.addr("del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)

    _before_each(lab, take)


@fault("tap/ephemeral-gone", "tap/downscript-killed", "tap/down-without-script",
       cause="quit: there; killed: there|not called, a tap|is up; brought up", sentinels=OTHERS)  # fmt: skip
def taps_kept(lab: Lab) -> None:
    """A network manager has made a tap that QEMU is to make, for good, and brought it up."""

    def keep(name: str) -> None:
        if name.startswith("made") and lab.host.index(name) is None:
            with lab.host.entered():
                lab.host.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=unprivileged().uid)
            lab.host.bring_up(name)

    _before_each(lab, keep)


@fault("tap/bridge-ignored", cause="the tap is in elsewhere", sentinels=OTHERS)
def taps_put_elsewhere(lab: Lab) -> None:
    """A network manager puts taps into a bridge of its own."""
    add_bridge(lab.host, "elsewhere")
    _before_each(lab, lambda name: set_master(lab.host, name, "elsewhere"))


@fault("tap/fd", "tap/persistent", "tap/down-without-script", "tap/hotplug", "tap/jumbo",
       cause="(pass|user;|up:|bytes) back$|pass back; then none", sentinels=("tap/short-frames", *OTHERS))  # fmt: skip
def frames_for_the_host_lost(wire: FrameShim) -> None:
    """What a guest sends does not come to the tap."""
    wire.drop(TO_QEMU, {"Ether.type": ETHERTYPE})


@fault("tap/short-frames", cause="bytes no bytes become 60", sentinels=("tap/fd", *OTHERS))
def filling_taken_off(wire: FrameShim) -> None:
    """Something on the way takes off what short frames were filled up with."""

    def is_filled(frame: "Packet") -> bool:
        return bytes(frame)[6:12] == bytes.fromhex(STRANGER.replace(":", "")) and bytes(frame).endswith(b"\0")

    wire.alter(FROM_QEMU, is_filled, {"Raw.load": lambda load: load.rstrip(b"\0")})


@fault("tap/hotplug", cause="taken away frames pass neither way; then none", sentinels=("tap/fd", *OTHERS))
def backends_not_added(lab: Lab) -> None:
    """A monitor says that it adds backends and takes them away, and does not."""
    carry_out("netdev_add", say_yes)
    carry_out("netdev_del", say_yes)


@fault("tap/vnet-hdr", "tap/migrate-tap-to-tap", cause="there is no header|user: loaded", sentinels=OTHERS)
def headers_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place turns the headers of all taps off."""
    _with_taps(lab, "vnet_hdr", "off")
