"""Queues of a host that are too narrow for bulk data, where all small packets pass."""

from meta_tests.faults.on_hosts.typed import PEER, on_a_host

BULK, NARROW = ("bridge/bulk-both-ways",), "8kbit"
#: What is left over passes the class 1:20.
CLASSES = """
tc qdisc add dev up0 root handle 1: htb default 20
tc class add dev up0 parent 1: classid 1:10 htb rate {first}
tc class add dev up0 parent 1: classid 1:20 htb rate {rest}
"""

FAULTS = (
    # What was under way when the claim broke may still fill the queue: then small packets are lost there as well.
    on_a_host("uplink-shaped", BULK, "bulk data is held up where small packets pass .*by what counted it: the queue "
              r"tbf on up0 \(root .* rate 8Kbit .*\), which dropped \d+ of \d+"
              r"|it is lost between them, where this stands: the queue tbf on up0:.* rate 8Kbit .*, which dropped \d+",
              "tc qdisc del dev up0 root",
              typed=f"tc qdisc add dev up0 root tbf rate {NARROW} burst 3000 latency 200ms", words=PEER),
)  # fmt: skip
