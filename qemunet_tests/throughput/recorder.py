"""The recording itself: boots, blocks, one measurement at a time, each a line as soon as it is there."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench
from qemunet_tests.network import Lab
from qemunet_tests.network import lab_addresses as addresses
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.throughput import extras, iperf, schedule, versions
from qemunet_tests.throughput.booting import boot, discard
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.recording_shapes import Measurement, Run
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.sockets import Account
from qemunet_tests.throughput.transfer import TransferPlan, ceiling, transfer
from qemunet_tests.throughput.variants import Arm, Plan

#: So many blocks in which a row is invalid are measured again, and no more.
MOST_AGAIN = 4
#: Blocks are extended by so many at a time.
STEP_BLOCKS = 2
#: What a boot of one guest and what one transfer cost under TCG beside the transfer itself, for the first estimate.
BOOT_SECONDS, TRANSFER_OVERHEAD_SECONDS = 5.5, 0.6
#: So much must lie behind before the pace means anything.
MEANINGFUL_SECONDS = 10.0


class RecordingProgress(Protocol):
    """Whoever shows what is being done."""

    def step(self, text: str, fraction: float) -> None: ...


@dataclass(frozen=True)
class Effort:
    """How much to measure: at least `blocks` over `boots`, at most `limit`."""

    blocks: int
    limit: int
    boots: int
    transfer_seconds: int
    full: bool
    #: Which of the metrics besides TCP are measured.
    extras: tuple[str, ...] = extras.WORDS
    directions: tuple[str, ...] = schedule.DIRECTIONS
    guest_time: bool = False
    #: Whether the host alone is measured too, without any guest.
    ceiling: bool = True
    #: Whether guests may be thawed instead of booted, which only a comparison allows.
    thawed: bool = False


class Recorder:
    """Measures a plan. `keep` is given every finished row, `precise` says whether more blocks are wanted."""

    def __init__(
        self,
        bench: Bench,
        lab: Lab,
        what: Plan,
        effort: Effort,
        placement: Placement,
        seed: int,
        keep: Callable[[Run], None],
        precise: Callable[[], bool],
        steps: RecordingProgress,
        baseline: Qemu | None = None,
    ) -> None:
        self._bench, self._lab, self._plan, self._effort = bench, lab, what, effort
        self._placement, self._keep, self._precise, self._steps = placement, keep, precise, steps
        self._baseline = baseline
        self._chance = random.Random(seed)
        self._host_iperf = iperf.require(lab.host)
        self._subjects: dict[Arm, ResidentGuest] = {}
        self._extras = [extra for extra in extras.EXTRAS if extra.word in effort.extras]
        self._boot = self._block = self._whole_blocks = self._position = self._again = self._kept = 0
        #: Arms and directions that were valid and invalid at least once.
        self._valid: set[tuple[Arm, str]] = set()
        self._spoilt: set[tuple[Arm, str]] = set()
        self._extras_done: set[tuple[str, int]] = set()
        self._began = time.monotonic()
        self._expected_seconds = 0.0
        self._planned_blocks = effort.blocks
        self._boots = min(effort.boots, effort.blocks)

    def record(self) -> None:
        """Until it is precise enough, or the limit is reached. Raises what made it end before."""
        with contextlib.closing(Account(self._lab.host)) as account:
            way = TransferPlan(
                self._lab.host, account, self._placement, self._effort.transfer_seconds, self._effort.guest_time
            )
            try:
                for blocks in self._blocks_of_boots():
                    self._fresh_guests(way)
                    if self._effort.ceiling:
                        self._measure_ceiling(way)
                    for _ in range(blocks):
                        self._measure_valid_block(way)
                    if not self._effort.full:
                        self._measure_extras(way)
                self._extend(way)
            finally:
                discard(self._bench, list(self._subjects.values()))

    def estimate_seconds(self) -> float:
        """How long the whole will take, unless it is extended."""
        return sum(self._costs())

    def unmeasured(self) -> list[str]:
        """What was to be measured and was not, in words: empty once all is done."""
        first, last = self._whole_blocks - self._again + 1, self._effort.blocks
        missing = [f"block {first}" if first == last else f"blocks {first} to {last}"] if first <= last else []
        for extra in [] if self._effort.full else self._extras:
            boots = range(1, 2 if extra.once else self._boots + 1)
            missing += [f"{extra.name} in boot {n}" for n in boots if (extra.word, n) not in self._extras_done]
        return missing

    @property
    def _transfer_seconds(self) -> float:
        return self._effort.transfer_seconds * (5.0 if self._effort.guest_time else 1.0) + TRANSFER_OVERHEAD_SECONDS

    def _costs(self) -> Iterator[float]:
        yield self._boots * self._guests * BOOT_SECONDS
        per_transfer = self._transfer_seconds
        in_a_block = len(self._plan.arms) * len(self._effort.directions)
        yield (self._planned_blocks * in_a_block + self._boots * self._effort.ceiling) * per_transfer
        for extra in self._extras:
            once = 1 if extra.once else self._boots
            arms = extra.of(self._plan.arms)
            yield (self._planned_blocks if self._effort.full else once) * len(arms) * extra.seconds

    @property
    def _guests(self) -> int:
        return sum(2 if arm.between_guests else 1 for arm in self._plan.arms)

    def _blocks_of_boots(self) -> list[int]:
        each, more = divmod(self._effort.blocks, self._boots)
        return [each + (number < more) for number in range(self._boots)]

    def _extend(self, way: TransferPlan) -> None:
        while (left := self._effort.limit - (self._block - self._again)) > 0 and not self._precise():
            more = min(STEP_BLOCKS, left)
            self._planned_blocks += more
            for _ in range(more):
                self._measure_valid_block(way)

    def _fresh_guests(self, way: TransferPlan) -> None:
        discard(self._bench, list(self._subjects.values()))
        self._subjects = {}
        self._boot += 1
        self._show(
            f"boot {self._boot} of {self._boots}: {self._guests} guests",
            BOOT_SECONDS * self._guests,
        )
        subjects = boot(
            self._bench,
            self._lab,
            self._plan.arms,
            self._baseline,
            own_time=self._effort.guest_time,
            thawed=self._effort.thawed,
        )
        self._subjects = {subject.arm: subject for subject in subjects}
        for subject in subjects:
            self._placement.pin(subject.pids, subject.processor_threads())
            guests = iperf.usable(subject.facts.get("iperf3", ""), "the guest's")
            versions.require_understanding(way, subject, self._effort.directions, self._host_iperf, guests)

    def _measure_ceiling(self, way: TransferPlan) -> None:
        self._show("ceiling: two namespaces, no guest", self._transfer_seconds)
        row = ceiling(way, self._lab.neighbour, addresses.HOST)
        self._keep_row(None, "ceiling", row)

    def _measure_valid_block(self, way: TransferPlan) -> None:
        """A block, and once more under another number where a row of it is invalid: whoever asks for eight needs them.

        Rows of the first stay in the recording. What was never valid is not tried for ever.
        """
        while spoilt := self._measure_block(way):
            hopeless = spoilt <= self._spoilt - self._valid
            self._spoilt |= spoilt
            if hopeless or self._again == MOST_AGAIN:
                return
            self._again += 1
            self._planned_blocks += 1

    def _measure_block(self, way: TransferPlan) -> set[tuple[Arm, str]]:
        """The arms and directions whose transfers are invalid."""
        spoilt: set[tuple[Arm, str]] = set()
        self._block += 1
        self._position = 0
        lane = "guest_time" if self._effort.guest_time else "tcp"
        for arm, direction in schedule.block(self._plan, self._effort.directions, self._chance):
            self._position += 1
            where = "guest to host" if direction == "g2h" else "host to guest"
            more = ", added for precision" if self._block - self._again > self._effort.blocks else ""
            said = f"block {self._block} of {self._planned_blocks}{more}: {arm.name} {arm.nic}, {where}"
            self._show(said, self._transfer_seconds)
            with _named(arm):
                row = transfer(way, self._subjects[arm], direction)
            (self._valid if row.valid else spoilt).add((arm, direction))
            self._keep_row(arm, f"{lane}.{direction}", row)
        if self._effort.full:
            self._measure_extras(way)
        self._whole_blocks = self._block
        return spoilt

    def _measure_extras(self, way: TransferPlan) -> None:
        for extra in self._extras:
            if extra.once and self._boot > 1 and not self._effort.full:
                continue
            arms = extra.of(self._plan.arms)
            self._chance.shuffle(arms)
            for arm in arms:
                self._position += 1
                self._show(f"{extra.name}: {arm.name} {arm.nic}", extra.seconds)
                with _named(arm):
                    rows = list(extra.measure(way, self._subjects[arm]))
                for metric, row in rows:
                    self._keep_row(arm, metric, row)
            self._extras_done.add((extra.word, self._boot))

    def _keep_row(self, arm: Arm | None, measures: str, found: Measurement) -> None:
        self._kept += 1
        self._keep(
            Run(
                kind="run",
                version=1,
                run=self._kept,
                measures=measures,
                boot=self._boot,
                block=self._block,
                position=self._position,
                arm=arm and arm.name,
                nic=arm and arm.nic,
                **({"guest": self._subjects[arm].describe()} if arm else {}),
                **found.said,
            )
        )

    def _show(self, text: str, seconds: float) -> None:
        """Say what is done now; `seconds` is what it usually takes under TCG, scaled by the pace seen so far."""
        whole, passed = self.estimate_seconds(), time.monotonic() - self._began
        pace = passed / self._expected_seconds if self._expected_seconds > MEANINGFUL_SECONDS else 1.0
        left = max(whole - self._expected_seconds, 0.0) * pace
        self._steps.step(f"{text} (about {_minutes(left)} left)", min(self._expected_seconds / whole, 0.99))
        self._expected_seconds += seconds


@contextlib.contextmanager
def _named(arm: Arm) -> Iterator[None]:
    """Say which arm it was that failed."""
    try:
        yield
    except HarnessError as error:
        raise HarnessError(f"{arm.name} {arm.nic}: {error}") from error


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"
