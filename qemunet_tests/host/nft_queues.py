"""Queues of the packet filter, by which programs such as an IPS decide, and whether a program takes what is queued.

Sources: nft(8), "QUEUE STATEMENT", and nfnetlink_queue_seq_show of the kernel's net/netfilter/nfnetlink_queue.c.
"""

import re

from qemunet_tests.host.asking import Ask

#: A line for each queue that a program has opened, its number first. Only root is told.
_OPENED = "/proc/net/netfilter/nfnetlink_queue"
_QUEUE = re.compile(r"\bqueue (?:num |to |flags (?P<flags>\S+) to )?(?P<first>\d+)?(?:-(?P<last>\d+))?(?P<rest>.*)")


def opened(ask: Ask) -> frozenset[int]:
    """The numbers of the queues that programs take packets from."""
    return frozenset(int(line.split()[0]) for line in ask(["cat", _OPENED]).text.splitlines() if line.strip())


def becomes(words: str, programs: frozenset[int]) -> str | None:
    """What a rule does to what it queues: `asks` a program, or without one `accept` or `drop`; None where it queues
    nothing.
    """
    said = _QUEUE.search(words)
    if said is None:
        return None
    # Which of several is a packet's may be reckoned from what is in it.
    first = int(said["first"] or 0)
    numbers = range(first, int(said["last"] or first) + 1) if said["first"] else range(1 << 16)
    if not programs.isdisjoint(numbers):
        return "asks"
    return "accept" if "bypass" in f"{said['flags']} {said['rest']}" else "drop"
