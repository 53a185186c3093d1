"""The shapes of what scripts read. The JSON schemas beside this module are made from them.

Fields may be added, never renamed.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from qemunet_tests.claims import Source
from qemunet_tests.report.change_shapes import CHANGES
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.shape import Accelerator, BootedImage, Shape

SCHEMAS = Path(__file__).parent / "schemas"


class Versioned(Shape):
    """A whole document."""

    schema_number: Literal[1] = Field(1, alias="schema")


class FrameLoss(Shape):
    """Between which two places a frame was lost; `missed_at` is null where it left the last of `places`, unanswered."""

    what: str
    places: list[str]
    seen_at: str
    missed_at: str | None


class PassedPackets(Shape):
    """Packets alike that passed a guest's NIC: one line says what they were. Seconds since the capture's first."""

    nic: str
    line: str
    count: int
    first_seconds: float
    last_seconds: float


class KnownShape(Shape):
    """Why a verdict is no news, and the last day on which it is none (ISO 8601)."""

    reason: str
    until: str

    def __str__(self) -> str:
        return f"{self.reason}, until {self.until}"


class ClaimVerdict(Shape):
    """What became of one claim, all its tests together. Details are those of the test that decided.

    `says`, `source` and `topic` are those of the claim's table at the time. `lost` is where a frame was lost, where
    one was followed, and `packets` what passed the guests of whom artifacts were kept, in the order of first sight.
    `qemu`, `slirp` and `passt` are the versions that it was seen on. `cpu_seconds` is what the process that ran the
    tests spent of the processors meanwhile, with all that it started, guests included. `cause` is the same for all
    claims that one cause broke, and null where none was named. `known` is what `--known` says of it. All are null
    where they are not known.
    """

    claim: str
    mode: str
    verdict: Verdict
    expected: str | None
    observed: str | None
    reason: str | None
    remedy: str | None
    tests: list[str]
    seconds: float
    artifacts: list[str]
    qemu: str | None = None
    slirp: str | None = None
    passt: str | None = None
    cpu_seconds: float | None = None
    cause: str | None = None
    says: str | None = None
    source: Source | None = None
    topic: str | None = None
    lost: FrameLoss | None = None
    packets: list[PassedPackets] = Field([])
    known: KnownShape | None = None


class HostDescription(Shape):
    """The machine; `id` is that of recordings. More keys may follow.

    `packages` are the versions of those that brought what the tests' packets went through: QEMU, its libslirp and its
    bridge helper, passt, the lab's servers; null where no package manager answered.
    """

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    name: str | None = None
    kernel: str
    distribution: str
    cpus: int
    packages: dict[str, str] | None = None


class OwnBuildShape(Shape):
    """What was tried instead of the installed: `build` is the linker's number of it."""

    path: str
    version: str | None
    build: str | None
    instead_of: str


class QemuDescription(Shape):
    """What was tested; empty where no test got as far as asking it."""

    model_config = ConfigDict(extra="allow")

    path: str | None = None
    version: str | None = None
    slirp: str | None = None
    own_libslirp: OwnBuildShape | None = None
    own_helper: OwnBuildShape | None = None


class HostNetwork(Shape):
    """What of a real host's network was tried, null where there is none or it is not known.

    `link` and `router` are those of the default route, `bridge` is the one that was named, `uplink` its first port that
    is no guest's, `address` the host's own on it, else on `link`. The peer is a `neighbour` on the LAN, or `outside`.
    """

    link: str | None = None
    router: str | None = None
    bridge: str | None = None
    uplink: str | None = None
    address: str | None = None
    neighbour: str | None = None
    outside: str | None = None


class UncitedFailure(Shape):
    """A test that cites no claim and failed, and where what its guests left behind is."""

    test: str
    reason: str
    artifacts: list[str]


