"""Whether user mode is slower than bridged: by the latest recording of this host and QEMU, or by measuring now.

Rates on a machine that does something else as well say nothing by themselves. So the same configuration is measured
twice, in blocks that alternate with bridged mode's. That user mode is slower is believed where every block shows a
larger difference than the two of the same show at most; that it is not, only with the evidence that `compare` demands.
Between the two nothing is known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qemunet_tests.errors import ControlFailed
from qemunet_tests.guest.bench import Bench
from qemunet_tests.host.machine_identity import machine_id
from qemunet_tests.network import Lab
from qemunet_tests.throughput import latest_recording, session
from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.judging.statistics import ratio
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.recorder import Effort, Recorder
from qemunet_tests.throughput.recording_shapes import Run
from qemunet_tests.throughput.variants import AGAIN, Arm, Pair, Plan

NIC = "virtio-net-pci"
METRIC = "tcp.g2h"
#: The claim is which of the two is slower, not by how much: two blocks that agree are enough, between thawed guests.
#: Where they do not, there are as many as `compare` wants, and more should some of them not be valid.
EFFORT = Effort(
    blocks=2,
    limit=verdicts.LEAST_BLOCKS + 6,
    boots=1,
    transfer_seconds=1,
    full=False,
    extras=(),
    directions=("g2h",),
    ceiling=False,
    thawed=True,
)


@dataclass(frozen=True)
class QuickRatio:
    """User mode's rate as a fraction of bridged mode's, block by block, and where that is known from.

    `slower` is None where nothing is known, and `reason` says why it is what it is.
    """

    blocks: tuple[float, ...]
    source: str
    slower: bool | None
    reason: str

    def __str__(self) -> str:
        low, high = min(self.blocks), max(self.blocks)
        return f"user mode reaches {low:.2f} to {high:.2f} of bridged mode's rate, guest to host ({self.source})"


def judge(faster: Sequence[float], again: Sequence[float]) -> tuple[bool | None, str]:
    """Whether user mode is slower, and why. `faster` are bridged mode's rates in user mode's, `again` user mode's own.

    Both are block by block.
    """
    noise = max((math.exp(abs(math.log(each))) for each in again), default=math.inf)
    if len(faster) >= EFFORT.blocks and min(faster) > noise:
        return (
            True,
            f"bridged mode is at least {min(faster):.3g} times as fast, user mode itself at most {noise:.3g} times",
        )
    found = ratio([faster]) if len(faster) >= verdicts.LEAST_BLOCKS else None
    if found is None:
        return None, f"only {len(faster)} of {verdicts.LEAST_BLOCKS} blocks could be measured on this machine just now"
    verdict, reason = verdicts.judge(found, True, verdicts.healthy({METRIC: [again]}))
    return _slower(verdict, found.high), f"bridged mode against user mode: {verdict}, {reason}"


def _slower(verdict: str, high: float | None) -> bool | None:
    """What follows from a verdict about bridged mode against user mode, and from the end of its interval."""
    if verdict in (verdicts.FASTER, verdicts.SLOWER):
        return verdict == verdicts.FASTER
    no_faster = verdict == verdicts.SAME and high is not None and high <= 1 + verdicts.LEAST_EFFECT
    return False if no_faster else None


class _Silent:
    def step(self, text: str, fraction: float) -> None:
        """Nobody looks on."""


def recorded(bench: Bench) -> QuickRatio | None:
    """What the latest recording of this machine, QEMU and accelerator says; None without one that says anything."""
    binary, accel = session.describe_qemu(bench.qemu).binary, bench.machine.accel.used
    found = latest_recording.latest(machine_id(), binary, accel, {"user", "bridge"}, bench.note)
    if found is None or not found.ended or not found.ended.usable:
        return None
    for summary in found.summaries:
        if (summary.metric, summary.nic, summary.arms) == (METRIC, NIC, ["bridge", "user"]):
            slower = _slower(summary.verdict, summary.high)
            blocks = tuple(1 / block for block in summary.blocks)
            source = f"recorded {found.session.at[:10]}, {found.session.placed}"
            return None if slower is None else QuickRatio(blocks, source, slower, summary.reason)
    return None


def measured(bench: Bench, lab: Lab) -> QuickRatio:
    """Blocks of one transfer an arm, about 6 s each under TCG. Raises ControlFailed where none is valid."""
    bridge, user, again = Arm("bridge", NIC), Arm("user", NIC), Arm("user", NIC, AGAIN)
    rows: list[Run] = []

    def judged() -> tuple[bool | None, str]:
        return judge(_ratios(rows, bridge, user), _ratios(rows, again, user))

    def known() -> bool:
        return judged()[0] is not None

    plan, placement = Plan((bridge, user, again), (Pair(bridge, user), Pair(again, user))), Placement("one")
    with bench.varied(captures=False):
        Recorder(bench, lab, plan, EFFORT, placement, 0, rows.append, known, _Silent()).record()
    faster = _ratios(rows, bridge, user)
    if not faster:
        whys = [str(row.why_invalid) for row in rows if not row.valid]
        raise ControlFailed(f"no block was valid, for {len(whys)} transfers: {whys[-1]}")
    return QuickRatio(tuple(1 / each for each in faster), f"measured now, {placement}", *judged())


def _ratios(rows: Sequence[Run], upper: Arm, lower: Arm) -> list[float]:
    """Of every block in which both arms have a valid row."""
    rates = {(row.block, row.arm): row.values[METRIC] or 0.0 for row in rows if row.valid and row.arm}
    blocks = sorted({block for block, _ in rates})
    return [
        rates[block, upper.name] / rates[block, lower.name]
        for block in blocks
        if {(block, upper.name), (block, lower.name)} <= rates.keys()
    ]


def beside(bench: Bench, lab: Lab) -> QuickRatio:
    """From a recording where there is one, else measured."""
    return recorded(bench) or measured(bench, lab)
