"""User mode beside bridged mode, in a sentence: from the latest recording of this host and QEMU, or measured now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.errors import HarnessError
from qemunet_tests.harness.lab import Lab
from qemunet_tests.throughput import session, shelf
from qemunet_tests.throughput.arms import Arm, Pair, Plan
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.recorder import Effort, Recorder

NIC = "virtio-net-pci"
METRIC = "tcp.g2h"
#: The claim is which of the two is slower, not by how much: two blocks that agree are enough, between thawed guests.
EFFORT = Effort(
    blocks=2,
    limit=2,
    boots=1,
    transfer_seconds=1,
    full=False,
    extras=(),
    directions=("g2h",),
    ceiling=False,
    thawed=True,
)


@dataclass(frozen=True)
class Beside:
    """User mode's rate as a fraction of bridged mode's, block by block, and where that is known from."""

    blocks: tuple[float, ...]
    source: str

    def __str__(self) -> str:
        low, high = min(self.blocks), max(self.blocks)
        return f"user mode reaches {low:.2f} to {high:.2f} of bridged mode's rate, guest to host ({self.source})"


class _Silent:
    def step(self, text: str, fraction: float) -> None:
        """Nobody looks on."""


def recorded(bench: Bench) -> Beside | None:
    """What the latest recording of this machine, QEMU and accelerator says; None without one that can be used."""
    qemu, accel = session.describe_qemu(bench.qemu), bench.machine.accel.used
    found = shelf.latest(session.machine_id(), qemu, accel, {"user", "bridge"})
    if found is None or not found.ended or not found.ended.get("usable"):
        return None
    for summary in found.summaries:
        if (summary["metric"], summary["nic"], summary["arms"]) == (METRIC, NIC, ["bridge", "user"]):
            blocks = tuple(1 / block for block in summary["blocks"])
            return Beside(blocks, f"recorded {found.session['at'][:10]}, {found.session['placed']}")
    return None


def measured(bench: Bench, lab: Lab) -> Beside:
    """Two blocks of one transfer an arm, about 8 s under TCG. Raises HarnessError where none is valid."""
    bridge, user = Arm("bridge", NIC), Arm("user", NIC)
    rows: list[Mapping[str, Any]] = []
    plan, placement = Plan((bridge, user), (Pair(bridge, user),)), Placement("one")
    before, bench.captures = bench.captures, False
    try:
        Recorder(bench, lab, plan, EFFORT, placement, 0, rows.append, lambda: True, _Silent()).record()
    finally:
        bench.captures = before
    rates = {(row["block"], row["arm"]): row["values"][METRIC] for row in rows if row["valid"] and row["arm"]}
    both = [block for block in range(1, EFFORT.blocks + 1) if {(block, "user"), (block, "bridge")} <= rates.keys()]
    if not both:
        whys = "; ".join(sorted({str(row["why_invalid"]) for row in rows if not row["valid"]}))
        raise HarnessError(f"nothing valid was measured: {whys}")
    blocks = tuple(rates[block, "user"] / rates[block, "bridge"] for block in both)
    return Beside(blocks, f"measured now, {placement}")


def beside(bench: Bench, lab: Lab) -> Beside:
    """From a recording where there is one, else measured."""
    return recorded(bench) or measured(bench, lab)