class Uncited(Shape):
    """Tests that cite no claim, such as a reader's own."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[UncitedFailure] = Field([])


class RecordedArm(Shape):
    """Medians of a configuration's valid rows, null where there are none, and what the monitor showed of its path.

    Of so many `transfers` by TCP, `proven` are those of which its backend counted the bytes there.
    By metric: `rows` are the valid rows themselves, `exchange_us` the percentiles of single exchanges in steps of a
    twentieth, the shortest and the longest included, and `over_time` the first transfers, each as pairs of the second
    in which an interval ended and its Mbit/s.
    """

    arm: str
    nic: str
    g2h_mbit_per_second: float | None
    h2g_mbit_per_second: float | None
    g2h_cpu_seconds_per_gb: float | None
    h2g_cpu_seconds_per_gb: float | None
    proof: str | None
    transfers: int | None = None
    proven: int | None = None
    rows: dict[str, list[float]] = Field({})
    exchange_us: dict[str, list[float]] = Field({})
    over_time: dict[str, list[list[tuple[float, float]]]] = Field({})


class RecordedRatio(Shape):
    """Two arms in one metric, the first over the second, with the 95 % interval. `again` is the A/A arm.

    `blocks` are the ratios of single blocks.
    """

    metric: str
    nic: str
    arms: list[str]
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    reason: str
    again: bool
    blocks: list[float] = Field([])


class RecordedThroughput(Shape):
    """What the last recording of this host, QEMU and accelerator says."""

    at: str
    placed: str
    usable: bool
    why_unusable: str | None
    arms: list[RecordedArm]
    ratios: list[RecordedRatio]


class Results(Versioned):
    """results.json. `at` is when the session began (UTC, ISO 8601), `version` that of qemunet, `command` as typed."""

    at: str | None = None
    version: str | None = None
    command: str | None = None
    target: Literal["lab", "host"]
    seconds: float
    interrupted: bool = False
    host: HostDescription
    image: BootedImage | None = None
    qemu: QemuDescription
    passt: OwnBuildShape | None = None
    network: HostNetwork | None = None
    accel: Accelerator
    guests: dict[str, int]
    phases: dict[str, float]
    notes: list[str] = Field([])
    verdicts: list[ClaimVerdict]
    uncited: Uncited = Field(default_factory=Uncited)
    recording: RecordedThroughput | None = None


class ListedClaim(Shape):
    """One claim of `qemunet claims --json`."""

    id: str
    mode: str
    says: str
    source: Source
    since: str | None
    until: str | None
    tests: list[str]
    untested: str | None
    option: str | None


class ClaimsListing(Versioned):
    """`qemunet claims --json`."""

    claims: list[ListedClaim]


class CapabilityShape(Shape):
    """One thing that this host can or cannot do, and the modes that need it."""

    id: str
    state: Literal["ok", "caution", "not"]
    modes: list[str]
    reason: str | None
    remedy: str | None


class ModeAnswer(Shape):
    """Whether a mode can be used here."""

    possible: bool
    reason: str | None


class DoctorReport(Versioned):
    """`qemunet doctor --json`."""

    capabilities: list[CapabilityShape]
    modes: dict[str, ModeAnswer]


class ModesAnswer(Shape):
    """One question about one mode: the worst verdict of its claims, null where no run says; then `says` says so."""

    mode: str
    claims: list[str]
    verdict: Verdict | None
    says: str


class AnsweredQuestion(Shape):
    """What people ask, and the answers in the order of the modes."""

    asks: str
    answers: list[ModesAnswer]


class ModeComparison(Versioned):
    """`qemunet modes --json`. `at` is when the run began whose verdicts these are, null without one."""

    at: str | None
    modes: list[str]
    questions: list[AnsweredQuestion]


DOCUMENTS: dict[str, type[Versioned]] = {
    "results": Results,
    "claims": ClaimsListing,
    "doctor": DoctorReport,
    "modes": ModeComparison,
}


def schema(document: str) -> dict[str, Any]:
    """The JSON schema of a document, made from its model; `changes` is that of one line."""
    if document == "changes":
        made = CHANGES.json_schema(by_alias=True, mode="serialization")
    else:
        made = DOCUMENTS[document].model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text(document: str) -> str:
    """What the file in `schemas` has to contain."""
    return json.dumps(schema(document), indent=2) + "\n"
