"""What filters and queues of a link count: what a filter dropped is not put down to the queue beside it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.diagnosis.lost_frame import traffic_control
from qemunet_tests.diagnosis.lost_frame.filters_on_path import more_than

#: As tc(8) of iproute2 6.1 prints them: what filters dropped is counted by what they hang on, for both directions.
QUEUES = """\
qdisc {kind} 1: root refcnt 3 r2q 10
 Sent 0 bytes 0 pkt (dropped {queue}, overlimits 0 requeues 0)
 backlog 0b 0p requeues 0
qdisc pfifo 8015: parent 1:10 limit 0p
 Sent 0 bytes 0 pkt (dropped {queue}, overlimits 0 requeues 0)
 backlog 0b 0p requeues 0
qdisc clsact ffff: parent ffff:fff1
 Sent 424 bytes 6 pkt (dropped {filters}, overlimits 0 requeues 0)
 backlog 0b 0p requeues 0
"""
PROGRAM = """\
filter protocol all pref 49152 bpf chain 0
filter protocol all pref 49152 bpf chain 0 handle 0x1 flowid :1 odd direct-action not_in_hw id 220 name odd jited
"""
REDIRECTED = """\
filter protocol all pref 49151 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 *flowid 1:1 not_in_hw
  match 00000000/00000000 at 0
\taction order 1: mirred (Egress Redirect to device lo) stolen
 \tindex 1 ref 1 bind 1 installed 1 sec used 1 sec
 \tAction statistics:
\tSent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0)
"""
WAITING = """\
qdisc {kind} 1: root refcnt 3 rate 8Kbit burst 3000b lat 200ms
 Sent 5064 bytes 40 pkt (dropped 0, overlimits 9 requeues 0)
 backlog 1514b 1p requeues 0
"""
OF_PROGRAM = "sudo tc filter del dev up0 egress protocol all pref 49152"


def on(queue: int, filters: int, kind: str = "htb", **listed: str) -> Any:
    """A host whose uplink has these, by direction."""
    said: Mapping[str, str] = {
        "tc -s qdisc show dev up0": QUEUES.format(kind=kind, queue=queue, filters=filters),
        "tc qdisc show dev up0 root": f"qdisc {kind} 1: root refcnt 3",
        **{f"tc -s filter show dev up0 {direction}": text for direction, text in listed.items()},
    }
    return SimpleNamespace(run=lambda command: SimpleNamespace(text=said.get(command, "")))


@pytest.mark.parametrize(
    ("dropped", "listed", "acted"),
    [
        ({"queue": 0, "filters": 3}, {"egress": PROGRAM}, [OF_PROGRAM]),
        # It was dropped on its way in.
        ({"queue": 0, "filters": 3}, {"ingress": PROGRAM}, []),
        # Whose drops these are is not known.
        ({"queue": 0, "filters": 3}, {"egress": PROGRAM, "ingress": PROGRAM}, []),
        ({"queue": 0, "filters": 3}, {"egress": PROGRAM + REDIRECTED}, []),
        ({"queue": 3, "filters": 0}, {"egress": PROGRAM}, ["sudo tc qdisc del dev up0 root"]),
    ],
)
def test_who_dropped_what_leaves_a_link(dropped: dict[str, int], listed: dict[str, str], acted: list[str]) -> None:
    before, after = on(0, 0, **listed), on(**dropped, **listed)
    risen = more_than(dict(traffic_control.counts(before, "up0")), dict(traffic_control.counts(after, "up0")))
    found = [
        *traffic_control.filters(after, "up0", "egress", {str(key): more for key, more in risen.items()}),
        *traffic_control.queue(after, "up0", {str(key): more for key, more in risen.items()}),
    ]
    assert [obstacle.remedy for obstacle, has_acted in found if has_acted] == acted
    # What is within the queue dropped the same packets.
    counted = [obstacle.reason for obstacle, has_acted in found if has_acted and "queue" in obstacle.reason]
    assert all("dropped 3 packets" in each for each in counted)


@pytest.mark.parametrize(("said", "told"), [(WAITING, True), (QUEUES, False)])
def test_that_packets_wait_in_a_queue_is_told_and_is_no_evidence(said: str, told: bool) -> None:
    """They may be others', or in another class of it."""
    answers = {
        "tc qdisc show dev up0 root": "qdisc tbf 1: root refcnt 3 rate 8Kbit",
        "tc -s qdisc show dev up0 root; tc -s class show dev up0": said.format(kind="tbf", queue=0, filters=0),
    }
    host: Any = SimpleNamespace(run=lambda command: SimpleNamespace(text=answers.get(command, "")))
    ((obstacle, acted),) = traffic_control.queue(host, "up0", {})
    assert ("in which packets wait" in obstacle.reason, acted) == (told, False)
