"""A queue that did nothing to bulk data is not blamed for its loss, whatever it counts meanwhile."""

import re
import sys

import pytest

from meta_tests.faults.fault import OnHost
from meta_tests.faults.on_hosts.shaped import CLASSES, NARROW
from meta_tests.faults.on_hosts.typed import in_background
from meta_tests.samples.host_machine import LAN, PEER, HostMachine
from qemunet_tests.diagnosis.lost_frame import queues

#: A service of the host's own in the class 1:10, which sends more than that may.
FLOOD = (
    "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0x10010)\n"
    f"while True: s.sendto(bytes(1000), ('{LAN}', 25)); time.sleep(0.02)"
)
BESIDE = f"""{CLASSES.format(first=NARROW, rest="1gbit")}
tc qdisc add dev up0 parent 1:10 pfifo limit 10
echo "{FLOOD}" > /mnt/flood.py
{in_background(f"exec {sys.executable} /mnt/flood.py")}
"""
#: The cause lies beyond the host, where it has no counters.
BEYOND = f"tc qdisc add dev lan0 root tbf rate {NARROW} burst 3000 latency 200ms"


def counted(sent_bytes: int, dropped: int = 0, waiting: int = 0) -> queues.QueueCounts:
    return queues.QueueCounts("htb", "rate 8Kbit", sent_bytes, sent_bytes // 1000, dropped, waiting, waiting * 1000)


@pytest.mark.parametrize(
    ("others", "own", "named"),
    [
        (counted(0), counted(40_000, waiting=60), "the class 1:20 .* kept packets waiting"),
        (counted(0), counted(300_000, dropped=30), "the class 1:20 .* dropped 30 of 330 packets"),
        # As many as a queue may drop now and then.
        (counted(0), counted(300_000, dropped=2), None),
        # What others send is dropped, be it little or much.
        (counted(59_000, dropped=2933, waiting=10), counted(300_000), None),
        (counted(900_000, dropped=2933, waiting=10), counted(300_000), None),
        # Both may have held it up.
        (counted(200_000, dropped=300), counted(200_000, dropped=300), None),
    ],
)
def test_a_class_is_blamed_that_is_short_of_room_for_ours(
    others: queues.QueueCounts, own: queues.QueueCounts, named: str | None
) -> None:
    nothing = {"1:10": counted(0), "1:20": counted(0)}
    found = list(queues.held_up("up0", [nothing, *[{"1:10": others, "1:20": own}] * 5], ours_bytes=150_000))
    assert [each.reason for each in found if not (named and re.search(named, each.reason))] == []
    assert len(found) == (named is not None)


@pytest.mark.slow
def test_a_queue_of_others_and_one_with_room_to_spare_are_not_blamed(machine: HostMachine) -> None:
    machine.plant(OnHost(typed=BESIDE, at_lan=BEYOND))
    said = machine.run("--bridge", "br0", "--peer", PEER, "bridge/bulk-both-ways")["bridge/bulk-both-ways"]
    assert said["verdict"] == "broken", said
    assert not re.search(r"queue|class 1:|up0|held up", f"{said['cause']} {said['reason']}"), said
    # It did drop, and that of our class had more to pass.
    counted = machine.type("tc -s class show dev up0 classid 1:10")
    assert int(re.findall(r"dropped (\d+)", counted)[0]) > 0, counted
