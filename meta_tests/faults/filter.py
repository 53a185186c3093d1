"""Faults of net filters: a wrapper that words them otherwise, a monitor that does other things, and frames altered."""

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import TO_QEMU, FrameShim
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.wrapper import reworded
from qemunet_tests.guest.filtered_wire import ETHERTYPE
from qemunet_tests.network import Lab

UNBREAKABLE = {"filter/colo-compare": "it is not tried"}
#: With words of their own.
OTHERS = ("filter/queue", "filter/unknown-kind")

REWORDED = (
    reworded("filter/dump-format", "wire.pcap,netdev=net0", "wire.pcap,maxlen=100,netdev=net0",
             "the file is .* 100 bytes at most", *OTHERS),
    reworded("filter/dump-maxlen", ",maxlen=100", ",maxlen=90", "the dump has 90 of 1514 bytes", *OTHERS),
    reworded("filter/dump-two", "other.pcap", "other.pcap,queue=tx", "two dumps have 1 2 3 and none", *OTHERS),
    reworded("filter/buffer-interval", "interval=50000", "interval=500000000", "come 0 of 20", *OTHERS),
    reworded("filter/mirror", "outdev=copy", "outdev=copy,queue=tx", "a mirror gives 0 of 3 copies", *OTHERS),
    reworded("filter/redirector-out", "redirector,id=f,outdev=away,netdev", "mirror,id=f,outdev=away,netdev",
             "at its outdev, 1 2 3 pass", *OTHERS),
    reworded("filter/redirector-in", "indev=tx,queue=tx", "indev=tx,queue=rx", "tx: 0 of 3 come back", *OTHERS),
    reworded("filter/redirector-in-again", "indev=in,queue=rx", "indev=in,queue=tx", "0 of 3 go out", *OTHERS),
    reworded("filter/queue", "id=rx,queue=rx", "id=rx,queue=all", "the dumps have rx: 1 2 3 4 5 6",
             "filter/dump-two", "filter/unknown-kind"),
    reworded("filter/status", ",status=off", "", "while a redirector is off: 0 pass", *OTHERS),
    reworded("filter/position", ",insert=behind", ",insert=before", "behind: sees|before: does not", *OTHERS),
    reworded("filter/rewriter", "rewriter,id=f,", "rewriter,id=f,status=off,", "is told 5001, the client 1001",
             *OTHERS),
    reworded("filter/netdev-needed", ("filter-rewriter,id=f",), ("filter-rewriter,id=f,netdev=x",), "QEMU starts with",
             *OTHERS),
    reworded("filter/netdev-unknown", "netdev=nobody", "netdev=x", "QEMU starts with", *OTHERS),
    reworded("filter/queue-bad", ",queue=nonsense", "", "QEMU starts with", *OTHERS),
    reworded("filter/status-bad", ",status=nonsense", "", "QEMU starts with", *OTHERS),
    reworded("filter/position-bad", "position=id=nobody", "position=head", "QEMU starts with", *OTHERS),
    reworded("filter/dump-bad-file", "/nowhere/wire.pcap", "/dev/null", "QEMU starts with", *OTHERS),
    reworded("filter/dump-maxlen-zero", "wire.pcap,maxlen=0", "/dev/null,maxlen=1", "QEMU starts with", *OTHERS),
    reworded("filter/buffer-zero", "interval=0", "interval=5", "QEMU starts with", *OTHERS),
    reworded("filter/outdev-needed", "outdev=nobody", "outdev=c", "QEMU starts with", *OTHERS),
    reworded("filter/redirector-ends", "indev=c,outdev=c", "indev=c", "QEMU starts with", *OTHERS),
    reworded("filter/compare-needs-inputs", ("colo-compare,id=f",), ("filter-buffer,id=f,netdev=x,interval=5",),
             "QEMU starts with", *OTHERS),
    reworded("filter/unknown-kind", "filter-nonsense,", "filter-rewriter,", "QEMU starts with", "filter/queue"),
)  # fmt: skip


@fault("filter/dump-equals-traffic", cause="the dump has 6 of 12 frames, and 12 records", sentinels=OTHERS)
def frames_altered_before_the_dump(wire: FrameShim) -> None:
    """Something between a peer and QEMU turns the last byte of what the peer sends."""
    wire.alter(
        TO_QEMU, {"Ether.type": ETHERTYPE}, {"Raw.load": lambda load: load[:-1] + bytes([load[-1] ^ 0xFF])}
    )  # fmt: skip


@fault("filter/dump-hotplugged", "filter/buffer",
       cause="the dump has 4 5 6 7 8 9 of 9|lets pass none at first, then 0 of 20", sentinels=OTHERS)  # fmt: skip
def filter_not_taken_away(lab: Lab) -> None:
    """A monitor says that it takes objects away, and does not."""
    carry_out("object-del", say_yes)


@fault("filter/removed-with-netdev", cause="QEMU runs, with its filter", sentinels=OTHERS)
def backend_kept(lab: Lab) -> None:
    """A monitor says that it takes backends away, and keeps them."""
    carry_out("netdev_del", say_yes)


@fault("filter/status", cause="off: 3 pass, on: 3 pass", sentinels=OTHERS)
def filter_not_switched(lab: Lab) -> None:
    """A monitor says that it switches a filter, and does not."""
    carry_out("qom-set", say_yes)


@fault("filter/rewriter-passes", cause="6 of 6 frames, changed", sentinels=OTHERS)
def sequence_numbers_changed(wire: FrameShim) -> None:
    """Something between a peer and QEMU counts TCP's sequence numbers on."""
    wire.alter(TO_QEMU, {"TCP.seq": 7}, {"TCP.seq": 8})


@fault("filter/dump-virtio-plain", cause=r"in the dump there is the NIC's address at \[\]", sentinels=OTHERS)
def dump_not_added(lab: Lab) -> None:
    """A monitor says that it adds objects, and does not."""
    carry_out("object-add", say_yes)
