"""A queue that did nothing to bulk data is not blamed for its loss, whatever it counts meanwhile."""

import re
import sys
from collections.abc import Iterator

import pytest

from meta_tests.faults.fault import OnHost
from meta_tests.faults.on_hosts.shaped import CLASSES, NARROW
from meta_tests.faults.on_hosts.typed import in_background
from meta_tests.samples.host_machine import LAN, PEER, HostMachine

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


@pytest.fixture
def machine() -> Iterator[HostMachine]:
    made = HostMachine()
    yield made
    made.close()


@pytest.mark.slow
def test_a_queue_of_others_and_one_with_room_to_spare_are_not_blamed(machine: HostMachine) -> None:
    machine.plant(OnHost(typed=BESIDE, at_lan=BEYOND))
    said = machine.run("--bridge", "br0", "--peer", PEER, "bridge/bulk-both-ways")["bridge/bulk-both-ways"]
    assert said["verdict"] == "broken", said
    assert not re.search(r"queue|class 1:|up0|held up", f"{said['cause']} {said['reason']}"), said
    # It did drop, and that of our class had more to pass.
    counted = machine.type("tc -s class show dev up0 classid 1:10")
    assert int(re.findall(r"dropped (\d+)", counted)[0]) > 0, counted
